"""Tables of critical states: learned masks beside frames chosen otherwise, and speed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from docs.tables.markdown import load, markdown_table

_FILES = {
    "key-door": "learning/critical_states.json",
    "limb": "learning/critical_states_limb.json",
}
_METHODS = {
    "detector": "learned mask",
    "random": "random, as many frames",
    "uniform": "evenly far apart, as many",
    "gradient saliency": "gradient saliency, as many",
    "integrated gradients": "integrated gradients (captum), as many",
}
# Of the paper's repository, on its own grid world.
_PAPER = {"detector": ("81.95", "84.79", "91.03"), "random": ("56.08", "75.18", "85.63")}
_TOLERANCES = (1, 2, 3)


def _rows(results: Path, task: str) -> list[dict[str, Any]]:
    rows = load(results, _FILES[task])["rows"]
    return [row for row in rows if row["task"] == task and not row["ablation"]]


def _of_seeds(values: Sequence[float]) -> str:
    each = ", ".join(f"{value:.1f}" for value in values)
    mean = sum(values) / len(values)
    return f"{mean:.1f} ({each})" if len(values) > 1 else each


def _methods(task: str, prefix: str = "f1") -> Callable[[Path], str]:
    def table(results: Path) -> str:
        own = _rows(results, task)
        head = ["frames", *(f"tolerance {tolerance}" for tolerance in _TOLERANCES)]
        is_grid = task == "key-door"
        rows = [[*head, "the paper's grid world"] if is_grid else head]
        for method, words in _METHODS.items():
            found = [row["methods"][method] for row in own if method in row["methods"]]
            if not found:
                continue
            cells = [_of_seeds([one[f"{prefix}_{k}"] for one in found]) for k in _TOLERANCES]
            paper = [" / ".join(_PAPER.get(method, ()))] if is_grid else []
            rows.append([words, *cells, *paper])
        best = [_of_seeds([row["best_threshold_f1"][str(k)] for row in own]) for k in _TOLERANCES]
        rows.append(["learned mask, best of 11 thresholds", *best, *([""] if is_grid else [])])
        return markdown_table(rows)

    return table


def _groups(task: str) -> Callable[[Path], str]:
    def table(results: Path) -> str:
        own = _rows(results, task)
        rows = [["clips", "marked frames a clip", "precision", "recall"]]
        for name in own[0]["groups"]:
            found = [row["groups"][name] for row in own]
            rows.append(
                [
                    name,
                    _of_seeds([one["marked_per_clip"] for one in found]),
                    *(
                        _of_seeds([one[key] for one in found])
                        for key in ("precision_2", "recall_2")
                    ),
                ]
            )
        right = _of_seeds([row["accuracy"] for row in own])
        marked = _of_seeds([row["marked_per_clip"] for row in own])
        rows.append([f"all; {right} % of the outcomes predicted", marked, "", ""])
        return markdown_table(rows)

    return table


def _speed(results: Path) -> str:
    about = load(results, "learning/key_frames_speed.json")
    core = about["times_real_time_of_a_core"]
    head = ("episodes", "recorded", "cameras", "wall time", "processor time, one core", "load")
    rows = [
        list(head),
        [
            str(about["episodes"]),
            f"{about['recorded_s'] / 3600:.2f} h",
            str(about["cameras"]),
            f"{about['wall_s']:.0f} s: {about['times_real_time']:.0f} times real time",
            f"{about['processor_s']:.0f} s: {core:.0f} times real time",
            f"{about['machine']['load_average']:.0f} on {about['machine']['cores']} cores",
        ],
    ]
    return markdown_table(rows)


_WAYS = {
    "uniform": "evenly",
    "criticality": "by the learned mask",
    "criticality, corrected": "by the learned mask, corrected",
    "random": "by the mask, shifted in time at random",
    "truth": "by the truth",
    "errands": "before the last errand ends",
}


def _replay(results: Path) -> str:
    rows = load(results, "learning/replay_priority.json")["rows"]
    checks = list(rows[0]["success"])
    table = [["half of the draws", *(f"{check} updates" for check in checks)]]
    even = _success(rows, "uniform", checks)
    for way, words in _WAYS.items():
        own = _success(rows, way, checks)
        cells = []
        for check in checks:
            apart = [mine - other for mine, other in zip(own[check], even[check], strict=True)]
            error = stdev(apart) / math.sqrt(len(apart))
            beside = "" if way == "uniform" else f" ({mean(apart):+.1f} ± {error:.1f})"
            cells.append(f"{mean(own[check]):.1f}{beside}")
        table.append([words, *cells])
    return markdown_table(table)


def _replay_seeds(results: Path) -> str:
    rows = load(results, "learning/replay_priority.json")["rows"]
    seeds = sorted({row["seed"] for row in rows})
    last = list(rows[0]["success"])[-1]
    table = [[f"after {last} updates", *(f"clips of seed {seed}" for seed in seeds)]]
    for way, words in _WAYS.items():
        groups = [[row for row in rows if row["seed"] == seed] for seed in seeds]
        table.append([words, *(f"{mean(_success(g, way, [last])[last]):.1f}" for g in groups)])
    return markdown_table(table)


def _success(
    rows: Sequence[dict[str, Any]], way: str, checks: Sequence[str]
) -> dict[str, list[float]]:
    """Return each clone's success in percent by updates, in the order of seeds and clones."""
    own = [row["success"] for row in rows if row["way"] == way]
    return {check: [success[check] for success in own] for check in checks}


TABLES = {
    "critical_states_key_door": _methods("key-door"),
    "critical_states_key_door_groups": _groups("key-door"),
    "critical_states_replay": _replay,
    "critical_states_replay_seeds": _replay_seeds,
    "critical_states_limb": _methods("limb"),
    "critical_states_limb_groups": _groups("limb"),
    "critical_states_speed": _speed,
}
