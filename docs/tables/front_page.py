"""The five figures of the README."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from docs.tables.markdown import load, markdown_table


def _five_figures(results: Path) -> str:
    find = _row(load(results, "target_finding/study.json"), "ppo_mlp")
    trained = load(results, "planners/sparse_15.json")["summary"][0]
    mazes = [
        row
        for row in load(results, "planners/scale.json")["rows"]
        if (row["network"], row["suite"]) == (trained["case"], "100")
    ]
    longest = [row["bins"][-1] for row in mazes]
    layers = max(load(results, "planners/bench.json")["operator"], key=lambda one: one["size"])
    sim, kills = load(results, "sim/bench.json"), load(results, "recording/kills.json")
    rows: list[tuple[str, ...]] = [
        ("what", "measured", "more"),
        (
            "steps until the target is found, PPO on 64 x 64 units, no camera dead",
            f"{find['mean_steps']:.2f} (the paper's real limb, linear policy: "
            f"{find['paper_mean_steps']:.2f})",
            "[target finding](docs/results/target_finding.md)",
        ),
        (
            f"paths of {longest[0]['lo']} to {longest[0]['hi']} steps in mazes of 100 x 100, by "
            "weights trained on 15 x 15 alone",
            f"{min(bin_['success'] for bin_ in longest):.2f} % solved after "
            f"{trained['training_cpu_seconds']['mean']:.0f} s of processor time "
            "(DT-VIN's paper: 88.65 % after 97 GPU hours)",
            "[planning](docs/results/planning.md)",
        ),
        (
            f"value iteration of {layers['depth']} layers on 100 x 100, one CPU thread",
            f"{layers['ratio']:.0f} times as fast as plain PyTorch",
            "[planning](docs/results/planning.md)",
        ),
        (
            f"a simulated soft limb with {len(sim['cameras'])} cameras, one core",
            f"{sim['real_time_factor']['median']:.0f} times real time",
            "[figures](docs/results/figures.md)",
        ),
        (
            f"recorder killed at {kills['kills']} random moments",
            f"{kills['kills'] - kills['unreadable']} of {kills['kills']} files readable, "
            f"{kills['lost_s_max']:.2f} s lost at most",
            "[figures](docs/results/figures.md)",
        ),
    ]
    return markdown_table(rows)


def _row(study: dict[str, Any], method: str) -> dict[str, Any]:
    """Return the row of a learner where no camera is dead."""
    rows = (row for row in study["rows"] if (row["method"], row["faults"]) == (method, "kill0"))
    return next(rows)


TABLES: dict[str, Callable[[Path], str]] = {"five_figures": _five_figures}
