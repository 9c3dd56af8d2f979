"""``python -m learning crawl``: learn gaits, and crawl to targets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from asterias.arrays import FloatArray
from asterias.cli import check_file, check_folder
from asterias.errors import UserError
from asterias.files import read_training, write_json
from asterias.provenance import Clock, provenance
from learning.crawling.environment import StarfishCrawlEnv
from learning.crawling.gaits import Gait, both_sides, walk
from learning.crawling.steering import reach_target
from learning.policy_search.registry import LEARNERS

TRAINING_S, TEST_S = 6.0, 20.0
TARGETS = 20
TARGET_DISTANCE_M = 1.0
_SETTINGS: dict[str, dict[str, Any]] = {
    "cem": {"population": 30, "sigma": 1.0},
    "pgpe": {"pairs": 15, "sigma": 1.0},
}


@dataclass(frozen=True)
class CrawlStudy:
    """Learn gaits of the starfish, and crawl to targets with the best one."""

    out: Path
    """Folder for the runs; what is finished there is not done again."""
    learners: tuple[str, ...] = ("cem", "pgpe")
    """Learners of policy search."""
    seeds: int = 2
    """Trainings of each, with the seeds from 0 on."""
    episodes: int = 120
    """Of a training."""
    processes: int = 1
    """That simulate."""
    json: Path | None = None
    """Result file to write, for example results/learning/crawl.json."""
    picture: Path | None = None
    """Learning curves to draw, for example results/learning/crawl.png."""
    gait: Path | None = None
    """File for the best gait, for example learning/crawling/gaits/rowing.json."""

    def run(self) -> int:
        """Train what is missing, test, and write.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used.
        """
        if min(self.seeds, self.episodes, len(self.learners)) < 1:
            raise UserError("--seeds, --episodes and --learners take one or more.")
        check_folder("--out", self.out)
        for name, path in (("json", self.json), ("picture", self.picture), ("gait", self.gait)):
            check_file(f"--{name}", path)
        rows = [self._row(learner, s) for s in range(self.seeds) for learner in self.learners]
        best = max(rows, key=lambda row: row["lengths_per_min"])
        theta = np.array(best["theta"])
        targets = reach_targets(theta)
        for row in rows:
            print(f"{row['learner']} {row['seed']}: {row['lengths_per_min']:.2f} lengths/min")
        print(f"{targets['reached']} of {targets['targets']} targets reached")
        told = provenance(0, self._command)
        if self.gait is not None:
            about = {key: best[key] for key in ("learner", "seed", "episodes", "lengths_per_min")}
            Gait(theta, {**told, **about}).save(self.gait)
        if self.json is not None:
            write_json(self.json, {**told, "rows": rows, "targets": targets})
        if self.picture is not None:
            draw_curves(rows, self.picture)
        return 0

    @property
    def _command(self) -> str:
        """What to type to do the same, whether or not it was done in one go."""
        return (
            f"python -m learning crawl --out runs/crawl --learners {' '.join(self.learners)} "
            f"--seeds {self.seeds} --episodes {self.episodes}"
        )

    def _row(self, learner: str, seed: int) -> dict[str, Any]:
        """Return a training's figures, from its file where it is finished."""
        path = self.out / f"{learner}_{seed}_{self.episodes}.json"
        if path.exists():
            return read_training(path, "theta")
        row = train(learner, seed, self.episodes, self.processes)
        write_json(path, row)
        return row


def train(learner: str, seed: int, episodes: int, processes: int) -> dict[str, Any]:
    """Learn a gait from nothing, both sides of the body alike.

    Args:
        learner: of policy search, by name.
        seed: of everything.
        episodes: of training.
        processes: that simulate.

    Returns:
        The figures, with the learning curve.
    """
    make = partial(StarfishCrawlEnv, mirrored=True, duration_s=TRAINING_S)
    settings = _SETTINGS.get(learner, {})
    model = LEARNERS.get(learner)(
        "LinearPolicy", make, seed=seed, processes=processes, normalise=False, **settings
    )
    clock, curve = Clock(), []
    steps = round(TRAINING_S * StarfishCrawlEnv.metadata["render_fps"])
    with model.rollouts.opened():
        while model.num_episodes < episodes:
            done = len(model.returns)
            model.learn(steps, reset_num_timesteps=False)
            mean = float(np.mean(model.returns[done:])) * 60.0 / TRAINING_S
            curve.append([model.num_episodes, round(mean, 3)])
            print(f"{learner} {seed}: {model.num_episodes} episodes, {mean:.2f} lengths/min")
    wall_s, _ = clock.elapsed()
    theta = both_sides(np.array(model.theta, dtype=np.float64))
    tested = walk(StarfishCrawlEnv(duration_s=TEST_S), theta)
    return {
        "learner": learner,
        "seed": seed,
        "parameters": model.architecture.parameters,
        "episodes": model.num_episodes,
        "wall_s": round(wall_s, 1),
        "processes": processes,
        "lengths_per_min": round(tested["lengths_per_min"], 3),
        "sideways": round(tested["sideways"], 3),
        "curve": curve,
        "theta": theta.tolist(),
    }


def reach_targets(theta: FloatArray) -> dict[str, Any]:
    """Return how many targets all round the robot, a metre away, a gait reaches."""
    rows = []
    for k in range(TARGETS):
        bearing = 2.0 * math.pi * k / TARGETS
        place = (TARGET_DISTANCE_M * math.cos(bearing), TARGET_DISTANCE_M * math.sin(bearing))
        rows.append(reach_target(StarfishCrawlEnv(target_m=place, duration_s=60.0), theta))
    times = [row["seconds"] for row in rows if row["reached"]]
    return {
        "targets": TARGETS,
        "distance_m": TARGET_DISTANCE_M,
        "reached": len(times),
        "median_s": round(float(np.median(times)), 1) if times else None,
        "longest_s": round(max(times), 1) if times else None,
    }


def draw_curves(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw learning curves."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for row in rows:
        episodes, speeds = np.array(row["curve"]).T
        axes.plot(episodes, speeds, label=f"{row['learner']}, seed {row['seed']}")
    axes.axhline(2.0, color="gray", ls=":", label="aim")
    axes.set(xlabel="episodes of 6 s", ylabel="body lengths a minute, mean of a batch")
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    figure.savefig(str(path), dpi=80)
