"""What both passes of a half are made of: the wavefront from the middle outwards, and copies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from planners.operator.cpu_layout import Layout, VisitState, lag_of, wavefront_of
from planners.operator.numba_options import compiled, inlined
from planners.operator.simd import LANES, FloatLine
from planners.operator.two_threads.progress import Counters, Side, WaitClock, tell, wait


@inlined
def block_of(side: Side, k: int) -> int:
    """Return the k-th block of a half, counted from the middle."""
    return side.middle + k if side.number else side.middle - 1 - k


@inlined
def sweep_half(
    visit: Callable[[VisitState, int, int], None],
    state: VisitState,
    layout: Layout,
    count: int,
    done: int,
    size: int,
    side: Side,
    counters: Counters,
    clock: WaitClock,
) -> bool:
    """Call ``visit(state, layer, block)`` for a half, in a wavefront that leaves the middle.

    Args:
        visit: computes one block of one layer; inlined.
        state: handed to it.
        layout: of the maze.
        count: layers. The last one is not told of: what follows it belongs to it.
        done: what the other thread must have told before the first layer; one more before the next.
        size: bytes that a layer uses in each block.
        side: which half.
        counters: of both threads.
        clock: of this thread.

    Returns:
        False if the threads have given up.
    """
    lag, group, strip, chunk = wavefront_of(layout, count, size)
    skew = lag if group > 1 else 0
    fronts = side.blocks + skew * (count - 1)
    for start in range(0, fronts, chunk):
        for first in range(0, count, group):
            for front in range(start, min(start + chunk, fronts), strip):
                for layer in range(first, min(first + group, count)):
                    left = front - skew * layer
                    for k in range(max(left, 0), min(left + strip, side.blocks)):
                        if k == 0 and not wait(counters, side, done + layer, clock):
                            return False
                        visit(state, layer, block_of(side, k))
                        if k == lag - 1 and layer < count - 1:
                            tell(counters, side, done + layer + 1)
    return True


@inlined
def _edges(side: Side) -> tuple[int, int]:
    """Return the first cell of a half's line, and the one behind its last."""
    first = side.middle * LANES if side.number else 0
    return first, first + side.blocks * LANES


@compiled
def half_to_map(
    line: FloatLine, start: int, target: NDArray[np.float32], row: int, side: Side
) -> None:
    """Copy the cells of one half of a line that begins at ``start`` to a map ``(H, W)``."""
    first, last = _edges(side)
    for i in range(first // row, min(-(-last // row), target.shape[0])):
        for j in range(max(0, first - i * row), min(target.shape[1], last - i * row)):
            target[i, j] = line[np.uint64(start + i * row + j)]


@compiled
def map_to_half(
    source: NDArray[np.float32], line: FloatLine, start: int, row: int, side: Side
) -> None:
    """Copy the cells of one half from a map ``(H, W)`` to a line that begins at ``start``."""
    first, last = _edges(side)
    for i in range(first // row, min(-(-last // row), source.shape[0])):
        for j in range(max(0, first - i * row), min(source.shape[1], last - i * row)):
            line[np.uint64(start + i * row + j)] = source[i, j]


@compiled
def add_map_to_half(
    source: NDArray[np.float32], line: FloatLine, start: int, row: int, side: Side
) -> None:
    """Add the cells of one half of a map ``(H, W)`` to a line that begins at ``start``."""
    first, last = _edges(side)
    for i in range(first // row, min(-(-last // row), source.shape[0])):
        for j in range(max(0, first - i * row), min(source.shape[1], last - i * row)):
            line[np.uint64(start + i * row + j)] += source[i, j]


@compiled
def start_half(
    value: NDArray[np.float32],
    reward: FloatLine,
    summed: FloatLine,
    start: int,
    row: int,
    side: Side,
) -> None:
    """Write R + V of layer 0 of one half; ``value (H, W)`` is V."""
    first, last = _edges(side)
    for i in range(first // row, min(-(-last // row), value.shape[0])):
        for j in range(max(0, first - i * row), min(value.shape[1], last - i * row)):
            x = np.uint64(i * row + j)
            summed[np.uint64(start) + x] = value[i, j] + reward[x]


@compiled
def lag_blocks(layout: Layout) -> int:
    """Return how many blocks next to the middle the other half reads, at least one."""
    return max(1, lag_of(layout))
