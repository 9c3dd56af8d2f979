"""Where a policy leads from every cell of a map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planners.mazes.action_sets import NEWS, Moves
from planners.mazes.generators import compiled

_UNSEEN, _NEVER = -2, -1


def walk_costs(
    maze: NDArray[np.uint8],
    goal: tuple[int, int],
    actions: NDArray[np.int64],
    moves: Moves = NEWS,
) -> NDArray[np.int64]:
    """Return what the walk from every cell to the goal costs ``(H, W)``, -1 where it never arrives.

    Each cell is visited once: a walk ends where an earlier one has been.

    Args:
        maze: 1 = free ``(H, W)``.
        goal: row and column.
        actions: of every cell ``(H, W)``.
        moves: from cell to cell; no drive.
    """
    result = np.full(maze.size, _UNSEEN, np.int64)
    result[goal[0] * maze.shape[1] + goal[1]] = 0
    free = np.ascontiguousarray(maze, dtype=np.uint8)
    chosen = np.ascontiguousarray(actions, dtype=np.int64).reshape(-1)
    _walk_all(free, chosen, moves.offset_array(), moves.cost_array(), result)
    return result.reshape(maze.shape)


def walk(
    maze: NDArray[np.uint8],
    start: tuple[int, int],
    goal: tuple[int, int],
    actions: NDArray[np.int64],
    moves: Moves = NEWS,
) -> tuple[list[tuple[int, int]], int]:
    """Return the cells of the walk from ``start`` on, and how it ends.

    It ends with 0 at the goal, 1 before a wall or the border, 2 before a cell where it has been.

    Args:
        maze: 1 = free ``(H, W)``.
        start: row and column.
        goal: row and column.
        actions: of every cell ``(H, W)``.
        moves: from cell to cell; no drive.
    """
    columns = maze.shape[1]
    ends = start[0] * columns + start[1], goal[0] * columns + goal[1]
    free = np.ascontiguousarray(maze, dtype=np.uint8)
    chosen = np.ascontiguousarray(actions, dtype=np.int64).reshape(-1)
    trail = np.empty(maze.size, np.int64)
    count, end = _walk_one(free, ends[0], ends[1], chosen, moves.offset_array(), trail)
    rows_columns = np.divmod(trail[:count], columns)
    return list(zip(*(part.tolist() for part in rows_columns), strict=True)), end


@compiled
def _walk_one(
    maze: NDArray[np.uint8],
    start: int,
    goal: int,
    actions: NDArray[np.int64],
    offsets: NDArray[np.int64],
    trail: NDArray[np.int64],
) -> tuple[int, int]:
    rows, columns = maze.shape
    seen = np.zeros(rows * columns, np.bool_)
    cell, count = start, 1
    trail[0], seen[start] = start, True
    while cell != goal:
        row = cell // columns + offsets[actions[cell], 0]
        column = cell % columns + offsets[actions[cell], 1]
        if row < 0 or row >= rows or column < 0 or column >= columns or not maze[row, column]:
            return count, 1
        cell = row * columns + column
        if seen[cell]:
            return count, 2
        trail[count], seen[cell] = cell, True
        count += 1
    return count, 0


@compiled
def _walk_all(
    maze: NDArray[np.uint8],
    actions: NDArray[np.int64],
    offsets: NDArray[np.int64],
    costs: NDArray[np.int64],
    result: NDArray[np.int64],
) -> None:
    rows, columns = maze.shape
    trail = np.empty(rows * columns, np.int64)
    for first in range(rows * columns):
        cell, count = first, 0
        while result[cell] == _UNSEEN:
            result[cell] = _NEVER  # what comes back to a cell of its own trail never arrives
            trail[count] = cell
            count += 1
            row = cell // columns + offsets[actions[cell], 0]
            column = cell % columns + offsets[actions[cell], 1]
            if row < 0 or row >= rows or column < 0 or column >= columns or not maze[row, column]:
                break
            cell = row * columns + column
        if result[cell] >= 0:
            for k in range(count - 1, -1, -1):
                result[trail[k]] = result[cell] + costs[actions[trail[k]]]
                cell = trail[k]
