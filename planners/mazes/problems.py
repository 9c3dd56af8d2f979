"""Courses: a map in metres with a start and a goal, drawn by a seed or taken from a file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asterias.arrays import Cell
from asterias.errors import UserError
from planners.mazes.datasets import MazeRule, generate
from planners.mazes.distances import distances, farthest_cell
from planners.mazes.grid_map import GridMap
from planners.mazes.map_files import is_ros_map, read_map

_TRIES = 100


@dataclass(frozen=True)
class PlanningProblem:
    """Where to go from where."""

    grid: GridMap
    start: Cell
    goal: Cell
    shortest_steps: int
    """Steps of the shortest path, cell by cell."""
    note: str = ""
    """How a file was read, in one sentence."""


def draw_problem(rule: MazeRule, seed: int, farthest: bool, resolution_m: float) -> PlanningProblem:
    """Draw a maze with a goal, and a start: the farthest cell, or any that is connected.

    Returns:
        The problem.

    Raises:
        UserError: the seed is negative, or the rule gives mazes without any path.
    """
    if seed < 0:
        raise UserError(f"seed is {seed}: give a number that is not negative.")
    drawn = generate(rule, 1, seed)
    grid = GridMap(np.asarray(drawn.mazes[0]), resolution_m)
    goal = (int(drawn.goals[0, 0]), int(drawn.goals[0, 1]))
    return _with_ends(grid, goal, seed, farthest)


def problem_from_file(
    path: Path, seed: int, farthest: bool, resolution_m: float
) -> PlanningProblem:
    """Return the maze of a file (see :func:`planners.mazes.map_files.read_map`).

    The seed draws the goal, but for ``.npz`` files, which name one.

    ``resolution_m`` is for files that say nothing of metres. Raises ``ValueError``.
    """
    file = read_map(path)
    is_metric = is_ros_map(path)
    grid = file.grid if is_metric else replace(file.grid, resolution_m=resolution_m)
    return replace(_with_ends(grid, file.goal, seed, farthest), note=file.note)


def _with_ends(grid: GridMap, goal: Cell | None, seed: int, farthest: bool) -> PlanningProblem:
    random = np.random.default_rng(abs(seed))
    free = np.argwhere(grid.free)
    for _ in range(_TRIES):
        row, column = goal or random.choice(free)
        lengths = distances(grid.free[None], np.array([[row, column]]))[0]
        if lengths.max() > 0:
            end = (int(row), int(column))
            return PlanningProblem(grid, *_start(lengths, random, farthest, end))
        goal = None  # walls all round it
    raise UserError("the maze has no two free cells side by side: draw another.")


def _start(
    lengths: NDArray[np.int32], random: np.random.Generator, farthest: bool, goal: Cell
) -> tuple[Cell, Cell, int]:
    if farthest:
        start = farthest_cell(lengths)
    else:
        row, column = random.choice(np.argwhere(lengths > 0))
        start = (int(row), int(column))
    return start, goal, int(lengths[start])
