"""Compiled loops of the CPU body over the mazes of a batch: in and out of the layout of
``cpu_kernels``.
"""

from __future__ import annotations

from typing import Any

from planners.bodies.cpu_kernels import (
    BLOCK,
    Array,
    action_row,
    advance,
    compiled,
    credit,
    pay,
    retreat,
)


@compiled
def _load_kernel(source: Array, kernel: Array, area: int, row: int) -> None:
    """Copy a kernel ``(A, F*F, H or 1, W or 1)`` into blocks."""
    actions, taps, rows, columns = source.shape
    for a in range(actions):
        for tap in range(taps):
            c = a * taps + tap
            if rows * columns != area:  # one kernel for all cells fills one block
                for x in range(BLOCK):
                    kernel[c * BLOCK + x] = source[a, tap, 0, 0]
                continue
            for i in range(rows):
                for j in range(columns):
                    x = i * row + j
                    kernel[(x // BLOCK * actions * taps + c) * BLOCK + x % BLOCK] = source[
                        a, tap, i, j
                    ]


@compiled
def _add_kernel(grad_kernel: Array, target: Array, row: int) -> None:
    """Add a kernel's gradient, in blocks, to ``target (A, F*F, H or 1, W or 1)``."""
    actions, taps, rows, columns = target.shape
    for a in range(actions):
        for tap in range(taps):
            c = a * taps + tap
            if grad_kernel.size == actions * taps * BLOCK and rows * columns == 1:
                for x in range(BLOCK):
                    target[a, tap, 0, 0] += grad_kernel[c * BLOCK + x]
                continue
            for i in range(rows):
                for j in range(columns):
                    x = i * row + j
                    target[a, tap, i, j] += grad_kernel[
                        (x // BLOCK * actions * taps + c) * BLOCK + x % BLOCK
                    ]


@compiled
def _spread_out(source: Array, target: Array, start: int, row: int) -> None:
    """Copy a map ``(H, W)`` to a line of cells that begins at ``start``."""
    for i in range(source.shape[0]):
        for j in range(source.shape[1]):
            target[start + i * row + j] = source[i, j]


@compiled
def _fold(source: Array, start: int, target: Array, row: int) -> None:
    """Copy a line of cells that begins at ``start`` to a map ``(H, W)``."""
    for i in range(target.shape[0]):
        for j in range(target.shape[1]):
            target[i, j] = source[start + i * row + j]


@compiled
def _add_map(source: Array, target: Array, start: int, row: int) -> None:
    for i in range(source.shape[0]):
        for j in range(source.shape[1]):
            target[start + i * row + j] += source[i, j]


@compiled
def _move(line: Array, source: int, target: int, count: int) -> None:
    for x in range(count):
        line[target + x] = line[source + x]


@compiled
def _move_and_clear(line: Array, target: int, count: int) -> None:
    """Move the first ``count`` numbers to ``target`` and leave nothing else before it."""
    for x in range(count):
        line[target + x] = line[x]
    for x in range(target):
        line[x] = 0


@compiled
def _clear(line: Array) -> None:
    for x in range(line.size):
        line[x] = 0


@compiled
def _begin(value: Array, reward: Array, summed: Array, start: int, row: int) -> None:
    """Write R + V of layer 0; ``value (H, W)`` is V."""
    for i in range(value.shape[0]):
        for j in range(value.shape[1]):
            summed[start + i * row + j] = value[i, j] + reward[i * row + j]


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
    """Run mazes ``first`` to ``last - 1``; fill ``kept (N, B, H, W)`` and ``stored``, V at every
    stride.
    """
    transition, rewards, imposed, shape = inputs
    kept, stored, stride = outputs
    one, layers, forced, q = room
    kernel, reward, _ = one
    summed, values, _ = layers
    row, cells = shape[2], reward.size
    plane = summed.size // (ring + 1)
    start = (plane - cells) // 2
    for maze in range(first, last):
        _load_kernel(transition[min(maze, len(transition) - 1)], kernel, rewards[0].size, row)
        _spread_out(rewards[maze], reward, 0, row)
        _begin(stored[0, maze], reward, summed, start, row)
        place = 0
        for layer in range(0, depth, ring):
            count = min(ring, depth - layer)
            _impose(imposed, forced, maze, layer, count, cells, row)
            advance(one, layers, forced, q, shape, count)
            while place < len(keep) and keep[place] <= layer + count:
                _fold(values, (keep[place] - layer) * cells, kept[place, maze], row)
                place += 1
            if (layer + count) % stride == 0 and (layer + count) // stride < len(stored):
                _fold(values, count * cells, stored[(layer + count) // stride, maze], row)
            _move(summed, count * plane, 0, plane)


@compiled
def backward_batch(
    inputs: Any,
    keep: Array,
    depth: int,
    outputs: Any,
    room: Any,
    tape: Any,
    gradients: Any,
    first: int,
    last: int,
) -> None:
    """Add the gradients of mazes ``first`` to ``last - 1``, from the last stored layers to the
    first.
    """
    transition, rewards, imposed, shape = inputs
    grad_kept, stored, stride = outputs
    one, layers, forced, q = room
    grads, owed, dues, grad_kernel, grad_reward = tape
    grad_transition, grad_rewards, grad_value = gradients
    kernel, reward, _ = one
    row, cells = shape[2], reward.size
    plane = dues.size // (grads.size // cells)
    for maze in range(first, last):
        _load_kernel(transition[min(maze, len(transition) - 1)], kernel, rewards[0].size, row)
        _spread_out(rewards[maze], reward, 0, row)
        _clear(grad_kernel)
        _clear(grad_reward)
        _clear(grads)
        _clear(dues)
        place = len(keep) - 1
        for segment in range(len(stored) - 1, -1, -1):
            layer = segment * stride
            count = min(stride, depth - layer)
            _begin(stored[segment, maze], reward, layers[0], (plane - cells) // 2, row)
            _impose(imposed, forced, maze, layer, count, cells, row)
            advance(one, layers, forced, q, shape, count)
            _move_and_clear(grads, count * cells, cells)
            while place >= 0 and keep[place] > layer:
                _add_map(grad_kept[place, maze], grads, (keep[place] - layer) * cells, row)
                place -= 1
            retreat(one, layers[2], (grads, owed, dues), grad_reward, shape, count)
            credit(grad_kernel, layers, grads, cells, plane, shape, count)
        _fold(grads, 0, grad_value[maze], row)
        _fold(grad_reward, 0, grad_rewards[maze], row)
        _add_kernel(grad_kernel, grad_transition[maze], row)


@compiled
def actions_batch(
    inputs: Any, value: Array, result: Array, room: Any, first: int, last: int
) -> None:
    """Fill ``result (N, B, A, H, W)`` with the Q of one layer on top of ``value (N, B, H, W)``."""
    transition, rewards, _, shape = inputs
    one, layers, _, q = room
    kernel, reward, _ = one
    summed, values, _ = layers
    actions, field, row = shape
    cells, size = reward.size, actions * field * field * BLOCK
    start = (summed.size // 2 - cells) // 2
    for maze in range(first, last):
        _load_kernel(transition[min(maze, len(transition) - 1)], kernel, rewards[0].size, row)
        _spread_out(rewards[maze], reward, 0, row)
        for n in range(len(value)):
            _begin(value[n, maze], reward, summed, start, row)
            for a in range(actions):
                for block in range(cells // BLOCK):
                    k = (block * size if kernel.size > size else 0) + a * field * field * BLOCK
                    action_row(kernel, summed, q, field, row, k, start + block * BLOCK)
                    _move_to(q, values, block * BLOCK)
                _fold(values, 0, result[n, maze, a], row)


@compiled
def _move_to(q: Array, line: Array, start: int) -> None:
    for x in range(BLOCK):
        line[start + x] = q[x]


@compiled
def actions_backward_batch(
    inputs: Any,
    value: Array,
    grad: Array,
    room: Any,
    tape: Any,
    gradients: Any,
    first: int,
    last: int,
) -> None:
    """Carry ``grad (N, B, A, H, W)`` of Q back to the kernel, the reward and the values."""
    transition, rewards, _, shape = inputs
    one, layers, _, _ = room
    kernel, reward, inside = one
    _, owed, dues, grad_kernel, grad_reward = tape
    grad_transition, grad_rewards, grad_value = gradients
    row, cells = shape[2], reward.size
    start = (dues.size - cells) // 2
    for maze in range(first, last):
        _load_kernel(transition[min(maze, len(transition) - 1)], kernel, rewards[0].size, row)
        _spread_out(rewards[maze], reward, 0, row)
        _clear(grad_kernel)
        _clear(grad_reward)
        for n in range(len(value)):
            _begin(value[n, maze], reward, layers[0], start, row)
            for a in range(shape[0]):
                _spread_out(grad[n, maze, a], layers[1], 0, row)
                _action_backward(kernel, grad_kernel, layers, owed, dues, shape, cells, a)
            for x in range(cells):
                due = dues[start + x] * inside[x]
                dues[start + x] = due
                grad_reward[x] += due
            _fold(dues, start, grad_value[n, maze], row)
            _clear(dues)
        _fold(grad_reward, 0, grad_rewards[maze], row)
        _add_kernel(grad_kernel, grad_transition[maze], row)


@compiled
def _action_backward(
    kernel: Array,
    grad_kernel: Array,
    layers: Any,
    owed: Array,
    dues: Array,
    shape: Any,
    cells: int,
    action: int,
) -> None:
    """One action's part: ``layers`` holds R + V and, in place of V, the gradient of Q."""
    summed, grad, _ = layers
    actions, field, row = shape
    taps, start = field * field, (dues.size - cells) // 2
    for block in range(cells // BLOCK):
        shared = kernel.size == actions * taps * BLOCK
        k = ((0 if shared else block * actions) + action) * taps * BLOCK
        centre = start + block * BLOCK
        for tap in range(taps):
            shift = centre + (tap // field - field // 2) * row + tap % field - field // 2
            for x in range(BLOCK):
                g = grad[block * BLOCK + x]
                owed[tap * BLOCK + x] = g * kernel[k + tap * BLOCK + x]
                grad_kernel[k + tap * BLOCK + x] += g * summed[shift + x]
        pay(owed, dues, field, row, centre)
