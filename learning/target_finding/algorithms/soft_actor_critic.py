"""Soft actor-critic, with hindsight replay where the task is goal-conditioned."""

from __future__ import annotations

from typing import Any

import stable_baselines3 as sb3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.her import HerReplayBuffer

from learning.target_finding.algorithms.networks import HIDDEN, ITERATION
from learning.target_finding.algorithms.sb3 import Recipe, hidden_and_last
from learning.target_finding.policies.encoder import TileEncoder
from learning.target_finding.policies.network_policy import NetworkPolicy
from learning.target_finding.policies.policy_files import Policy

_LEARNING_RATE = 1e-3


class SacRecipe(Recipe):
    """SAC; settings are ours."""

    has_hindsight = True

    def learning_rate(self, network: str, done: float) -> float:
        """Return a constant rate."""
        return _LEARNING_RATE

    def make(
        self, network: str, environments: VecEnv, seed: int, *, goal: bool = False
    ) -> BaseAlgorithm:
        """Return the learner, on the processor."""
        hindsight: dict[str, Any] = {
            "replay_buffer_class": HerReplayBuffer,
            "replay_buffer_kwargs": {"n_sampled_goal": 4, "goal_selection_strategy": "future"},
        }
        return sb3.SAC(
            "MultiInputPolicy" if goal else "MlpPolicy",
            environments,
            buffer_size=50_000,
            learning_starts=ITERATION // 2,
            batch_size=256,
            train_freq=1,
            gradient_steps=environments.num_envs,
            gamma=0.9,
            policy_kwargs={"net_arch": list(HIDDEN)},
            seed=seed,
            device="cpu",
            **(hindsight if goal else {}),
        )

    def export(
        self, model: BaseAlgorithm, card: dict[str, Any], encoder: TileEncoder | None
    ) -> Policy:
        """Return the actor alone: layers, and layers of its spread."""
        actor: Any = model.policy.actor
        log_std = {k: v.detach().cpu().numpy() for k, v in actor.log_std.state_dict().items()}
        tensors = {
            **hidden_and_last(actor.latent_pi, actor.mu),
            **self.encoder_tensors(encoder),
            "std.weight": log_std["weight"],
            "std.bias": log_std["bias"],
        }
        return NetworkPolicy(tensors, {**card, "activation": "relu", "squashed": True})


SAC = SacRecipe()
