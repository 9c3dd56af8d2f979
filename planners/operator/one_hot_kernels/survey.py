"""The first two layers of value iteration with one-hot kernels, for all cells at once by vectors.

What :mod:`planners.operator.one_hot_kernels.solver` begins with: links between cells, each cell's
best cycle of two steps, and the few cells whose lines are not those of their own cycles.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from planners.operator.cpu_threads import line_of
from planners.operator.numba_options import compiled, inlined

Integers = NDArray[np.int64]
Masks = NDArray[np.uint16]

FIELD = 3
TAPS = FIELD * FIELD
UNKNOWN = -(2**62)  # increment of a line that is not known yet

_CHUNK = 1024  # cells that are looked at together, in the first-level cache

# What is kept of a cell, together in a cache line: for even and odd layers the line's value at
# layer 0 or 1, its increment and the last layer of whose front the cell was part; then the reward
# and the increment of the cell's best cycle of two steps.
_RECORD = 8
PARITY = 3  # numbers of the lines of one parity
INCREMENT, SEEN = 1, 2
REWARD, OWN = 6, 7


class Work(NamedTuple):
    """Work arrays of one map."""

    record: NDArray[np.int64]
    """``(cells, 8)``, see ``_RECORD``."""
    used: NDArray[np.uint16]
    """Taps that a cell uses, as bits."""
    back: NDArray[np.uint16]
    """Taps by which a cell's predecessors lie around it, as bits."""
    mutual: NDArray[np.uint16]
    """Both."""
    due: NDArray[np.int32]
    """``(cells, 2)``: the layer at which a cell waits to be evaluated, 0 for none."""
    fronts: NDArray[np.int32]
    """``(2, cells + 2)``: cells whose lines have changed, of this layer and the next."""
    first: NDArray[np.int64]
    """``(2, cells)``: each cell's best cycle of two, and what it offers at layer 1."""
    chunks: NDArray[np.int64]
    """``(2, _CHUNK)``: greatest increment and offer of the successors, of some cells."""
    heap: NDArray[np.int64]
    """Layers and cells to evaluate."""


def work_of(cells: int) -> Work:
    """Return the work arrays of a map."""
    return Work(
        line_of(cells * _RECORD, np.int64).reshape(cells, _RECORD),  # type: ignore[arg-type]
        np.empty(cells, np.uint16),
        np.empty(cells, np.uint16),
        np.empty(cells, np.uint16),
        np.empty((cells, 2), np.int32),
        np.empty((2, cells + 2), np.int32),
        np.empty((2, cells), np.int64),
        np.empty((2, _CHUNK), np.int64),
        np.zeros(4 * cells + 2, np.int64),
    )


@inlined
def masks(taps: NDArray[np.uint8], used: Masks, actions: int) -> None:
    """Write the taps that each cell uses, as bits."""
    for c in range(len(used)):
        mask = 0
        for a in range(actions):
            mask |= 1 << taps[c, a]
        used[c] = mask


@compiled
def links(used: Masks, offsets: Integers, back: Masks) -> None:
    """Write the taps by which each cell's predecessors lie around it, as bits."""
    cells = len(used)
    back[:] = 0
    for tap in range(TAPS):
        first, last = max(0, -offsets[tap]), min(cells, cells - offsets[tap])
        theirs, mine = used[first + offsets[tap] :], back[first:]
        for k in range(last - first):  # neighbours lie side by side: vectors
            mine[k] |= np.uint16((theirs[k] >> (TAPS - 1 - tap) & 1) << tap)


@compiled
def _best_around(
    taken: Masks, source: Integers, offsets: Integers, best: Integers, start: int, count: int
) -> None:
    """Write the greatest source of the neighbours that a cell takes, for ``count`` cells.

    Args:
        taken: for all cells, taps as bits.
        source: what is looked up, for all cells.
        offsets: of the taps.
        best: the result, for the cells from ``start`` on.
        start: the first cell.
        count: cells.
    """
    best[:count] = UNKNOWN
    for tap in range(TAPS):
        first = max(start, -offsets[tap])
        last = min(start + count, len(source) - offsets[tap])
        there, masks, here = source[first + offsets[tap] :], taken[first:], best[first - start :]
        for k in range(last - first):  # vectors, as above
            offer = there[k] if masks[k] >> tap & 1 else np.int64(UNKNOWN)
            here[k] = offer if offer > here[k] else here[k]


@compiled
def first_layer(reward: Integers, offsets: Integers, work: Work, value: Integers) -> None:
    """Write V of the first layer, what a cell offers then, and its best cycle of two steps.

    That cycle is to go to a successor that is a predecessor, too, and back.
    """
    used, back, own, offers = work.used, work.back, work.first[0], work.first[1]
    for start in range(0, len(used), _CHUNK):
        count = min(_CHUNK, len(used) - start)
        _best_around(used, reward, offsets, value[start:], start, count)
        for c in range(start, start + count):
            offers[c] = reward[c] + value[c]
            work.mutual[c] = used[c] & back[c]
        _best_around(work.mutual, reward, offsets, own[start:], start, count)
        for c in range(start, start + count):
            own[c] = own[c] + reward[c] if own[c] != UNKNOWN else own[c]


@compiled
def second_layer(
    reward: Integers, offsets: Integers, value: Integers, work: Work
) -> tuple[int, int]:
    """Let all lines grow by the cells' own cycles; list the cells where that is not all.

    The first front gets those with a faster successor, the second those worth more at layer 2.

    Returns:
        The lengths of both.
    """
    record, used, own, offers = work.record, work.used, work.first[0], work.first[1]
    fastest, second = work.chunks[0], work.chunks[1]
    faster, better = 0, 0
    for start in range(0, len(used), _CHUNK):
        count = min(_CHUNK, len(used) - start)
        _best_around(used, own, offsets, fastest, start, count)
        _best_around(used, offers, offsets, second, start, count)
        for k in range(count):
            c, growth = start + k, own[start + k]
            record[c, 0], record[c, 1], record[c, 2] = 0, growth, 0
            record[c, 3], record[c, 4], record[c, 5] = value[c], growth, 0
            record[c, REWARD], record[c, OWN] = reward[c], growth
            work.fronts[0, faster], work.fronts[1, better] = c, c
            faster += (fastest[k] > growth) | (growth == UNKNOWN)
            better += second[k] != growth
    return faster, better
