"""Runs of the study: each can be stopped at any moment, and goes on from what it saved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sb3_contrib import ARS, TRPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from asterias.errors import UserError
from asterias.files import read_json, write_json
from asterias.provenance import Clock
from learning.policy_search.algorithms.generator_search import GeneratorSearch, command_curve
from learning.policy_search.common.learner import PolicySearch
from learning.policy_search.common.rollouts import make_environment
from learning.policy_search.registry import LEARNERS
from learning.policy_search.studies.benchmarks import BENCHMARKS, Benchmark

RESULT, CURVE, LEARNER = "result.json", "curve.json", "learner.safetensors"

# Baselines of sb3-contrib.
_BASELINES: dict[str, type[Any]] = {"ars": ARS, "trpo": TRPO}

# Commands of a generator's curve, as many as in the paper.
_COMMANDS = 21

# Steps and total of a run, told on the way.
OnRun = Callable[[int, int], None]


@dataclass(frozen=True)
class BenchmarkRun:
    """One seed of one benchmark."""

    benchmark: str
    seed: int
    folder: Path

    @property
    def about(self) -> Benchmark:
        """What is learned."""
        return BENCHMARKS.get(self.benchmark)

    def result(self) -> dict[str, Any]:
        """Return what the finished run wrote.

        Raises:
            UserError: the file is damaged.
        """
        result = read_json(self.folder / RESULT)
        if not isinstance(result, dict) or "curve" not in result:
            raise UserError(f"{self.folder / RESULT} has no curve; remove it and run again.")
        return result

    @property
    def is_done(self) -> bool:
        """Whether it is finished."""
        return (self.folder / RESULT).exists()


def benchmark_runs(folder: Path, names: tuple[str, ...], seeds: int) -> list[BenchmarkRun]:
    """Return the runs, all benchmarks of one seed before the next seed."""
    return [
        BenchmarkRun(name, seed, folder / f"{name}_{seed}")
        for seed in range(seeds)
        for name in names
    ]


def complete_run(run: BenchmarkRun, on_run: OnRun) -> None:
    """Run what is missing of a run.

    Args:
        run: the run.
        on_run: told steps and total after each evaluation.
    """
    if run.is_done:
        return
    torch.set_num_threads(1)  # the nets are small
    if run.about.learner in _BASELINES:
        curve, wall_s = _run_baseline(run, on_run)
        episodes = None
    else:
        curve, wall_s, episodes = _run_learner(run, on_run)
    commanded = _command_curve(run) if run.about.commands else []
    write_json(
        run.folder / RESULT,
        {
            "seed": run.seed,
            "curve": curve,
            "wall_s": round(wall_s, 1),
            "episodes": episodes,
            "command_curve": commanded,
        },
    )


def _run_learner(run: BenchmarkRun, on_run: OnRun) -> tuple[list[Any], float, int]:
    about = run.about
    cls, saved = LEARNERS.get(about.learner), run.folder / LEARNER
    if saved.exists():
        model: PolicySearch = cls.load(saved)
    else:
        model = cls(about.policy, about.environment, seed=run.seed, **about.settings)
    curve = [row for row in _saved_curve(run) if row["steps"] <= model.num_timesteps]
    for point in _points(about, model.num_timesteps):
        if model.num_timesteps >= point:
            continue
        before = len(model.returns)
        model.learn(point - model.num_timesteps, reset_num_timesteps=False)
        returns = [result.raw_return for result in model.evaluate(about.episodes)]
        curve.append(
            {
                "steps": model.num_timesteps,
                "iteration": model.num_iterations,
                "mean_return": round(float(np.mean(returns)), 2),
                "training_return": round(float(np.mean(model.returns[before:])), 2),
                **{name: round(value, 4) for name, value in model.figures.items()},
            }
        )
        write_json(run.folder / CURVE, curve)
        model.save(saved)
        on_run(min(model.num_timesteps, about.steps), about.steps)
    model.close()
    return curve, model.wall_s, model.num_episodes


def _command_curve(run: BenchmarkRun) -> list[tuple[float, float]]:
    """Return commanded and obtained returns of a generator of policies, at 21 commands."""
    model = LEARNERS.get(run.about.learner).load(run.folder / LEARNER)
    assert run.about.commands is not None and isinstance(model, GeneratorSearch)
    made = command_curve(model, np.linspace(*run.about.commands, _COMMANDS), run.about.episodes)
    model.close()
    return [(round(asked, 2), round(obtained, 2)) for asked, obtained in made]


def _points(about: Benchmark, done: int) -> Iterator[int]:
    """Yield the steps after which to evaluate; one iteration at a time, where ``every`` is 1."""
    yield from range(done + about.every - done % about.every, about.steps + 1, about.every)


def _saved_curve(run: BenchmarkRun) -> list[dict[str, Any]]:
    path = run.folder / CURVE
    curve: list[dict[str, Any]] = read_json(path) if path.exists() else []
    return curve


class _BaselineCurve(BaseCallback):
    """Evaluates a baseline's mean policy between two of its iterations."""

    def __init__(self, run: BenchmarkRun, on_run: OnRun) -> None:
        super().__init__()
        self.curve: list[dict[str, Any]] = []
        self.evaluation_s = 0.0
        self._run, self._on_run = run, on_run

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        about = self._run.about
        if self.num_timesteps // about.every <= len(self.curve):
            return
        clock = Clock()
        env = make_environment(about.environment)
        env.reset(seed=10_000 + self._run.seed)
        normalised = VecNormalize(DummyVecEnv([lambda: Monitor(env)]), training=False)
        training = self.model.get_vec_normalize_env()
        assert training is not None
        normalised.obs_rms, normalised.norm_reward = training.obs_rms, False
        mean, _ = evaluate_policy(self.model, normalised, about.episodes)
        normalised.close()
        self.curve.append({"steps": self.num_timesteps, "mean_return": round(float(mean), 2)})  # type: ignore[arg-type]
        self._on_run(min(self.num_timesteps, about.steps), about.steps)
        self.evaluation_s += clock.elapsed()[0]


def _policy_of(about: Benchmark) -> str:
    """Return the policy's name for sb3-contrib; TRPO's linear one is an MLP without layers."""
    return "MlpPolicy" if about.learner == "trpo" else about.policy


def _run_baseline(run: BenchmarkRun, on_run: OnRun) -> tuple[list[Any], float]:
    """Run a baseline of sb3-contrib, from its beginning: it cannot go on from a checkpoint.

    Returns:
        The curve, and the seconds that learning took.
    """
    about = run.about
    env = VecNormalize(
        DummyVecEnv([lambda: Monitor(make_environment(about.environment))]), norm_reward=False
    )
    model = _BASELINES[about.learner](_policy_of(about), env, seed=run.seed, **about.settings)
    curve, clock = _BaselineCurve(run, on_run), Clock()
    model.learn(about.steps, callback=curve)
    curve.on_rollout_start()  # the last point
    wall_s = clock.elapsed()[0] - curve.evaluation_s
    env.close()
    return curve.curve, wall_s
