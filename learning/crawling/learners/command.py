"""``python -m learning crawl-compare``: learners at equal time, lost limbs, and another engine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asterias.arrays import FloatArray
from asterias.cli import check_file, check_folder
from asterias.errors import UserError
from asterias.files import read_json, write_json
from asterias.provenance import provenance
from learning.crawling.environment import StarfishCrawlEnv
from learning.crawling.gaits import led_by_gap, load_gait, walk
from learning.crawling.learners.gait_learner import TEST_S
from learning.crawling.learners.lost_limbs import adapt, distinct_losses
from learning.crawling.learners.training import make_learner, train
from sim.engines.registry import ENGINES


@dataclass(frozen=True)
class CompareGaits:
    """Learn gaits by several learners for equal time; adapt a gait to one and two lost limbs."""

    out: Path
    """Folder for the runs; what is finished there is not done again."""
    learners: tuple[str, ...] = ("cem", "pgpe", "ppois", "pssvf", "ars", "ppo")
    """Learners of policy search, ars, and ppo on a network."""
    seeds: int = 3
    """Trainings of each, with the seeds from 0 on."""
    processor_s: float = 30.0
    """Processor time of a training; the batch in which it ends is finished."""
    gait: str = "rowing"
    """Name or file of the gait that is adapted to lost limbs and run by other engines."""
    lost: int = 2
    """So many limbs are lost at most."""
    json: Path | None = None
    """Result file to write, for example results/learning/crawl_compare.json."""
    picture: Path | None = None
    """Picture to draw, for example results/learning/crawl_compare.png."""

    def run(self) -> int:
        """Train and adapt what is missing, and write.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used.
        """
        if self.seeds < 1 or not self.learners or not 0.0 < self.processor_s < math.inf:
            raise UserError("--seeds, --learners and --processor-s take one or more.")
        if self.lost < 1:
            raise UserError(f"--lost takes one limb or more, not {self.lost}.")
        check_folder("--out", self.out)
        check_file("--json", self.json)
        check_file("--picture", self.picture)
        theta = load_gait(self.gait).theta
        rows = [self._trained(name, s) for s in range(self.seeds) for name in self.learners]
        limbs = StarfishCrawlEnv().crawler.limbs
        lost = [
            self._adapted(theta, broken, limbs)
            for count in range(1, self.lost + 1)
            for broken in distinct_losses(limbs, count)
        ]
        engines = run_by_engines(theta, limbs)
        for row in rows:
            print(f"{row['learner']} {row['seed']}: {row['lengths_per_min']:.2f} lengths/min")
        for row in lost:
            print(f"lost {row['limbs']}: {row['before']:.2f}, adapted {row['after']:.2f}")
        print(f"engines: {engines}")
        if self.json is not None:
            figures = {"gait": self.gait, "rows": rows, "lost": lost, "engines": engines}
            write_json(self.json, {**provenance(0, self._command), **figures})
        if self.picture is not None:
            draw(rows, lost, engines["asterias"]["limb leads"], self.picture)
        return 0

    @property
    def _command(self) -> str:
        """What to type to do the same, whether or not it was done in one go."""
        return (
            f"python -m learning crawl-compare --out runs/crawl_compare --learners "
            f"{' '.join(self.learners)} --seeds {self.seeds} --processor-s {self.processor_s:g}"
        )

    def _trained(self, name: str, seed: int) -> dict[str, Any]:
        path = self.out / f"{name}_{seed}_{self.processor_s:g}s.json"
        if not path.exists():
            write_json(path, train(make_learner(name, seed), name, seed, self.processor_s))
        return _kept(path)

    def _adapted(self, theta: FloatArray, broken: Sequence[int], limbs: int) -> dict[str, Any]:
        path = self.out / f"{Path(self.gait).stem}_lost_{'_'.join(map(str, broken))}.json"
        if not path.exists():
            write_json(path, adapt(theta, broken, limbs))
            print(f"adapted to the loss of {list(broken)}", flush=True)
        return _kept(path)


def _kept(path: Path) -> dict[str, Any]:
    """Return what a file of the runs holds.

    Raises:
        UserError: it holds no figures.
    """
    row = read_json(path)
    if not isinstance(row, dict):
        raise UserError(f"{path} holds no figures; remove it, and it is made again.")
    return row


def run_by_engines(theta: FloatArray, limbs: int) -> dict[str, dict[str, float]]:
    """Return the body lengths a minute of a gait by each engine, led by a limb and by a gap."""
    found: dict[str, dict[str, float]] = {}
    for engine in ENGINES:
        environment = StarfishCrawlEnv(duration_s=TEST_S, engine=engine)
        row = {"limb leads": walk(environment, theta)["lengths_per_min"]}
        environment.face(math.pi / limbs)
        row["gap leads"] = walk(environment, led_by_gap(theta, 0))["lengths_per_min"]
        found[engine] = {name: round(value, 3) for name, value in row.items()}
    return found


def draw(
    rows: Sequence[dict[str, Any]], lost: Sequence[dict[str, Any]], whole: float, path: Path
) -> None:
    """Draw the learning curves over processor time, and speeds before and after adaptation."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    names = list(dict.fromkeys(row["learner"] for row in rows))
    for row in rows:
        _, seconds, speeds = np.array(row["curve"]).T
        color = f"C{names.index(row['learner'])}"
        # Learners of one episode a batch scatter: a mean over what 30 episodes take.
        width = max(round(30 * len(speeds) / row["episodes"]), 1)
        smooth = [speeds[max(k - width, 0) : k + 1].mean() for k in range(len(speeds))]
        label = row["learner"] if row["seed"] == 0 else None
        left.plot(seconds, smooth, color=color, label=label, lw=1.2)
    left.set(xlabel="processor time, s", ylabel="body lengths a minute, of what is tried")
    places = np.arange(len(lost))
    right.bar(places - 0.2, [row["before"] for row in lost], 0.4, label="as they are lost")
    right.bar(places + 0.2, [row["after"] for row in lost], 0.4, label="after 20 episodes")
    right.axhline(0.7 * whole, color="gray", ls=":", label="70 % of the whole robot's")
    right.set_xticks(places, [", ".join(map(str, row["limbs"])) for row in lost])
    right.set(xlabel="lost limbs", ylabel="body lengths a minute")
    for axes in (left, right):
        axes.legend(frameon=False, fontsize=8)
        axes.grid(alpha=0.3)
    figure.savefig(str(path), dpi=80)
