"""The exact planner: A* or breadth-first search."""

from __future__ import annotations

from asterias.arrays import Cell, MazeArray
from asterias.errors import UserError
from planners.mazes.action_sets import NEWS, Moves
from planners.planning.exact_search import a_star, breadth_first
from planners.planning.types import (
    GridPlan,
    PlanLimits,
    PlanStatus,
    describe,
    no_path,
    refuse_ends,
)

EXACT = {"a_star": a_star, "bfs": breadth_first}


class ExactPlanner:
    """A* or breadth-first search: always optimal, and the fast way through a known map."""

    def __init__(self, method: str = "a_star", moves: Moves = NEWS) -> None:
        if method not in EXACT:
            raise UserError(f"planner is {method!r}: choose a_star, bfs or weights.")
        self._search, self._moves = EXACT[method], moves

    def plan(
        self, maze: MazeArray, start: Cell, goal: Cell, limits: PlanLimits | None = None
    ) -> GridPlan:
        """Return a shortest path, or why there is none.

        It takes milliseconds, so the limits are not looked at.
        """
        refused = refuse_ends(maze, start, goal)
        if refused:
            return refused
        cells = tuple(self._search(maze, start, goal, self._moves))
        if not cells:
            return no_path(start, goal)
        optimal = PlanStatus.OPTIMAL
        text = describe(optimal, cells, cells, moves=self._moves)
        return GridPlan(optimal, cells, cells, text, moves=self._moves)
