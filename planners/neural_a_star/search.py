"""A* over learned costs, with a heap, as one plans with them; and how many cells it expands."""

from __future__ import annotations

import heapq
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from asterias.arrays import Cell
from planners.mazes.action_sets import NEWS
from planners.mazes.generators import compiled
from planners.neural_a_star.network import GuidanceEncoder


class Found(NamedTuple):
    """An answer."""

    cells: list[Cell]
    """From start to goal; empty if there is no way."""
    expanded: int


def guided_search(
    encoder: GuidanceEncoder | None,
    maze: NDArray[np.uint8],
    start: Cell,
    goal: Cell,
    cost: float = 1.0,
) -> Found:
    """Return the way that A* finds over guidance costs.

    Args:
        encoder: makes the costs; without one each cell costs ``cost``.
        maze: 1 = free ``(H, W)``.
        start: row and column.
        goal: row and column.
        cost: below 1 the heuristic counts for more than what is spent, as with guidance.
    """
    costs = np.full(maze.shape, cost) if encoder is None else _costs(encoder, maze, start, goal)
    columns = maze.shape[1]
    parent = np.full(maze.size, -1, np.int64)
    first, last = start[0] * columns + start[1], goal[0] * columns + goal[1]
    free = np.ascontiguousarray(maze, dtype=np.uint8)
    expanded = _search(free, costs, first, last, NEWS.offset_array(), parent, encoder is not None)
    cells = [last] if first == last or parent[last] >= 0 else []
    while cells and cells[-1] != first:
        cells.append(int(parent[cells[-1]]))
    return Found([divmod(cell, columns) for cell in reversed(cells)], expanded)


@torch.no_grad()
def _costs(
    encoder: GuidanceEncoder, maze: NDArray[np.uint8], start: Cell, goal: Cell
) -> NDArray[np.float64]:
    maps = torch.zeros(3, 1, *maze.shape)
    maps[0, 0] = torch.from_numpy(maze)
    maps[1, 0, start[0], start[1]] = maps[2, 0, goal[0], goal[1]] = 1
    costs: NDArray[np.float64] = encoder(maps[0], maps[1], maps[2])[0].double().numpy()
    return costs


@compiled
def _search(
    maze: NDArray[np.uint8],
    costs: NDArray[np.float64],
    start: int,
    goal: int,
    offsets: NDArray[np.int64],
    parent: NDArray[np.int64],
    guided: bool,
) -> int:
    """Write each cell's parent; a cell is expanded once.

    Returns:
        How many cells were expanded.
    """
    rows, columns = maze.shape
    spent = np.full(rows * columns, np.inf)
    done = np.zeros(rows * columns, np.bool_)
    spent[start], expanded = 0.0, 0
    queue = [(0.0, start)]
    while len(queue) > 0:
        cell = heapq.heappop(queue)[1]
        if done[cell]:
            continue
        done[cell] = True
        expanded += 1
        if cell == goal:
            break
        row, column = cell // columns, cell % columns
        for k in range(len(offsets)):
            r, c = row + offsets[k, 0], column + offsets[k, 1]
            if r < 0 or r >= rows or c < 0 or c >= columns or not maze[r, c]:
                continue
            after = r * columns + c
            # As in training: a move costs what the cell costs that it leaves.
            total = spent[cell] + costs[row, column]
            if not done[after] and total < spent[after]:
                spent[after], parent[after] = total, cell
                down, right = abs(r - goal // columns), abs(c - goal % columns)
                ahead = down + right + 1e-3 * np.sqrt(float(down**2 + right**2))
                ahead += costs[r, c] if guided else 0.0
                heapq.heappush(queue, (total + ahead, after))
    return expanded
