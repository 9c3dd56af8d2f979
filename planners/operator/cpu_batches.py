"""Compiled loops of the CPU body over the mazes of a batch: in and out of the layout of
``cpu_kernels``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from planners.operator.cpu_kernels import (
    Array,
    action_lines,
    advance,
    collect,
    credit,
    credit_all,
    follow,
    learn,
    retreat,
)
from planners.operator.numba_options import compiled, inlined
from planners.operator.simd import LANES, choose, load, nothing, store


@inlined
def _of_row(inside: Any, first: Any, row: Any) -> Any:
    """Return those of a block's lanes that lie in the row that begins at lane ``first``."""
    below = (1 << max(0, first)) - 1
    above = (1 << min(LANES, first + row)) - 1
    return np.uint16(inside & (above & ~below))


@inlined
def _in_reach(block: Any, shape: Any, width: Any, area: Any) -> Any:
    """Return the rows of a block, and whether vectors of the dense map stay within it."""
    x, border = block * LANES, shape.row - width
    first = x // shape.row
    last = min((x + LANES - 1) // shape.row, area // width - 1)
    return first, last, x - last * border >= 0 and x - first * border + LANES <= area


@compiled
def load_kernel(source: Array, kernel: Array, inside: Array, shape: Any, width: int) -> None:
    """Copy a kernel, flat in the order ``(A, F*F, H or 1, W or 1)``, into blocks."""
    filters = shape.actions * shape.field**2
    if shape.shared:  # one kernel for all cells fills one block
        for c in range(filters):
            for x in range(LANES):
                kernel[c * LANES + x] = source[c]
        return
    area, row, border = source.size // filters, shape.row, shape.row - width
    for block in range(shape.blocks):
        x, target = block * LANES, block * filters * LANES
        first, last, whole = _in_reach(block, shape, width, area)
        for c in range(filters):
            if whole:
                weights = nothing()
                for i in range(first, last + 1):
                    lanes = _of_row(inside[block], i * row - x, row)
                    weights = choose(lanes, load(source, c * area + x - i * border), weights)
                store(kernel, target + c * LANES, weights)
                continue
            for lane in range(LANES):
                if inside[block] >> lane & 1:
                    place = c * area + x + lane - (x + lane) // row * border
                    kernel[target + c * LANES + lane] = source[place]


@compiled
def unload_kernel(grad: Array, target: Array, inside: Array, shape: Any, width: int) -> None:
    """Copy a kernel's gradient, in blocks, to a flat array in the order ``(A, F*F, H, W)``."""
    filters = shape.actions * shape.field**2
    if shape.shared:
        return
    area, row, border = target.size // filters, shape.row, shape.row - width
    for block in range(shape.blocks):
        x, source = block * LANES, block * filters * LANES
        first, last, whole = _in_reach(block, shape, width, area)
        for c in range(filters):
            if whole:
                for i in range(first, last + 1):
                    lanes = _of_row(inside[block], i * row - x, row)
                    place = c * area + x - i * border
                    mixed = choose(lanes, load(grad, source + c * LANES), load(target, place))
                    store(target, place, mixed)
                continue
            for lane in range(LANES):
                if inside[block] >> lane & 1:
                    place = c * area + x + lane - (x + lane) // row * border
                    target[place] = grad[source + c * LANES + lane]


@compiled
def take_shared(grad: Array, target: Array, shape: Any) -> None:
    """Move the gradient of a kernel shared by all cells into ``target``, of any other nothing.

    Called now and then: millions of small terms in one sum would lose digits."""
    if shape.shared:
        for c in range(target.size):
            for x in range(LANES):
                target[c] += grad[c * LANES + x]
                grad[c * LANES + x] = 0


@compiled
def spread_out(source: Array, target: Array, start: int, row: int) -> None:
    """Copy a map ``(H, W)`` to a line of cells that begins at ``start``."""
    for i in range(source.shape[0]):
        for j in range(source.shape[1]):
            target[np.uint64(start + i * row + j)] = source[i, j]


@compiled
def fold(source: Array, start: int, target: Array, row: int) -> None:
    """Copy a line of cells that begins at ``start`` to a map ``(H, W)``."""
    for i in range(target.shape[0]):
        for j in range(target.shape[1]):
            target[i, j] = source[np.uint64(start + i * row + j)]


@compiled
def _add_map(source: Array, target: Array, start: int, row: int) -> None:
    for i in range(source.shape[0]):
        for j in range(source.shape[1]):
            target[np.uint64(start + i * row + j)] += source[i, j]


@compiled
def _move(line: Array, source: int, target: int, count: int) -> None:
    """Copy whole vectors within a line."""
    for x in range(0, count, LANES):
        store(line, target + x, load(line, source + x))


@compiled
def clear(line: Array) -> None:
    for x in range(line.size):
        line[x] = 0


@compiled
def begin(value: Array, reward: Array, summed: Array, start: int, row: int) -> None:
    """Write R + V of layer 0; ``value (H, W)`` is V."""
    for i in range(value.shape[0]):
        for j in range(value.shape[1]):
            x = np.uint64(i * row + j)
            summed[np.uint64(start) + x] = value[i, j] + reward[x]


@compiled
def _impose(
    source: Array, forced: Array, maze: int, first: int, count: int, cells: int, row: int
) -> None:
    """Copy the imposed actions of ``count`` layers, if there are any."""
    for d in range(min(count, len(source))):
        for i in range(source.shape[2]):
            for j in range(source.shape[3]):
                forced[d * cells + i * row + j] = source[first + d, maze, i, j]


@compiled
def forward_batch(
    inputs: Any, keep: Array, depth: int, ring: int, outputs: Any, room: Any, first: int, last: int
) -> None:
    """Run mazes ``first`` to ``last - 1``; fill ``kept (N, B, H, W)``, ``stored``, V at every
    stride, and ``choices`` of all layers if there is room for them.
    """
    transition, rewards, imposed, shape = inputs
    kept, stored, stride, choices = outputs
    one, layers, forced = room
    kernel, reward, inside = one
    summed, values = layers
    cells, step = shape.blocks * LANES, shape.blocks * shape.bits
    for maze in range(first, last):
        source = transition[min(maze, len(transition) - 1)]
        load_kernel(source, kernel, inside, shape, rewards.shape[2])
        spread_out(rewards[maze], reward, 0, shape.row)
        begin(stored[0, maze], reward, summed, shape.margin, shape.row)
        place = 0
        for layer in range(0, depth, ring):
            count = min(ring, depth - layer)
            _impose(imposed, forced, maze, layer, count, cells, shape.row)
            choice = choices[maze, layer * step : (layer + count) * step]
            advance(one, layers, choice, forced, shape, count)
            while place < len(keep) and keep[place] <= layer + count:
                fold(values, (keep[place] - layer) * cells, kept[place, maze], shape.row)
                place += 1
            if (layer + count) % stride == 0 and (layer + count) // stride < len(stored):
                target = stored[(layer + count) // stride, maze]
                fold(values, count * cells, target, shape.row)
            _move(summed, count * shape.plane, 0, shape.plane)


@compiled
def backward_batch(
    inputs: Any,
    keep: Array,
    depth: int,
    outputs: Any,
    room: Any,
    tape: Any,
    gradient_room: Any,
    gradients: Any,
    first: int,
    last: int,
) -> None:
    """Fill in the gradients of mazes ``first`` to ``last - 1``, from the last stored layers to the
    first.
    """
    transition, rewards, imposed, shape = inputs
    grad_kept, stored, stride, choices = outputs
    one, layers, forced, scratch = room
    kernel, reward, inside = one
    summed = layers[0]
    grads, grad_kernel, grad_reward, amounts, outside = gradient_room
    grad_transition, grad_rewards, grad_value = gradients
    row, plane, margin = shape.row, shape.plane, shape.margin
    current = tape[1]
    cells, step, known = shape.blocks * LANES, shape.blocks * shape.bits, choices.shape[1] > 0
    for maze in range(first, last):
        source = transition[min(maze, len(transition) - 1)]
        load_kernel(source, kernel, inside, shape, rewards.shape[2])
        spread_out(rewards[maze], reward, 0, row)
        clear(current)
        learn(kernel, tape, current, shape)
        clear(grad_kernel)
        clear(grad_reward)
        for x in range(plane):
            grads[x] = 0
        place = len(keep) - 1
        for segment in range(len(stored) - 1, -1, -1):
            layer = segment * stride
            count = min(stride, depth - layer)
            begin(stored[segment, maze], reward, summed, margin, row)
            if known:
                choice = choices[maze, layer * step : (layer + count) * step]
                follow(one, summed, choice, tape, shape, count)
            else:
                choice = scratch[: count * step]
                _impose(imposed, forced, maze, layer, count, cells, row)
                advance(one, layers, choice, forced, shape, count)
            _move(grads, 0, count * plane, plane)
            clear(outside)
            while place >= 0 and keep[place] > layer:
                d = keep[place] - layer
                if d == count:
                    _add_map(grad_kept[place, maze], grads, d * plane + margin, row)
                else:
                    spread_out(grad_kept[place, maze], grads, d * plane + margin, row)
                    outside[d] = 1
                place -= 1
            retreat(one, choice, tape, grads, grad_reward, outside, shape, count)
            credit(grad_kernel, amounts, summed, grads, choice, shape, count)
            take_shared(grad_kernel, grad_transition[maze], shape)
        fold(grads, margin, grad_value[maze], row)
        fold(grad_reward, 0, grad_rewards[maze], row)
        unload_kernel(grad_kernel, grad_transition[maze], inside, shape, rewards.shape[2])


@compiled
def actions_batch(
    inputs: Any, value: Array, result: Array, room: Any, first: int, last: int
) -> None:
    """Fill ``result (N, B, A, H, W)`` with the Q of one layer on top of ``value (N, B, H, W)``."""
    transition, rewards, _, shape = inputs
    one, summed, lines = room
    kernel, reward, inside = one
    for maze in range(first, last):
        source = transition[min(maze, len(transition) - 1)]
        load_kernel(source, kernel, inside, shape, rewards.shape[2])
        spread_out(rewards[maze], reward, 0, shape.row)
        for n in range(len(value)):
            begin(value[n, maze], reward, summed, shape.margin, shape.row)
            action_lines(kernel, summed, 0, lines, 0, shape)
            for a in range(shape.actions):
                fold(lines, a * shape.blocks * LANES, result[n, maze, a], shape.row)


@compiled
def actions_backward_batch(
    inputs: Any,
    value: Array,
    grad: Array,
    ring: int,
    room: Any,
    gradient_room: Any,
    gradients: Any,
    first: int,
    last: int,
) -> None:
    """Carry ``grad (N, B, A, H, W)`` of Q back to the kernel, the reward and the values."""
    transition, rewards, _, shape = inputs
    one, summed, lines = room
    kernel, reward, inside = one
    owed, target, grad_kernel, grad_reward = gradient_room
    grad_transition, grad_rewards, grad_value = gradients
    row, actions, cells = shape.row, shape.actions, shape.blocks * LANES
    for maze in range(first, last):
        source = transition[min(maze, len(transition) - 1)]
        load_kernel(source, kernel, inside, shape, rewards.shape[2])
        spread_out(rewards[maze], reward, 0, row)
        clear(grad_kernel)
        clear(grad_reward)
        for start in range(0, len(value), ring):
            count = min(ring, len(value) - start)
            for n in range(count):
                plane = n * shape.plane + shape.margin
                begin(value[start + n, maze], reward, summed, plane, row)
                for a in range(actions):
                    line = (n * actions + a) * cells
                    spread_out(grad[start + n, maze, a], lines, line, row)
                collect(one, lines, n * actions * cells, owed, target, grad_reward, shape)
                fold(target, 0, grad_value[start + n, maze], row)
            credit_all(grad_kernel, summed, lines, shape, count)
            take_shared(grad_kernel, grad_transition[maze], shape)
        fold(grad_reward, 0, grad_rewards[maze], row)
        unload_kernel(grad_kernel, grad_transition[maze], inside, shape, rewards.shape[2])
