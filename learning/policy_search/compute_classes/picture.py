"""Plot of compute classes: interquartile means with intervals, fitted trends, crossing points."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from learning.policy_search.compute_classes.scores import Trend


def draw(studies: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw a panel for each task.

    Args:
        studies: tasks as the result file holds them.
        path: of the picture.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        1, len(studies), figsize=(6.4 * len(studies), 4.6), layout="constrained", squeeze=False
    )
    # A method has one colour in all panels.
    methods = list(dict.fromkeys(row["method"] for study in studies for row in study["rows"]))
    for axis, study in zip(axes[0], studies, strict=True):
        for row in study["rows"]:
            _draw_method(axis, row, f"C{methods.index(row['method'])}")
        _mark_crossings(axis, study)
        seconds = sorted({at["seconds"] for row in study["rows"] for at in row["classes"]})
        axis.set(title=study["title"], xlabel="class: seconds of one core", ylabel=study["score"])
        axis.set_xscale("log")
        axis.set_xticks(seconds, [f"{second:g}" for second in seconds])
        axis.minorticks_off()
        axis.grid(alpha=0.25)
        axis.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _draw_method(axis: Any, row: dict[str, Any], colour: str) -> None:
    seconds = np.array([at["seconds"] for at in row["classes"]])
    mean = np.array([at["iqm"] for at in row["classes"]])
    low, high = (np.array([at[key] for at in row["classes"]]) for key in ("low", "high"))
    errors = np.clip([mean - low, high - mean], 0, None)
    axis.errorbar(seconds, mean, errors, fmt="o", color=colour, capsize=3, label=row["method"])
    trend = Trend(row["trend"]["level"], row["trend"]["slope"])
    line = np.geomspace(seconds[0], seconds[-1], 50)
    axis.plot(line, trend.at(line), color=colour, linewidth=1, linestyle="--")


def _mark_crossings(axis: Any, study: dict[str, Any]) -> None:
    """Mark where trends meet between the first class and the last."""
    trends = {row["method"]: Trend(**row["trend"]) for row in study["rows"]}
    seconds = [at["seconds"] for row in study["rows"] for at in row["classes"]]
    inside = [met for met in study["crossings"] if min(seconds) <= met["seconds"] <= max(seconds)]
    for number, met in enumerate(inside):
        at = np.array([met["seconds"]])
        label = "trends meet" if not number else None
        axis.plot(at, trends[met["one"]].at(at), "kx", markersize=7, label=label)
