"""``python -m learning zero-shot-study``: fresh policies through an early critic.

The claim of arXiv 2006.09226: a fresh policy that climbs the frozen critic of a learner that has
only begun does better than the best policy that the learner has tried.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from asterias.arrays import FloatArray
from asterias.cli import check_file, check_folder
from asterias.errors import UserError
from asterias.files import read_json, write_json
from asterias.progress import Stages, progress_bars
from asterias.provenance import provenance
from learning.policy_search.algorithms.pssvf import PSSVF, train_zero_shot

_ENVIRONMENT = "Swimmer-v5"
_SETTINGS: dict[str, Any] = {"learning_rate": 2e-3, "critic_learning_rate": 2e-3}


@dataclass(frozen=True)
class ZeroShotStudy:
    """Train fresh policies through the critics of learners that have only begun."""

    out: Path
    """Folder for the runs; seeds that are finished there are not done again."""
    seeds: int = 5
    """Trainings, with the seeds from 0 on."""
    steps: int = 120_000
    """Of each training."""
    every: int = 20_000
    """Steps between two critics."""
    fresh: int = 10
    """Fresh policies through each critic."""
    episodes: int = 1
    """Of each policy that is judged."""
    json: Path | None = None
    """Result file to write, for example results/learning/zero_shot.json."""
    picture: Path | None = None
    """Returns over steps to draw, for example results/learning/zero_shot.png."""

    def run(self) -> int:
        """Train, judge, print the table, write and draw.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used.
        """
        if min(self.seeds, self.fresh, self.episodes) < 1:
            raise UserError("--seeds, --fresh and --episodes must be 1 or more.")
        if not 1 <= self.every <= self.steps:
            raise UserError("--every must be 1 or more, and --steps no less.")
        check_folder("--out", self.out)
        check_file("--json", self.json)
        check_file("--picture", self.picture)
        torch.set_num_threads(1)  # the nets are small
        with progress_bars(24, unit="steps") as progress:
            stages = Stages(progress)
            runs = [self._seed(seed, stages) for seed in range(self.seeds)]
        rows = summarise(runs)
        Console().print(_table(rows))
        if self.json is not None:
            write_json(self.json, {**provenance(0, self._command), "rows": rows, "runs": runs})
        if self.picture is not None:
            draw(rows, self.picture)
        return 0

    @property
    def _command(self) -> str:
        return (
            f"python -m learning zero-shot-study --out runs/zero_shot --seeds {self.seeds} "
            f"--steps {self.steps} --every {self.every} --fresh {self.fresh} "
            f"--episodes {self.episodes}"
        )

    def _seed(self, seed: int, tell: Callable[[str, int, int], None]) -> list[dict[str, Any]]:
        """Return what each critic of one training is worth; finished seeds are read.

        Raises:
            UserError: a run with other options lies in the folder.
        """
        path = self.out / f"seed_{seed}.json"
        about = {"steps": self.steps, "every": self.every, "fresh": self.fresh}
        if path.exists():
            held = read_json(path)
            if not isinstance(held, dict) or held.get("about") != about:
                raise UserError(f"{path} was made with other options; choose another folder.")
            return list(held["points"])
        learner = PSSVF("LinearPolicy", _ENVIRONMENT, seed=seed, **_SETTINGS)
        points = []
        while learner.num_timesteps < self.steps:
            learner.learn(self.every, reset_num_timesteps=False)
            points.append(judge(learner, self.fresh, self.episodes))
            tell(f"seed {seed}", learner.num_timesteps, self.steps)
        learner.close()
        write_json(path, {"about": about, "points": points})
        return points


def judge(learner: PSSVF, fresh: int, episodes: int) -> dict[str, Any]:
    """Return what fresh policies through a learner's critic are worth, beside what it has.

    Args:
        learner: that has tried some policies.
        fresh: policies to train.
        episodes: of each policy.
    """

    def worth(theta: FloatArray) -> float:
        results = learner.evaluate(episodes, theta)
        return round(float(np.mean([result.raw_return for result in results])), 1)

    best, best_return = learner.best()
    made = train_zero_shot(learner, fresh, seed=learner.seed)
    return {
        "steps": learner.num_timesteps,
        "best_tried": round(best_return, 1),
        "best_tried_again": worth(best),
        "policy": worth(learner.theta),
        "fresh": sorted(worth(theta) for theta in made),
    }


def summarise(runs: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return a row for each number of steps, over the trainings."""
    rows = []
    for points in zip(*runs, strict=True):
        bests = [point["best_tried"] for point in points]
        medians = [float(np.median(point["fresh"])) for point in points]
        tops = [point["fresh"][-1] for point in points]
        rows.append(
            {
                "steps": round(float(np.mean([point["steps"] for point in points]))),
                "best_tried": round(float(np.mean(bests)), 1),
                "policy": round(float(np.mean([point["policy"] for point in points])), 1),
                "fresh_median": round(float(np.mean(medians)), 1),
                "fresh_best": round(float(np.mean(tops)), 1),
                "median_above_best_tried": sum(m > b for m, b in zip(medians, bests, strict=True)),
                "best_above_best_tried": sum(t > b for t, b in zip(tops, bests, strict=True)),
                "trainings": len(points),
            }
        )
    return rows


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw returns over steps: best policy tried, the learner's own, fresh ones."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(6, 4), layout="constrained")
    steps = [row["steps"] for row in rows]
    for key, label, style in (
        ("best_tried", "best policy tried", "k--"),
        ("policy", "the learner's policy", "C0o-"),
        ("fresh_median", "fresh policies, median", "C1s-"),
        ("fresh_best", "fresh policies, best", "C1^:"),
    ):
        axis.plot(steps, [row[key] for row in rows], style, markersize=4, label=label)
    axis.set(xlabel="steps of the learner", ylabel="return", title=f"PSSVF, linear, {_ENVIRONMENT}")
    axis.grid(alpha=0.25)
    axis.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title=f"Fresh policies through early critics, {_ENVIRONMENT}")
    for heading in ("steps", "best tried", "policy", "fresh, median", "fresh, best", "above best"):
        table.add_column(heading)
    for row in rows:
        table.add_row(
            f"{row['steps']:,}",
            *(f"{row[key]:.0f}" for key in ("best_tried", "policy", "fresh_median", "fresh_best")),
            f"{row['median_above_best_tried']} / {row['best_above_best_tried']} of "
            f"{row['trainings']}",
        )
    return table
