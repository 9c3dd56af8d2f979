"""What planners take and return: statuses, plans, limits, and the answers that need no planner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from asterias.arrays import Cell, MazeArray
from planners.mazes.action_sets import NEWS, Moves


class PlanStatus(str, Enum):
    """How a plan ended."""

    OPTIMAL = "optimal"
    """The goal is reached in as few steps as possible."""
    VALID = "valid"
    """The goal is reached in more steps than necessary."""
    COLLISION = "collision"
    """The policy runs into a wall or the border."""
    TIMEOUT = "timeout"
    """The policy goes in circles."""
    NO_PATH = "no_path"
    """No path exists."""
    START_IN_WALL = "start_in_wall"
    """The start is a wall of the map."""
    GOAL_IN_WALL = "goal_in_wall"
    """The goal is a wall of the map."""
    START_OUTSIDE_MAP = "start_outside_map"
    """The start is not on the map."""
    GOAL_OUTSIDE_MAP = "goal_outside_map"
    """The goal is not on the map."""
    TIME_LIMIT = "time_limit"
    """The time ran out before the policy reached the goal."""
    CANCELED = "canceled"
    """The caller canceled the plan."""


@dataclass(frozen=True)
class GridPlan:
    """A plan: the cells from the start on, and how it ended."""

    status: PlanStatus
    cells: tuple[Cell, ...]
    optimal_cells: tuple[Cell, ...]
    message: str
    values: NDArray[np.float32] | None = None
    """Value map ``(H, W)`` of a learned planner."""
    layers: int = 0
    """Layers of value iteration that a learned planner used."""
    unlike_training: float = 0.0
    """How much longer the shortest path is than any of a network's training, as a ratio; 0 where
    that does not matter to the planner, or is not known."""
    moves: Moves = NEWS
    """Its move set, by which ways are long or short."""

    @property
    def reached(self) -> bool:
        """Whether the cells lead to the goal."""
        return self.status in (PlanStatus.OPTIMAL, PlanStatus.VALID)

    @property
    def length(self) -> float:
        """Length of the way in steps between neighbours."""
        return _length(self.cells, self.moves)

    @property
    def shortest_length(self) -> float:
        """Length of a shortest way in steps between neighbours."""
        return _length(self.optimal_cells, self.moves)


@dataclass(frozen=True)
class PlanProgress:
    """How far a learned planner is."""

    layers: int
    """Layers done."""
    next_depth: int
    """Layers at which the policy is evaluated next."""
    limit: int
    """Layers after which it gives up."""


def _never() -> bool:
    return False


def _ignore(progress: PlanProgress) -> None:
    pass


def _ignore_plan(plan: GridPlan) -> None:
    pass


@dataclass(frozen=True)
class PlanLimits:
    """What a plan may cost, how it is canceled, and who receives its progress."""

    time_limit_s: float = float("inf")
    """Seconds after which a learned planner answers with what it has."""
    is_canceled: Callable[[], bool] = _never
    """Asked several times a second."""
    report: Callable[[PlanProgress], None] = _ignore
    """Called several times a second."""
    improve: Callable[[GridPlan], None] = _ignore_plan
    """Called with each plan that reaches the goal in fewer steps than all before it, while the
    planner goes on."""
    is_anytime: bool = False
    """Whether the first answer should come early, from few layers, and be improved as layers go
    by."""


class Planner(Protocol):
    """Anything that plans."""

    def plan(
        self, maze: MazeArray, start: Cell, goal: Cell, limits: PlanLimits | None = None
    ) -> GridPlan:
        """Plan on ``maze (H, W)``, 1 = free, between cells given as row and column."""
        ...


def is_free(maze: MazeArray, cell: Cell) -> bool:
    """Return whether a cell is on the map and no wall."""
    return _inside(maze, cell) and bool(maze[cell])


def _inside(maze: MazeArray, cell: Cell) -> bool:
    rows, columns = maze.shape
    return 0 <= cell[0] < int(rows) and 0 <= cell[1] < int(columns)


def refuse_ends(maze: MazeArray, start: Cell, goal: Cell) -> GridPlan | None:
    """Return the answer for a start or a goal that is no free cell of the map, else None."""
    ends = [
        ("start", start, PlanStatus.START_OUTSIDE_MAP, PlanStatus.START_IN_WALL),
        ("goal", goal, PlanStatus.GOAL_OUTSIDE_MAP, PlanStatus.GOAL_IN_WALL),
    ]
    # Where both are one cell, the goal is what was given.
    for name, cell, outside, wall in ends[start == goal :]:
        if not _inside(maze, cell):
            rows, columns = maze.shape
            text = (
                f"the {name} {cell_text(cell)} is outside the map: rows are 0 to {rows - 1}, "
                f"columns 0 to {columns - 1}."
            )
            return GridPlan(outside, (), (), text)
        if not maze[cell]:
            free = np.argwhere(maze)
            near = free[np.abs(free - cell).sum(axis=1).argmin()] if len(free) else None
            hint = "" if near is None else f"; the nearest free cell is {near[0]},{near[1]}"
            return GridPlan(wall, (), (), f"the {name} {cell_text(cell)} is a wall{hint}.")
    return None


def no_path(start: Cell, goal: Cell) -> GridPlan:
    """Return the answer where walls separate start and goal."""
    text = f"walls separate the start {cell_text(start)} from the goal {cell_text(goal)}."
    return GridPlan(PlanStatus.NO_PATH, (), (), text)


def describe(
    status: PlanStatus,
    cells: Sequence[Cell],
    exact: Sequence[Cell],
    layers: int = 0,
    moves: Moves = NEWS,
) -> str:
    """Return the sentence of a plan; ``exact`` is a shortest path."""
    steps, best = _steps(cells, moves), _steps(exact, moves)
    after = f" after {layers} layers" if layers else ""
    least = "short" if moves.costs else "few"
    # A network may fail on maps unlike those of its training; exact search never does.
    cure = f"{best} would reach the goal: plan with a_star (--weights a_star)"
    return {
        PlanStatus.OPTIMAL: f"{steps}, as {least} as possible{', found' + after if after else ''}.",
        PlanStatus.VALID: f"{steps}, found{after}; {best} would do.",
        PlanStatus.COLLISION: f"the policy{after} runs into a wall after {steps}; {cure}.",
        PlanStatus.TIMEOUT: f"the policy{after} goes in circles after {steps}; {cure}.",
        PlanStatus.TIME_LIMIT: f"the time was over{after}, and the policy does not yet reach the "
        f"goal; {cure}.",
    }[status]


def _length(cells: Sequence[Cell], moves: Moves) -> float:
    return moves.cost_of(cells) / moves.unit if cells else 0.0


def _steps(cells: Sequence[Cell], moves: Moves) -> str:
    if moves.costs:
        return f"a way of {len(cells) - 1} moves, {_length(cells, moves):.2f} long"
    return f"{len(cells) - 1} step{'' if len(cells) == 2 else 's'}"


def cell_text(cell: Cell) -> str:
    """Return a cell as a person types it, row and column."""
    return f"{cell[0]},{cell[1]}"
