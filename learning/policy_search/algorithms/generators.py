"""Networks that make whole policies from a command (arXiv 2207.01570)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from learning.policy_search.algorithms.critics import perceptron
from learning.policy_search.common.architecture import PolicyArchitecture

# Units of a tile's edge, and numbers of its learned embedding, as in the paper's code.
_TILE, _EMBEDDING = 16, 8


class HeadsGenerator(nn.Module):
    """``theta = G(command)``: a trunk, and a head for each layer of the policy.

    Args:
        architecture: of the policies.
        commands: numbers of a command.
        hidden: units of the trunk's ReLU layers.
    """

    def __init__(
        self, architecture: PolicyArchitecture, commands: int, hidden: Sequence[int]
    ) -> None:
        super().__init__()
        self.trunk = nn.Sequential(perceptron(commands, hidden[:-1], hidden[-1]), nn.ReLU())
        self.heads = nn.ModuleList(
            [
                nn.Linear(hidden[-1], (inputs + 1) * outputs)
                for inputs, outputs in architecture.sizes
            ]
        )
        self._scales = [2 / math.sqrt(inputs) for inputs, _ in architecture.sizes]

    def forward(self, commands: torch.Tensor) -> torch.Tensor:
        """Return vectors ``(B, n)`` for commands ``(B, c)``."""
        trunk = self.trunk(commands)
        parts = zip(self.heads, self._scales, strict=True)
        return torch.cat([scale * head(trunk) for head, scale in parts], 1)


class TilesGenerator(nn.Module):
    """``theta = G(command)`` by tiles that share their weights.

    Each layer of the policy is cut into tiles of 16 x 16 units. A tile has a learned embedding;
    from embedding and command one network makes its weights, another its biases, which are averaged
    over the tiles of the same outputs. First, middle and last layers have networks of their own.

    Args:
        architecture: of the policies.
        commands: numbers of a command.
        hidden: units of the networks' ReLU layers.
    """

    def __init__(
        self, architecture: PolicyArchitecture, commands: int, hidden: Sequence[int]
    ) -> None:
        super().__init__()
        self.sizes = architecture.sizes
        last = len(self.sizes) - 1
        self._kinds = [0 if i == 0 else 2 if i == last else 1 for i in range(len(self.sizes))]
        self.embeddings = nn.ParameterList()
        edges: dict[int, tuple[int, int]] = {}
        for kind, (inputs, outputs) in zip(self._kinds, self.sizes, strict=True):
            # Narrow ends are one tile wide, whatever they have.
            edges[kind] = (
                inputs if kind == 0 else min(_TILE, inputs),
                outputs if kind == 2 or last == 0 else min(_TILE, outputs),
            )
            rows, columns = self._tiles(edges[kind], inputs, outputs)
            self.embeddings.append(nn.Parameter(torch.randn(rows * columns, _EMBEDDING)))
        self._edges = edges
        self.weights, self.biases = nn.ModuleDict(), nn.ModuleDict()
        for kind, (high, wide) in edges.items():
            self.weights[str(kind)] = perceptron(_EMBEDDING + commands, hidden, high * wide)
            self.biases[str(kind)] = perceptron(_EMBEDDING + commands, hidden, wide)

    def forward(self, commands: torch.Tensor) -> torch.Tensor:
        """Return vectors ``(B, n)`` for commands ``(B, c)``."""
        parts = []
        for layer, (inputs, outputs) in enumerate(self.sizes):
            weight, bias = self._layer(layer, commands)
            scale = 2 / math.sqrt(inputs)
            parts += [scale * weight[:, :outputs, :inputs].flatten(1), scale * bias[:, :outputs]]
        return torch.cat(parts, 1)

    def _layer(self, layer: int, commands: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return weights ``(B, out, in)`` and biases ``(B, out)``, whole tiles each."""
        kind, (inputs, outputs) = self._kinds[layer], self.sizes[layer]
        high, wide = self._edges[kind]
        rows, columns = self._tiles((high, wide), inputs, outputs)
        embedded, batch = self.embeddings[layer], len(commands)
        asked = torch.cat(
            [
                embedded.expand(batch, *embedded.shape),
                commands[:, None].expand(batch, len(embedded), commands.shape[1]),
            ],
            2,
        )
        # (B, rows, columns, in of a tile, out of a tile) to (B, out, in)
        tiles: Any = self.weights[str(kind)](asked).view(batch, rows, columns, high, wide)
        weight = tiles.permute(0, 2, 4, 1, 3).reshape(batch, columns * wide, rows * high)
        bias = self.biases[str(kind)](asked).view(batch, rows, columns * wide).mean(1)
        return weight, bias

    @staticmethod
    def _tiles(edges: tuple[int, int], inputs: int, outputs: int) -> tuple[int, int]:
        return -(-inputs // edges[0]), -(-outputs // edges[1])
