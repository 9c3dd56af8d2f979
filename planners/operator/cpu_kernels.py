"""Compiled loops of the CPU body: one maze at a time, whole vectors, nothing allocated inside.

A map of H x W cells is laid out as one line of cells, row after row, each row followed by ``r = F
// 2`` border cells that serve as the right border of one row and the left border of the next. The
line is cut into blocks of 16 cells, filled up at the end. Arrays of one maze (all of one
dimension):

- ``kernel``: block by block, then action by action, tap by tap, then 16 cells; one block if shared
  by all; zero at border cells if not;
- ``summed``, ``grads``: R + V, and the gradient of V, of L+1 layers, each a ``plane``: the line
  with a margin of zeros on both sides;
- ``values``: V of L+1 layers, without margins;
- ``choice`` (uint16): for each layer and block the winning action, as sets of cells: those whose
  winner has bit 0, those whose winner has bit 1, and so on;
- ``forced`` (int8): an imposed action or -1, of L layers, or empty;
- ``policy``: the winner's kernel of every cell, tap by tap, each tap a plane, and ``current``, the
  ``choice`` that it belongs to;
- ``reward``: a number per cell; ``inside`` (uint16): for each block the cells that are no border.

Forward, layers advance in a wavefront, a few blocks apart, so that a block of the kernel serves
several layers while it is in the first-level cache and more while it is in the second.

Backward, only the winner's kernel matters, and who wins hardly ever changes from one layer to the
next: the winners' kernels are put together once and mended where a choice changes. Layers between
two stored ones are followed again and walked back with a quarter of the multiplications."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from planners.operator.numba_options import compiled, inlined
from planners.operator.simd import (
    LANES,
    choose,
    equal,
    fused,
    greater,
    load,
    nothing,
    plus,
    store,
)

Array = NDArray[Any]

_FIRST_CACHE = 32 * 1024  # bytes of a first-level cache that a wavefront may fill with kernels
_SECOND_CACHE = 512 * 1024  # bytes of kernels up to which layers need no chunks
_STRIP = 4  # blocks of a layer that are computed in a row
_CHUNK = 64  # blocks that a group of layers takes before the next group does
_ALL = np.uint16(0xFFFF)
_FOUR_SETS = np.uint64(0x0001000100010001)  # times a set of lanes: four copies of it


class Shape(NamedTuple):
    """Sizes of one maze's arrays."""

    actions: int
    field: int
    row: int  # cells from one row of the map to the next
    blocks: int
    margin: int  # cells on both sides of a plane
    plane: int
    bits: int  # of an action's number
    shared: bool  # one kernel for all cells


@inlined
def _kernel_at(shape: Any, block: Any) -> Any:
    """Place of a block's kernel."""
    return 0 if shape.shared else block * shape.actions * shape.field**2 * LANES


@inlined
def _offset(tap: Any, field: Any, row: Any) -> Any:
    """Return how many cells from a cell its neighbour at a tap is."""
    return (tap // field - field // 2) * row + tap % field - field // 2


@inlined
def _dot(kernel: Array, k: Any, summed: Array, o: Any, row: Any, field: Any) -> Any:
    """Sum one kernel times the patch around each cell of a block."""
    total = nothing()
    for tap in range(field * field):
        near = load(summed, o + _offset(tap, field, row))
        total = fused(load(kernel, k + tap * LANES), near, total)
    return total


@inlined
def _pattern(action: Any) -> Any:
    """Return four sets of lanes, all or none, by the four lowest bits of an action's number."""
    a = np.uint64(action)
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    first = (a & one) | ((a >> one & one) << np.uint64(16))
    second = ((a >> two & one) << np.uint64(32)) | ((a >> three & one) << np.uint64(48))
    return (first | second) * np.uint64(0xFFFF)


@inlined
def _write_choice(choice: Array, c: Any, low: Any, high: Any, bits: Any) -> None:
    for bit in range(bits):
        word = low if bit < 4 else high
        choice[np.uint64(c + bit)] = np.uint16(word >> np.uint64(16 * (bit & 3)))


@inlined
def _layer_of_four(
    kernel: Array, summed: Array, choice: Array, k: Any, o: Any, c: Any, row: Any
) -> Any:
    """V of a block for four actions and 3x3 kernels; the first of equals wins."""
    size = 9 * LANES
    q0 = _dot(kernel, k, summed, o, row, 3)
    q1 = _dot(kernel, k + size, summed, o, row, 3)
    q2 = _dot(kernel, k + 2 * size, summed, o, row, 3)
    q3 = _dot(kernel, k + 3 * size, summed, o, row, 3)
    second, fourth = greater(q1, q0), greater(q3, q2)
    left, right = choose(second, q1, q0), choose(fourth, q3, q2)
    high = greater(right, left)
    if choice.size > 0:
        choice[np.uint64(c)] = (fourth & high) | (second & ~high)
        choice[np.uint64(c + 1)] = high
    return choose(high, right, left)


@inlined
def _layer_of_any(
    kernel: Array,
    summed: Array,
    choice: Array,
    forced: Array,
    k: Any,
    o: Any,
    c: Any,
    f: Any,
    row: Any,
    actions: Any,
    field: Any,
    bits: Any,
) -> Any:
    """As above for any number of actions and imposed ones."""
    best, low, high = nothing(), np.uint64(0), np.uint64(0)
    free = _ALL
    if forced.size > 0:
        free = equal(forced, f, -1)
    for a in range(actions):
        q = _dot(kernel, k + a * field * field * LANES, summed, o, row, field)
        better = free if a == 0 else free & greater(q, best)
        if forced.size > 0:
            better |= equal(forced, f, a)
        best = choose(better, q, best)
        sets = np.uint64(better) * _FOUR_SETS
        low = (low & ~sets) | (sets & _pattern(a))
        high = (high & ~sets) | (sets & _pattern(a >> 4))
    if choice.size > 0:
        _write_choice(choice, c, low, high, bits)
    return best


@compiled
def lag_of(shape: Any) -> Any:
    """Return how many blocks a layer must follow behind the one before it."""
    return (shape.field // 2 * (shape.row + 1) + LANES - 1) // LANES


@compiled
def _front_of(shape: Any, count: int, size: int) -> Any:
    """Return the course of a wavefront over layers that use ``size`` bytes in each block: the lag
    between two layers, the layers in a group, and the blocks that a layer and a group take at a
    time.
    """
    lag = max(1, lag_of(shape))
    room = _FIRST_CACHE // max(1, size)
    if shape.shared or shape.blocks <= room + room // 4:
        return lag, 1, shape.blocks, shape.blocks
    group = min(count, max(2, (room - _STRIP) // lag + 1))
    return (
        lag,
        group,
        _STRIP,
        _CHUNK if shape.blocks * size > _SECOND_CACHE else shape.blocks + lag * count,
    )


@compiled
def advance(maze: Any, layers: Any, choice: Array, forced: Array, shape: Any, count: int) -> None:
    """Compute layers 1 to ``count`` from layer 0 of ``summed``, with the choices if there is room
    for them.
    """
    if shape.field == 3 and shape.actions == 4 and forced.size == 0:
        _advance_four(maze, layers, choice, shape, count)
    elif shape.field == 3:
        _advance_nine(maze, layers, choice, forced, shape, count)
    else:
        _advance_any(maze, layers, choice, forced, shape, count)


@inlined
def _finish(best: Any, maze: Any, layers: Any, shape: Any, d: Any, block: Any) -> None:
    """Write V and R + V of one block of layer d + 1."""
    _, reward, inside = maze
    summed, values = layers
    x = block * LANES
    store(values, (d + 1) * shape.blocks * LANES + x, best)
    total = choose(inside[np.uint64(block)], plus(best, load(reward, x)), nothing())
    store(summed, (d + 1) * shape.plane + shape.margin + x, total)


@compiled
def _advance_four(maze: Any, layers: Any, choice: Array, shape: Any, count: int) -> None:
    lag, group, strip, chunk = _front_of(shape, count, 4 * shape.actions * shape.field**2 * LANES)
    fronts = shape.blocks + (lag * (count - 1) if group > 1 else 0)
    for start in range(0, fronts, chunk):
        for first in range(0, count, group):
            for front in range(start, min(start + chunk, fronts), strip):
                for d in range(first, min(first + group, count)):
                    left = front - (lag * d if group > 1 else 0)
                    for block in range(max(left, 0), min(left + strip, shape.blocks)):
                        o = d * shape.plane + shape.margin + block * LANES
                        k, c = _kernel_at(shape, block), 2 * (d * shape.blocks + block)
                        best = _layer_of_four(maze[0], layers[0], choice, k, o, c, shape.row)
                        _finish(best, maze, layers, shape, d, block)


@inlined
def _advance_by(
    field: Any, maze: Any, layers: Any, choice: Array, forced: Array, shape: Any, count: int
) -> None:
    lag, group, strip, chunk = _front_of(shape, count, 4 * shape.actions * shape.field**2 * LANES)
    fronts = shape.blocks + (lag * (count - 1) if group > 1 else 0)
    for start in range(0, fronts, chunk):
        for first in range(0, count, group):
            for front in range(start, min(start + chunk, fronts), strip):
                for d in range(first, min(first + group, count)):
                    left = front - (lag * d if group > 1 else 0)
                    for block in range(max(left, 0), min(left + strip, shape.blocks)):
                        o = d * shape.plane + shape.margin + block * LANES
                        f = (d * shape.blocks + block) * LANES
                        best = _layer_of_any(
                            maze[0],
                            layers[0],
                            choice,
                            forced,
                            _kernel_at(shape, block),
                            o,
                            (d * shape.blocks + block) * shape.bits,
                            f,
                            shape.row,
                            shape.actions,
                            field,
                            shape.bits,
                        )
                        _finish(best, maze, layers, shape, d, block)


@compiled
def _advance_nine(
    maze: Any, layers: Any, choice: Array, forced: Array, shape: Any, count: int
) -> None:
    _advance_by(3, maze, layers, choice, forced, shape, count)


@compiled
def _advance_any(
    maze: Any, layers: Any, choice: Array, forced: Array, shape: Any, count: int
) -> None:
    _advance_by(shape.field, maze, layers, choice, forced, shape, count)


@inlined
def _winners(choice: Array, c: Any, action: Any, bits: Any) -> Any:
    """Return the set of lanes in which an action has won."""
    lanes = _ALL
    for bit in range(bits):
        chosen = choice[np.uint64(c + bit)]
        lanes &= chosen if action >> bit & 1 else ~chosen
    return lanes


@inlined
def _changed(one: Array, i: Any, other: Array, j: Any, bits: Any) -> Any:
    """Return the lanes in which two blocks' choices differ."""
    lanes = one[np.uint64(i)] ^ other[np.uint64(j)]
    for bit in range(1, bits):
        lanes |= one[np.uint64(i + bit)] ^ other[np.uint64(j + bit)]
    return np.uint16(lanes)


@compiled
def _adopt(
    kernel: Array, tape: Any, choice: Array, c: int, shape: Any, block: int, changed: Any
) -> None:
    """Make the choices at ``c`` the policy of a block, of which some lanes have changed."""
    policy, current = tape
    taps, bits = shape.field**2, shape.bits
    k, x = _kernel_at(shape, block), shape.margin + block * LANES
    for bit in range(bits):
        current[np.uint64(block * bits + bit)] = choice[np.uint64(c + bit)]
    for a in range(shape.actions):
        lanes = _winners(choice, c, a, bits) & changed
        if lanes:
            for tap in range(taps):
                place = tap * shape.plane + x
                weights = load(kernel, k + (a * taps + tap) * LANES)
                store(policy, place, choose(lanes, weights, load(policy, place)))


@compiled
def learn(kernel: Array, tape: Any, choice: Array, shape: Any) -> None:
    """Put together the policy of one layer's choices, whatever was there before."""
    for block in range(shape.blocks):
        _adopt(kernel, tape, choice, block * shape.bits, shape, block, _ALL)


@inlined
def _follow_by(
    field: Any,
    bits: Any,
    maze: Any,
    summed: Array,
    choice: Array,
    tape: Any,
    shape: Any,
    count: int,
) -> None:
    kernel, reward, inside = maze
    policy, current = tape
    lag, group, strip, _ = _front_of(shape, count, 4 * field**2 * LANES)
    for first in range(0, count, group):
        last = min(first + group, count)
        ahead = lag if group > 1 else 0
        for front in range(ahead * first, shape.blocks + ahead * (last - 1), strip):
            for d in range(first, last):
                left = front - ahead * d
                for block in range(max(left, 0), min(left + strip, shape.blocks)):
                    c = (d * shape.blocks + block) * bits
                    changed = _changed(choice, c, current, block * bits, bits)
                    if changed:
                        _adopt(kernel, tape, choice, c, shape, block, changed)
                    x = block * LANES
                    o = d * shape.plane + shape.margin + x
                    best = nothing()
                    for tap in range(field * field):
                        near = o + _offset(tap, field, shape.row)
                        weights = load(policy, tap * shape.plane + shape.margin + x)
                        best = fused(weights, load(summed, near), best)
                    total = choose(inside[np.uint64(block)], plus(best, load(reward, x)), nothing())
                    store(summed, o + shape.plane, total)


@compiled
def _follow_four(
    maze: Any, summed: Array, choice: Array, tape: Any, shape: Any, count: int
) -> None:
    _follow_by(3, 2, maze, summed, choice, tape, shape, count)


@compiled
def _follow_any(maze: Any, summed: Array, choice: Array, tape: Any, shape: Any, count: int) -> None:
    _follow_by(shape.field, shape.bits, maze, summed, choice, tape, shape, count)


@compiled
def follow(maze: Any, summed: Array, choice: Array, tape: Any, shape: Any, count: int) -> None:
    """Compute layers 1 to ``count`` of ``summed`` again, by their choices; the same to the last
    bit.
    """
    if shape.field == 3 and shape.bits == 2:
        _follow_four(maze, summed, choice, tape, shape, count)
    else:
        _follow_any(maze, summed, choice, tape, shape, count)


@inlined
def _retreat_by(
    field: Any,
    bits: Any,
    maze: Any,
    choice: Array,
    tape: Any,
    grads: Array,
    grad_reward: Array,
    outside: Array,
    shape: Any,
    count: int,
) -> None:
    kernel, _, inside = maze
    policy, current = tape
    for d in range(count, 0, -1):
        for block in range(shape.blocks):
            c = ((d - 1) * shape.blocks + block) * bits
            changed = _changed(choice, c, current, block * bits, bits)
            if changed:
                _adopt(kernel, tape, choice, c, shape, block, changed)
        for block in range(shape.blocks):
            x = block * LANES
            o = d * shape.plane + shape.margin + x
            total = nothing()
            for tap in range(field * field):
                back = _offset(tap, field, shape.row)
                weights = load(policy, tap * shape.plane + shape.margin + x - back)
                total = fused(weights, load(grads, o - back), total)
            total = choose(inside[np.uint64(block)], total, nothing())
            store(grad_reward, x, plus(total, load(grad_reward, x)))
            if outside[np.uint64(d - 1)]:
                total = plus(total, load(grads, o - shape.plane))
            store(grads, o - shape.plane, total)


@compiled
def _retreat_four(
    maze: Any,
    choice: Array,
    tape: Any,
    grads: Array,
    grad_reward: Array,
    outside: Array,
    shape: Any,
    count: int,
) -> None:
    _retreat_by(3, 2, maze, choice, tape, grads, grad_reward, outside, shape, count)


@compiled
def _retreat_any(
    maze: Any,
    choice: Array,
    tape: Any,
    grads: Array,
    grad_reward: Array,
    outside: Array,
    shape: Any,
    count: int,
) -> None:
    _retreat_by(
        shape.field, shape.bits, maze, choice, tape, grads, grad_reward, outside, shape, count
    )


@compiled
def retreat(
    maze: Any,
    choice: Array,
    tape: Any,
    grads: Array,
    grad_reward: Array,
    outside: Array,
    shape: Any,
    count: int,
) -> None:
    """Carry the gradient of V of layer ``count`` back to layer 0, and to the reward.

    ``outside`` tells for each layer below ``count`` whether ``grads`` holds a gradient from
    outside, which counts, or what is left of another time, which does not."""
    if shape.field == 3 and shape.bits == 2:
        _retreat_four(maze, choice, tape, grads, grad_reward, outside, shape, count)
    else:
        _retreat_any(maze, choice, tape, grads, grad_reward, outside, shape, count)


@compiled
def _settle(
    grad_kernel: Array, amounts: Array, choice: Array, c: int, shape: Any, block: int, lanes: Any
) -> None:
    """Move ``amounts``, tap by tap, of some lanes of a block to their winners' kernels."""
    taps, k = shape.field**2, _kernel_at(shape, block)
    for a in range(shape.actions):
        winners = _winners(choice, c, a, shape.bits) & lanes
        if winners:
            for tap in range(taps):
                place = k + (a * taps + tap) * LANES
                amount = choose(winners, load(amounts, tap * LANES), nothing())
                store(grad_kernel, place, plus(load(grad_kernel, place), amount))
    for tap in range(taps):
        store(amounts, tap * LANES, choose(lanes, nothing(), load(amounts, tap * LANES)))


@inlined
def _owed_to_nine(
    summed: Array, grads: Array, amounts: Array, shape: Any, block: int, first: int, last: int
) -> None:
    """Add what each tap of a block's winners is owed by layers ``first`` to ``last``."""
    row, x = shape.row, shape.margin + block * LANES
    s0 = load(amounts, 0 * LANES)
    s1 = load(amounts, 1 * LANES)
    s2 = load(amounts, 2 * LANES)
    s3 = load(amounts, 3 * LANES)
    s4 = load(amounts, 4 * LANES)
    s5 = load(amounts, 5 * LANES)
    s6 = load(amounts, 6 * LANES)
    s7 = load(amounts, 7 * LANES)
    s8 = load(amounts, 8 * LANES)
    for d in range(first, last + 1):
        grad, o = load(grads, d * shape.plane + x), (d - 1) * shape.plane + x
        s0 = fused(grad, load(summed, o - row - 1), s0)
        s1 = fused(grad, load(summed, o - row), s1)
        s2 = fused(grad, load(summed, o - row + 1), s2)
        s3 = fused(grad, load(summed, o - 1), s3)
        s4 = fused(grad, load(summed, o), s4)
        s5 = fused(grad, load(summed, o + 1), s5)
        s6 = fused(grad, load(summed, o + row - 1), s6)
        s7 = fused(grad, load(summed, o + row), s7)
        s8 = fused(grad, load(summed, o + row + 1), s8)
    store(amounts, 0, s0)
    store(amounts, LANES, s1)
    store(amounts, 2 * LANES, s2)
    store(amounts, 3 * LANES, s3)
    store(amounts, 4 * LANES, s4)
    store(amounts, 5 * LANES, s5)
    store(amounts, 6 * LANES, s6)
    store(amounts, 7 * LANES, s7)
    store(amounts, 8 * LANES, s8)


@inlined
def _owed_to_any(
    summed: Array, grads: Array, amounts: Array, shape: Any, block: int, first: int, last: int
) -> None:
    x = shape.margin + block * LANES
    for tap in range(shape.field**2):
        near, amount = x + _offset(tap, shape.field, shape.row), load(amounts, tap * LANES)
        for d in range(first, last + 1):
            seen = load(summed, (d - 1) * shape.plane + near)
            amount = fused(load(grads, d * shape.plane + x), seen, amount)
        store(amounts, tap * LANES, amount)


@compiled
def credit(
    grad_kernel: Array,
    amounts: Array,
    summed: Array,
    grads: Array,
    choice: Array,
    shape: Any,
    count: int,
) -> None:
    """Add to ``grad_kernel`` what layers 1 to ``count`` owe to it, block by block; layers that
    agree about the winners at once. ``amounts`` is zero before and after.
    """
    bits, step = shape.bits, shape.blocks * shape.bits
    for block in range(shape.blocks):
        first = 1
        while first <= count:
            c = (first - 1) * step + block * bits
            last, lanes = first, _ALL
            while last < count:
                lanes = _changed(choice, c, choice, c + (last - first + 1) * step, bits)
                if lanes:
                    break
                last += 1
            if shape.field == 3:
                _owed_to_nine(summed, grads, amounts, shape, block, first, last)
            else:
                _owed_to_any(summed, grads, amounts, shape, block, first, last)
            if last == count:
                lanes = _ALL
            _settle(grad_kernel, amounts, choice, c, shape, block, lanes)
            first = last + 1


@inlined
def _values_by(
    field: Any, kernel: Array, summed: Array, plane: int, values: Array, start: int, shape: Any
) -> None:
    for block in range(shape.blocks):
        k, o = _kernel_at(shape, block), plane + shape.margin + block * LANES
        for a in range(shape.actions):
            q = _dot(kernel, k + a * field**2 * LANES, summed, o, shape.row, field)
            store(values, start + (a * shape.blocks + block) * LANES, q)


@compiled
def action_lines(
    kernel: Array, summed: Array, plane: int, values: Array, start: int, shape: Any
) -> None:
    """Write Q of every action, a line each, into ``values`` from ``start`` on; R + V is the plane
    that begins at ``plane``.
    """
    if shape.field == 3:
        _values_by(3, kernel, summed, plane, values, start, shape)
    else:
        _values_by(shape.field, kernel, summed, plane, values, start, shape)


@inlined
def _owe_by(field: Any, kernel: Array, lines: Array, owed: Array, start: int, shape: Any) -> None:
    for block in range(shape.blocks):
        k, x = _kernel_at(shape, block), block * LANES
        for tap in range(field * field):
            total = nothing()
            for a in range(shape.actions):
                grad = load(lines, start + a * shape.blocks * LANES + x)
                total = fused(load(kernel, k + (a * field**2 + tap) * LANES), grad, total)
            store(owed, tap * shape.plane + shape.margin + x, total)


@inlined
def _gather_by(
    field: Any, owed: Array, inside: Array, target: Array, grad_reward: Array, shape: Any
) -> None:
    for block in range(shape.blocks):
        x = block * LANES
        total = nothing()
        for tap in range(field * field):
            back = _offset(tap, field, shape.row)
            total = plus(total, load(owed, tap * shape.plane + shape.margin + x - back))
        total = choose(inside[np.uint64(block)], total, nothing())
        store(grad_reward, x, plus(total, load(grad_reward, x)))
        store(target, x, total)


@compiled
def collect(
    maze: Any,
    lines: Array,
    start: int,
    owed: Array,
    target: Array,
    grad_reward: Array,
    shape: Any,
) -> None:
    """Carry gradients of Q, a line per action from ``start`` on, to R + V: ``target``."""
    kernel, _, inside = maze
    if shape.field == 3:
        _owe_by(3, kernel, lines, owed, start, shape)
        _gather_by(3, owed, inside, target, grad_reward, shape)
    else:
        _owe_by(shape.field, kernel, lines, owed, start, shape)
        _gather_by(shape.field, owed, inside, target, grad_reward, shape)


@inlined
def _credit_all_by(
    field: Any, grad_kernel: Array, summed: Array, lines: Array, shape: Any, count: int
) -> None:
    cells = shape.blocks * LANES
    for block in range(shape.blocks):
        k, x = _kernel_at(shape, block), block * LANES
        for a in range(shape.actions):
            for tap in range(field * field):
                near = _offset(tap, field, shape.row)
                at = k + (a * field**2 + tap) * LANES
                amount = load(grad_kernel, at)
                for n in range(count):
                    seen = load(summed, n * shape.plane + shape.margin + x + near)
                    grad = load(lines, (n * shape.actions + a) * cells + x)
                    amount = fused(grad, seen, amount)
                store(grad_kernel, at, amount)


@compiled
def credit_all(grad_kernel: Array, summed: Array, lines: Array, shape: Any, count: int) -> None:
    """Add to ``grad_kernel`` what ``count`` sets of Q owe to it."""
    if shape.field == 3:
        _credit_all_by(3, grad_kernel, summed, lines, shape, count)
    else:
        _credit_all_by(shape.field, grad_kernel, summed, lines, shape, count)
