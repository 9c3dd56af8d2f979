"""A Q-network of two heads, and its policy for stable-baselines3's DQN."""

from __future__ import annotations

from typing import Any

import torch
from stable_baselines3.common.torch_layers import create_mlp
from stable_baselines3.dqn.policies import DQNPolicy, QNetwork
from torch import nn


class TwoHeadQNetwork(QNetwork):
    """One head learns one-step targets, one lookaheads; a value is the larger of the two."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        actions = int(self.action_space.n)
        layers = create_mlp(self.features_dim, 2 * actions, self.net_arch, self.activation_fn)
        self.q_net = nn.Sequential(*layers)

    def heads(self, observations: torch.Tensor) -> torch.Tensor:
        """Return ``(B, 2, A)`` values: one step, lookahead."""
        features = self.extract_features(observations, self.features_extractor)
        both: torch.Tensor = self.q_net(features).reshape(len(features), 2, -1)
        return both

    def forward(self, obs: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """Return ``(B, A)`` values, the larger of both heads."""
        return self.heads(obs).amax(1)


class TwoHeadPolicy(DQNPolicy):
    """DQN's policy with networks of two heads."""

    def make_q_net(self) -> TwoHeadQNetwork:
        """Return a network."""
        arguments = self._update_features_extractor(self.net_args, features_extractor=None)
        return TwoHeadQNetwork(**arguments).to(self.device)
