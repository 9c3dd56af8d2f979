"""Curiosity: reward for what a fixed random network makes of the new (random network distillation).

A predictor learns what a random network answers to the observations that were met. Where it still
errs, the robot has not been; the error is reward (Burda et al., arXiv 1810.12894). Curiosity is
what the baby robot was built for (arXiv 2404.08093, introduction); the published experiment has
none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn
from torch import nn

from asterias.arrays import FloatArray

# Outputs of the random network, its hidden units, and learning of the predictor.
_CODES, _HIDDEN = 16, 64
_RATE, _EPOCHS = 1e-3, 4


class Curiosity(VecEnvWrapper):
    """Adds ``weight`` times the novelty of what a step led to, in units of its running spread.

    ``info["target_reward"]`` keeps the reward for the target. The predictor learns in
    :meth:`learn`, so between two calls novelty is a fixed function of the observation.

    Args:
        venv: environments with vectors for observations.
        weight: of curiosity against a reward of 1 for the find.
        seed: of both networks.
    """

    def __init__(self, venv: VecEnv, weight: float, seed: int) -> None:
        super().__init__(venv)
        (size,) = venv.observation_space.shape or (0,)
        self.weight = weight
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.random, self.predictor = _network(size), _network(size)
        self._optimizer = torch.optim.Adam(self.predictor.parameters(), lr=_RATE)
        self._met: list[FloatArray] = []
        self._mean, self._square, self._count = np.zeros(size), np.ones(size), 1e-4
        self._spread = 1.0

    def reset(self) -> Any:
        """Return what the wrapped ones return."""
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        """Take the step, and add what is new about it.

        Returns:
            Observations, rewards, ends and information.
        """
        observations, rewards, dones, infos = self.venv.step_wait()
        met = np.array(observations, dtype=np.float64)
        for i, info in enumerate(infos):
            info["target_reward"] = float(rewards[i])
            if dones[i]:
                met[i] = info["terminal_observation"]
        self._met.append(met)
        return observations, rewards + self.weight * self.novelty(met), dones, infos

    @torch.no_grad()
    def novelty(self, observations: FloatArray) -> FloatArray:
        """Return ``(B,)`` prediction errors of ``(B, n)`` observations, in units of their std."""
        x = self._scaled(observations)
        error = (self.predictor(x) - self.random(x)).square().mean(dim=1)
        novelty: FloatArray = error.numpy() / self._spread
        return novelty

    def learn(self) -> None:
        """Teach the predictor what was met since the last call."""
        if not self._met:
            return
        batch = np.concatenate(self._met)
        self._met.clear()
        share = len(batch) / (self._count + len(batch))
        self._mean += share * (batch.mean(axis=0) - self._mean)
        self._square += share * (np.square(batch).mean(axis=0) - self._square)
        self._count += len(batch)
        errors = self.novelty(batch) * self._spread
        self._spread += share * (float(errors.std()) + 1e-8 - self._spread)
        x = self._scaled(batch)
        with torch.no_grad():
            wanted = self.random(x)
        for _ in range(_EPOCHS):
            loss = (self.predictor(x) - wanted).square().mean()
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()

    def state(self) -> dict[str, Any]:
        """Return everything that a checkpoint must hold."""
        return {
            "random": self.random.state_dict(),
            "predictor": self.predictor.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scale": {"mean": self._mean, "square": self._square},
            "count": self._count,
            "spread": self._spread,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`."""
        self.random.load_state_dict(state["random"])
        self.predictor.load_state_dict(state["predictor"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._mean, self._square = state["scale"]["mean"], state["scale"]["square"]
        self._count, self._spread = state["count"], state["spread"]

    def _scaled(self, observations: FloatArray) -> torch.Tensor:
        deviation = np.sqrt(np.maximum(self._square - np.square(self._mean), 1e-6))
        scaled = np.clip((observations - self._mean) / deviation, -5.0, 5.0)
        return torch.as_tensor(scaled, dtype=torch.float32)


def _network(inputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, _HIDDEN), nn.ReLU(),
        nn.Linear(_HIDDEN, _CODES),
    )  # fmt: skip
