"""Highway SAC and TD3 on the limb: ``python -m learning train --algo highway_sac``.

All servos move at once; only the find at the end of an episode pays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import VecEnv
from torch import nn

from learning.highway.continuous.highway_sac import HighwaySAC
from learning.highway.continuous.highway_td3 import HighwayTD3
from learning.target_finding.algorithms.networks import HIDDEN, ITERATION
from learning.target_finding.algorithms.sb3 import Recipe, hidden_and_last
from learning.target_finding.policies.encoder import TileEncoder
from learning.target_finding.policies.network_policy import NetworkPolicy
from learning.target_finding.policies.policy_files import Policy

_LEARNING_RATE = 1e-3
# As of Highway DQN: larger than most searches are long.
DEPTH = 20
# A find pays 1, discounted: with SAC's own start of 1 the entropy would be all that counts.
TEMPERATURE = 0.01
# Standard deviation of TD3's exploration, of the largest increment.
NOISE = 0.3
# A policy's file has a spread; that of a deterministic policy is nothing.
_NO_SPREAD = -20.0


def continuous_settings(environments: int) -> dict[str, Any]:
    """Return what both learners have in common, for so many environments; settings are ours."""
    return {
        "buffer_size": 50_000,
        "learning_starts": ITERATION // 2,
        "learning_rate": _LEARNING_RATE,
        "batch_size": 128,
        "train_freq": 1,
        "gradient_steps": environments,
        "gamma": 0.9,
        "tau": 0.01,
        "policy_kwargs": {"net_arch": list(HIDDEN)},
        "device": "cpu",
    }


class HighwaySacRecipe(Recipe):
    """Highway SAC with a fixed temperature."""

    def learning_rate(self, network: str, done: float) -> float:
        """Return a constant rate."""
        return _LEARNING_RATE

    def make(
        self, network: str, environments: VecEnv, seed: int, *, goal: bool = False
    ) -> BaseAlgorithm:
        """Return the learner, on the processor."""
        settings = continuous_settings(environments.num_envs)
        return HighwaySAC(
            "MlpPolicy", environments, depth=DEPTH, ent_coef=TEMPERATURE, seed=seed, **settings
        )

    def export(
        self, model: BaseAlgorithm, card: dict[str, Any], encoder: TileEncoder | None
    ) -> Policy:
        """Return the actor alone: layers, and layers of its spread."""
        actor: Any = model.policy.actor
        spread = {k: v.detach().cpu().numpy() for k, v in actor.log_std.state_dict().items()}
        tensors = {
            **hidden_and_last(actor.latent_pi, actor.mu),
            **self.encoder_tensors(encoder),
            "std.weight": spread["weight"],
            "std.bias": spread["bias"],
        }
        return NetworkPolicy(tensors, {**card, "activation": "relu", "squashed": True})


class HighwayTd3Recipe(Recipe):
    """Highway TD3 with Gaussian exploration."""

    def learning_rate(self, network: str, done: float) -> float:
        """Return a constant rate."""
        return _LEARNING_RATE

    def make(
        self, network: str, environments: VecEnv, seed: int, *, goal: bool = False
    ) -> BaseAlgorithm:
        """Return the learner, on the processor."""
        servos = int(np.prod(environments.action_space.shape or ()))
        noise = NormalActionNoise(np.zeros(servos), np.full(servos, NOISE))
        settings = continuous_settings(environments.num_envs)
        return HighwayTD3(
            "MlpPolicy", environments, depth=DEPTH, action_noise=noise, seed=seed, **settings
        )

    def export(
        self, model: BaseAlgorithm, card: dict[str, Any], encoder: TileEncoder | None
    ) -> Policy:
        """Return the actor's layers; its increments have no spread."""
        layers: Any = model.policy.actor.mu  # type: ignore[union-attr]
        *hidden, last = [part for part in layers if hasattr(part, "weight")]
        tensors = hidden_and_last(nn.Sequential(*hidden), last)
        tensors |= self.encoder_tensors(encoder)
        servos = len(tensors[f"layer_{len(hidden)}.bias"])
        tensors["log_std"] = np.full(servos, _NO_SPREAD, np.float32)
        return NetworkPolicy(tensors, {**card, "activation": "relu", "squashed": True})


HIGHWAY_SAC = HighwaySacRecipe()
HIGHWAY_TD3 = HighwayTd3Recipe()
