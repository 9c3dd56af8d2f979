"""How far an explorer would have to see: mazes explored with perfect sight of some cells.

The mapper knows nothing of cells more than two away from where the agent looked. Here a look tells
without error the eight cells around, and in the four directions the cells in the line of sight and
those at their sides, up to a number of cells; so it shows what a choice of frontiers can do with
better eyes. There is no game: mazes, starts and goals are those of the evaluation.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asterias.arrays import Cell
from asterias.progress import OnProgress
from learning.doom_maze.evaluation import DoomTest
from planners.mapping.exploration import Exploration, SurveyedWorld, explore
from planners.mapping.frontiers import FRONTIERS
from planners.mapping.map_belief import FREE, WALL, Belief
from planners.mapping.mapper import VIEW_SHAPE, card_of
from planners.mazes.action_sets import NEWS
from planners.mazes.datasets import MazeSet
from planners.mazes.distances import distances, farthest_cell
from planners.networks.weights import load_weights
from planners.planning.exact import ExactPlanner
from planners.planning.factory import find_weights


class SightBelief(Belief):
    """A belief that is told the truth of all cells in sight."""

    def __init__(self, maze: NDArray[np.uint8], sight: int) -> None:
        super().__init__(*maze.shape)
        self._maze, self._sight = maze, sight

    def _learn(self, places: NDArray[np.int64], views: NDArray[np.uint8]) -> None:
        for row, column in places.tolist():
            for cell in cells_in_sight(self._maze, (row, column), self._sight):
                self._told[cell] = FREE if self._maze[cell] else WALL

    def _guessed(self) -> NDArray[np.float32]:
        return np.full(self.shape, 0.5, np.float32)


def cells_in_sight(maze: NDArray[np.uint8], cell: Cell, sight: int) -> Iterator[Cell]:
    """Yield the cells around one, and those in sight along the four directions with their sides."""
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            yield from _inside(maze, cell[0] + down, cell[1] + right)
    for down, right in NEWS.offsets:
        for step in range(1, sight + 1):
            row, column = cell[0] + step * down, cell[1] + step * right
            ahead = list(_inside(maze, row, column))
            yield from ahead
            if not ahead or not maze[ahead[0]]:
                break
            yield from _inside(maze, row + right, column + down)
            yield from _inside(maze, row - right, column - down)


def _inside(maze: NDArray[np.uint8], row: int, column: int) -> Iterator[Cell]:
    if 0 <= row < maze.shape[0] and 0 <= column < maze.shape[1]:
        yield row, column


def sight_rows(
    mazes: MazeSet, sights: Sequence[int], on_progress: OnProgress
) -> list[dict[str, Any]]:
    """Return a row for each sight and choice of frontiers: A* explores all mazes.

    Returns:
        The rows.
    """
    rows = []
    for sight, name in product(sights, FRONTIERS.names()):
        ratios, looks = [], []
        for index in range(len(mazes)):
            walk, shortest = _explored(mazes, index, sight, name)
            ratios.append(walk.steps / shortest)
            looks.append(walk.looks)
            on_progress(f"see {sight} cells, {name}", index + 1, len(mazes))
        rows.append(
            {
                "sight_cells": sight,
                "frontiers": name,
                "mazes": len(mazes),
                "path_over_optimum": round(statistics.mean(ratios), 3),
                "path_over_optimum_median": round(statistics.median(ratios), 3),
                "looks": round(statistics.mean(looks), 1),
            }
        )
    return rows


def _explored(mazes: MazeSet, index: int, sight: int, frontiers: str) -> tuple[Exploration, int]:
    """Explore a maze from the cell farthest from its goal.

    Returns:
        The walk, and the steps of the shortest way.
    """
    maze, goals = mazes.mazes[index], mazes.goals[index : index + 1]
    lengths = distances(maze[None], goals)[0]
    start = farthest_cell(lengths)
    nothing = np.broadcast_to(np.zeros(VIEW_SHAPE, np.uint8), (*maze.shape, *VIEW_SHAPE))
    walk = explore(
        SurveyedWorld(maze, nothing, start),
        SightBelief(maze, sight),
        ExactPlanner(),
        (int(goals[0, 0]), int(goals[0, 1])),
        4 * mazes.size**2,
        frontiers=FRONTIERS.get(frontiers)(),
    )
    return walk, int(lengths[start])


def measure_sight(
    size: int, per_bin: int, seed: int, sights: Sequence[int], on_progress: OnProgress
) -> list[dict[str, Any]]:
    """Return the rows for the evaluation's mazes of a size.

    Returns:
        The rows.
    """
    _, planner_card = load_weights(find_weights("dt_vin", size))
    mazes = DoomTest(size, per_bin, seed=seed).mazes(card_of("mapper"), planner_card)
    return sight_rows(mazes, sights, on_progress)
