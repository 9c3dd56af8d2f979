"""Compiled loops of the CPU backend, backward: one maze, whole vectors, nothing allocated inside.

Layers between two stored ones are computed again (``cpu_forward``), and their adjoints propagated,
with a quarter of the multiplications of the forward pass. ``cpu_layout`` says how the arrays are
laid out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from planners.operator.cpu_forward import (
    ALL_LANES,
    changed_lanes,
    update_policy_kernels,
    winners_of,
)
from planners.operator.cpu_layout import (
    LaneSets,
    Layout,
    MazeArrays,
    WinnerKernels,
    kernel_at,
    offset_of,
)
from planners.operator.numba_options import compiled, inlined
from planners.operator.simd import (
    LANES,
    FloatLine,
    LaneSet,
    add,
    load,
    multiply_add,
    select,
    store,
    zeros,
)


class GradArrays(NamedTuple):
    """Gradients of one maze, in the layout of ``cpu_layout``."""

    values: FloatLine
    """The adjoint of V of L + 1 layers, a plane per layer."""
    kernel: FloatLine
    """As the kernel."""
    reward: FloatLine
    """A number per cell."""
    taps: FloatLine
    """Sums of one block, tap by tap, on their way to ``kernel``; zero between calls."""
    outside: NDArray[np.uint8]
    """For each layer whether ``values`` holds a gradient from outside, which counts, or what is
    left of another time, which does not."""


@inlined
def follow_choice(
    bits: int,
    maze: MazeArrays,
    choice: LaneSets,
    winners: WinnerKernels,
    layout: Layout,
    d: int,
    block: int,
) -> None:
    """Make the winners' kernels of a block those of layer ``d``."""
    c = (d - 1) * layout.words + block * bits
    changed = changed_lanes(choice, c, winners.choice, block * bits, bits)
    if changed:
        update_policy_kernels(maze.kernel, winners, choice, c, layout, block, changed)


@inlined
def adjoint_block(
    field: int,
    maze: MazeArrays,
    winners: WinnerKernels,
    grads: GradArrays,
    layout: Layout,
    d: int,
    block: int,
) -> None:
    """Propagate the adjoint of V of layer ``d`` to a block of the layer before, and to R."""
    x = block * LANES
    o = d * layout.plane + layout.margin + x
    total = zeros()
    for tap in range(field * field):
        back = offset_of(tap, field, layout.row)
        weights = load(winners.kernels, tap * layout.plane + layout.margin + x - back)
        total = multiply_add(weights, load(grads.values, o - back), total)
    total = select(maze.inside[np.uint64(block)], total, zeros())
    store(grads.reward, x, add(total, load(grads.reward, x)))
    if grads.outside[np.uint64(d - 1)]:
        total = add(total, load(grads.values, o - layout.plane))
    store(grads.values, o - layout.plane, total)


@inlined
def _backward(
    field: int,
    bits: int,
    maze: MazeArrays,
    choice: LaneSets,
    winners: WinnerKernels,
    grads: GradArrays,
    layout: Layout,
    count: int,
) -> None:
    for d in range(count, 0, -1):
        for block in range(layout.blocks):
            follow_choice(bits, maze, choice, winners, layout, d, block)
        for block in range(layout.blocks):
            adjoint_block(field, maze, winners, grads, layout, d, block)


@compiled
def _backward_four(
    maze: MazeArrays,
    choice: LaneSets,
    winners: WinnerKernels,
    grads: GradArrays,
    layout: Layout,
    count: int,
) -> None:
    _backward(3, 2, maze, choice, winners, grads, layout, count)


@compiled
def _backward_any(
    maze: MazeArrays,
    choice: LaneSets,
    winners: WinnerKernels,
    grads: GradArrays,
    layout: Layout,
    count: int,
) -> None:
    _backward(layout.field, layout.bits, maze, choice, winners, grads, layout, count)


@compiled
def backward(
    maze: MazeArrays,
    choice: LaneSets,
    winners: WinnerKernels,
    grads: GradArrays,
    layout: Layout,
    count: int,
) -> None:
    """Propagate the adjoint of V of layer ``count`` back to layer 0, and to the reward."""
    if layout.field == 3 and layout.bits == 2:
        _backward_four(maze, choice, winners, grads, layout, count)
    else:
        _backward_any(maze, choice, winners, grads, layout, count)


@compiled
def _scatter(
    grads: GradArrays, choice: LaneSets, c: int, layout: Layout, block: int, lanes: LaneSet
) -> None:
    """Move the sums of some lanes of a block, tap by tap, to their winners' kernel gradients."""
    taps, k = layout.field**2, kernel_at(layout, block)
    for a in range(layout.actions):
        winners = winners_of(choice, c, a, layout.bits) & lanes
        if winners:
            for tap in range(taps):
                place = k + (a * taps + tap) * LANES
                amount = select(winners, load(grads.taps, tap * LANES), zeros())
                store(grads.kernel, place, add(load(grads.kernel, place), amount))
    for tap in range(taps):
        store(grads.taps, tap * LANES, select(lanes, zeros(), load(grads.taps, tap * LANES)))


@inlined
def _accumulate_nine_taps(
    summed: FloatLine, grads: GradArrays, layout: Layout, block: int, first: int, last: int
) -> None:
    """Add to the sums of a block's nine taps the gradients of layers ``first`` to ``last``.

    Written out: the nine sums stay in registers, which a loop over taps does not achieve.
    """
    row, x, taps = layout.row, layout.margin + block * LANES, grads.taps
    s0 = load(taps, 0 * LANES)
    s1 = load(taps, 1 * LANES)
    s2 = load(taps, 2 * LANES)
    s3 = load(taps, 3 * LANES)
    s4 = load(taps, 4 * LANES)
    s5 = load(taps, 5 * LANES)
    s6 = load(taps, 6 * LANES)
    s7 = load(taps, 7 * LANES)
    s8 = load(taps, 8 * LANES)
    for d in range(first, last + 1):
        grad, o = load(grads.values, d * layout.plane + x), (d - 1) * layout.plane + x
        s0 = multiply_add(grad, load(summed, o - row - 1), s0)
        s1 = multiply_add(grad, load(summed, o - row), s1)
        s2 = multiply_add(grad, load(summed, o - row + 1), s2)
        s3 = multiply_add(grad, load(summed, o - 1), s3)
        s4 = multiply_add(grad, load(summed, o), s4)
        s5 = multiply_add(grad, load(summed, o + 1), s5)
        s6 = multiply_add(grad, load(summed, o + row - 1), s6)
        s7 = multiply_add(grad, load(summed, o + row), s7)
        s8 = multiply_add(grad, load(summed, o + row + 1), s8)
    store(taps, 0, s0)
    store(taps, LANES, s1)
    store(taps, 2 * LANES, s2)
    store(taps, 3 * LANES, s3)
    store(taps, 4 * LANES, s4)
    store(taps, 5 * LANES, s5)
    store(taps, 6 * LANES, s6)
    store(taps, 7 * LANES, s7)
    store(taps, 8 * LANES, s8)


@inlined
def _accumulate_taps(
    summed: FloatLine, grads: GradArrays, layout: Layout, block: int, first: int, last: int
) -> None:
    x = layout.margin + block * LANES
    for tap in range(layout.field**2):
        near = x + offset_of(tap, layout.field, layout.row)
        amount = load(grads.taps, tap * LANES)
        for d in range(first, last + 1):
            seen = load(summed, (d - 1) * layout.plane + near)
            amount = multiply_add(load(grads.values, d * layout.plane + x), seen, amount)
        store(grads.taps, tap * LANES, amount)


@compiled
def accumulate_block(
    grads: GradArrays, summed: FloatLine, choice: LaneSets, layout: Layout, count: int, block: int
) -> None:
    """Add to the kernel's gradient that of layers 1 to ``count`` of a block."""
    bits, step, first = layout.bits, layout.words, 1
    while first <= count:
        c = (first - 1) * step + block * bits
        last, lanes = first, ALL_LANES
        while last < count:
            lanes = changed_lanes(choice, c, choice, c + (last - first + 1) * step, bits)
            if lanes:
                break
            last += 1
        if layout.field == 3:
            _accumulate_nine_taps(summed, grads, layout, block, first, last)
        else:
            _accumulate_taps(summed, grads, layout, block, first, last)
        if last == count:
            lanes = ALL_LANES
        _scatter(grads, choice, c, layout, block, lanes)
        first = last + 1


@compiled
def accumulate_kernel_grad(
    grads: GradArrays, summed: FloatLine, choice: LaneSets, layout: Layout, count: int
) -> None:
    """Add to the kernel's gradient that of layers 1 to ``count``, block by block.

    Layers in which a block's winners are the same are summed first and scattered at once.
    """
    for block in range(layout.blocks):
        accumulate_block(grads, summed, choice, layout, count, block)


@inlined
def _adjoint_of_products(
    field: int, kernel: FloatLine, lines: FloatLine, products: FloatLine, start: int, layout: Layout
) -> None:
    """Write for each tap, a plane each, the adjoint of the products kernel times R + V."""
    for block in range(layout.blocks):
        k, x = kernel_at(layout, block), block * LANES
        for tap in range(field * field):
            total = zeros()
            for a in range(layout.actions):
                grad = load(lines, start + a * layout.blocks * LANES + x)
                total = multiply_add(load(kernel, k + (a * field**2 + tap) * LANES), grad, total)
            store(products, tap * layout.plane + layout.margin + x, total)


@inlined
def _adjoint_of_summed(
    field: int,
    products: FloatLine,
    inside: LaneSets,
    target: FloatLine,
    grad_reward: FloatLine,
    layout: Layout,
) -> None:
    """Gather for each cell the adjoints of the products that it is a factor of."""
    for block in range(layout.blocks):
        x = block * LANES
        total = zeros()
        for tap in range(field * field):
            back = offset_of(tap, field, layout.row)
            total = add(total, load(products, tap * layout.plane + layout.margin + x - back))
        total = select(inside[np.uint64(block)], total, zeros())
        store(grad_reward, x, add(total, load(grad_reward, x)))
        store(target, x, total)


@compiled
def adjoint_of_action_values(
    maze: MazeArrays,
    lines: FloatLine,
    start: int,
    products: FloatLine,
    target: FloatLine,
    grad_reward: FloatLine,
    layout: Layout,
) -> None:
    """Propagate gradients of Q back to R + V.

    Args:
        maze: kernel, and which cells are inside.
        lines: gradients of Q, a line per action from ``start`` on.
        start: see above.
        products: F*F planes to work in.
        target: gradient of V, written.
        grad_reward: gradient of R, added to.
        layout: of the maze.
    """
    if layout.field == 3:
        _adjoint_of_products(3, maze.kernel, lines, products, start, layout)
        _adjoint_of_summed(3, products, maze.inside, target, grad_reward, layout)
    else:
        _adjoint_of_products(layout.field, maze.kernel, lines, products, start, layout)
        _adjoint_of_summed(layout.field, products, maze.inside, target, grad_reward, layout)


@inlined
def _accumulate_action_kernel_grad(
    field: int,
    grad_kernel: FloatLine,
    summed: FloatLine,
    lines: FloatLine,
    layout: Layout,
    count: int,
) -> None:
    cells = layout.blocks * LANES
    for block in range(layout.blocks):
        k, x = kernel_at(layout, block), block * LANES
        for a in range(layout.actions):
            for tap in range(field * field):
                near = offset_of(tap, field, layout.row)
                at = k + (a * field**2 + tap) * LANES
                amount = load(grad_kernel, at)
                for n in range(count):
                    seen = load(summed, n * layout.plane + layout.margin + x + near)
                    grad = load(lines, (n * layout.actions + a) * cells + x)
                    amount = multiply_add(grad, seen, amount)
                store(grad_kernel, at, amount)


@compiled
def accumulate_action_kernel_grad(
    grad_kernel: FloatLine, summed: FloatLine, lines: FloatLine, layout: Layout, count: int
) -> None:
    """Add to ``grad_kernel`` the gradient of ``count`` sets of Q, ``lines``, on ``summed``."""
    if layout.field == 3:
        _accumulate_action_kernel_grad(3, grad_kernel, summed, lines, layout, count)
    else:
        _accumulate_action_kernel_grad(layout.field, grad_kernel, summed, lines, layout, count)
