"""GPPN: the Gated Path Planning Network.

(Lee et al., ICML 2018): an LSTM in every cell instead of a max.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from planners.networks.base import NetworkConfig, PlanningNetwork


@dataclass(frozen=True)
class GPPNConfig(NetworkConfig):
    """Shape of a GPPN; the original has 150 hidden channels and fields of 9 or 11."""

    hidden: int = 32
    """Channels of the LSTM in each cell."""
    field: int = 9
    """Rows and columns F of the patch of hidden states that a cell reads."""


class GPPN(PlanningNetwork):
    """Maps mazes and one-hot goal maps, both ``(B, H, W)``, 1 = free, to action logits."""

    config_type = GPPNConfig
    config: GPPNConfig

    def __init__(self, config: GPPNConfig | None = None) -> None:
        super().__init__(config or GPPNConfig())
        hidden, field = self.config.hidden, self.config.field
        self.observe = nn.Conv2d(2, hidden, 3, padding=1)
        self.first_state = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.first_memory = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.listen = nn.Conv2d(hidden, 1, field, padding=field // 2)
        self.cell = nn.LSTMCell(1, hidden)
        self.policy = nn.Linear(hidden, self.config.actions, bias=False)

    def encode(self, mazes: Tensor, goals: Tensor) -> tuple[Tensor, ...]:
        """Return the first hidden state and memory of each cell, both ``(B, C, H, W)``."""
        hidden = self.observe(torch.stack((mazes, goals), dim=1))
        return self.first_state(hidden), self.first_memory(hidden)

    def iterate(self, encoded: Sequence[Tensor], depth: int, saved_layers: Sequence[int]) -> Tensor:
        """Return hidden states of the saved layers: ``(N, B, C, H, W)``; 1 is the first state."""
        state, memory = encoded
        batch, channels, height, width = state.shape
        saved = [state] if 1 in saved_layers else []
        memory = memory.movedim(1, -1).reshape(-1, channels)
        for layer in range(2, depth + 1):
            inputs = self.listen(state).reshape(-1, 1)
            lines = state.movedim(1, -1).reshape(-1, channels)
            lines, memory = self.cell(inputs, (lines, memory))
            state = lines.view(batch, height, width, channels).movedim(-1, 1)
            if layer in saved_layers:
                saved.append(state)
        return torch.stack(saved)

    def decode(self, encoded: Sequence[Tensor], states: Tensor) -> Tensor:
        """Return logits ``(N, B, actions, H, W)``, linear in the hidden state."""
        return torch.einsum("nbkhw,ck->nbchw", states, self.policy.weight)
