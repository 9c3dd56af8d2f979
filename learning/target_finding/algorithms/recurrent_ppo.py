"""PPO with a long short-term memory: for failures that one observation does not show."""

from __future__ import annotations

from sb3_contrib import RecurrentPPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from learning.target_finding.algorithms.networks import HIDDEN, ITERATION, LOG_STD, NETWORKS
from learning.target_finding.algorithms.ppo import on_policy_settings
from learning.target_finding.algorithms.sb3 import Recipe


class RecurrentPpoRecipe(Recipe):
    """Recurrent PPO; settings are ours."""

    def learning_rate(self, network: str, done: float) -> float:
        """Return the network's rate, which falls linearly to 0."""
        return NETWORKS.get(network).learning_rate * (1.0 - done)

    def make(
        self, network: str, environments: VecEnv, seed: int, *, goal: bool = False
    ) -> BaseAlgorithm:
        """Return the learner, on the processor."""
        return RecurrentPPO(
            "MlpLstmPolicy",
            environments,
            batch_size=ITERATION // 2,
            n_epochs=8,
            policy_kwargs={
                "net_arch": list(HIDDEN[:1]),
                "lstm_hidden_size": 64,
                "log_std_init": LOG_STD,
            },
            **on_policy_settings(self.iteration_steps(network), environments, seed),
        )


RECURRENT_PPO = RecurrentPpoRecipe()
