"""Trainings in the four rooms: which, their files, and rows over seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from asterias.files import read_training, write_json
from learning.highway.tabular.q_learning import FourRoomsRun, train_in_four_rooms

# Target and depth, in the order of tables.
LEARNERS = (
    ("n_step", 1),
    ("n_step", 5),
    ("n_step", 50),
    ("highway", 5),
    ("highway", 50),
    ("highway_critics", 5),
    ("highway_critics", 50),
)
SLIPS = (0.0, 0.2)
# Seeds that the anchors were measured on.
_FIRST = 5


def four_rooms_runs(seeds: int) -> list[FourRoomsRun]:
    """Return all trainings, those of one seed before the next seed's."""
    return [
        FourRoomsRun(target, depth, slip, seed)
        for seed in range(seeds)
        for slip in SLIPS
        for target, depth in LEARNERS
    ]


def complete_runs(
    runs: Sequence[FourRoomsRun], folder: Path, on_run: Callable[[int, int], None]
) -> list[dict[str, Any]]:
    """Train what is missing.

    Args:
        runs: the trainings.
        folder: of their files.
        on_run: told after each how many of how many are done.

    Returns:
        A dictionary each.
    """
    results = []
    for number, run in enumerate(runs):
        path = folder / f"{run.target}_{run.depth}_slip{run.slip:g}_{run.seed}.json"
        if not path.exists():
            write_json(path, {**asdict(run), **train_in_four_rooms(run)})
        results.append(read_training(path, "solved"))
        on_run(number + 1, len(runs))
    return results


def four_rooms_rows(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row per slip and learner, over seeds."""
    rows = []
    for slip in SLIPS:
        for target, depth in LEARNERS:
            own = [
                r for r in results if (r["slip"], r["target"], r["depth"]) == (slip, target, depth)
            ]
            solved = [r["solved"] for r in sorted(own, key=lambda r: int(r["seed"]))]
            # The limit stands for a training that did not arrive, so that the median is defined.
            filled = [own[0]["episodes"] + 1 if s is None else s for s in solved]
            rows.append(
                {
                    "slip": slip,
                    "target": target,
                    "depth": depth,
                    "episodes": own[0]["episodes"],
                    "solved": solved,
                    "solved_of_first_5": sum(s is not None for s in solved[:_FIRST]),
                    "solved_share": round(float(np.mean([s is not None for s in solved])), 3),
                    "median": float(np.median(filled)),
                    "bias": round(float(np.mean([r["bias"] for r in own])), 4),
                    "open_gates": round(float(np.mean([r["open_gates"] for r in own])), 4),
                    "mean_gain": round(float(np.mean([r["mean_gain"] for r in own])), 4),
                }
            )
    return rows
