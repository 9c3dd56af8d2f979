"""Highway DQN beside DQN and n-step DQN, on tasks that pay at the end of the episode alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from asterias.arrays import FloatArray
from asterias.files import read_training, write_json
from asterias.provenance import Clock
from asterias.registry import Registry
from learning.highway.dqn.highway_dqn import HighwayDQN
from learning.highway.limb_training import SETTINGS
from learning.highway.tabular.processes import FiniteProcess, stumbling_corridor
from learning.highway.tasks import ProcessEnv
from learning.target_finding.env.environment import TargetFindingEnv

_LENGTH = 20
CORRIDOR_SETTINGS: dict[str, Any] = {
    "buffer_size": 50_000,
    "learning_starts": 500,
    "batch_size": 64,
    "train_freq": 4,
    "target_update_interval": 500,
    "gamma": 0.95,
    "exploration_fraction": 0.5,
    "exploration_final_eps": 0.1,
    "learning_rate": 1e-3,
    "policy_kwargs": {"net_arch": [64]},
    "device": "cpu",
}


@dataclass(frozen=True)
class DeepTask:
    """A task and how it is learned.

    Attributes:
        title: in tables.
        make: the environment.
        steps: of training.
        goal: mean discounted return of the greedy policy that counts as solved.
        settings: of DQN.
        episodes: of an evaluation.
        patience: steps after which an evaluation gives an episode up.
        every: steps of training between two evaluations.
        process: with exact values, where the task is one.
        learners: names of those that are compared on it.
    """

    title: str
    make: Callable[[], gymnasium.Env[Any, Any]]
    steps: int
    goal: float
    settings: dict[str, Any] = field(default_factory=lambda: dict(CORRIDOR_SETTINGS))
    episodes: int = 10
    patience: int = 10_000
    every: int = 500
    process: FiniteProcess | None = None
    learners: tuple[str, ...] = ("dqn", "dqn_5", "dqn_50", "highway_50", "highway_critics_50")


TASKS: Registry[DeepTask] = Registry("task with its reward at the end")


def _register_corridor(name: str, title: str, slip: float) -> None:
    process = stumbling_corridor(_LENGTH, slip=slip)
    best = float(process.optimal_values()[process.start].max())
    # Nine tenths of the optimum: the other corridor pays three tenths.
    TASKS.register(
        name,
        DeepTask(
            title,
            lambda: ProcessEnv(process, 400),
            8000,
            0.9 * best,
            # Where moves are certain all episodes of a greedy policy are the same.
            episodes=5 if slip else 1,
            process=process,
        ),
    )


_register_corridor("corridor", "corridors of 20 steps, moves certain", 0.0)
_register_corridor("slippery_corridor", "corridors of 20 steps, 20 % of the moves random", 0.2)


def _register_target_finding(
    name: str, cameras: str, faults: str, every: int = 500, patience: int = 60
) -> None:
    TASKS.register(
        name,
        DeepTask(
            f"target finding, one servo at a time, {cameras}",
            partial(TargetFindingEnv, actions="moves", wait_s=1.0, cap=60, faults=faults),
            2000,
            # A find within ten moves: 0.9 to the power of 9.
            0.9**9,
            {**SETTINGS, "learning_rate": 1e-3},
            patience=patience,
            every=every,
            learners=("ppo", "dqn", "dqn_20", "highway_20"),
        ),
    )


_register_target_finding("target_finding", "no dead camera", "kill0")
# Looked at more often; finds after 30 moves are worth less than a twentieth of one at once.
_register_target_finding("target_finding_dead_1", "1 dead camera of 4", "kill1", 100, 30)
_register_target_finding("target_finding_dead_2", "1 or 2 dead cameras of 4", "kill12", 100, 30)

# Takes environment, and settings of DQN.
_MakeLearner = Callable[..., BaseAlgorithm]


def _n_step(steps: int) -> _MakeLearner:
    return lambda env, **settings: DQN("MlpPolicy", env, n_steps=steps, **settings)


def _highway(depth: int, gate: str) -> _MakeLearner:
    return lambda env, **settings: HighwayDQN("MlpPolicy", env, depth=depth, gate=gate, **settings)


def _ppo(env: gymnasium.Env[Any, Any], **settings: Any) -> BaseAlgorithm:
    """Return PPO with stable-baselines3's settings, but for rollouts that fit the budget."""
    kept = {name: settings[name] for name in ("seed", "gamma", "policy_kwargs", "device")}
    return PPO("MlpPolicy", env, n_steps=250, batch_size=50, **kept)


DEEP_LEARNERS: Registry[_MakeLearner] = Registry("learner of long credit")
for _name, _make in (
    ("ppo", _ppo),
    ("dqn", _n_step(1)),
    ("dqn_5", _n_step(5)),
    ("dqn_20", _n_step(20)),
    ("dqn_50", _n_step(50)),
    ("highway_20", _highway(20, "samples")),
    ("highway_50", _highway(50, "samples")),
    ("highway_critics_50", _highway(50, "critics")),
):
    DEEP_LEARNERS.register(_name, _make)


@dataclass(frozen=True)
class DeepRun:
    """One training."""

    task: str
    learner: str
    seed: int
    folder: Path

    @property
    def path(self) -> Path:
        """Where its result lies, once it is finished."""
        return self.folder / f"{self.task}_{self.learner}_{self.seed}.json"


class _Curve(BaseCallback):
    """Evaluates the greedy policy now and then."""

    def __init__(self, about: DeepTask, on_steps: Callable[[int], None]) -> None:
        super().__init__()
        self.points: list[dict[str, float]] = []
        self.gates: list[dict[str, float]] = []
        self._about, self._on_steps = about, on_steps
        self._env = about.make()

    def _on_step(self) -> bool:
        if self.num_timesteps % self._about.every:
            return True
        returns, lengths = evaluate(self.model, self._env, self._about)
        self.points.append(
            {
                "steps": self.num_timesteps,
                "return": round(float(np.mean(returns)), 4),
                "length": round(float(np.mean(lengths)), 2),
            }
        )
        if figures := getattr(self.model, "figures", None):  # of the learners with a gate
            self.gates.append({k: round(v, 4) for k, v in figures.items()})
        self._on_steps(self.num_timesteps)
        return True

    def _on_training_end(self) -> None:
        self._env.close()


def evaluate(
    model: Any, env: gymnasium.Env[Any, Any], about: DeepTask
) -> tuple[list[float], list[int]]:
    """Run the greedy policy.

    Args:
        model: with ``predict``.
        env: of the task.
        about: the task.

    Returns:
        Discounted return and length of each episode, always of the same seeds.
    """
    gamma, returns, lengths = about.settings["gamma"], [], []
    counted = isinstance(env.action_space, spaces.Discrete)
    for episode in range(about.episodes):
        seen, _ = env.reset(seed=10_000 + episode)
        total, steps, over = 0.0, 0, False
        while not over and steps < about.patience:
            action, _ = model.predict(seen, deterministic=True)
            seen, reward, terminated, truncated, _ = env.step(int(action) if counted else action)
            total += gamma**steps * float(reward)
            steps, over = steps + 1, terminated or truncated
        returns.append(total)
        lengths.append(steps)
    return returns, lengths


def complete_deep_run(run: DeepRun, on_steps: Callable[[int], None]) -> None:
    """Train, where that is not done yet.

    Args:
        run: the training.
        on_steps: told after each evaluation how many steps were taken.
    """
    if run.path.exists():
        return
    torch.set_num_threads(1)  # the nets are small
    about, clock = TASKS.get(run.task), Clock()
    env = about.make()
    # Stable-baselines3 writes into the dictionaries that it is given.
    model = DEEP_LEARNERS.get(run.learner)(env, seed=run.seed, **deepcopy(about.settings))
    curve = _Curve(about, on_steps)
    model.learn(about.steps, callback=curve)
    env.close()
    result = {
        "task": run.task,
        "learner": run.learner,
        "seed": run.seed,
        "solved": solved_at(curve.points, about.goal),
        "curve": curve.points,
        "gates": curve.gates,
        "wall_s": round(clock.elapsed()[0], 1),
    }
    if about.process is not None and isinstance(model, DQN):
        result["bias"] = round(_bias(model, about.process), 4)
    write_json(run.path, result)


def solved_at(curve: Sequence[dict[str, float]], goal: float) -> int | None:
    """Return the steps at the first of two evaluations in a row that reach the goal.

    Args:
        curve: points with ``steps`` and ``return``.
        goal: return that counts.

    Returns:
        The steps; None: never.
    """
    for first, second in pairwise(curve):
        if min(first["return"], second["return"]) >= goal:
            return int(first["steps"])
    return None


def _bias(model: DQN, process: FiniteProcess) -> float:
    """Return the mean of ``V - V*`` over the states that end no episode."""
    optimal: FloatArray = process.optimal_values().max(1)
    with torch.no_grad():
        values = model.q_net(torch.eye(len(optimal))).amax(1).numpy()
    inside = [state for state in range(len(optimal)) if state not in process.ends]
    return float((values - optimal)[inside].mean())


def deep_rows(runs: Sequence[DeepRun]) -> list[dict[str, Any]]:
    """Return a row per task and learner, over its finished trainings."""
    rows = []
    for task, learner in dict.fromkeys((run.task, run.learner) for run in runs):
        paths = [r.path for r in runs if (r.task, r.learner) == (task, learner) and r.path.exists()]
        results = [read_training(path, "curve") for path in paths]
        if results:
            rows.append(_row(task, learner, results))
    return rows


def _row(task: str, learner: str, results: list[dict[str, Any]]) -> dict[str, Any]:
    gates = [gate for result in results for gate in result["gates"] if gate]
    biases = [result["bias"] for result in results if "bias" in result]
    return {
        "task": task,
        "title": TASKS.get(task).title,
        "learner": learner,
        "steps": TASKS.get(task).steps,
        "goal": round(TASKS.get(task).goal, 4),
        "seeds": [result["seed"] for result in results],
        "solved": [solved_at(r["curve"], TASKS.get(task).goal) for r in results],
        "bias": round(float(np.mean(biases)), 4) if biases else None,
        "last_length": round(float(np.mean([r["curve"][-1]["length"] for r in results])), 2),
        "gates": {
            name: round(float(np.mean([gate[name] for gate in gates])), 4) for name in gates[0]
        }
        if gates
        else None,
        "curves": [result["curve"] for result in results],
        "wall_s": round(float(np.mean([result["wall_s"] for result in results])), 1),
    }
