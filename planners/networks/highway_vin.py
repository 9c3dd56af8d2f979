"""Highway VIN.

(Wang et al., ICML 2024): value iteration in blocks with gates that let information skip layers.

Written from the abstract and from notes on the method; the notes' equations could not be checked
against the paper, so this is our reading of it. A block starts from V:

- VI module:            V1 = max over a of Q[a], one layer of Eq. (1);
- exploration modules:  P chains of further layers, where with probability epsilon a cell takes a
  random latent action instead of the best one (in training only);
- filter gate:          what a chain found counts only where it is better than V1;
- aggregate gate:       the block's V is a softmax-weighted mean over all layers of all chains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from planners.networks.vin import VIN, VINConfig
from planners.operator.value_iteration import value_iteration


@dataclass(frozen=True)
class HighwayVINConfig(VINConfig):
    """Shape of a Highway VIN; the paper's own numbers are not known to us."""

    block: int = 10
    """Layers N_b in a block; the depth is cut into whole blocks."""
    chains: int = 2
    """Exploration modules N_p side by side in a block."""
    epsilon: float = 0.1
    """Probability that a cell explores, in training."""


class HighwayVIN(VIN):
    """A VIN whose layers come in blocks with filter and aggregate gates."""

    config_type = HighwayVINConfig
    config: HighwayVINConfig

    def __init__(self, config: HighwayVINConfig | None = None) -> None:
        super().__init__(config or HighwayVINConfig())
        self.inverse_temperature = nn.Parameter(
            torch.tensor(3.0)
        )  # the gate: nearly the best of the layers

    @property
    def can_resume(self) -> bool:
        """Whether the state is V alone: no, it depends on where blocks begin."""
        return False

    def iterate(self, encoded: Sequence[Tensor], depth: int, saved_layers: Sequence[int]) -> Tensor:
        """Return V after the blocks that end at or before the saved layers, ``(N, B, H, W)``."""
        transition, reward = encoded
        size = min(self.config.block, depth)
        value = torch.zeros_like(reward)
        ends: list[Tensor] = []
        for _ in range(depth // size):
            value = self._block(transition, reward, value, size)
            ends.append(value)
        return torch.stack([ends[max(0, layer // size - 1)] for layer in saved_layers])

    def _block(self, transition: Tensor, reward: Tensor, value: Tensor, size: int) -> Tensor:
        first = value_iteration(transition, reward, 1, value=value)[0]
        if size == 1:
            return first
        chains = self.config.chains if self.training else 1
        rewards, start = reward.repeat(chains, 1, 1), first.repeat(chains, 1, 1)
        forced = self._explore((size - 1, *rewards.shape)) if self.training else None
        layers = tuple(range(1, size))
        explored = value_iteration(
            transition, rewards, size - 1, layers, value=start, forced=forced
        )
        candidates = explored.view((size - 1) * chains, *first.shape)
        filtered = torch.maximum(candidates, first)
        gate = torch.softmax(
            self.inverse_temperature * torch.cat((first.unsqueeze(0), filtered)), dim=0
        )
        return (gate * torch.cat((first.unsqueeze(0), filtered))).sum(dim=0)

    def _explore(self, shape: tuple[int, ...]) -> Tensor:
        """Return random latent actions for some cells, -1 for the others."""
        actions = torch.randint(self.config.latent_actions, shape)
        exploring = torch.rand(shape) < self.config.epsilon
        return torch.where(exploring, actions, -1)
