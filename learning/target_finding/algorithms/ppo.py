"""Proximal policy optimisation, as the paper's code sets it, or with hidden layers."""

from __future__ import annotations

from typing import Any

import stable_baselines3 as sb3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from learning.target_finding.algorithms.networks import LOG_STD, NETWORKS
from learning.target_finding.algorithms.sb3 import Recipe


class PpoRecipe(Recipe):
    """PPO with one of the networks."""

    def iteration_steps(self, network: str) -> int:
        """Return the network's steps between two updates."""
        return NETWORKS.get(network).iteration

    def learning_rate(self, network: str, done: float) -> float:
        """Return the network's rate, which falls linearly to 0."""
        return NETWORKS.get(network).learning_rate * (1.0 - done)

    def make(
        self, network: str, environments: VecEnv, seed: int, *, goal: bool = False
    ) -> BaseAlgorithm:
        """Return the learner, on the processor."""
        about = NETWORKS.get(network)
        return sb3.PPO(
            "MlpPolicy",
            environments,
            batch_size=about.batch,
            n_epochs=about.epochs,
            clip_range_vf=about.clip_value,
            policy_kwargs={"net_arch": list(about.hidden), "log_std_init": LOG_STD},
            **on_policy_settings(about.iteration, environments, seed),
        )


def on_policy_settings(iteration: int, environments: VecEnv, seed: int) -> dict[str, Any]:
    """Return the settings that PPO and recurrent PPO have in common, those of the paper's code."""
    return {
        "n_steps": iteration // environments.num_envs,
        "gamma": 0.9,
        "gae_lambda": 0.95,
        "clip_range": 0.2,
        "ent_coef": 0.0,
        # The paper's 0.5 stands before half the squared error, as in CleanRL.
        "vf_coef": 0.25,
        "max_grad_norm": 0.5,
        "seed": seed,
        "device": "cpu",
    }


PPO = PpoRecipe()
