"""Exact distances and all optimal actions of every cell, by breadth-first search from the goal.

Arrays: mazes ``(n, M, N)`` uint8 with 1 = free, goals ``(n, 2)`` as row and column; distances in
steps, int32, ``(n, M, N)`` for grid moves and ``(n, 4, M, N)`` for a differential drive, with -1
where the goal cannot be reached.
"""

from __future__ import annotations

import heapq

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
    """Return the steps from every state to the goal, or the cost where moves have costs.

    ``(n, M, N)`` or, with orientations, ``(n, 4, M, N)``.

    Raises ``ValueError`` where shapes do not fit together or a goal lies outside its maze.
    """
    _check(mazes, goals)
    count, rows, columns = mazes.shape
    if moves.costs:
        return _cheapest(mazes, goals, moves)
    result = np.full((count, moves.orientations, rows, columns), UNREACHABLE, np.int32)
    _breadth_first(
        np.ascontiguousarray(mazes),
        goals.astype(np.int64),
        _steps_back(moves),
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
    steps, costs = moves.offset_array(), moves.cost_array()
    _grid_actions(np.ascontiguousarray(lengths), steps, costs, result)
    return result


def farthest_cell(lengths: NDArray[np.int32]) -> tuple[int, int]:
    """Return the cell farthest from the goal by distances ``(H, W)``, the first of equals."""
    row, column = divmod(int(lengths.argmax()), lengths.shape[1])
    return row, column


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


def _steps_back(moves: Moves) -> NDArray[np.int64]:
    """Return from where each orientation is reached, ``(orientations, k, 3)``.

    A row is the orientation before, and the rows and columns from the present cell to that one. A
    grid has one orientation and a step per action; a drive has four, and comes from both turns and
    from the cell behind.
    """
    if not moves.is_drive:
        return np.array([[(0, -down, -right) for down, right in moves.offsets]], np.int64)
    back = [
        [((facing - 1) % 4, 0, 0), ((facing + 1) % 4, 0, 0), (facing, -down, -right)]
        for facing, (down, right) in enumerate(moves.offsets)
    ]
    return np.array(back, np.int64)


@compiled
def _breadth_first(
    mazes: NDArray[np.uint8],
    goals: NDArray[np.int64],
    steps_back: NDArray[np.int64],
    result: NDArray[np.int32],
    goal_orientation: int,
) -> None:
    _, rows, columns = mazes.shape
    area = rows * columns
    queue = np.empty(len(steps_back) * area, np.int64)
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
            for k in range(steps_back.shape[1]):
                before = steps_back[facing, k, 0]
                r, c = row + steps_back[facing, k, 1], column + steps_back[facing, k, 2]
                inside = 0 <= r < rows and 0 <= c < columns
                if inside and maze[r, c] and dist[before, r, c] < 0:
                    dist[before, r, c] = dist[facing, row, column] + 1
                    queue[tail] = before * area + r * columns + c
                    tail += 1


def _cheapest(
    mazes: NDArray[np.uint8], goals: NDArray[np.int64], moves: Moves
) -> NDArray[np.int32]:
    """Return the cost from every cell to the goal, by Dijkstra's search."""
    result = np.full(mazes.shape, UNREACHABLE, np.int32)
    steps, costs, mazes = moves.offset_array(), moves.cost_array(), np.ascontiguousarray(mazes)
    for n, (row, column) in enumerate(goals.tolist()):
        if mazes[n, row, column]:
            _dijkstra(mazes[n], row, column, steps, costs, result[n])
    return result


@compiled
def _dijkstra(
    maze: NDArray[np.uint8],
    row: int,
    column: int,
    offsets: NDArray[np.int64],
    costs: NDArray[np.int64],
    result: NDArray[np.int32],
) -> None:
    rows, columns = maze.shape
    queue = [(0, row * columns + column)]
    while len(queue) > 0:
        spent, cell = heapq.heappop(queue)
        i, j = cell // columns, cell % columns
        if result[i, j] >= 0:
            continue
        result[i, j] = spent
        for k in range(len(offsets)):
            r, c = i - offsets[k, 0], j - offsets[k, 1]
            if 0 <= r < rows and 0 <= c < columns and maze[r, c] and result[r, c] < 0:
                heapq.heappush(queue, (spent + costs[k], r * columns + c))


@compiled
def _grid_actions(
    lengths: NDArray[np.int32],
    offsets: NDArray[np.int64],
    costs: NDArray[np.int64],
    result: NDArray[np.uint8],
) -> None:
    count, rows, columns = lengths.shape
    for n in range(count):
        for row in range(rows):
            for column in range(columns):
                here = lengths[n, row, column]
                for k in range(len(offsets)):
                    r, c = row + offsets[k, 0], column + offsets[k, 1]
                    inside = 0 <= r < rows and 0 <= c < columns
                    left = here - costs[k]
                    if left >= 0 and inside and lengths[n, r, c] == left:
                        result[n, row, column] |= np.uint8(1 << k)


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
