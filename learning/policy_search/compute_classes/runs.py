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
from asterias.jobs import JobRunner, TellJob
from asterias.progress import OnProgress
from asterias.provenance import provenance
from learning.policy_search.compute_classes.budget import allowed_steps, measure_throughput
from learning.policy_search.compute_classes.methods import METHODS, Contestant
from learning.policy_search.compute_classes.scores import Summary, crossing, summarise
from learning.policy_search.compute_classes.tasks import TASKS, ClassTask

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
        nested: one training goes through all classes; else each class has its own.
        stop_solved: a training ends at the first class where its task is solved, and its score
            stands for the larger ones.
    """

    folder: Path
    task: str
    methods: tuple[str, ...]
    seconds: tuple[float, ...]
    seeds: int
    measure_s: float = 4.0
    nested: bool = True
    stop_solved: bool = True

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


@dataclass(frozen=True)
class ClassRun:
    """One training of a study, with the throughput that its steps are derived from."""

    study: ClassStudy
    method: str
    seed: int
    pace: float

    @property
    def path(self) -> Path:
        """Its file."""
        return self.study.run_path(self.method, self.seed)

    @property
    def is_done(self) -> bool:
        """Whether it has been through all classes."""
        return self.path.exists() and _covers(self.path, self.study.seconds)


def complete_runs(
    study: ClassStudy, pace: dict[str, float], runner: JobRunner, on_progress: OnProgress
) -> None:
    """Train what is missing: all methods of one seed before the next seed.

    Each result is kept as soon as it is there. A training whose node is lost begins anew: it takes
    no longer than its largest class.

    Args:
        study: what is compared.
        pace: steps per second by method.
        runner: of the trainings.
        on_progress: told stage, done and total.
    """
    runs = [
        ClassRun(study, method, seed, pace[method])
        for seed in range(study.seeds)
        for method in study.methods
    ]
    missing = [run for run in runs if not run.is_done]
    done = len(runs) - len(missing)
    on_progress("trainings", done, len(runs))
    for number, result in runner.run(_train, missing):
        write_json(missing[number].path, result)
        done += 1
        on_progress("trainings", done, len(runs))


def _train(run: ClassRun, tell: TellJob) -> dict[str, Any]:
    """Train once through all classes, or for each class from the beginning.

    Without a schedule over a whole training, a short class's training is the beginning of a long
    one's, and both ways give the same policies.

    Returns:
        What its file holds.
    """
    torch.set_num_threads(1)  # a class is a time of one core
    study, task = run.study, TASKS.get(run.study.task)
    contestant: Contestant | None = None
    points: list[dict[str, Any]] = []
    spent_s = 0.0
    for seconds in study.seconds:
        if study.stop_solved and points and task.is_solved(points[-1]["score"]):
            points.append({**points[-1], "seconds": seconds, "stopped": True})
            continue
        if contestant is None or not study.nested:
            if contestant is not None:
                contestant.close()
            contestant, spent_s = METHODS.get(run.method)(task, run.seed), 0.0
        began = time.process_time()
        contestant.train_until(allowed_steps(run.pace, seconds))
        spent_s += time.process_time() - began
        points.append(_point(contestant, task, seconds, spent_s))
        tell(len(points), len(study.seconds))
    if contestant is not None:
        contestant.close()
    return {"method": run.method, "seed": run.seed, "steps_per_s": run.pace, "points": points}


def _point(
    contestant: Contestant, task: ClassTask, seconds: float, spent_s: float
) -> dict[str, Any]:
    mean_return, mean_length = contestant.evaluate(task.episodes)
    return {
        "seconds": seconds,
        "steps": contestant.steps,
        "spent_s": round(spent_s, 2),
        "score": round(mean_length if task.is_length else mean_return, 4),
    }


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
                "stopped": sum(run[seconds].get("stopped", False) for run in runs),
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
