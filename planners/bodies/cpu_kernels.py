"""Compiled loops of the CPU body: one maze at a time, whole vectors, nothing allocated inside.

A map of H x W cells is laid out as one line of cells, row after row, each row followed by ``r = F
// 2`` border cells that serve as the right border of one row and the left border of the next. The
line is cut into blocks of 64 cells, filled up at the end. Arrays of one maze (all of one
dimension):

- ``kernel``: block by block, then action by action, tap by tap, then 64 cells; one block if shared
  by all;
- ``summed``: R + V of L+1 layers, each with a margin of zeros on both sides;
- ``values``, ``choice`` (uint8), ``grads``: V, the winning action, the gradient of V, of L+1
  layers;
- ``forced`` (int8): an imposed action or -1, of L layers, or empty;
- ``reward``, ``inside`` (1 for cells of the map, 0 for border cells): one number per cell.

All indices are unsigned: that spares a test for negative ones and lets the loops become vectors.
Layers advance in a wavefront, a few blocks apart, so that a block of the kernel serves two layers
while it is in the first-level cache and several while it is in the second. In a row of taps,
``up``, ``level`` and ``down`` are the places in ``summed`` of the first neighbour in the row above,
in the same row and in the row below."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]

BLOCK = 64  # cells; four vectors of 16 floats
_U = np.uint64
_LANES = _U(BLOCK)
_ACTION = _U(9 * BLOCK)  # from one action's 3x3 kernel to the next
_PAIR = 2  # layers that share a block of the kernel in the first-level cache
_CHUNK = 16  # blocks that a pair of layers takes before the next pair does
_QUAD = 36  # taps of four actions with 3x3 kernels, the case worth code of its own

# Contraction to fused multiply-add, and no care for the sign of zero; sums keep their order.
_FAST = {"contract", "nsz"}


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile without the interpreter lock and keep the machine code on disk."""
    machine_code: Callable[..., Any] = njit(cache=True, nogil=True, fastmath=_FAST)(function)
    return machine_code


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Paste the function into its callers, so that their loops become vectors."""
    machine_code: Callable[..., Any] = njit(inline="always", fastmath=_FAST)(function)
    return machine_code


@inlined
def _dot9(kernel: Array, k: Any, summed: Array, up: Any, level: Any, down: Any) -> Any:
    """Sum one 3x3 kernel times the patch around one cell."""
    return (
        kernel[k] * summed[up]
        + kernel[k + _U(64)] * summed[up + _U(1)]
        + kernel[k + _U(128)] * summed[up + _U(2)]
        + kernel[k + _U(192)] * summed[level]
        + kernel[k + _U(256)] * summed[level + _U(1)]
        + kernel[k + _U(320)] * summed[level + _U(2)]
        + kernel[k + _U(384)] * summed[down]
        + kernel[k + _U(448)] * summed[down + _U(1)]
        + kernel[k + _U(512)] * summed[down + _U(2)]
    )


@compiled
def _layer_of_four(
    kernel: Array,
    summed: Array,
    values: Array,
    choice: Array,
    k: Any,
    up: Any,
    level: Any,
    down: Any,
    v: Any,
) -> None:
    """One block of one layer for four actions and 3x3 kernels; the first of equals wins."""
    for x in range(_LANES):
        q0 = _dot9(kernel, k + x, summed, up + x, level + x, down + x)
        q1 = _dot9(kernel, k + x + _ACTION, summed, up + x, level + x, down + x)
        q2 = _dot9(kernel, k + x + _U(2) * _ACTION, summed, up + x, level + x, down + x)
        q3 = _dot9(kernel, k + x + _U(3) * _ACTION, summed, up + x, level + x, down + x)
        low = q1 if q1 > q0 else q0
        high = q3 if q3 > q2 else q2
        values[v + x] = high if high > low else low
        low_winner = np.uint8(q1 > q0)
        high_winner = np.uint8(q3 > q2) + np.uint8(2)
        choice[v + x] = low_winner + np.uint8(high > low) * (high_winner - low_winner)


@compiled
def _layer_of_any(
    kernel: Array,
    summed: Array,
    values: Array,
    choice: Array,
    forced: Array,
    q: Array,
    shape: Any,
    k: int,
    centre: int,
    v: int,
    f: int,
) -> None:
    """One block of one layer for any number of actions, any kernel size, and imposed actions."""
    actions, field, row = shape
    for a in range(actions):
        action_row(kernel, summed, q, field, row, k + a * field * field * BLOCK, centre)
        for x in range(_LANES):
            better = a == 0 or q[x] > values[_U(v) + x]
            if forced.size > 0:
                imposed = forced[_U(f) + x]
                better = imposed == a or (imposed < 0 and better)
            values[_U(v) + x] = q[x] if better else values[_U(v) + x]
            choice[_U(v) + x] = np.uint8(a) if better else choice[_U(v) + x]


@compiled
def action_row(
    kernel: Array, summed: Array, q: Array, field: int, row: int, k: int, centre: int
) -> None:
    """Write one action's Q of a block into ``q``; ``centre`` is its place in ``summed``."""
    for x in range(_LANES):
        q[x] = 0
    for tap in range(field * field):
        start = _U(centre + (tap // field - field // 2) * row + tap % field - field // 2)
        weights = _U(k + tap * BLOCK)
        for x in range(_LANES):
            q[x] += kernel[weights + x] * summed[start + x]


@compiled
def _add_reward(
    values: Array, reward: Array, inside: Array, summed: Array, v: Any, r: Any, target: Any
) -> None:
    for x in range(_LANES):
        summed[target + x] = (values[v + x] + reward[r + x]) * inside[r + x]


@compiled
def advance(maze: Any, layers: Any, forced: Array, q: Array, shape: Any, count: int) -> None:
    """Compute layers 1 to ``count`` from layer 0 of ``summed``, with the choices."""
    blocks, lag = maze[1].size // BLOCK, lag_of(shape)
    fronts = blocks + lag * (count - 1)
    for chunk in range(0, fronts, _CHUNK):
        for pair in range(0, count, _PAIR):
            for front in range(chunk, min(chunk + _CHUNK, fronts)):
                for d in range(pair, min(pair + _PAIR, count)):
                    block = front - lag * d
                    if block >= 0 and block < blocks:
                        _step(maze, layers, forced, q, shape, d, block)


@compiled
def lag_of(shape: Any) -> Any:
    """Return how many blocks a layer must follow behind the one before it."""
    _, field, row = shape
    return (field // 2 * (row + 1) + BLOCK - 1) // BLOCK


@inlined
def _step(maze: Any, layers: Any, forced: Array, q: Array, shape: Any, d: int, block: int) -> None:
    """Compute one block of layer d + 1."""
    kernel, reward, inside = maze
    summed, values, choice = layers
    actions, field, row = shape
    cells, size = reward.size, actions * field * field * BLOCK
    plane = level_size(cells, field // 2 * (row + 1))
    k = block * size if kernel.size > size else 0
    o = d * plane + (plane - cells) // 2 + block * BLOCK
    v = (d + 1) * cells + block * BLOCK
    if size == _QUAD * BLOCK and field == 3 and forced.size == 0:
        up, level, down = _U(o - row - 1), _U(o - 1), _U(o + row - 1)
        _layer_of_four(kernel, summed, values, choice, _U(k), up, level, down, _U(v))
    else:
        _layer_of_any(kernel, summed, values, choice, forced, q, shape, k, o, v, v - cells)
    _add_reward(values, reward, inside, summed, _U(v), _U(block * BLOCK), _U(o + plane))


@compiled
def level_size(cells: int, margin: int) -> Any:
    """Return the length of one layer of ``summed``: the cells and a whole-vector margin on both
    sides.
    """
    return cells + 2 * ((margin + 15) // 16 * 16)


@compiled
def _owe_of_four(kernel: Array, choice: Array, grads: Array, owed: Array, k: Any, v: Any) -> None:
    """What each cell of a block owes to each neighbour: ``owed`` is 9 taps times 64 cells."""
    zero = np.float32(0)
    one, two, three = _ACTION, _U(2) * _ACTION, _U(3) * _ACTION
    for tap in range(_U(9)):
        start = tap * _LANES
        for x in range(_LANES):
            winner, grad, w = choice[v + x], grads[v + x], k + start + x
            owed[start + x] = (
                (grad if winner == 0 else zero) * kernel[w]
                + (grad if winner == 1 else zero) * kernel[w + one]
                + (grad if winner == 2 else zero) * kernel[w + two]
                + (grad if winner == 3 else zero) * kernel[w + three]
            )


@compiled
def _owe_of_any(
    kernel: Array, choice: Array, grads: Array, owed: Array, taps: int, k: Any, v: Any
) -> None:
    """As above for any kernel: the winner's kernel is looked up cell by cell."""
    for tap in range(_U(taps)):
        for x in range(_LANES):
            w = k + (_U(choice[v + x]) * _U(taps) + tap) * _LANES + x
            owed[tap * _LANES + x] = grads[v + x] * kernel[w]


@compiled
def pay(owed: Array, dues: Array, field: int, row: int, centre: int) -> None:
    """Add what a block owes to its neighbours, tap by tap, so that no two lanes collide."""
    radius = field // 2
    for right in range(
        field
    ):  # columns outside: equal places follow each other as late as possible
        for down in range(field):
            start = _U(centre + (down - radius) * row + right - radius)
            source = _U((down * field + right) * BLOCK)
            for x in range(_LANES):
                dues[start + x] += owed[source + x]


@compiled
def _collect(
    dues: Array, inside: Array, grads: Array, grad_reward: Array, due: Any, r: Any, v: Any
) -> None:
    """Take in a block's dues as gradient of V and R; clear them."""
    for x in range(_LANES):
        gradient = dues[due + x] * inside[r + x]
        grads[v + x] += gradient
        grad_reward[r + x] += gradient
        dues[due + x] = 0


@compiled
def retreat(
    maze: Any, choice: Array, tape: Any, grad_reward: Array, shape: Any, count: int
) -> None:
    """Carry the gradients of V of layers 1 to ``count`` back to layer 0, and to the reward.

    ``grads`` begins with the gradients from outside and ends as the whole gradient of V of each
    layer."""
    blocks, lag = maze[1].size // BLOCK, lag_of(shape)
    fronts = blocks + lag * count
    for chunk in range(0, fronts, _CHUNK):
        for pair in range(0, count + 1, _PAIR):
            for front in range(chunk, min(chunk + _CHUNK, fronts)):
                for back in range(pair, min(pair + _PAIR, count + 1)):
                    block = front - lag * back
                    if block >= 0 and block < blocks:
                        _step_back(maze, choice, tape, grad_reward, shape, count - back, block)


@inlined
def _step_back(
    maze: Any, choice: Array, tape: Any, grad_reward: Array, shape: Any, d: int, block: int
) -> None:
    """Complete the gradient of one block of layer d, and pass it on to layer d - 1."""
    kernel, _, inside = maze
    grads, owed, dues = tape
    actions, field, row = shape
    cells, taps = inside.size, field * field
    plane = level_size(cells, field // 2 * (row + 1))
    place = d * plane + (plane - cells) // 2 + block * BLOCK
    v = _U(d * cells + block * BLOCK)
    _collect(dues, inside, grads, grad_reward, _U(place), _U(block * BLOCK), v)
    if d == 0:
        return
    k = block * actions * taps * BLOCK if kernel.size > actions * taps * BLOCK else 0
    if actions * taps == _QUAD and field == 3:
        _owe_of_four(kernel, choice, grads, owed, _U(k), v)
    else:
        _owe_of_any(kernel, choice, grads, owed, taps, _U(k), v)
    pay(owed, dues, field, row, place - plane)


@inlined
def _credit4(grad: Array, k: Any, g0: Any, g1: Any, g2: Any, g3: Any, summed: Any) -> None:
    """Credit one tap of four actions, of which at most one has a gradient."""
    grad[k] += g0 * summed
    grad[k + _ACTION] += g1 * summed
    grad[k + _U(2) * _ACTION] += g2 * summed
    grad[k + _U(3) * _ACTION] += g3 * summed


@compiled
def _credit_of_four(
    grad_kernel: Array,
    choice: Array,
    grads: Array,
    summed: Array,
    k: Any,
    v: Any,
    up: Any,
    level: Any,
    down: Any,
) -> None:
    zero = np.float32(0)
    for x in range(_LANES):
        winner, grad, w = choice[v + x], grads[v + x], k + x
        g0 = grad if winner == 0 else zero
        g1 = grad if winner == 1 else zero
        g2 = grad if winner == 2 else zero
        g3 = grad if winner == 3 else zero
        _credit4(grad_kernel, w, g0, g1, g2, g3, summed[up + x])
        _credit4(grad_kernel, w + _U(64), g0, g1, g2, g3, summed[up + x + _U(1)])
        _credit4(grad_kernel, w + _U(128), g0, g1, g2, g3, summed[up + x + _U(2)])
        _credit4(grad_kernel, w + _U(192), g0, g1, g2, g3, summed[level + x])
        _credit4(grad_kernel, w + _U(256), g0, g1, g2, g3, summed[level + x + _U(1)])
        _credit4(grad_kernel, w + _U(320), g0, g1, g2, g3, summed[level + x + _U(2)])
        _credit4(grad_kernel, w + _U(384), g0, g1, g2, g3, summed[down + x])
        _credit4(grad_kernel, w + _U(448), g0, g1, g2, g3, summed[down + x + _U(1)])
        _credit4(grad_kernel, w + _U(512), g0, g1, g2, g3, summed[down + x + _U(2)])


@compiled
def _credit_of_any(
    grad_kernel: Array,
    choice: Array,
    grads: Array,
    summed: Array,
    field: int,
    row: int,
    k: int,
    v: int,
    centre: int,
) -> None:
    taps, radius = field * field, field // 2
    for tap in range(taps):
        start = _U(centre + (tap // field - radius) * row + tap % field - radius)
        for x in range(_LANES):
            w = _U(k) + (_U(choice[_U(v) + x]) * _U(taps) + _U(tap)) * _LANES + x
            grad_kernel[w] += grads[_U(v) + x] * summed[start + x]


@compiled
def credit(
    grad_kernel: Array, layers: Any, grads: Array, cells: int, plane: int, shape: Any, count: int
) -> None:
    """Add to ``grad_kernel`` what layers 1 to ``count`` owe to it, block by block."""
    summed, _, choice = layers
    actions, field, row = shape
    size = actions * field * field * BLOCK
    four = size == _QUAD * BLOCK and field == 3
    for block in range(cells // BLOCK):
        k = block * size if grad_kernel.size > size else 0
        for d in range(1, count + 1):
            v = d * cells + block * BLOCK
            o = (d - 1) * plane + (plane - cells) // 2 + block * BLOCK
            if four:
                up, level, down = _U(o - row - 1), _U(o - 1), _U(o + row - 1)
                _credit_of_four(grad_kernel, choice, grads, summed, _U(k), _U(v), up, level, down)
            else:
                _credit_of_any(grad_kernel, choice, grads, summed, field, row, k, v, o)
