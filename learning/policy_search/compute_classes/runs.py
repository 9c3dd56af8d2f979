"""Runs of compute classes: throughput measured first, then one training through all classes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asterias.arrays import FloatArray
from asterias.errors import UserError
from asterias.files import read_json, write_json
from asterias.progress import OnProgress
from asterias.provenance import provenance
from learning.policy_search.compute_classes.budget import allowed_steps, measure_throughput
from learning.policy_search.compute_classes.methods import METHODS
from learning.policy_search.compute_classes.scores import Summary, crossing, summarise
from learning.policy_search.compute_classes.tasks import TASKS

THROUGHPUT = "throughput.json"
# Seed of the learners that throughput is measured with.
_MEASURED_SEED = 999
_YEAR_S = 3e7


@dataclass(frozen=True)
class ClassStudy:
    """What is compared.

    Attributes:
        folder: of the runs.
        task, methods: their names.
        seconds: classes, in rising order.
        seeds: trainings of each method, with the seeds from 0 on.
        measure_s: time for a measurement of throughput.
    """

    folder: Path
    task: str
    methods: tuple[str, ...]
    seconds: tuple[float, ...]
    seeds: int
    measure_s: float = 4.0

    def run_path(self, method: str, seed: int) -> Path:
        """Return the file of one training."""
        return self.folder / f"{self.task}_{method}_{seed}.json"


def throughputs(study: ClassStudy, on_progress: OnProgress) -> dict[str, float]:
    """Measure what has not been measured yet.

    Args:
        study: what is compared.
        on_progress: told stage, done and total.

    Returns:
        Steps per second by method.
    """
    path = study.folder / THROUGHPUT
    known: dict[str, Any] = read_json(path) if path.exists() else {}
    measured = known.setdefault(study.task, {})
    torch.set_num_threads(1)  # a class is a time of one core
    for number, method in enumerate(study.methods):
        if method not in measured:
            contestant = METHODS.get(method)(TASKS.get(study.task), _MEASURED_SEED)
            pace = measure_throughput(contestant.iterate, study.measure_s)
            contestant.close()
            measured[method] = {"steps_per_s": round(pace, 2), **provenance(_MEASURED_SEED)}
            write_json(path, known)
        on_progress("throughput", number + 1, len(study.methods))
    return {method: float(measured[method]["steps_per_s"]) for method in study.methods}


def complete_runs(study: ClassStudy, pace: dict[str, float], on_progress: OnProgress) -> None:
    """Train what is missing: all methods of one seed before the next seed.

    Learners have no schedule over a whole training, so that a short class's training is the
    beginning of a long one's, and one training goes through all classes.

    Args:
        study: what is compared.
        pace: steps per second by method.
        on_progress: told stage, done and total.
    """
    total = study.seeds * len(study.methods)
    for number in range(total):
        seed, which = divmod(number, len(study.methods))
        method = study.methods[which]
        path = study.run_path(method, seed)
        if not path.exists() or not _covers(path, study.seconds):
            write_json(path, _train(study, method, seed, pace[method]))
        on_progress("trainings", number + 1, total)


def _train(study: ClassStudy, method: str, seed: int, pace: float) -> dict[str, Any]:
    task = TASKS.get(study.task)
    torch.set_num_threads(1)
    contestant = METHODS.get(method)(task, seed)
    points, spent_s = [], 0.0
    for seconds in study.seconds:
        began = time.process_time()
        contestant.train_until(allowed_steps(pace, seconds))
        spent_s += time.process_time() - began
        mean_return, mean_length = contestant.evaluate(task.episodes)
        points.append(
            {
                "seconds": seconds,
                "steps": contestant.steps,
                "spent_s": round(spent_s, 2),
                "score": round(mean_length if task.is_length else mean_return, 4),
            }
        )
    contestant.close()
    return {"method": method, "seed": seed, "steps_per_s": pace, "points": points}


def _points(path: Path) -> dict[float, dict[str, Any]]:
    data = read_json(path)
    try:
        return {float(point["seconds"]): point for point in data["points"]}
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} holds no training; remove it, and it is made again.") from error


def _covers(path: Path, seconds: Sequence[float]) -> bool:
    return set(seconds) <= set(_points(path))


def rows_of(study: ClassStudy, pace: dict[str, float]) -> list[dict[str, Any]]:
    """Return a row per method with at least one finished training.

    Args:
        study: what is compared.
        pace: steps per second by method.
    """
    return [row for method in study.methods if (row := _row(study, method, pace[method]))]


def _row(study: ClassStudy, method: str, pace: float) -> dict[str, Any] | None:
    runs = [
        _points(path)
        for seed in range(study.seeds)
        if (path := study.run_path(method, seed)).exists() and _covers(path, study.seconds)
    ]
    if not runs:
        return None
    summary = summarise(np.array(study.seconds), scores_of(runs, study.seconds))
    return {
        "method": method,
        "steps_per_s": pace,
        "trainings": len(runs),
        "classes": [
            {
                "seconds": seconds,
                "allowed_steps": round(allowed_steps(pace, seconds)),
                "steps": round(float(np.mean([run[seconds]["steps"] for run in runs]))),
                "spent_s": round(float(np.mean([run[seconds]["spent_s"] for run in runs])), 1),
                "scores": [run[seconds]["score"] for run in runs],
                "iqm": round(float(summary.means[at]), 3),
                "low": round(float(summary.intervals[at, 0]), 3),
                "high": round(float(summary.intervals[at, 1]), 3),
            }
            for at, seconds in enumerate(study.seconds)
        ],
        "trend": {
            "level": round(summary.trend.level, 4),
            "slope": round(summary.trend.slope, 4),
        },
    }


def scores_of(runs: Sequence[dict[float, dict[str, Any]]], seconds: Sequence[float]) -> FloatArray:
    """Return the scores ``(R, C)`` of runs at classes."""
    return np.array([[run[at]["score"] for at in seconds] for run in runs])


def crossings(rows: Sequence[dict[str, Any]], seconds: Sequence[float]) -> list[dict[str, Any]]:
    """Return where trends of two methods meet; an end beyond a year is None.

    Args:
        rows: as :func:`rows_of` made them.
        seconds: classes.
    """
    summaries: dict[str, Summary] = {}
    for row in rows:
        table = np.array([at["scores"] for at in row["classes"]]).T
        summaries[row["method"]] = summarise(np.array(seconds), table)
    names, made = list(summaries), []
    for first, one in enumerate(names):
        for other in names[first + 1 :]:
            met = crossing(summaries[one], summaries[other])
            if met is not None:
                told = {
                    key: round(value, 2) if value < _YEAR_S else None for key, value in met.items()
                }
                made.append({"one": one, "other": other, **told})
    return made
