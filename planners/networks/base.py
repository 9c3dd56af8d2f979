"""What all planning networks share: a maze and a goal go in, action logits come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

# What the latent actions of a structured start lean towards: clockwise from north, then diagonals.
COMPASS = ((-1, 0), (0, 1), (1, 0), (0, -1), (-1, 1), (1, 1), (1, -1), (-1, -1))


@dataclass(frozen=True)
class NetworkConfig:
    """What every network is told."""

    actions: int = 4
    """Actions to choose from: 4 for north, east, south, west; 8 with the diagonals."""


class PlanningNetwork(nn.Module):
    """Encode the observation once, iterate a planning step many times, decode actions from any
    layer.
    """

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config

    def encode(self, mazes: Tensor, goals: Tensor) -> tuple[Tensor, ...]:
        """Return what all layers share, from mazes ``(B, H, W)``, 1 = free, and one-hot goals."""
        raise NotImplementedError

    def iterate(self, encoded: Sequence[Tensor], depth: int, keep: Sequence[int]) -> Tensor:
        """Return the planning state after the layers in ``keep``: ``(N, B, ..., H, W)``."""
        raise NotImplementedError

    def decode(self, encoded: Sequence[Tensor], states: Tensor) -> Tensor:
        """Return action logits ``(N, B, actions, H, W)`` of kept states."""
        raise NotImplementedError

    def linear_policy(self) -> Tensor | None:
        """Return the weight ``(actions, A)`` of the policy where it is linear in the ``centred``
        Q-values of one more layer, ``encoded`` being T and R and the state being V; else None.
        """
        return None

    def forward(self, mazes: Tensor, goals: Tensor, depth: int) -> Tensor:
        """Return action logits ``(B, actions, H, W)`` after ``depth`` layers."""
        encoded = self.encode(mazes, goals)
        return self.decode(encoded, self.iterate(encoded, depth, (depth,)))[0]


def centred(q: Tensor) -> Tensor:
    """Return Q ``(N, B, A, H, W)`` less its mean over actions: only differences tell what to do."""
    return q - q.mean(dim=2, keepdim=True)


def lean(field: int, actions: int) -> list[int]:
    """Return, for each latent action that has a direction, its tap in an F x F kernel."""
    middle = field // 2
    steps = COMPASS[: min(actions, len(COMPASS))]
    return [(middle + down) * field + middle + right for down, right in steps]
