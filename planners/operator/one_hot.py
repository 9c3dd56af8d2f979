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
from planners.operator.numba_options import compiled, inlined

FIELD = 3
_TAPS = FIELD * FIELD
_STAY = _TAPS // 2
_FRACTION = 30  # binary digits after the point, fewer where depth times reward is large
_BITS = 61  # of an int64, with room for the sum of two
_UNKNOWN = -(2**62)  # increment of a line that is not known yet
_TRAILING_ZEROS = np.array([((i & -i).bit_length() - 1) for i in range(2**_TAPS)], np.int64)
_EVENTS_PER_CELL = 64  # in mazes there are about 4; beyond this a sweep is as fast


class OneHotMap(NamedTuple):
    """A map whose kernels are one-hot, as a line of cells, row by row."""

    taps: NDArray[np.uint8]
    """``(cells, A)``: of each action, the place of its successor in the 3 x 3 patch, 0 to 8."""
    reward: NDArray[np.float64]
    """``(cells,)``."""
    shape: tuple[int, int]
    """Rows and columns. No tap may lead outside."""


class _Work(NamedTuple):
    """Work arrays of one map."""

    successors: NDArray[np.int32]
    """Cell that each action leads to ``(cells, A)``."""
    used: NDArray[np.uint16]
    """Taps that a cell uses, as bits."""
    back: NDArray[np.uint16]
    """Taps by which a cell's predecessors lie around it, as bits."""
    own: NDArray[np.int64]
    """Increment of each cell's best cycle of two steps."""
    lines: NDArray[np.int64]
    """``(cells, 2, 2)``: for even and odd layers, the value at layer 0 or 1 and the increment."""
    due: NDArray[np.int32]
    """``(cells, 2)``: the layer at which a cell waits to be evaluated, 0 for none."""
    seen: NDArray[np.int32]
    """``(cells, 2)``: the last layer of whose front a cell was part."""
    fronts: NDArray[np.int32]
    """``(2, cells + 1)``: cells whose lines have changed, of this layer and the next."""
    first: NDArray[np.int64]
    """``(4, cells)``: offers, values and increments of the first layers."""
    heap: NDArray[np.int64]
    """Layers and cells to evaluate."""


def _work_of(cells: int, actions: int) -> _Work:
    return _Work(
        np.empty((cells, actions), np.int32),
        np.zeros(cells, np.uint16),
        np.zeros(cells, np.uint16),
        np.empty(cells, np.int64),
        np.empty((cells, 2, 2), np.int64),
        np.zeros((cells, 2), np.int32),
        np.zeros((cells, 2), np.int32),
        np.empty((2, cells + 2), np.int32),
        np.empty((4, cells), np.int64),
        np.zeros(4 * cells + 2, np.int64),
    )


def solve(one_hot: OneHotMap, depth: int) -> NDArray[np.float64] | None:
    """Return V after ``depth`` layers, less its greatest value: ``(cells,)``, exact up to rounding.

    Returns:
        V, or None where its lines change too often for this to be of use.

    Raises:
        UserError: the depth is below 1.
    """
    if depth < 1:
        raise UserError(f"depth is {depth}: value iteration needs at least one layer.")
    scale = scale_of(one_hot.reward, depth)
    reward = np.rint(one_hot.reward * scale).astype(np.int64)
    value = np.empty(len(reward), np.int64)
    offsets = tap_offsets(one_hot.shape[1])
    work = _work_of(*one_hot.taps.shape)
    if not _solve(one_hot.taps, reward, offsets, depth, work, value):
        return None
    relative: NDArray[np.float64] = (value - value.max()) / scale
    return relative


def scale_of(reward: NDArray[np.float64], depth: int) -> float:
    """Return by how much rewards are multiplied, a power of two, such that no sum overflows."""
    largest = max(float(np.abs(reward).max()), 1e-30)
    room = _BITS - math.ceil(math.log2(largest)) - math.ceil(math.log2(depth + 2))
    return float(2.0 ** min(_FRACTION, room))


def tap_offsets(columns: int) -> NDArray[np.int64]:
    """Return by how many cells each tap of the 3 x 3 patch is away in a line of cells."""
    taps = np.arange(_TAPS)
    return (taps // FIELD - 1) * columns + taps % FIELD - 1


@compiled
def _links(taps: Any, offsets: Any, used: Any, back: Any, successors: Any) -> None:
    """Write each cell's taps, successors, and the taps by which its predecessors lie around it."""
    cells, actions = taps.shape
    for c in range(cells):
        mask = 0
        for a in range(actions):
            tap = taps[c, a]
            mask |= 1 << tap
            successors[c, a] = s = c + offsets[tap]
            back[s] |= np.uint16(1 << (_TAPS - 1 - tap))
        used[c] = mask


@compiled
def _best_cycles(taps: Any, reward: Any, successors: Any, used: Any, own: Any) -> None:
    """Write the best sum of rewards of going to a successor and straight back, or staying."""
    cells, actions = taps.shape
    for c in range(cells):
        best = np.int64(_UNKNOWN)
        for a in range(actions):
            s = successors[c, a]
            gain = reward[s] + reward[c] if used[s] >> (_TAPS - 1 - taps[c, a]) & 1 else best
            best = gain if gain > best else best
        own[c] = best


@compiled
def _first_layer(
    offers: Any, growths: Any, successors: Any, own: Any, value: Any, inc: Any, fast: Any
) -> None:
    """Evaluate all cells at one layer from what their successors offer.

    Writes value and increment, and the cells of which a successor grows faster to the front of
    ``fast``, whose first entry is their number. Free of branches, which mazes make unpredictable.
    """
    cells, actions = successors.shape
    count = 1
    for c in range(cells):
        best, growth, fastest = np.int64(_UNKNOWN), own[c], np.int64(_UNKNOWN)
        for a in range(actions):
            offer = offers[successors[c, a]]
            best = offer if offer > best else best
        for a in range(actions):
            s = successors[c, a]
            g = growths[s]
            fastest = g if g > fastest else fastest
            tied = g if offers[s] == best else np.int64(_UNKNOWN)
            growth = tied if tied > growth else growth
        value[c], inc[c] = best, growth
        fast[count] = c
        count += (fastest > growth) | (growth == _UNKNOWN)
    fast[0] = count - 1


@inlined
def _line_at(lines: Any, c: int, n: int) -> Any:
    """Return the value at layer n of the line of a cell for layers of n's parity."""
    growth = lines[c, n & 1, 1]
    if growth == _UNKNOWN:  # evaluated anew in each of its layers
        return lines[c, n & 1, 0]
    return lines[c, n & 1, 0] + growth * (n >> 1)


@inlined
def _set_line(lines: Any, c: int, n: int, value: int, growth: int) -> None:
    """Let the line of n's parity go through ``value`` at layer n; it is kept at layer n & 1."""
    lines[c, n & 1, 0] = value if growth == _UNKNOWN else value - growth * (n >> 1)
    lines[c, n & 1, 1] = growth


@compiled
def _evaluate(c: int, n: int, successors: Any, reward: Any, own: int, lines: Any) -> Any:
    """Evaluate a cell at layer n from the lines of its successors.

    Returns:
        Value, increment (unknown if that of the best successor is, and there is no cycle of two),
        and the layer at which a faster successor overtakes, 0 for none.
    """
    value, growth, fastest = np.int64(-(2**62)), np.int64(_UNKNOWN), np.int64(_UNKNOWN)
    for a in range(successors.shape[1]):
        s = successors[c, a]
        v, inc = reward[s] + _line_at(lines, s, n - 1), lines[s, (n + 1) & 1, 1]
        fastest = inc if inc > fastest else fastest
        if v > value or (v == value and inc > growth):
            value, growth = v, inc
    growth, crossing = own if own > growth else growth, np.int64(0)
    if growth == _UNKNOWN:
        return value, growth, n + 2
    if fastest <= growth:
        return value, growth, crossing
    for a in range(successors.shape[1]):
        s = successors[c, a]
        inc = lines[s, (n + 1) & 1, 1]
        if inc > growth:
            v = reward[s] + _line_at(lines, s, n - 1)
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
def _push(c: int, n: int, reward: Any, offsets: Any, work: Any, side: int, count: int) -> int:
    """Offer a cell's changed line of layer n to its predecessors; list those it changes.

    Returns:
        The length of the front ``side``, which was ``count``.
    """
    lines, seen, own = work.lines, work.seen, work.own
    offer, growth = reward[c] + _line_at(lines, c, n), lines[c, n & 1, 1]
    q = (n + 1) & 1
    around, tap = work.back[c], -1
    while around:
        zeros = _TRAILING_ZEROS[around]
        tap += zeros + 1
        around >>= zeros + 1
        p = c + offsets[tap]
        value, inc = _line_at(lines, p, n + 1), lines[p, q, 1]
        if inc == _UNKNOWN or growth == _UNKNOWN:
            if inc != _UNKNOWN and offer > value:
                _wait(work.heap, work.due, p, n + 1)
        elif offer < value:
            if growth > inc:
                at = n + 1 + 2 * ((value - offer) // (growth - inc) + 1)
                _wait(work.heap, work.due, p, at)
        elif growth < inc and offer > value and own[p] < inc:
            _wait(work.heap, work.due, p, n + 1)  # it grows more slowly: another may overtake
        elif offer > value or growth > inc:
            _set_line(lines, p, n + 1, offer, growth if growth > own[p] else own[p])
            if seen[p, q] != n + 1:
                seen[p, q] = n + 1
                work.fronts[side, count] = p
                count += 1
    return count


@compiled
def _begin(reward: Any, work: Any, value: Any) -> int:
    """Compute the first two layers of all cells.

    Returns:
        How many changed in the second.
    """
    successors, own, lines = work.successors, work.own, work.lines
    offers, inc, growths = work.first[0], work.first[1], work.first[2]
    front, fast = work.fronts[0], work.fronts[1]
    cells = len(own)
    _first_layer(reward, own, successors, own, value, inc, fast)
    for c in range(cells):
        lines[c, 0, 0], lines[c, 0, 1] = 0, own[c]
        lines[c, 1, 0], lines[c, 1, 1] = value[c], inc[c]
        offers[c] = reward[c] + value[c]
    for k in range(1, fast[0] + 1):
        c = fast[k]
        _, _, crossing = _evaluate(c, 1, successors, reward, own[c], lines)
        _wait(work.heap, work.due, c, crossing)
    _first_layer(offers, inc, successors, own, value, growths, fast)
    count = 0
    for c in range(cells):
        front[count] = c
        count += (value[c] != own[c]) | (growths[c] != own[c])
        lines[c, 0, 1] = growths[c]
        lines[c, 0, 0] = value[c] if growths[c] == _UNKNOWN else value[c] - growths[c]
    for k in range(1, fast[0] + 1):
        c = fast[k]
        _, _, crossing = _evaluate(c, 2, successors, reward, own[c], lines)
        _wait(work.heap, work.due, c, crossing)
    return count


@compiled
def _evaluate_due(n: int, reward: Any, work: Any, count: int) -> int:
    """Evaluate the cells that wait for layer n.

    Returns:
        The length of its front, which was ``count``.
    """
    heap, due, lines, cells = work.heap, work.due, work.lines, len(work.own)
    while heap[0] > 0 and heap[1] < (n + 1) * cells:
        c = _pop(heap) - n * cells
        if due[c, n & 1] != n:
            continue
        due[c, n & 1] = 0
        v, growth, crossing = _evaluate(c, n, work.successors, reward, work.own[c], lines)
        if crossing:
            _wait(heap, due, c, crossing)
        if v != _line_at(lines, c, n) or growth > lines[c, n & 1, 1]:
            _set_line(lines, c, n, v, growth)
            if work.seen[c, n & 1] != n:
                work.seen[c, n & 1] = n
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
    _links(taps, offsets, work.used, work.back, work.successors)
    _best_cycles(taps, reward, work.successors, work.used, work.own)
    if depth == 1:
        own, first = work.own, work.first[0]
        _first_layer(reward, own, work.successors, own, value, first, work.fronts[0])
        return True
    count, events, n = _begin(reward, work, value), 0, 2
    while n < depth:
        size, side = 0, (n + 1) & 1
        for k in range(count):
            size = _push(work.fronts[n & 1, k], n, reward, offsets, work, side, size)
        events += count
        n, count = n + 1, size
        if count == 0:
            if work.heap[0] == 0 or work.heap[1] // cells > depth:
                break
            n = work.heap[1] // cells
        if work.heap[0] > 0:
            waiting = work.heap[0]
            count = _evaluate_due(n, reward, work, count)
            events += max(1, waiting - work.heap[0])
        if events > _EVENTS_PER_CELL * cells or work.heap[0] >= len(work.heap) - 2:
            return False
    for c in range(cells):
        value[c] = _line_at(work.lines, c, depth)
    return True
