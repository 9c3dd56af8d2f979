"""Tables of diffusion policies: two ways to a goal, samplers and caches, target finding."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from docs.tables.markdown import load, markdown_table

_FILE = "learning/diffusion_policy.json"
_CLOSE = "learning/two_ways_close.json"
_RUNTIMES = "learning/diffusion_runtimes.json"
_FOUND = "learning/diffusion_find.json"
_ROBOT = "learning/diffusion_robot.json"
_NAMES = {
    "demonstrators": "the two demonstrators",
    "transformer": "diffusion policy, transformer, DDIM 16",
    "level_in_tokens": "the same, noise level in the tokens as well",
    "unet": "diffusion policy, 1-D U-Net, DDIM 16",
    "act": "chunks in the manner of ACT",
    "cloning": "plain cloning",
}
_CACHES = ("none", "exact", "tgate", "schedule")


def _percent(values: list[float]) -> str:
    """Return the mean in percent, with the range where there are several."""
    mean = f"{100 * np.mean(values):.1f} %"
    if len(values) == 1:
        return mean
    return f"{mean} ({100 * min(values):.1f} to {100 * max(values):.1f})"


def _learners(results: Path, file: str = _FILE) -> str:
    rows: list[tuple[str, ...]] = [
        ("learner", "trainings", "goal reached", "post touched", "passed on the left")
    ]
    found = load(results, file)["learners"]
    for name in dict.fromkeys(row["learner"] for row in found):
        alike = [row for row in found if row["learner"] == name]
        shares = [_percent([row[key] for row in alike]) for key in ("success", "hit", "left")]
        count = "" if name == "demonstrators" else str(len(alike))
        rows.append((_NAMES[name], count, *shares))
    return markdown_table(rows)


def _cell(rows: list[dict[str, Any]]) -> str:
    """Return ms, largest difference and success of one cell over its seeds."""
    milliseconds = np.median([row["chunk_ms"] for row in rows])
    apart = max(row["difference_rad"] for row in rows)
    success = 100 * np.mean([row["success"] for row in rows])
    return f"{milliseconds:.1f} ms, {_difference(apart)}, {success:.1f} %"


def _difference(apart: float) -> str:
    return f"{apart:.0e}" if 0 < apart < 1e-3 else f"{apart:.2f}" if apart else "0"


def _cells(results: Path) -> str:
    found = load(results, _FILE)["cells"]
    rows: list[tuple[str, ...]] = [("sampler", *(f"`{name}`" for name in _CACHES))]
    for sampler, steps in dict.fromkeys((row["sampler"], row["steps"]) for row in found):
        cells = []
        for name in _CACHES:
            alike = [
                row
                for row in found
                if (row["sampler"], row["steps"], row["label"]) == (sampler, steps, name)
            ]
            cells.append(_cell(alike))
        rows.append((f"{sampler.upper()} {steps}", *cells))
    return markdown_table(rows)


def _gates(results: Path) -> str:
    data = load(results, _FILE)
    found = [row for row in data["cells"] if row["steps"] == 16] + data["gates"]
    full = next(row["multiply_adds"]["all"] for row in found if row["label"] == "none")
    rows: list[tuple[str, ...]] = [
        ("at DDIM 16", "multiply-adds", "ms", "largest, mean difference, rad", "goal reached")
    ]
    for label in dict.fromkeys(row["label"] for row in found):
        alike = [row for row in found if row["label"] == label]
        rows.append(
            (
                _gate_name(label),
                f"{100 * alike[0]['multiply_adds']['all'] / full:.0f} %",
                f"{np.median([row['chunk_ms'] for row in alike]):.1f}",
                f"{_difference(max(row['difference_rad'] for row in alike))}, "
                f"{np.mean([row['mean_difference_rad'] for row in alike]):.3f}",
                _percent([row["success"] for row in alike]),
            )
        )
    return markdown_table(rows)


def _gate_name(label: str) -> str:
    names = {
        "none": "everything computed",
        "exact": "exact",
        "tgate": "exact, TGATE, gate at 1/2",
        "schedule": "exact, schedule 0.4",
        "gate 3/4": "exact, TGATE, gate at 3/4",
        "gate 1/4": "exact, TGATE, gate at 1/4",
        "self before 3": "as TGATE 1/2, self-attention every third step before the gate",
        "self after 2": "as TGATE 1/2, self-attention every second step after it",
    }
    return names.get(label, f"exact, {label}")


def _held(results: Path) -> str:
    data = load(results, _FILE)
    seed = data["held"][0]["seed"]
    alike = [row for row in data["cells"] if row["seed"] == seed and row["steps"] == 16]
    ends = {row["label"]: row["success"] for row in alike}
    ends |= {row["held"]: row["success"] for row in data["held"]}
    names = {
        "exact": "nothing",
        "level": "the level's keys and values alone",
        "queries": "the queries alone",
        "tgate": "the whole output of cross-attention (TGATE)",
    }
    rows: list[tuple[str, ...]] = [("held from half of 16 steps on", "goal reached")]
    rows += [(names[name], f"{100 * ends[name]:.1f} %") for name in names]
    return markdown_table(rows)


def _similarity(results: Path) -> str:
    rows: list[tuple[str, ...]] = [("block", "first third of the steps", "middle", "last")]
    for row in load(results, _FILE)["similarity"]:
        name = f"{row['block'].replace('_', '-')}, layer {row['layer'] + 1}"
        rows.append((name, *(f"{value:.3f}" for value in row["thirds"])))
    return markdown_table(rows)


def _found(results: Path) -> str:
    rows: list[tuple[str, ...]] = [
        ("observed", "seed", "demonstrations (steps)", "steps", "found within 5", "ms a decision")
    ]
    for row in load(results, _FOUND)["rows"]:
        rows.append(
            (
                row["observe"],
                str(row["seed"]),
                f"{row['demonstrations']} ({row['steps_shown']})",
                f"{row['mean_steps']:.2f} ± {row['std_steps']:.2f}",
                f"{100 * row['success_within_cap']:.1f} %",
                f"{row['decision_ms']:.1f}",
            )
        )
    return markdown_table(rows)


def _real_time(results: Path) -> str:
    row = load(results, _FILE)["real_time"]
    counts = row["chunks"]
    return markdown_table(
        [
            ("episodes", "goal reached", "chunks", "dropped as late", "commands held", "tick late"),
            (
                f"{row['episodes']}, {row['commands_hz']} commands a second",
                f"{100 * row['success']:.0f} %",
                str(counts["made"]),
                str(counts["late"]),
                str(counts["held"]),
                f"{row['tick_late_ms']['median']:.2f} ms median, "
                f"{row['tick_late_ms']['p99']:.1f} ms in 1 of 100, of {1000 / row['control_hz']:g}",
            ),
        ]
    )


def _runtimes(results: Path) -> str:
    rows: list[tuple[str, ...]] = [
        ("runtime", "16 steps", "largest difference", "ready after", "one look of the encoder")
    ]
    found = load(results, _RUNTIMES)
    looks = {row["runtime"]: f"{row['look_ms']:.2f} ms" for row in found["encoder"]}
    for row in found["rows"]:
        rows.append(
            (
                row["runtime"],
                f"{row['chunk_ms']:.1f} ms",
                f"{row['difference']:.0e}" if row["difference"] else "0",
                f"{row['ready_s']:.1f} s",
                looks.get(row["runtime"], ""),
            )
        )
    return markdown_table(rows)


def _robot(results: Path) -> str:
    rows: list[tuple[str, ...]] = [
        ("run by", "found", "steps", "control loop", "periods: median, 1 of 100 above, longest")
    ]
    for search in load(results, _ROBOT)["searches"]:
        loop, count = search["control_loop"], len(search["episodes"])
        runner = "node `policy`" if "node policy" in search["policy"] else "`/find_target`"
        periods = ", ".join(f"{loop['period_ms'][name]:.0f}" for name in ("p50", "p99", "max"))
        rows.append(
            (
                runner,
                f"{search['found']} of {count}",
                f"{search['mean_steps_of_finds']:.2f}",
                f"{loop['rate_hz']:.1f} Hz",
                f"{periods} ms",
            )
        )
    return markdown_table(rows)


def _chunking(results: Path) -> str:
    rows: list[tuple[str, ...]] = [("trained by", "steps", "found within 5", "episodes")]
    for name, trained in (("act", "`--algo act`"), ("lerobot_act", "LeRobot's `ACTPolicy`")):
        row = load(results, f"learning/{name}.json")
        rows.append(
            (
                trained,
                f"{row['mean_steps']:.2f} ± {row['std_steps']:.2f}",
                f"{100 * row['success_within_cap']:.1f} %",
                str(row["episodes"]),
            )
        )
    return markdown_table(rows)


TABLES: dict[str, Callable[[Path], str]] = {
    "diffusion_learners": _learners,
    "two_ways_close": partial(_learners, file=_CLOSE),
    "diffusion_cells": _cells,
    "diffusion_gates": _gates,
    "diffusion_held": _held,
    "diffusion_similarity": _similarity,
    "diffusion_real_time": _real_time,
    "diffusion_runtimes": _runtimes,
    "diffusion_found": _found,
    "diffusion_robot": _robot,
    "action_chunking": _chunking,
}
