"""Figures and learning curves of the study, with bands over seeds, beside the papers' points."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from learning.policy_search.common.ranks import rank_correlation
from learning.policy_search.studies.benchmarks import BENCHMARKS
from learning.policy_search.studies.result_rows import merged_rows
from learning.policy_search.studies.runs import BenchmarkRun


def summarise(runs: Sequence[BenchmarkRun]) -> list[dict[str, Any]]:
    """Return a row for each benchmark, over its finished runs."""
    names = list(dict.fromkeys(run.benchmark for run in runs))
    made = []
    for name in names:
        done = [run for run in runs if run.benchmark == name and run.is_done]
        if done:
            made.append(_row(name, done))
    return made


def _row(name: str, runs: list[BenchmarkRun]) -> dict[str, Any]:
    about, results = BENCHMARKS.get(name), [run.result() for run in runs]
    last = [result["curve"][-1]["mean_return"] for result in results]
    return {
        "benchmark": name,
        "title": about.title,
        "environment": about.environment,
        "settings": dict(about.settings),
        "seeds": [result["seed"] for result in results],
        "steps": about.steps,
        "evaluation_episodes": about.episodes,
        "returns": last,
        "mean_return": round(float(np.mean(last)), 2),
        "std_return": round(float(np.std(last)), 2),
        "best_returns": [max(point["mean_return"] for point in r["curve"]) for r in results],
        "wall_s": round(float(np.mean([result["wall_s"] for result in results])), 1),
        "target": _target(name, results),
        "paper": [list(point) for point in about.paper],
        "source": about.source,
        "curves": [result["curve"] for result in results],
        **_commanded([result.get("command_curve", []) for result in results]),
    }


def _commanded(results: list[list[list[float]]]) -> dict[str, Any]:
    """Return what a generator of policies obtained for commanded returns; else nothing."""
    if not all(results):
        return {}
    tables = [np.array(result) for result in results]
    return {
        "command_curves": results,
        "command_rank_correlations": [
            round(rank_correlation(table[:, 0], table[:, 1]), 3) for table in tables
        ],
        "command_errors": [round(float(np.abs(t[:, 0] - t[:, 1]).mean()), 2) for t in tables],
    }


def merged(rows: Sequence[dict[str, Any]], made: dict[str, Any], held: Any) -> list[dict[str, Any]]:
    """Return rows beside those of other benchmarks that a result file holds.

    Args:
        rows: as :func:`summarise` made them.
        made: how, the block of provenance.
        held: what the file holds; None where there is none.

    Returns:
        All rows, each with how it was made.
    """
    everything = merged_rows(rows, made, held, lambda row: str(row["benchmark"]), "benchmarks")
    order = BENCHMARKS.names()
    return sorted(everything, key=lambda row: order.index(row["benchmark"]))


def draw_commands(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw obtained against commanded returns, a panel for each generator of policies.

    Args:
        rows: with ``command_curves``.
        path: of the picture.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = _panels(len(rows), 2)
    for axis, row in zip(axes, rows, strict=True):
        for seed, curve in zip(row["seeds"], row["command_curves"], strict=True):
            axis.plot(*np.array(curve).T, "o-", markersize=3, label=f"seed {seed}")
        ends = np.array(row["command_curves"][0])[[0, -1], 0]
        axis.plot(ends, ends, color="0.6", linewidth=1, label="as commanded")
        axis.set(title=row["title"], xlabel="commanded return", ylabel="mean return obtained")
        axis.grid(alpha=0.25)
        axis.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _target(name: str, results: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the target and how many seeds reached it in time; P-POIS counts iterations."""
    about = BENCHMARKS.get(name)
    if about.target is None:
        return None
    wanted, by = about.target
    key = "iteration" if about.learner == "ppois" else "steps"
    first = [
        next((p[key] for p in result["curve"] if p["mean_return"] >= wanted), None)
        for result in results
    ]
    # An iteration that ends just after the limit began before it.
    slack = about.every if key == "steps" else 0
    count = sum(at is not None and at <= by + slack for at in first)
    reached = f"{count} of {len(results)} seeds"
    return {"return": wanted, "by": by, "unit": key, "first": first, "reached": reached}


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw a panel for each environment: mean and range over seeds, and the papers' points.

    Args:
        rows: as :func:`summarise` made them.
        path: of the picture.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    places = list(dict.fromkeys(row["environment"] for row in rows))
    figure, axes = _panels(len(places), 3)
    for axis, place in zip(axes, places, strict=True):
        own = [row for row in rows if row["environment"] == place]
        for number, row in enumerate(own):
            _draw_row(axis, row, f"C{number}")
        limit = max(row["steps"] for row in own)
        axis.set(title=place, xlabel="steps of training", xlim=(0, 1.04 * limit))
        axis.grid(alpha=0.25)
        axis.legend(fontsize=8, loc="lower right")
        axis.set_ylabel("mean return of the learned policy")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _panels(count: int, columns: int) -> tuple[Any, list[Any]]:
    """Return a figure and its panels, so many beside each other."""
    from matplotlib import pyplot

    wide = min(columns, count)
    high = -(-count // wide)
    figure, axes = pyplot.subplots(
        high, wide, figsize=(5.2 * wide, 4 * high), layout="constrained", squeeze=False
    )
    for axis in axes.flat[count:]:
        axis.axis("off")
    return figure, list(axes.flat[:count])


def _draw_row(axis: Any, row: dict[str, Any], colour: str) -> None:
    grid = np.linspace(0, row["steps"], 200)
    lines = []
    for curve in row["curves"]:
        steps = [point["steps"] for point in curve]
        lines.append(np.interp(grid, steps, [p["mean_return"] for p in curve], left=np.nan))
    table = np.array(lines)
    seeds = f"{len(lines)} {'seed' if len(lines) == 1 else 'seeds'}"
    label = f"{row['title'].removesuffix(', ' + row['environment'])} ({seeds})"
    axis.plot(grid, table.mean(0), color=colour, label=label)
    axis.fill_between(grid, table.min(0), table.max(0), color=colour, alpha=0.18, linewidth=0)
    near = [point for point in row["paper"] if point[0] <= row["steps"]]
    if near:
        axis.plot(
            *zip(*near, strict=True), "o--", color=colour, markersize=4, linewidth=1, label="paper"
        )
