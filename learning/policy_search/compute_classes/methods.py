"""Learners of compute classes: all of policy search, and those of stable-baselines3 beside them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sb3_contrib import ARS, TRPO
from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from asterias.registry import Registry
from learning.policy_search.common.learner import PolicySearch
from learning.policy_search.compute_classes.tasks import ClassTask
from learning.policy_search.registry import LEARNERS

# Seeds of evaluations lie apart from those of trainings.
_EVALUATION = 10_000


class Contestant(ABC):
    """A learner that is trained for a number of steps and then evaluated."""

    @property
    @abstractmethod
    def steps(self) -> int:
        """Steps of the environment so far."""

    @abstractmethod
    def iterate(self) -> int:
        """Train for one iteration; return its steps."""

    @abstractmethod
    def evaluate(self, episodes: int) -> tuple[float, float]:
        """Return mean return and mean length of episodes of the learned policy."""

    @abstractmethod
    def close(self) -> None:
        """Close the environments."""

    def train_until(self, steps: float) -> None:
        """Train until so many steps have been taken; the last iteration is finished."""
        while self.steps < steps:
            self.iterate()


class _Search(Contestant):
    """A learner of policy search: linear policies."""

    def __init__(self, learner: type[PolicySearch], name: str, task: ClassTask, seed: int) -> None:
        options = {**task.search, **task.settings.get(name, {})}
        self._model = learner("LinearPolicy", task.make, seed=seed, **options)

    @property
    def steps(self) -> int:
        return self._model.num_timesteps

    def iterate(self) -> int:
        before = self._model.num_timesteps
        self._model.learn(1, reset_num_timesteps=False)
        return self._model.num_timesteps - before

    def evaluate(self, episodes: int) -> tuple[float, float]:
        results = self._model.evaluate(episodes)
        returns, lengths = [r.raw_return for r in results], [r.length for r in results]
        return float(np.mean(returns)), float(np.mean(lengths))

    def close(self) -> None:
        self._model.close()


class _Baseline(Contestant):
    """A learner of stable-baselines3 or sb3-contrib, with its own settings but for the task's."""

    def __init__(
        self,
        learner: Callable[..., BaseAlgorithm],
        policy: str,
        name: str,
        task: ClassTask,
        seed: int,
    ) -> None:
        env: Any = DummyVecEnv([lambda: Monitor(task.make())])
        if task.search.get("normalise", True):
            env = VecNormalize(env, norm_reward=False)
        self._model = learner(policy, env, seed=seed, **task.settings.get(name, {}))
        self._task, self._seed = task, seed

    @property
    def steps(self) -> int:
        return self._model.num_timesteps

    def iterate(self) -> int:
        before = self._model.num_timesteps
        self._model.learn(1, reset_num_timesteps=False)
        return self._model.num_timesteps - before

    def evaluate(self, episodes: int) -> tuple[float, float]:
        env: Any = DummyVecEnv([lambda: Monitor(self._task.make())])
        env.seed(_EVALUATION + self._seed)
        training = self._model.get_vec_normalize_env()
        if training is not None:
            env = VecNormalize(env, training=False, norm_reward=False)
            env.obs_rms = training.obs_rms
        # Actions are drawn where the task's own policies are: on the limb.
        returns, lengths = evaluate_policy(
            self._model,
            env,
            episodes,
            deterministic=not self._task.is_length,
            return_episode_rewards=True,
        )
        env.close()
        return float(np.mean(returns)), float(np.mean(lengths))

    def close(self) -> None:
        assert self._model.env is not None
        self._model.env.close()


Make = Callable[[ClassTask, int], Contestant]
METHODS: Registry[Make] = Registry("method of compute classes", "asterias.compute_class_methods")


def _search(name: str) -> Make:
    return lambda task, seed: _Search(LEARNERS.get(name), name, task, seed)


def _baseline(learner: Callable[..., BaseAlgorithm], policy: str, name: str) -> Make:
    return lambda task, seed: _Baseline(learner, policy, name, task, seed)


METHODS.register("ppo", _baseline(partial(PPO, device="cpu"), "MlpPolicy", "ppo"))
METHODS.register("trpo", _baseline(partial(TRPO, device="cpu"), "MlpPolicy", "trpo"))
METHODS.register("ars", _baseline(partial(ARS, device="cpu"), "LinearPolicy", "ars"))
for _name in LEARNERS.names():
    METHODS.register(_name, _search(_name))
