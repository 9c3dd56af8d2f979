"""Compiled maze generators.

Each fills one zeroed ``(M, M)`` uint8 grid in place: 0 = wall, 1 = free. The random numbers are our
own SplitMix64 (Steele et al., OOPSLA 2014), so that a seed means the same maze on every machine and
with every version of NumPy and Numba.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Grid = NDArray[np.uint8]
RandomState = NDArray[np.uint64]

_ROWS = np.array([-1, 0, 1, 0])
_COLUMNS = np.array([0, 1, 0, -1])


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile without the interpreter lock and keep the machine code on disk.

    Returns:
        The compiled function.
    """
    machine_code: Callable[..., Any] = njit(cache=True, nogil=True)(function)
    return machine_code


@compiled
def next_bits(state: RandomState) -> Any:
    """Advance the SplitMix64 ``state`` (1,) and return 64 random bits.

    Returns:
        64 random bits.
    """
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@compiled
def uniform(state: RandomState) -> Any:
    """Return a random number in [0, 1)."""
    return np.float64(next_bits(state) >> np.uint64(11)) * 2.0**-53


@compiled
def below(state: RandomState, bound: int) -> Any:
    """Return a random integer in [0, bound)."""
    return np.int64(uniform(state) * bound)


@compiled
def shuffle(items: NDArray[np.int64], count: int, state: RandomState) -> None:
    """Shuffle the first ``count`` items in place (Fisher-Yates)."""
    for i in range(count - 1, 0, -1):
        j = below(state, i + 1)
        items[i], items[j] = items[j], items[i]


@compiled
def depth_first(grid: Grid, state: RandomState) -> None:
    """Carve by depth-first search from (1, 1), the rule of the GPPN benchmark.

    Pop a cell; unless free already, free it and the wall towards its parent; push the four cells
    two steps away in random order. In even sizes the far border is carved too.
    """
    size = grid.shape[0]
    stack = np.empty((4 * size * size, 2), np.int64)
    stack[0, 0], stack[0, 1] = size + 1, size + 1
    top, order = 1, np.arange(4)
    while top > 0:
        top -= 1
        cell, parent = stack[top, 0], stack[top, 1]
        row, column = cell // size, cell % size
        if grid[row, column]:
            continue
        grid[row, column] = 1
        grid[(row + parent // size) // 2, (column + parent % size) // 2] = 1
        shuffle(order, 4, state)
        for k in order:
            r, c = row + 2 * _ROWS[k], column + 2 * _COLUMNS[k]
            if 0 <= r < size and 0 <= c < size and not grid[r, c]:
                stack[top, 0], stack[top, 1] = r * size + c, cell
                top += 1


@compiled
def _root(parent: NDArray[np.int64], item: int) -> int:
    while parent[item] != item:
        parent[item] = parent[parent[item]]
        item = parent[item]
    return item


@compiled
def kruskal(grid: Grid, state: RandomState) -> None:
    """Free all odd cells; open walls in random order wherever they join two parts (Kruskal)."""
    size = grid.shape[0]
    parent = np.arange(size * size)
    walls = np.empty(size * size, np.int64)
    count = 0
    for row in range(1, size):
        for column in range(1, size):
            if row % 2 and column % 2:
                grid[row, column] = 1
            between_rows = row % 2 == 0 and column % 2 and row + 1 < size
            between_columns = row % 2 and column % 2 == 0 and column + 1 < size
            if between_rows or between_columns:
                walls[count] = row * size + column
                count += 1
    shuffle(walls, count, state)
    for wall in walls[:count]:
        step = size if (wall // size) % 2 == 0 else 1
        a, b = _root(parent, wall - step), _root(parent, wall + step)
        if a != b:
            parent[a] = b
            grid[wall // size, wall % size] = 1


@compiled
def wilson(grid: Grid, state: RandomState) -> None:
    """Draw a uniform spanning tree by loop-erased random walks (Wilson, STOC 1996)."""
    size = grid.shape[0]
    heading = np.zeros((size, size), np.int64)
    grid[1, 1] = 1
    for start_row in range(1, size, 2):
        for start_column in range(1, size, 2):
            row, column = start_row, start_column
            while not grid[
                row, column
            ]:  # remembering only the last way out of a cell erases the loops
                k = below(state, 4)
                r, c = row + 2 * _ROWS[k], column + 2 * _COLUMNS[k]
                if 0 <= r < size and 0 <= c < size:
                    heading[row, column] = k
                    row, column = r, c
            row, column = start_row, start_column
            while not grid[row, column]:
                k = heading[row, column]
                grid[row, column] = 1
                grid[row + _ROWS[k], column + _COLUMNS[k]] = 1
                row, column = row + 2 * _ROWS[k], column + 2 * _COLUMNS[k]


@compiled
def obstacles(grid: Grid, state: RandomState) -> None:
    """Block each interior cell with one probability per map, uniform in 0 to 0.4."""
    size = grid.shape[0]
    density = 0.4 * uniform(state)
    for row in range(1, size - 1):
        for column in range(1, size - 1):
            grid[row, column] = uniform(state) >= density


@compiled
def rooms(grid: Grid, state: RandomState) -> None:
    """Divide the interior by straight walls with one door each until rooms are small.

    (recursive division).
    """
    size = grid.shape[0]
    grid[1 : size - 1, 1 : size - 1] = 1
    stack = np.empty((size * size, 4), np.int64)
    stack[0] = (1, 1, size - 2, size - 2)  # top, left, bottom, right, inclusive
    count = 1
    while count > 0:
        count -= 1
        top, left, bottom, right = stack[count]
        height, width = bottom - top + 1, right - left + 1
        if max(height, width) < 7:
            continue
        tall = height > width
        # Walls lie on even, doors on odd coordinates, so that no later wall ends in a door.
        low = (top if tall else left) // 2 + 1
        wall = 2 * (low + below(state, ((bottom if tall else right) - 1) // 2 - low + 1))
        first = (left if tall else top) // 2
        door = 2 * (first + below(state, ((right if tall else bottom) - 1) // 2 - first + 1)) + 1
        if tall:
            grid[wall, left : right + 1] = 0
            grid[wall, door] = 1
            stack[count] = (top, left, wall - 1, right)
            stack[count + 1] = (wall + 1, left, bottom, right)
        else:
            grid[top : bottom + 1, wall] = 0
            grid[door, wall] = 1
            stack[count] = (top, left, bottom, wall - 1)
            stack[count + 1] = (top, wall + 1, bottom, right)
        count += 2


@compiled
def warehouse(grid: Grid, state: RandomState) -> None:
    """Fill a hall with rows of shelves between aisles, with gaps, pillars and pallets left behind.

    Shelves are two cells deep and 4 to 11 long, aisles one or two wide, both drawn per map; one
    cell of a hundred in the aisles is blocked.
    """
    size = grid.shape[0]
    grid[1 : size - 1, 1 : size - 1] = 1
    length, aisle, cross = 4 + below(state, 8), 1 + below(state, 2), 1 + below(state, 2)
    for row in range(1 + aisle, size - 2 - aisle, 2 + aisle):
        for first in range(1 + cross, size - 1 - cross, length + cross):
            if uniform(state) < 0.05:  # a shelf that was taken away
                continue
            last = min(first + length, size - 1 - cross)
            grid[row : row + 2, first:last] = 0
    for row in range(1, size - 1):
        for column in range(1, size - 1):
            if grid[row, column] and uniform(state) < 0.01:
                grid[row, column] = 0


@compiled
def _cut_streets(lines: NDArray[np.int64], size: int, state: RandomState) -> int:
    """Write where streets begin and end along one side of a town.

    Returns:
        How many there are.
    """
    count, place = 0, 1 + below(state, 6)
    while place < size - 2:
        width = 1 + below(state, 3)
        lines[count, 0], lines[count, 1] = place, min(place + width, size - 1)
        place += width + 3 + below(state, 12)
        count += 1
    return count


@compiled
def streets(grid: Grid, state: RandomState) -> None:
    """Draw a town: streets of one to three cells between blocks, with squares and roadworks.

    Each piece of a street between two crossings is closed with probability 0.25; every twentieth
    block is an open square.
    """
    size = grid.shape[0]
    rows, columns = np.zeros((size, 2), np.int64), np.zeros((size, 2), np.int64)
    count, across = _cut_streets(rows, size, state), _cut_streets(columns, size, state)
    for i in range(count):
        top, bottom = rows[i]
        for j in range(across):
            left, right = columns[j]
            grid[top:bottom, left:right] = 1
            if j + 1 < across and uniform(state) >= 0.25:
                grid[top:bottom, right : columns[j + 1, 0]] = 1
            if i + 1 < count and uniform(state) >= 0.25:
                grid[bottom : rows[i + 1, 0], left:right] = 1
            if i + 1 < count and j + 1 < across and uniform(state) < 0.05:
                grid[bottom : rows[i + 1, 0], right : columns[j + 1, 0]] = 1


@compiled
def decimate(grid: Grid, share: float, state: RandomState) -> None:
    """Free each interior cell with probability ``share``."""
    for row in range(1, grid.shape[0] - 1):
        for column in range(1, grid.shape[0] - 1):
            if uniform(state) < share:
                grid[row, column] = 1


@compiled
def draw_goal(size: int, state: RandomState) -> Any:
    """Draw a goal uniformly among interior cells other than (1, 1); return row and column.

    Returns:
        Row and column.
    """
    while True:
        row, column = 1 + below(state, size - 2), 1 + below(state, size - 2)
        if row != 1 or column != 1:
            return row, column
