"""``python -m learning policy-search-speed``: learners beside ARS at equal steps, in one run."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from sb3_contrib import ARS
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from asterias.cli import check_file
from asterias.errors import UserError
from asterias.files import write_json
from asterias.progress import Stages, progress_bars
from asterias.provenance import Clock, provenance
from learning.policy_search.common.rollouts import make_environment
from learning.policy_search.registry import LEARNERS
from learning.policy_search.studies.benchmarks import BENCHMARKS

_BESIDE = "ars"


@dataclass(frozen=True)
class PolicySearchSpeed:
    """Time learners of policy search beside sb3-contrib's ARS at equal steps, in one run."""

    environment: str = "Swimmer-v5"
    """Name of an environment of Gymnasium."""
    learners: tuple[str, ...] = ("pssvf", "pgpe", "cem", "ppois")
    """Which, with linear policies and settings as they stand."""
    steps: int = 50_000
    """Of each training."""
    turns: int = 3
    """Trainings of each; learners take turns, so that a busy machine is as busy for all."""
    json: Path | None = None
    """Result file to write, for example results/learning/policy_search_speed.json."""

    def run(self) -> int:
        """Train, print the table, write.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used.
        """
        for name in self.learners:
            LEARNERS.get(name)
        if self.steps < 1000 or self.turns < 1:
            raise UserError("--steps must be 1000 or more, --turns 1 or more.")
        check_file("--json", self.json)
        torch.set_num_threads(1)  # the nets are small
        taken: dict[str, list[tuple[float, float]]] = {n: [] for n in (_BESIDE, *self.learners)}
        with progress_bars(24, unit="trainings") as progress:
            stages = Stages(progress)
            for turn in range(self.turns):
                for number, (name, times) in enumerate(taken.items()):
                    times.append(self._time(name, turn))
                    stages("timed", turn * len(taken) + number + 1, self.turns * len(taken))
        rows = [_row(name, times, taken[_BESIDE]) for name, times in taken.items()]
        Console().print(_table(rows, self.environment))
        if self.json is not None:
            about = {"environment": self.environment, "steps": self.steps, "turns": self.turns}
            write_json(self.json, {**provenance(0, self._command), **about, "rows": rows})
        return 0

    @property
    def _command(self) -> str:
        return (
            f"python -m learning policy-search-speed --environment {self.environment} "
            f"--learners {' '.join(self.learners)} --steps {self.steps} --turns {self.turns}"
        )

    def _time(self, name: str, seed: int) -> tuple[float, float]:
        """Return processor and wall seconds for a million steps."""
        if name == _BESIDE:
            made = DummyVecEnv([lambda: Monitor(make_environment(self.environment))])
            env = VecNormalize(made, norm_reward=False)
            settings = dict(BENCHMARKS.get("swimmer_ars").settings)
            model: Any = ARS("LinearPolicy", env, seed=seed, **settings)
        else:
            model = LEARNERS.get(name)("LinearPolicy", self.environment, seed=seed)
        clock = Clock()
        model.learn(self.steps)
        wall_s, processor_s = clock.elapsed()
        if name == _BESIDE:
            model.get_env().close()
        else:
            model.close()
        share = 1e6 / model.num_timesteps  # the last batch is finished, beyond the steps
        return processor_s * share, wall_s * share


def _row(
    name: str, times: list[tuple[float, float]], beside: list[tuple[float, float]]
) -> dict[str, Any]:
    ratios = [own[0] / other[0] for own, other in zip(times, beside, strict=True)]
    return {
        "learner": name,
        "processor_s": round(statistics.median(one[0] for one in times), 1),
        "wall_s": round(statistics.median(one[1] for one in times), 1),
        "ratio": round(statistics.median(ratios), 2),
    }


def _table(rows: list[dict[str, Any]], environment: str) -> Table:
    table = Table(title=f"A million steps of {environment} with learning, one process")
    for heading in ("learner", "processor s", "wall s", "processor time, of ARS's"):
        table.add_column(heading)
    for row in rows:
        figures = f"{row['processor_s']:.0f}", f"{row['wall_s']:.0f}", f"{row['ratio']:.2f}"
        table.add_row(row["learner"], *figures)
    return table
