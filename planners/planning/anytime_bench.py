"""How soon anytime planning answers, how good its first answer is, and how deep it goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from planners.mazes.datasets import MazeRule, MazeSet, generate
from planners.mazes.distances import distances
from planners.planning.factory import find_weights
from planners.planning.learned import LearnedPlanner
from planners.planning.types import GridPlan, PlanLimits, PlanStatus

SIZE = 100
WEIGHTS = ("sparse_dt_vin_15", "dt_vin_100")
_DECIMATION = (0.0, 0.05)  # long ways, as in the suites of this size
_PLACES = (0.25, 0.5, 1.0)  # of a start: how far along the longest way of its maze


def anytime_rows(
    count: int, seed: int, clock: Callable[[], float] = time.thread_time
) -> Iterator[dict[str, Any]]:
    """Yield a row per network: times in ms, from a question to its answers.

    Args:
        count: mazes, three starts each.
        seed: of the mazes.
        clock: seconds; of the processor by default.

    Yields:
        The rows.
    """
    mazes = generate(MazeRule(SIZE, decimation=_DECIMATION), count, seed)
    for name in WEIGHTS:
        planner = LearnedPlanner.load(find_weights(name, SIZE), device="cpu")
        _ask(planner, mazes, 0, 1.0, clock)  # what is compiled and allocated once
        asked = [_ask(planner, mazes, k, place, clock) for k in range(count) for place in _PLACES]
        row: dict[str, Any] = {"weights": name, "size": SIZE, "questions": len(asked)}
        row["trained_layers"] = planner.trained_depth
        for key in ("first_ms", "last_ms", "whole_ms", "layers", "first_layers", "steps"):
            numbers = np.array([one[key] for one in asked], float)
            row[key] = {
                "median": float(np.median(numbers)),
                "p95": float(np.quantile(numbers, 0.95)),
            }
        for key in ("first_is_optimal", "last_is_optimal", "whole_is_optimal"):
            row[key] = 100 * sum(one[key] for one in asked) / len(asked)
        row["first_within_5_ms"] = 100 * sum(one["first_ms"] <= 5 for one in asked) / len(asked)
        yield row


def _ask(
    planner: LearnedPlanner,
    mazes: MazeSet,
    index: int,
    place: float,
    clock: Callable[[], float],
) -> dict[str, Any]:
    """Return what came of one question, anytime and with all layers of the training."""
    maze, goal = mazes.mazes[index], (int(mazes.goals[index, 0]), int(mazes.goals[index, 1]))
    lengths = distances(maze[None], mazes.goals[index : index + 1])[0]
    start = divmod(int(np.abs(lengths - int(lengths.max() * place)).argmin()), SIZE)
    answers: list[tuple[float, GridPlan]] = []
    begun = clock()

    def take(plan: GridPlan) -> None:
        answers.append((1e3 * (clock() - begun), plan))

    take(planner.plan(maze, start, goal, PlanLimits(improve=take, is_anytime=True)))
    reached = [one for one in answers if one[1].reached] or answers
    last_ms, last = answers[-1]
    begun = clock()
    whole = planner.plan(maze, start, goal)
    return {
        "first_ms": reached[0][0],
        "first_layers": reached[0][1].layers,
        "first_is_optimal": reached[0][1].status is PlanStatus.OPTIMAL,
        "last_ms": last_ms,
        "last_is_optimal": last.status is PlanStatus.OPTIMAL,
        "layers": last.layers,
        "steps": len(last.optimal_cells) - 1,
        "whole_ms": 1e3 * (clock() - begun),
        "whole_is_optimal": whole.status is PlanStatus.OPTIMAL,
    }
