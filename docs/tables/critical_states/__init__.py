"""Tables of critical states: learned masks beside frames chosen otherwise, and speed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
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


TABLES = {
    "critical_states_key_door": _methods("key-door"),
    "critical_states_key_door_groups": _groups("key-door"),
    "critical_states_limb": _methods("limb"),
    "critical_states_limb_groups": _groups("limb"),
    "critical_states_speed": _speed,
}
