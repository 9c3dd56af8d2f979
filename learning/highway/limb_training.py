"""Highway DQN on the limb: ``python -m learning train --algo highway_dqn``.

The limb moves one servo at a time, and only the find at the end of an episode pays.
"""

from __future__ import annotations

from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from learning.highway.dqn.highway_dqn import HighwayDQN
from learning.target_finding.algorithms.networks import HIDDEN, ITERATION
from learning.target_finding.algorithms.sb3 import Recipe, hidden_and_last
from learning.target_finding.policies.encoder import TileEncoder
from learning.target_finding.policies.moves_policy import GreedyMovesPolicy
from learning.target_finding.policies.policy_files import Policy

_LEARNING_RATE = 1e-3
# Of random moves, all through a training: iterations depend on seed and number alone.
_RANDOM_SHARE = 0.2
# Larger lookaheads than most searches are long.
DEPTH = 20
SETTINGS: dict[str, Any] = {
    "buffer_size": 50_000,
    "learning_starts": ITERATION // 2,
    "batch_size": 64,
    "train_freq": 1,
    "target_update_interval": 150,
    "gamma": 0.9,
    "exploration_initial_eps": _RANDOM_SHARE,
    "exploration_final_eps": _RANDOM_SHARE,
    "policy_kwargs": {"net_arch": list(HIDDEN)},
    "device": "cpu",
}


class HighwayDqnRecipe(Recipe):
    """Highway DQN; settings are ours. The limb's moves are certain, so that samples are gated."""

    actions = "moves"

    def learning_rate(self, network: str, done: float) -> float:
        """Return a constant rate."""
        return _LEARNING_RATE

    def make(
        self, network: str, environments: VecEnv, seed: int, *, goal: bool = False
    ) -> BaseAlgorithm:
        """Return the learner, on the processor."""
        settings = {**SETTINGS, "gradient_steps": environments.num_envs}
        return HighwayDQN(
            "MlpPolicy",
            environments,
            depth=DEPTH,
            seed=seed,
            learning_rate=_LEARNING_RATE,
            **settings,
        )

    def export(
        self, model: BaseAlgorithm, card: dict[str, Any], encoder: TileEncoder | None
    ) -> Policy:
        """Return the Q-network's layers."""
        layers: Any = model.policy.q_net.q_net  # type: ignore[union-attr]
        tensors = hidden_and_last(layers[:-1], layers[-1])
        return GreedyMovesPolicy(tensors, card)


HIGHWAY_DQN = HighwayDqnRecipe()
