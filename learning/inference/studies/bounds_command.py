"""``python -m learning renyi-bounds``: a static mixture and the published bandit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from asterias.cli import check_file, check_seed
from asterias.errors import UserError
from asterias.files import write_json
from asterias.progress import Stages, progress_bars
from asterias.provenance import provenance
from learning.inference.bandit import ALPHAS, BanditOptions, arm_values, random_pulls, run_bandit
from learning.inference.mixture_fit import TWO_MODES, fit_gaussian
from learning.inference.studies import bounds_picture

MIXTURE_ALPHAS = (0.05, 0.2, 0.4, 0.5, 1.0, 2.0, 10.0, math.inf)


@dataclass(frozen=True)
class RenyiBounds:
    """Measure how the order of a Rényi bound changes fits and choices: a mixture, a bandit."""

    runs: int = 10
    """Independent runs of the bandit per order."""
    pulls: int = 5000
    """Pulls of each run."""
    seed: int = 0
    """Seed of the runs."""
    json: Path | None = None
    """Result file to write, for example results/learning/renyi_bounds.json."""
    picture: Path | None = None
    """Fits and regret to draw, for example results/learning/renyi_bounds.png."""

    def run(self) -> int:
        """Fit, play, print both tables, write and draw what is asked for.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used.
        """
        check_seed(self.seed)
        check_file("--json", self.json)
        check_file("--picture", self.picture)
        if self.runs < 1 or self.pulls < 10:
            raise UserError("--runs must be 1 or more, --pulls 10 or more.")
        about = {**provenance(self.seed), **self.measure()}
        _print(about)
        if self.json is not None:
            write_json(self.json, about)
        if self.picture is not None:
            bounds_picture.draw(about, self.picture)
        return 0

    def measure(self) -> dict[str, Any]:
        """Fit and play, with bars.

        Returns:
            ``mixture`` and ``bandit``: rows per order; ``random``; ``arm_values``.
        """
        mixture = [_mixture_row(alpha) for alpha in MIXTURE_ALPHAS]
        options, rows = BanditOptions(pulls=self.pulls), []
        with progress_bars(16, unit="pulls") as progress:
            stages = Stages(progress)
            for alpha in ALPHAS:
                name = f"alpha {alpha:g}"
                tell = lambda done, total, name=name: stages(name, done, total)  # noqa: E731
                rows.append(run_bandit(alpha, self.runs, self.seed, options, tell))
        return {
            "mixture": mixture,
            "mixture_moments": [round(value, 3) for value in TWO_MODES.moments()],
            "arm_values": [round(float(value), 3) for value in arm_values()],
            "bandit": rows,
            "random": random_pulls(self.runs, self.seed, options),
        }


def _mixture_row(alpha: float) -> dict[str, Any]:
    fit = fit_gaussian(TWO_MODES, alpha)
    return {
        "alpha": "inf" if math.isinf(alpha) else alpha,
        "mean": round(fit.mean, 3),
        "std": round(fit.std, 3),
        "divergence": round(fit.divergence, 4),
    }


def _print(about: dict[str, Any]) -> None:
    fits = Table(title="Gaussian nearest to 0.7 N(-2, 0.6) + 0.3 N(2, 0.6)")
    for heading in ("alpha", "mean", "std", "divergence left"):
        fits.add_column(heading)
    for row in about["mixture"]:
        fits.add_row(f"{row['alpha']}", *(f"{row[k]:.2f}" for k in ("mean", "std", "divergence")))
    table = Table(title="Bandit: mean / variance of what was paid")
    for heading in ("alpha", "achieved", "regret", "pulls of the best arm", "variances of q"):
        table.add_column(heading)
    for row in about["bandit"]:
        table.add_row(
            f"{row['alpha']:g}",
            f"{row['achieved']:.2f} ± {row['achieved_std']:.2f}",
            f"{row['regret']:.2f}",
            f"{100 * row['best_arm_share']:.0f} %",
            ", ".join(f"{value:.1f}" for value in row["q_variance"]),
        )
    free = about["random"]
    table.add_row("random", f"{free['achieved']:.2f}", f"{free['regret']:.2f}")
    for one in (fits, table):
        Console().print(one)
