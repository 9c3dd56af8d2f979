"""Walking through a maze that is not known yet: look around, plan, walk, and plan again.

A choice of frontiers (:mod:`planners.mapping.frontiers`) says on which map to plan and where to
stop to look around; it plans anew after each look. Where a wall stops it, the wall is noted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from asterias.arrays import Cell
from planners.mapping.frontiers import FrontierChoice, Optimistic
from planners.mapping.map_belief import WALL, Belief
from planners.mazes.action_sets import NEWS
from planners.planning.exact import ExactPlanner
from planners.planning.types import Planner

Views = NDArray[np.uint8]


class CellWorld(Protocol):
    """A maze to walk in, cell by cell."""

    @property
    def cell(self) -> Cell:
        """Where the agent is."""
        ...

    def look_around(self) -> Views:
        """Return the views ``(4, 24, 32, 3)`` from where the agent is."""
        ...

    def move_to(self, cell: Cell) -> bool:
        """Move to a neighbouring cell; False where a wall is in the way.

        Returns:
            Whether it moved.
        """
        ...


class SurveyedWorld:
    """A maze whose views were taken before, ``(H, W, 4, 24, 32, 3)``."""

    def __init__(self, maze: NDArray[np.uint8], views: Views, start: Cell) -> None:
        self._maze, self._views, self._cell = maze, views, start

    @property
    def cell(self) -> Cell:
        """Where the agent is."""
        return self._cell

    def look_around(self) -> Views:
        """Return the views from there."""
        return np.asarray(self._views[self._cell])

    def move_to(self, cell: Cell) -> bool:
        """Move to a neighbouring cell; False where a wall is in the way.

        Returns:
            Whether it moved.
        """
        rows, columns = self._maze.shape
        inside = 0 <= cell[0] < rows and 0 <= cell[1] < columns
        if not inside or not self._maze[cell]:
            return False
        self._cell = cell
        return True


class ExplorationEnd(str, Enum):
    """How a walk ended."""

    REACHED = "reached"
    STEP_LIMIT = "step_limit"
    NO_PATH = "no_path"
    """The map that was seen has no way to the goal."""
    CANCELED = "canceled"


@dataclass
class Exploration:
    """A walk, as far as it got."""

    cells: list[Cell]
    end: ExplorationEnd = ExplorationEnd.STEP_LIMIT
    looks: int = 0
    plans: int = 0
    fallbacks: int = 0
    """Plans of the learned planner that did not arrive, so that A* took over."""
    doubts: int = 0
    """Plans through what the mapper took for walls, as there was no other way."""
    bumps: int = 0
    planning_s: float = 0.0
    plan: tuple[Cell, ...] = field(default_factory=tuple)
    """The last plan."""

    @property
    def steps(self) -> int:
        """Steps walked."""
        return len(self.cells) - 1

    @property
    def reached(self) -> bool:
        """Whether it led to the goal."""
        return self.end is ExplorationEnd.REACHED


def _never() -> bool:
    return False


def explore(
    world: CellWorld,
    belief: Belief,
    planner: Planner,
    goal: Cell,
    max_steps: int,
    is_canceled: Callable[[], bool] = _never,
    frontiers: FrontierChoice | None = None,
) -> Exploration:
    """Walk to the goal, learning the map on the way.

    Args:
        world: the maze, with the agent in it.
        belief: what is known of it; grows.
        planner: plans each part of the way.
        goal: row and column.
        max_steps: limit of the walk.
        is_canceled: asked before each plan.
        frontiers: where to explore next; unknown cells are taken for free by default.

    Returns:
        The walk, as far as it got.
    """
    walk = Exploration([world.cell])
    exact = ExactPlanner()
    choice = frontiers or Optimistic()
    while walk.steps < max_steps:
        if world.cell == goal:
            walk.end = ExplorationEnd.REACHED
            break
        if is_canceled():
            walk.end = ExplorationEnd.CANCELED
            break
        if not belief.seen[world.cell]:
            belief.see([world.cell], world.look_around()[None])
            walk.looks += 1
        if not _plan(walk, belief, planner, exact, goal, choice):
            walk.end = ExplorationEnd.NO_PATH
            break
        _follow(walk, world, belief, max_steps, choice)
    if world.cell == goal:
        walk.end = ExplorationEnd.REACHED
    return walk


def _plan(
    walk: Exploration,
    belief: Belief,
    planner: Planner,
    exact: Planner,
    goal: Cell,
    choice: FrontierChoice,
) -> bool:
    """Plan from where the walk is; a network that does not arrive is helped by A*.

    Returns:
        Whether there is a plan.
    """
    started_s = time.perf_counter()
    free = choice.map_to_plan_on(belief, walk.cells[-1], goal)
    plan = planner.plan(free, walk.cells[-1], goal)
    walk.plans += 1
    if not plan.reached:
        plan = exact.plan(free, walk.cells[-1], goal)
        walk.fallbacks += plan.reached
    if not plan.reached:  # the mapper sees a wall too many: believe in bumps only
        plan = exact.plan(belief.hopeful(), walk.cells[-1], goal)
    believed = belief.occupancy()
    walk.doubts += any(believed[cell] == WALL for cell in plan.cells[1:-1])
    walk.planning_s += time.perf_counter() - started_s
    walk.plan = plan.cells
    return plan.reached


def _follow(
    walk: Exploration, world: CellWorld, belief: Belief, max_steps: int, choice: FrontierChoice
) -> None:
    """Walk along the plan until something new can be seen, or a wall is in the way."""
    stop = choice.stop(walk.plan, belief)
    for cell in walk.plan[1 : stop + 1]:
        if not world.move_to(cell):
            belief.bump(cell)
            walk.bumps += 1
            return
        walk.cells.append(cell)
        if walk.steps >= max_steps:
            return


def random_walk(
    world: CellWorld, goal: Cell, max_steps: int, random: np.random.Generator
) -> Exploration:
    """Walk at random, as a baseline: any of the four directions in each step.

    Returns:
        The walk.
    """
    walk = Exploration([world.cell])
    while walk.steps < max_steps and world.cell != goal:
        down, right = NEWS.offsets[int(random.integers(4))]
        here = world.cell
        if world.move_to((here[0] + down, here[1] + right)):
            walk.cells.append(world.cell)
        else:
            walk.cells.append(here)
    if world.cell == goal:
        walk.end = ExplorationEnd.REACHED
    return walk
