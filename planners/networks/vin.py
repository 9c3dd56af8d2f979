"""VIN: the Value Iteration Network (Tamar et al., NeurIPS 2016), as Eq. (1) of DT-VIN writes it.

One transition kernel serves all cells of all mazes, so walls can act through the reward alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from planners.networks.base import NetworkConfig, PlanningNetwork, direction_taps
from planners.networks.readout import readout
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
    init: Literal["structured", "stochastic", "random"] = "structured"
    """Initial weights: the first latent actions are the moves, free cells and the goal are worth
    something (structured); kernels are random distributions over the neighbours, free cells and the
    goal are worth something (stochastic); or nothing of this (random), from which V is nearly zero
    and no gradient reaches the first layers."""


class VIN(PlanningNetwork):
    """Maps mazes and one-hot goal maps, both ``(B, H, W)``, 1 = free, to action logits."""

    config_type = VINConfig
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
        if config.init == "structured":
            self._init_structured()
        elif config.init == "stochastic":
            self._init_stochastic()

    @torch.no_grad()
    def _init_structured(self) -> None:
        """Initialise latent actions that are moves, read as the moves they are.

        The same start as that of DT-VIN (see there), with reward and policy of the same sizes. The
        kernel has no softmax, so that 1 on the tap of the move is a whole step; what is random is
        scaled to a tenth, so that it breaks ties and no more.
        """
        self._init_reward()
        moves = min(self.config.latent_actions, self.config.actions)
        for a, tap in enumerate(direction_taps(self.config.field, moves)):
            self.kernel[0, a, tap] += 1.0
        self.policy.weight.mul_(0.1)
        self.policy.weight += torch.eye(*self.policy.weight.shape)

    @torch.no_grad()
    def _init_reward(self) -> None:
        """Let free cells and the goal be worth something, before what is random."""
        self.hidden.weight.mul_(0.1)
        self.reward.weight.mul_(0.1)
        for channel, worth in enumerate((0.1, 1.0)):  # of a free cell, of the goal
            self.hidden.weight[channel, channel, 1, 1] += 1.0
            self.reward.weight[0, channel] += worth

    @torch.no_grad()
    def _init_stochastic(self) -> None:
        """Initialise kernels that sum to one, so that values neither fade nor explode with depth.

        Logits of unit variance put up to half of a kernel on one neighbour: which move a latent
        action is, is left to chance and to the training.
        """
        self._init_reward()
        self.kernel.copy_(torch.softmax(torch.randn_like(self.kernel), dim=2))

    def encode(self, mazes: Tensor, goals: Tensor) -> tuple[Tensor, ...]:
        """Return T^inv ``(1, A, F*F, 1, 1)`` and R ``(B, H, W)``, plain.

        (not rectified) as in the original.
        """
        reward: Tensor = self.reward(self.hidden(torch.stack((mazes, goals), dim=1)))
        return self.kernel, reward.squeeze(1)

    def iterate(self, encoded: Sequence[Tensor], depth: int, saved_layers: Sequence[int]) -> Tensor:
        """Return V of the saved layers by Eq. (1): ``(N, B, H, W)``."""
        transition, reward = encoded
        return value_iteration(transition, reward, depth, saved_layers)

    def decode(self, encoded: Sequence[Tensor], values: Tensor) -> Tensor:
        """Return logits ``(N, B, actions, H, W)``, linear in the latent Q-values of the cell."""
        transition, reward = encoded
        q = readout(action_values(transition, reward, values), "centred")
        return torch.einsum("nbahw,ca->nbchw", q, self.policy.weight)

    @property
    def can_resume(self) -> bool:
        """Whether the state is V alone: always."""
        return True

    def resume(self, encoded: Sequence[Tensor], state: Tensor | None, count: int) -> Tensor:
        """Return V ``(B, H, W)`` after ``count`` more layers."""
        transition, reward = encoded
        return value_iteration(transition, reward, count, value=state)[-1]

    def values(self, encoded: Sequence[Tensor], states: Tensor) -> Tensor:
        """Return V of one more layer ``(N, B, H, W)``."""
        transition, reward = encoded
        return action_values(transition, reward, states).amax(dim=2)

    def linear_policy(self) -> Tensor:
        """Return the weight of f^pi."""
        return self.policy.weight
