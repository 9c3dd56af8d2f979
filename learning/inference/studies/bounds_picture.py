"""Picture of the study: fits of the mixture, and regret of the bandit, by order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from learning.inference.mixture_fit import TWO_MODES, log_normal

_SHOWN = (0.05, 0.4, 0.5, 10.0)


def draw(about: dict[str, Any], path: Path) -> None:
    """Draw the fits and the cumulative regret.

    Args:
        about: as the study's result file holds it.
        path: of the picture.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    _draw_fits(left, about["mixture"])
    _draw_regret(right, about)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _draw_fits(axis: Any, rows: list[dict[str, Any]]) -> None:
    points = np.linspace(-6, 6, 600)
    axis.fill_between(points, np.exp(TWO_MODES.log_density(points)), color="0.85", label="p")
    # Fits that lie on top of each other differ in their dashes.
    dashes = ("-", "--", "-", "--")
    shown = [row for row in rows if row["alpha"] in _SHOWN]
    for number, (row, dash) in enumerate(zip(shown, dashes, strict=True)):
        density = np.exp(log_normal(points, row["mean"], row["std"]))
        axis.plot(points, density, dash, color=f"C{number}", label=f"q, alpha {row['alpha']:g}")
    axis.set(title="Gaussian nearest to a mixture", xlabel="z", ylabel="density", ylim=(0, 0.7))
    axis.grid(alpha=0.25)
    axis.legend(fontsize=8)


def _draw_regret(axis: Any, about: dict[str, Any]) -> None:
    for number, row in enumerate(about["bandit"]):
        pulls, lost = np.array(row["curve"]).T
        axis.plot(pulls, lost, color=f"C{number}", label=f"alpha {row['alpha']:g}")
    last = about["bandit"][0]["curve"][-1][0]
    lost = about["random"]["cumulative_regret"]
    axis.plot([0, last], [0, lost], ":", color="0.4", label="arms at random")
    axis.set(
        title=f"Bandit, mean of {about['bandit'][0]['runs']} runs",
        xlabel="pulls",
        ylabel="cumulative regret (mean / variance of arms)",
        ylim=(0, None),
    )
    axis.grid(alpha=0.25)
    axis.legend(fontsize=8)
