"""Compiled loops of the CPU backend, forward: one maze, whole vectors, nothing allocated inside.

And forward again by choices that are known, for the way back: only the winner's kernel matters, and
who wins hardly ever changes from one layer to the next, so that the winners' kernels are gathered
once and updated where a choice changes.

Layers advance in a wavefront, a few blocks apart, so that a block of the kernel serves several
layers while it is in the first-level cache and more while it is in the second. ``cpu_layout`` says
how the arrays are laid out.
"""

from __future__ import annotations

import numpy as np

from planners.operator.cpu_layout import (
    ForcedActions,
    LaneSets,
    LayerArrays,
    Layout,
    MazeArrays,
    WinnerKernels,
    kernel_at,
    offset_of,
    sweep,
)
from planners.operator.numba_options import compiled, inlined
from planners.operator.simd import (
    LANES,
    FloatLine,
    Lanes,
    LaneSet,
    add,
    equal,
    greater,
    load,
    multiply_add,
    select,
    store,
    zeros,
)

ALL_LANES = np.uint16(0xFFFF)
_FOUR_SETS = np.uint64(0x0001000100010001)  # times a set of lanes: four copies of it

RecomputeState = tuple[MazeArrays, FloatLine, LaneSets, WinnerKernels, Layout]
"""What one block of one layer is recomputed from and written to."""
ForwardState = tuple[MazeArrays, LayerArrays, LaneSets, ForcedActions, Layout]
"""What one block of one layer is computed from and written to."""


@inlined
def _dot(kernel: FloatLine, k: int, summed: FloatLine, o: int, row: int, field: int) -> Lanes:
    """Return the sum of one kernel times the patch around each cell of a block."""
    total = zeros()
    for tap in range(field * field):
        near = load(summed, o + offset_of(tap, field, row))
        total = multiply_add(load(kernel, k + tap * LANES), near, total)
    return total


@inlined
def _bit_pattern(action: int) -> np.uint64:
    """Return four sets of lanes, all or none, by the four lowest bits of an action's number."""
    a = np.uint64(action)
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    first = (a & one) | ((a >> one & one) << np.uint64(16))
    second = ((a >> two & one) << np.uint64(32)) | ((a >> three & one) << np.uint64(48))
    sets: np.uint64 = (first | second) * np.uint64(0xFFFF)
    return sets


@inlined
def _write_choice(choice: LaneSets, c: int, low: np.uint64, high: np.uint64, bits: int) -> None:
    for bit in range(bits):
        word = low if bit < 4 else high
        choice[np.uint64(c + bit)] = np.uint16(word >> np.uint64(16 * (bit & 3)))


@inlined
def finish_layer(
    best: Lanes, maze: MazeArrays, layers: LayerArrays, layout: Layout, d: int, block: int
) -> None:
    """Write V and R + V of one block of layer d + 1."""
    x = block * LANES
    store(layers.values, (d + 1) * layout.blocks * LANES + x, best)
    inside = maze.inside[np.uint64(block)]
    total = select(inside, add(best, load(maze.reward, x)), zeros())
    store(layers.summed, (d + 1) * layout.plane + layout.margin + x, total)


@inlined
def visit_four(state: ForwardState, d: int, block: int) -> None:
    """Compute a block for four actions and 3x3 kernels; the first of equals wins."""
    maze, layers, choice, _, layout = state
    kernel, summed, row = maze.kernel, layers.summed, layout.row
    o = d * layout.plane + layout.margin + block * LANES
    k, c, size = kernel_at(layout, block), d * layout.words + 2 * block, 9 * LANES
    q0 = _dot(kernel, k, summed, o, row, 3)
    q1 = _dot(kernel, k + size, summed, o, row, 3)
    q2 = _dot(kernel, k + 2 * size, summed, o, row, 3)
    q3 = _dot(kernel, k + 3 * size, summed, o, row, 3)
    second, fourth = greater(q1, q0), greater(q3, q2)
    left, right = select(second, q1, q0), select(fourth, q3, q2)
    high = greater(right, left)
    if choice.size > 0:
        choice[np.uint64(c)] = (fourth & high) | (second & ~high)
        choice[np.uint64(c + 1)] = high
    finish_layer(select(high, right, left), maze, layers, layout, d, block)


@inlined
def _visit(state: ForwardState, field: int, d: int, block: int) -> None:
    """Compute a block for any number of actions and imposed ones."""
    maze, layers, choice, forced, layout = state
    x = d * layout.blocks + block
    o = d * layout.plane + layout.margin + block * LANES
    k = kernel_at(layout, block)
    best, low, high = zeros(), np.uint64(0), np.uint64(0)
    free = ALL_LANES
    if forced.size > 0:
        free = equal(forced, x * LANES, -1)
    for a in range(layout.actions):
        q = _dot(maze.kernel, k + a * field * field * LANES, layers.summed, o, layout.row, field)
        better: LaneSet = free if a == 0 else free & greater(q, best)
        if forced.size > 0:
            better |= equal(forced, x * LANES, a)
        best = select(better, q, best)
        sets = np.uint64(better) * _FOUR_SETS
        low = (low & ~sets) | (sets & _bit_pattern(a))
        high = (high & ~sets) | (sets & _bit_pattern(a >> 4))
    if choice.size > 0:
        c = d * layout.words + block * layout.bits
        _write_choice(choice, c, low, high, layout.bits)
    finish_layer(best, maze, layers, layout, d, block)


@inlined
def _visit_three(state: ForwardState, d: int, block: int) -> None:
    _visit(state, 3, d, block)


@inlined
def _visit_any(state: ForwardState, d: int, block: int) -> None:
    _visit(state, state[4].field, d, block)


@compiled
def _forward_four(state: ForwardState, layout: Layout, count: int, size: int) -> None:
    sweep(visit_four, state, layout, count, size)


@compiled
def _forward_three(state: ForwardState, layout: Layout, count: int, size: int) -> None:
    sweep(_visit_three, state, layout, count, size)


@compiled
def _forward_any(state: ForwardState, layout: Layout, count: int, size: int) -> None:
    sweep(_visit_any, state, layout, count, size)


@compiled
def forward(
    maze: MazeArrays,
    layers: LayerArrays,
    choice: LaneSets,
    forced: ForcedActions,
    layout: Layout,
    count: int,
) -> None:
    """Compute layers 1 to ``count`` from layer 0 of ``summed``.

    Args:
        maze: kernel and reward.
        layers: R + V of layer 0 is read, the others are written.
        choice: for each layer and block the winning actions, as sets of cells: those whose winner
            has bit 0, those whose winner has bit 1, and so on; empty where they are not wanted.
        forced: an imposed action or -1 for each layer and cell, or empty.
        layout: of the maze.
        count: layers.
    """
    size = 4 * layout.actions * layout.field**2 * LANES
    state = (maze, layers, choice, forced, layout)
    if layout.field == 3 and layout.actions == 4 and forced.size == 0:
        _forward_four(state, layout, count, size)
    elif layout.field == 3:
        _forward_three(state, layout, count, size)
    else:
        _forward_any(state, layout, count, size)


@inlined
def winners_of(choice: LaneSets, c: int, action: int, bits: int) -> LaneSet:
    """Return the set of lanes in which an action has won."""
    lanes: LaneSet = ALL_LANES
    for bit in range(bits):
        chosen = choice[np.uint64(c + bit)]
        lanes &= chosen if action >> bit & 1 else ~chosen
    return lanes


@inlined
def changed_lanes(one: LaneSets, i: int, other: LaneSets, j: int, bits: int) -> LaneSet:
    """Return the lanes in which two blocks' choices differ."""
    lanes: LaneSet = one[np.uint64(i)] ^ other[np.uint64(j)]
    for bit in range(1, bits):
        lanes |= one[np.uint64(i + bit)] ^ other[np.uint64(j + bit)]
    return lanes


@compiled
def update_policy_kernels(
    kernel: FloatLine,
    winners: WinnerKernels,
    choice: LaneSets,
    c: int,
    layout: Layout,
    block: int,
    changed: LaneSet,
) -> None:
    """Gather the winners' kernels of those lanes of a block whose choice, at ``c``, has changed."""
    taps, bits = layout.field**2, layout.bits
    k, x = kernel_at(layout, block), layout.margin + block * LANES
    for bit in range(bits):
        winners.choice[np.uint64(block * bits + bit)] = choice[np.uint64(c + bit)]
    for a in range(layout.actions):
        lanes = winners_of(choice, c, a, bits) & changed
        if lanes:
            for tap in range(taps):
                place = tap * layout.plane + x
                weights = load(kernel, k + (a * taps + tap) * LANES)
                store(winners.kernels, place, select(lanes, weights, load(winners.kernels, place)))


@compiled
def gather_policy_kernels(
    kernel: FloatLine, winners: WinnerKernels, choice: LaneSets, layout: Layout
) -> None:
    """Gather the winners' kernels of one layer's choices, whatever was there before."""
    for block in range(layout.blocks):
        update_policy_kernels(
            kernel, winners, choice, block * layout.bits, layout, block, ALL_LANES
        )


@inlined
def _recompute_block(state: RecomputeState, field: int, bits: int, d: int, block: int) -> None:
    maze, summed, choice, winners, layout = state
    c = d * layout.words + block * bits
    changed = changed_lanes(choice, c, winners.choice, block * bits, bits)
    if changed:
        update_policy_kernels(maze.kernel, winners, choice, c, layout, block, changed)
    x = block * LANES
    o = d * layout.plane + layout.margin + x
    best = zeros()
    for tap in range(field * field):
        near = o + offset_of(tap, field, layout.row)
        weights = load(winners.kernels, tap * layout.plane + layout.margin + x)
        best = multiply_add(weights, load(summed, near), best)
    inside = maze.inside[np.uint64(block)]
    total = select(inside, add(best, load(maze.reward, x)), zeros())
    store(summed, o + layout.plane, total)


@inlined
def recompute_four(state: RecomputeState, d: int, block: int) -> None:
    """Compute a block again, for up to four actions and 3 x 3 kernels."""
    _recompute_block(state, 3, 2, d, block)


@inlined
def _recompute_any_block(state: RecomputeState, d: int, block: int) -> None:
    _recompute_block(state, state[4].field, state[4].bits, d, block)


@compiled
def _recompute_four(state: RecomputeState, layout: Layout, count: int, size: int) -> None:
    sweep(recompute_four, state, layout, count, size)


@compiled
def _recompute_any(state: RecomputeState, layout: Layout, count: int, size: int) -> None:
    sweep(_recompute_any_block, state, layout, count, size)


@compiled
def recompute(
    maze: MazeArrays,
    summed: FloatLine,
    choice: LaneSets,
    winners: WinnerKernels,
    layout: Layout,
    count: int,
) -> None:
    """Compute layers 1 to ``count`` of ``summed`` again, by their choices.

    The same to the last bit.
    """
    size = 4 * layout.field**2 * LANES
    state = (maze, summed, choice, winners, layout)
    if layout.field == 3 and layout.bits == 2:
        _recompute_four(state, layout, count, size)
    else:
        _recompute_any(state, layout, count, size)


@inlined
def _action_values(
    field: int,
    kernel: FloatLine,
    summed: FloatLine,
    plane: int,
    lines: FloatLine,
    start: int,
    layout: Layout,
) -> None:
    for block in range(layout.blocks):
        k, o = kernel_at(layout, block), plane + layout.margin + block * LANES
        for a in range(layout.actions):
            q = _dot(kernel, k + a * field**2 * LANES, summed, o, layout.row, field)
            store(lines, start + (a * layout.blocks + block) * LANES, q)


@compiled
def action_values(
    kernel: FloatLine, summed: FloatLine, plane: int, lines: FloatLine, start: int, layout: Layout
) -> None:
    """Write Q of every action, a line each, into ``lines`` from ``start`` on.

    R + V is the plane that begins at ``plane``.
    """
    if layout.field == 3:
        _action_values(3, kernel, summed, plane, lines, start, layout)
    else:
        _action_values(layout.field, kernel, summed, plane, lines, start, layout)
