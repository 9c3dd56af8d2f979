"""VIN: the Value Iteration Network (Tamar et al., NeurIPS 2016), as Eq. (1) of DT-VIN writes it.

One transition kernel serves all cells of all mazes, so walls can act through the reward alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from planners.networks.base import NetworkConfig, PlanningNetwork, centred, lean
from planners.operator.value_iteration import action_values, value_iteration


@dataclass(frozen=True)
class VINConfig(NetworkConfig):
    """Shape of a VIN."""

    latent_actions: int = 10
    """Latent actions A."""
    field: int = 3
    """Rows and columns F of the transition kernel."""
    hidden: int = 150
    """Channels between the observation and the reward."""
    start: Literal["structured", "random"] = "structured"
    """Initial weights: the first latent actions are the moves, free cells and the goal are worth
    something, or none of this."""


class VIN(PlanningNetwork):
    """Maps mazes and one-hot goal maps, both ``(B, H, W)``, 1 = free, to action logits."""

    config: VINConfig

    def __init__(self, config: VINConfig | None = None) -> None:
        super().__init__(config or VINConfig())
        config = self.config
        self.hidden = nn.Conv2d(2, config.hidden, 3, padding=1)
        self.reward = nn.Conv2d(config.hidden, 1, 1, bias=False)
        self.kernel = nn.Parameter(
            0.01 * torch.randn(1, config.latent_actions, config.field**2, 1, 1)
        )
        self.policy = nn.Linear(config.latent_actions, config.actions, bias=False)
        if config.start == "structured":
            self._lean()

    @torch.no_grad()
    def _lean(self) -> None:
        """Begin with latent actions that are moves, read as the moves they are."""
        moves = min(self.config.latent_actions, self.config.actions)
        for a, tap in enumerate(lean(self.config.field, moves)):
            self.kernel[0, a, tap] += 1.0
        self.hidden.weight.mul_(0.1)
        self.reward.weight.mul_(0.1)
        for channel, worth in enumerate((0.1, 1.0)):  # of a free cell, of the goal
            self.hidden.weight[channel, channel, 1, 1] += 1.0
            self.reward.weight[0, channel] += worth
        self.policy.weight.mul_(0.1)
        self.policy.weight += torch.eye(*self.policy.weight.shape)

    def encode(self, mazes: Tensor, goals: Tensor) -> tuple[Tensor, ...]:
        """T^inv ``(1, A, F*F, 1, 1)`` and R ``(B, H, W)``, plain (not rectified) as in the
        original.
        """
        reward: Tensor = self.reward(self.hidden(torch.stack((mazes, goals), dim=1)))
        return self.kernel, reward.squeeze(1)

    def iterate(self, encoded: Sequence[Tensor], depth: int, keep: Sequence[int]) -> Tensor:
        """V of the layers in ``keep`` by Eq. (1): ``(N, B, H, W)``."""
        transition, reward = encoded
        return value_iteration(transition, reward, depth, keep)

    def decode(self, encoded: Sequence[Tensor], values: Tensor) -> Tensor:
        """Logits ``(N, B, actions, H, W)``, linear in the latent Q-values of the cell."""
        transition, reward = encoded
        q = centred(action_values(transition, reward, values))
        return torch.einsum("nbahw,ca->nbchw", q, self.policy.weight)

    def linear_policy(self) -> Tensor:
        """The weight of f^pi."""
        return self.policy.weight
