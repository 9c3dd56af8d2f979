"""Value iteration with one-hot kernels, solved in closed form for any number of layers.

A kernel that is one-hot names one successor, so a layer is

    V'(s) = max over a of R(s_a) + V(s_a),

value iteration of a deterministic decision process without discount. V^(N)(s) is the best sum of
rewards along any walk of N steps, and for large N grows linearly: V^(N) = N gain + bias + a
periodic term (Puterman, Markov Decision Processes, 1994, chapters 8 and 9). The pass below finds
V^(N) for *any* N, also for cells that are further than N steps from where the best cycle is.

How: along the layers of equal parity, the value of a cell is a line with a constant increment until
its best successor changes. The increments begin as those of each cell's best cycle of two steps
(there and back), and every line is a lower bound from then on, so a line changes only when a
successor offers more: at once, where a successor's line changed in the layer before (the front that
moves away from the goal, one cell per layer), or at the layer where a faster line is going to cross
a slower one, which is computed and waited for in a heap. Everything between is skipped. The work is
proportional to the cells, not to cells times layers. Lines whose best cycle is longer than two
steps are found again and again; beyond a budget of changes the solver gives up, and the caller
sweeps.

All numbers are integers in units of 2^-FRACTION: sums are exact and the result does not depend on
the depth's size; only the rewards are rounded, once, to 2^-30 (finer than float32 above 2^-7).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asterias.errors import UserError
from planners.operator.cpu_threads import pool
from planners.operator.numba_options import compiled, inlined
from planners.operator.one_hot_kernels.survey import (
    FIELD,
    INCREMENT,
    OWN,
    PARITY,
    REWARD,
    SEEN,
    TAPS,
    UNKNOWN,
    first_layer,
    links,
    masks,
    second_layer,
    work_of,
)

_FRACTION = 30  # binary digits after the point, fewer where depth times reward is large
_BITS = 61  # of an int64, with room for the sum of two
_TRAILING_ZEROS = np.array([((i & -i).bit_length() - 1) for i in range(2**TAPS)], np.int64)
_EVENTS_PER_CELL = 64  # in mazes there are two; beyond this a sweep is as fast


class OneHotMap(NamedTuple):
    """A map whose kernels are one-hot, as a line of cells, row by row."""

    taps: NDArray[np.uint8]
    """``(cells, A)``: of each action, the place of its successor in the 3 x 3 patch, 0 to 8."""
    reward: NDArray[np.float64]
    """``(cells,)``."""
    shape: tuple[int, int]
    """Rows and columns. No tap may lead outside."""


def solve(one_hot: OneHotMap, depth: int) -> NDArray[np.float64] | None:
    """Return V after ``depth`` layers, less its greatest value: ``(cells,)``, exact up to rounding.

    Returns:
        V, or None where its lines change too often for this to be of use.
    """
    scale = scale_of(one_hot.reward, depth)
    reward = np.rint(one_hot.reward * scale).astype(np.int64)
    value = solve_integers(one_hot.taps, reward, one_hot.shape[1], depth)
    if value is None:
        return None
    relative: NDArray[np.float64] = (value - value.max()) / scale
    return relative


def solve_integers(
    taps: NDArray[np.uint8], reward: NDArray[np.int64], columns: int, depth: int
) -> NDArray[np.int64] | None:
    """Return V after ``depth`` layers in the units of the rewards: ``(cells,)``, exactly.

    Args:
        taps: of :class:`OneHotMap`.
        reward: ``(cells,)``, small enough for :func:`scale_of`.
        columns: of the map.
        depth: layers.

    Returns:
        V, or None where its lines change too often for this to be of use.

    Raises:
        UserError: the depth is below 1.
    """
    if depth < 1:
        raise UserError(f"depth is {depth}: value iteration needs at least one layer.")
    cells = len(reward)
    value = np.empty(cells, np.int64)
    with pool.borrow(("one_hot", cells), lambda: work_of(cells)) as work:
        is_solved = _solve(taps, reward, tap_offsets(columns), depth, work, value)
    return value if is_solved else None


def scale_of(reward: NDArray[np.float64], depth: int) -> float:
    """Return by how much rewards are multiplied, a power of two, such that no sum overflows."""
    largest = max(float(np.abs(reward).max()), 1e-30)
    room = _BITS - math.ceil(math.log2(largest)) - math.ceil(math.log2(depth + 2))
    return float(2.0 ** min(_FRACTION, room))


def tap_offsets(columns: int) -> NDArray[np.int64]:
    """Return by how many cells each tap of the 3 x 3 patch is away in a line of cells."""
    taps = np.arange(TAPS)
    return (taps // FIELD - 1) * columns + taps % FIELD - 1


@inlined
def _line_at(record: Any, c: int, n: int) -> Any:
    """Return the value at layer n of the line of a cell for layers of n's parity."""
    side = PARITY * (n & 1)
    growth = record[c, side + INCREMENT]
    if growth == UNKNOWN:  # evaluated anew in each of its layers
        return record[c, side]
    return record[c, side] + growth * (n >> 1)


@inlined
def _set_line(record: Any, c: int, n: int, value: int, growth: int) -> None:
    """Let the line of n's parity go through ``value`` at layer n; it is kept at layer n & 1."""
    side = PARITY * (n & 1)
    record[c, side] = value if growth == UNKNOWN else value - growth * (n >> 1)
    record[c, side + INCREMENT] = growth


@compiled
def _evaluate(c: int, n: int, taps: Any, offsets: Any, record: Any) -> Any:
    """Evaluate a cell at layer n from the lines of its successors.

    Returns:
        Value, increment (unknown if that of the best successor is, and there is no cycle of two),
        and the layer at which a faster successor overtakes, 0 for none.
    """
    value, growth, fastest = np.int64(-(2**62)), np.int64(UNKNOWN), np.int64(UNKNOWN)
    place, own = PARITY * ((n + 1) & 1) + INCREMENT, record[c, OWN]
    for a in range(taps.shape[1]):
        s = c + offsets[taps[c, a]]
        v, inc = record[s, REWARD] + _line_at(record, s, n - 1), record[s, place]
        fastest = inc if inc > fastest else fastest
        if v > value or (v == value and inc > growth):
            value, growth = v, inc
    growth, crossing = own if own > growth else growth, np.int64(0)
    if growth == UNKNOWN:
        return value, growth, n + 2
    if fastest <= growth:
        return value, growth, crossing
    for a in range(taps.shape[1]):
        s = c + offsets[taps[c, a]]
        inc = record[s, place]
        if inc > growth:
            v = record[s, REWARD] + _line_at(record, s, n - 1)
            at = n + 2 * ((value - v) // (inc - growth) + 1)
            if crossing == 0 or at < crossing:
                crossing = at
    return value, growth, crossing


@compiled
def _wait(heap: Any, due: Any, c: int, n: int) -> None:
    """Let a cell be evaluated at layer n, or at an earlier one for which it waits already.

    The heap is binary and holds layer * cells + cell, from entry 1 on; entry 0 is their number.
    """
    if due[c, n & 1] != 0 and due[c, n & 1] <= n:
        return
    due[c, n & 1] = n
    key, place = n * len(due) + c, heap[0] + 1
    if place >= len(heap):
        place -= 1  # full: the caller sees it, and gives up
    heap[0] = place
    while place > 1 and heap[place >> 1] > key:
        heap[place] = heap[place >> 1]
        place >>= 1
    heap[place] = key


@compiled
def _pop(heap: Any) -> Any:
    """Remove the least entry of the heap.

    Returns:
        The entry.
    """
    least, key, size = heap[1], heap[heap[0]], heap[0] - 1
    heap[0] = size
    place = 1
    while 2 * place <= size:
        below = 2 * place
        if below < size and heap[below + 1] < heap[below]:
            below += 1
        if heap[below] >= key:
            break
        heap[place] = heap[below]
        place = below
    heap[place] = key
    return least


@inlined
def _push(c: int, n: int, offsets: Any, work: Any, side: int, count: int) -> int:
    """Offer a cell's changed line of layer n to its predecessors; list those it changes.

    Returns:
        The length of the front ``side``, which was ``count``.
    """
    record, q = work.record, PARITY * ((n + 1) & 1)
    offer = record[c, REWARD] + _line_at(record, c, n)
    growth = record[c, PARITY * (n & 1) + INCREMENT]
    around, tap = work.back[c], -1
    while around:
        zeros = _TRAILING_ZEROS[around]
        tap += zeros + 1
        around >>= zeros + 1
        p = c + offsets[tap]
        value, inc = _line_at(record, p, n + 1), record[p, q + INCREMENT]
        if inc == UNKNOWN or growth == UNKNOWN:
            if inc != UNKNOWN and offer > value:
                _wait(work.heap, work.due, p, n + 1)
        elif offer < value:
            if growth > inc:
                at = n + 1 + 2 * ((value - offer) // (growth - inc) + 1)
                _wait(work.heap, work.due, p, at)
        elif growth < inc and offer > value and record[p, OWN] < inc:
            _wait(work.heap, work.due, p, n + 1)  # it grows more slowly: another may overtake
        elif offer > value or growth > inc:
            own = record[p, OWN]
            _set_line(record, p, n + 1, offer, growth if growth > own else own)
            if record[p, q + SEEN] != n + 1:
                record[p, q + SEEN] = n + 1
                work.fronts[side, count] = p
                count += 1
    return count


@inlined
def _list_once(c: int, record: Any, listed: Any, size: int) -> int:
    """Add a cell to the list of those to evaluate at layer 2, unless it is there.

    Returns:
        The length of the list, which was ``size``.
    """
    listed[size] = c
    size += record[c, SEEN] != 2
    record[c, SEEN] = 2
    return size


@compiled
def _begin(taps: Any, offsets: Any, work: Any, faster: int, better: int) -> int:
    """Evaluate the first two layers of cells whose lines are not their own cycles'.

    Returns:
        How many changed in the second.
    """
    record, front, listed, size = work.record, work.fronts[0], work.fronts[1], 0
    for k in range(better):
        size = _list_once(listed[k], record, listed, size)
    for k in range(faster):
        c = front[k]
        value, growth, crossing = _evaluate(c, 1, taps, offsets, record)
        _set_line(record, c, 1, value, growth)
        if crossing:
            _wait(work.heap, work.due, c, crossing)
        size = _list_once(c, record, listed, size)
        for tap in range(TAPS):
            if work.back[c] >> tap & 1:
                size = _list_once(c + offsets[tap], record, listed, size)
    count = 0
    for k in range(size):
        c = listed[k]
        value, growth, crossing = _evaluate(c, 2, taps, offsets, record)
        _set_line(record, c, 2, value, growth)
        if crossing:
            _wait(work.heap, work.due, c, crossing)
        if value != record[c, OWN] or growth != record[c, OWN]:
            front[count] = c
            count += 1
    return count


@compiled
def _evaluate_due(n: int, taps: Any, offsets: Any, work: Any, count: int) -> int:
    """Evaluate the cells that wait for layer n.

    Returns:
        The length of its front, which was ``count``.
    """
    heap, due, record, cells = work.heap, work.due, work.record, len(work.back)
    side = PARITY * (n & 1)
    while heap[0] > 0 and heap[1] < (n + 1) * cells:
        c = _pop(heap) - n * cells
        if due[c, n & 1] != n:
            continue
        due[c, n & 1] = 0
        v, growth, crossing = _evaluate(c, n, taps, offsets, record)
        if crossing:
            _wait(heap, due, c, crossing)
        if v != _line_at(record, c, n) or growth > record[c, side + INCREMENT]:
            _set_line(record, c, n, v, growth)
            if record[c, side + SEEN] != n:
                record[c, side + SEEN] = n
                work.fronts[n & 1, count] = c
                count += 1
    return count


@compiled
def _solve(taps: Any, reward: Any, offsets: Any, depth: int, work: Any, value: Any) -> bool:
    """Write V^(depth).

    Returns:
        False where the lines change too often.
    """
    cells = len(reward)
    work.due[:], work.heap[0] = 0, 0
    if taps.shape[1] == 4:  # a constant unrolls the loop
        masks(taps, work.used, 4)
    else:
        masks(taps, work.used, taps.shape[1])
    links(work.used, offsets, work.back)
    first_layer(reward, offsets, work, value)
    if depth == 1:
        return True
    faster, better = second_layer(reward, offsets, value, work)
    count, events, n = _begin(taps, offsets, work, faster, better), 0, 2
    while n < depth:
        size, side = 0, (n + 1) & 1
        for k in range(count):
            size = _push(work.fronts[n & 1, k], n, offsets, work, side, size)
        events += count
        n, count = n + 1, size
        if count == 0:
            if work.heap[0] == 0 or work.heap[1] // cells > depth:
                break
            n = work.heap[1] // cells
        if work.heap[0] > 0:
            waiting = work.heap[0]
            count = _evaluate_due(n, taps, offsets, work, count)
            events += max(1, waiting - work.heap[0])
        if events > _EVENTS_PER_CELL * cells or work.heap[0] >= len(work.heap) - 2:
            return False
    for c in range(cells):
        value[c] = _line_at(work.record, c, depth)
    return True
