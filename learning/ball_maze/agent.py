"""Agent for the ball: the picture becomes a map, a planner trained on 2-D mazes plans on it.

A controller of the velocity turns the plan into forces.

The paper learns the last step, a network of three layers over the planner's output and the state,
and says neither its loss nor its widths; ours is the classical servo, so that what is measured is
whether a planner of 2-D mazes serves a body with inertia.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asterias.arrays import Cell
from learning.ball_maze.environment import BallMazeEnv, BallObservation
from planners.mazes.datasets import MazeRule, generate_stratified
from planners.mazes.distances import distances, farthest_cell
from planners.mazes.grid_map import GridMap
from planners.mazes.problems import PlanningProblem
from planners.navigation.path_follower import FollowerOptions, PathFollower
from planners.planning.factory import make_planner
from planners.planning.types import Planner
from sim.ball_maze import MAX_FORCE_N

_GAIN_N_S_M = 6.0
_BRIGHT = 128
_FOLLOWER = FollowerOptions(speed_m_s=2.5, approach_per_s=2.0, corner_m=0.15, goal_m=0.05)
BINS_35 = (1, 100, 200, 300)
PAPER_POINT_35 = (99.87, 0.12)
"""Success in per cent, mean and standard deviation: Table 2."""


def map_of(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the free cells ``(M, M)`` of a picture from above ``(4 M, 4 M, 3)``: the bright ones.

    The ball is red, and smaller than its cell.
    """
    rows, columns = image.shape[0] // 4, image.shape[1] // 4
    blocks = image.reshape(rows, 4, columns, 4, 3)
    return np.asarray(np.median(blocks, axis=(1, 3)).mean(axis=-1) > _BRIGHT, np.uint8)


class BallAgent:
    """Plans once per episode, then pushes."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self._grid: GridMap | None = None
        self._follower: PathFollower | None = None
        self.status = ""

    def start(self, seen: BallObservation) -> None:
        """Plan; ``status`` says how that went."""
        free = map_of(seen["image"])
        start, goal = _cell(seen["ball"]), _cell(seen["goal"])
        free[start] = free[goal] = 1
        self._grid = GridMap(free)
        plan = self._planner.plan(free, start, goal)
        self.status = plan.status.value
        points = [self._grid.centre_of(cell) for cell in plan.cells]
        self._follower = PathFollower(points, _FOLLOWER) if plan.reached else None

    def act(self, seen: BallObservation) -> NDArray[np.float32]:
        """Return the action ``(2,)``."""
        if self._follower is None or self._grid is None:
            return np.zeros(2, np.float32)
        row, column = seen["ball"].tolist()
        command = self._follower.command(self._grid.to_point((row, column)), 0.0)
        wanted = np.array([command.forward_m_s, command.left_m_s])
        force = _GAIN_N_S_M * (wanted - seen["velocity"])
        return np.asarray(np.clip(force / MAX_FORCE_N, -1, 1), np.float32)


def _cell(place: NDArray[Any]) -> Cell:
    return int(place[0]), int(place[1])


def measure(
    planner: str, per_bin: int, seed: int, on_progress: Callable[[str, int, int], None]
) -> dict[str, Any]:
    """Return success by bins of path length, from each maze's farthest cell, on 35 x 35 mazes."""
    edges = (0, *BINS_35[1:])
    mazes = generate_stratified(MazeRule(35), edges, per_bin, seed)
    agent = BallAgent(make_planner(planner, 35, device="cpu"))
    environment = BallMazeEnv(size=35)
    rows: list[dict[str, Any]] = []
    for number in range(len(mazes)):
        lengths = distances(mazes.mazes[number : number + 1], mazes.goals[number : number + 1])[0]
        start = farthest_cell(lengths)
        grid, goal = GridMap(mazes.mazes[number]), _cell(mazes.goals[number])
        course = PlanningProblem(grid, start, goal, int(lengths[start]))
        rows.append(_episode(environment, agent, course))
        on_progress("ball", number + 1, len(mazes))
    environment.close()
    return {"planner": planner, "paper_success": list(PAPER_POINT_35), "bins": _binned(rows)}


def _episode(environment: BallMazeEnv, agent: BallAgent, course: PlanningProblem) -> dict[str, Any]:
    seen, pushes = environment.start(course), 0
    agent.start(seen)
    ended = False
    while not ended:
        seen, _, arrived, truncated, _ = environment.step(agent.act(seen))
        pushes += 1
        ended = arrived or truncated
    steps = course.shortest_steps
    return {"steps": steps, "reached": arrived, "status": agent.status, "pushes": pushes}


def _binned(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    result = []
    for first, last in pairwise(BINS_35):
        lo = first if first == 1 else first + 1
        chosen = [row for row in rows if lo <= row["steps"] <= last]
        if not chosen:
            continue
        reached = [row for row in chosen if row["reached"]]
        result.append(
            {
                "lo": lo,
                "hi": last,
                "episodes": len(chosen),
                "success": 100 * len(reached) / len(chosen),
                "s_per_step": round(
                    statistics.mean(row["pushes"] / 30 / row["steps"] for row in chosen), 3
                ),
            }
        )
    return result
