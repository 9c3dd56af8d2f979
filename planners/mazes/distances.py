"""Exact distances and all optimal actions of every cell, by breadth-first search from the goal.

Arrays: mazes ``(n, M, N)`` uint8 with 1 = free, goals ``(n, 2)`` as row and column; distances in
steps, int32, ``(n, M, N)`` for grid moves and ``(n, 4, M, N)`` for a differential drive, with -1
where the goal cannot be reached.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asterias.errors import UserError
from planners.mazes.action_sets import NEWS, Moves
from planners.mazes.generators import compiled

UNREACHABLE = -1


def distances(
    mazes: NDArray[np.uint8],
    goals: NDArray[np.int64],
    moves: Moves = NEWS,
    goal_orientation: int = 0,
) -> NDArray[np.int32]:
    """Return the steps from every state to the goal.

    ``(n, M, N)`` or, with orientations, ``(n, 4, M, N)``.

    Raises ``ValueError`` where shapes do not fit together or a goal lies outside its maze.
    """
    _check(mazes, goals)
    count, rows, columns = mazes.shape
    result = np.full((count, moves.orientations, rows, columns), UNREACHABLE, np.int32)
    search = _drive_distances if moves.is_drive else _grid_distances
    search(
        np.ascontiguousarray(mazes),
        goals.astype(np.int64),
        moves.offset_array(),
        result,
        goal_orientation,
    )
    return result if moves.is_drive else result[:, 0]


def optimal_actions(lengths: NDArray[np.int32], moves: Moves = NEWS) -> NDArray[np.uint8]:
    """Return every state's set of optimal actions as bits (bit a = action a).

    The set is empty at goals and where no path leads to one. ``lengths`` is what :func:`distances`
    returned for the same moves; the result has its shape.
    """
    if moves.is_drive:
        return _drive_actions(lengths, moves)
    result = np.zeros(lengths.shape, np.uint8)
    _grid_actions(np.ascontiguousarray(lengths), moves.offset_array(), result)
    return result


def _check(mazes: NDArray[np.uint8], goals: NDArray[np.int64]) -> None:
    if mazes.ndim != 3 or goals.shape != (len(mazes), 2):
        raise UserError(
            f"mazes have shape {mazes.shape} and goals {goals.shape}: "
            "expected (n, rows, columns) and (n, 2)."
        )
    if len(goals) and (goals.min() < 0 or (goals >= np.asarray(mazes.shape[1:])).any()):
        raise UserError(
            "a goal lies outside its maze: give row and column counted from 0 at the top left."
        )


@compiled
def _grid_distances(
    mazes: NDArray[np.uint8],
    goals: NDArray[np.int64],
    offsets: NDArray[np.int64],
    result: NDArray[np.int32],
    goal_orientation: int,
) -> None:
    _, rows, columns = mazes.shape
    queue = np.empty(rows * columns, np.int64)
    for n in range(len(mazes)):
        maze, dist = mazes[n], result[n, 0]
        if not maze[goals[n, 0], goals[n, 1]]:
            continue
        dist[goals[n, 0], goals[n, 1]] = 0
        queue[0] = goals[n, 0] * columns + goals[n, 1]
        head, tail = 0, 1
        while head < tail:
            row, column = queue[head] // columns, queue[head] % columns
            head += 1
            for k in range(len(offsets)):
                r, c = row + offsets[k, 0], column + offsets[k, 1]
                if 0 <= r < rows and 0 <= c < columns and maze[r, c] and dist[r, c] < 0:
                    dist[r, c] = dist[row, column] + 1
                    queue[tail] = r * columns + c
                    tail += 1


@compiled
def _grid_actions(
    lengths: NDArray[np.int32], offsets: NDArray[np.int64], result: NDArray[np.uint8]
) -> None:
    count, rows, columns = lengths.shape
    for n in range(count):
        for row in range(rows):
            for column in range(columns):
                here = lengths[n, row, column]
                for k in range(len(offsets)):
                    r, c = row + offsets[k, 0], column + offsets[k, 1]
                    inside = 0 <= r < rows and 0 <= c < columns
                    if here > 0 and inside and lengths[n, r, c] == here - 1:
                        result[n, row, column] |= np.uint8(1 << k)


@compiled
def _drive_distances(
    mazes: NDArray[np.uint8],
    goals: NDArray[np.int64],
    offsets: NDArray[np.int64],
    result: NDArray[np.int32],
    goal_orientation: int,
) -> None:
    _, rows, columns = mazes.shape
    area = rows * columns
    queue = np.empty(4 * area, np.int64)
    for n in range(len(mazes)):
        maze, dist = mazes[n], result[n]
        if not maze[goals[n, 0], goals[n, 1]]:
            continue
        dist[goal_orientation, goals[n, 0], goals[n, 1]] = 0
        queue[0] = goal_orientation * area + goals[n, 0] * columns + goals[n, 1]
        head, tail = 0, 1
        while head < tail:
            facing, cell = queue[head] // area, queue[head] % area
            head += 1
            row, column = cell // columns, cell % columns
            step = dist[facing, row, column] + 1
            for turn in (-1, 1):
                before = (facing + turn) % 4
                if dist[before, row, column] < 0:
                    dist[before, row, column] = step
                    queue[tail] = before * area + cell
                    tail += 1
            r, c = row - offsets[facing, 0], column - offsets[facing, 1]
            if 0 <= r < rows and 0 <= c < columns and maze[r, c] and dist[facing, r, c] < 0:
                dist[facing, r, c] = step
                queue[tail] = facing * area + r * columns + c
                tail += 1


def _drive_actions(lengths: NDArray[np.int32], moves: Moves) -> NDArray[np.uint8]:
    result = np.zeros(lengths.shape, np.uint8)
    padded = np.pad(lengths, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=UNREACHABLE)
    rows, columns = lengths.shape[2:]
    for facing, (down, right) in enumerate(moves.offsets):
        ahead = padded[:, facing, 1 + down : 1 + down + rows, 1 + right : 1 + right + columns]
        outcomes = (ahead, lengths[:, (facing + 1) % 4], lengths[:, (facing - 1) % 4])
        for action, outcome in enumerate(outcomes):
            better = (lengths[:, facing] > 0) & (outcome == lengths[:, facing] - 1)
            result[:, facing] |= better.astype(np.uint8) << action
    return result
