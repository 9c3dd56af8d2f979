"""Exact search on a known map.

A* for one pair of cells, breadth-first search for all cells at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from asterias.arrays import Cell
from planners.mazes.action_sets import NEWS, Moves
from planners.mazes.distances import distances
from planners.mazes.generators import compiled


def a_star(maze: NDArray[np.uint8], start: Cell, goal: Cell, moves: Moves = NEWS) -> list[Cell]:
    """Return a shortest path of cells from start to goal, both included; empty if there is none.

    The heuristic is the exact distance on an empty map, so no cell is opened twice. Where moves
    have costs it is Dijkstra's search.
    """
    if moves.costs:
        return breadth_first(maze, start, goal, moves)
    rows, columns = maze.shape
    parent = np.full(rows * columns, -1, np.int64)
    diagonal = len(moves.offsets) == 8
    a, b = start[0] * columns + start[1], goal[0] * columns + goal[1]
    if not _search(np.ascontiguousarray(maze), a, b, moves.offset_array(), diagonal, parent):
        return []
    cells = [b]
    while cells[-1] != a:
        cells.append(int(parent[cells[-1]]))
    return [divmod(cell, columns) for cell in reversed(cells)]


def breadth_first(
    maze: NDArray[np.uint8], start: Cell, goal: Cell, moves: Moves = NEWS
) -> list[Cell]:
    """Return a shortest path, both ends included, down the distances; empty if none.

    Where moves have costs, the distances are those of Dijkstra's search.
    """
    lengths = distances(maze[None], np.array([goal]), moves)[0]
    if lengths[start] < 0:
        return []
    trail = np.empty(maze.size, np.int64)
    first = start[0] * maze.shape[1] + start[1]
    count = _descend(lengths, first, moves.offset_array(), moves.cost_array(), trail)
    rows_columns = np.divmod(trail[:count], maze.shape[1])
    return list(zip(*(part.tolist() for part in rows_columns), strict=True))


@compiled
def _descend(
    lengths: NDArray[np.int32],
    start: int,
    offsets: NDArray[np.int64],
    costs: NDArray[np.int64],
    trail: NDArray[np.int64],
) -> Any:
    """Write the cells of a path down the lengths, the first of equal moves first.

    Returns:
        How many they are.
    """
    rows, columns = lengths.shape
    row, column, count = start // columns, start % columns, 1
    trail[0] = start
    while lengths[row, column] > 0:
        for k in range(len(offsets)):
            r, c, left = row + offsets[k, 0], column + offsets[k, 1], lengths[row, column]
            inside = 0 <= r < rows and 0 <= c < columns
            if inside and lengths[r, c] >= 0 and lengths[r, c] == left - costs[k]:
                row, column = r, c
                break
        trail[count] = row * columns + column
        count += 1
    return count


@compiled
def _distance(a: int, b: int, columns: int, diagonal: bool) -> Any:
    down, right = abs(a // columns - b // columns), abs(a % columns - b % columns)
    if diagonal:
        return max(down, right)
    return down + right


@compiled
def _search(
    maze: NDArray[np.uint8],
    start: int,
    goal: int,
    offsets: NDArray[np.int64],
    diagonal: bool,
    parent: NDArray[np.int64],
) -> Any:
    """Search by A* with unit costs.

    f rises by 0 to 2 a step, so a ring of three buckets is the queue.

    Returns:
        Whether the goal was found; ``parent`` then leads back to the start.
    """
    rows, columns = maze.shape
    area = rows * columns
    buckets = np.empty((3, area * len(offsets) + 1), np.int64)
    sizes = np.zeros(3, np.int64)
    cost = np.full(area, area, np.int64)
    done = np.zeros(area, np.bool_)
    cost[start], buckets[0, 0], sizes[0] = 0, start, 1
    current = 0
    while sizes.sum() > 0:
        while sizes[current] == 0:
            current = (current + 1) % 3
        sizes[current] -= 1
        cell = buckets[current, sizes[current]]
        if done[cell]:
            continue
        done[cell] = True
        if cell == goal:
            return True
        here = _distance(cell, goal, columns, diagonal)
        for k in range(len(offsets)):
            r, c = cell // columns + offsets[k, 0], cell % columns + offsets[k, 1]
            if r < 0 or r >= rows or c < 0 or c >= columns or not maze[r, c]:
                continue
            after = r * columns + c
            if cost[cell] + 1 < cost[after]:
                cost[after], parent[after] = cost[cell] + 1, cell
                rise = 1 + _distance(after, goal, columns, diagonal) - here
                bucket = (current + rise) % 3
                buckets[bucket, sizes[bucket]] = after
                sizes[bucket] += 1
    return False
