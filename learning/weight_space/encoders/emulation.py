"""Emulation: a decoder must do as the network does, from the network's representation alone."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import normalize


class Emulator(nn.Module):
    """One long short-term memory for all networks (arXiv 2403.11998).

    A representation has length 1, and is added to the first input only.

    Args:
        inputs: of the networks.
        outputs: of the networks.
        embedding: size of a representation.
        width: units.
    """

    def __init__(self, inputs: int, outputs: int, embedding: int, width: int = 64) -> None:
        super().__init__()
        self.sees = nn.Linear(inputs, width)
        self.told = nn.Linear(embedding, width)
        self.memory = nn.LSTM(width, width, batch_first=True)
        self.says = nn.Linear(width, outputs)

    def forward(self, x: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        """Return outputs ``(N, S, T, outputs)``.

        Args:
            x: ``(N, S, T, inputs)``.
            embedding: ``(N, embedding)`` of length 1.
        """
        seen = self.sees(x)
        told = self.told(embedding)[:, None, None]
        seen = torch.cat([seen[:, :, :1] + told, seen[:, :, 1:]], 2)
        out, _ = self.memory(seen.flatten(0, 1))
        said: torch.Tensor = self.says(out).view(*x.shape[:3], -1)
        return said


def unit_length(embedding: torch.Tensor) -> torch.Tensor:
    """Return representations of length 1."""
    return normalize(embedding, dim=-1)


def total_variation(one: torch.Tensor, other: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the mean total variation of next-token distributions.

    Args:
        one: logits ``(N, S, T, tokens)``.
        other: likewise.
        mask: ``(N, S, T)`` steps that count.
    """
    apart = 0.5 * (torch.softmax(one, -1) - torch.softmax(other, -1)).abs().sum(-1)
    return (apart * mask).sum() / mask.sum()
