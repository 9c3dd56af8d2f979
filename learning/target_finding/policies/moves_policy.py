"""The policy of a Q-network: the move of the largest value, from layers run in NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from learning.target_finding.env.observation import Observation
from learning.target_finding.policies.linear_policy import Weights, check_shapes, save_policy

KIND = "network_moves"


@dataclass(frozen=True)
class GreedyMovesPolicy:
    """Moves of one servo, the one that a network values most.

    Attributes:
        tensors: ``layer_<i>.weight`` ``(out, in)`` and ``.bias``, ReLU between them; the last has
            an output for each move.
        card: how it was trained, with the protocol under ``options``.
    """

    tensors: Mapping[str, Weights]
    card: Mapping[str, Any]

    def start(self) -> None:
        """Do nothing: there is no memory from step to step."""

    def act(self, observation: Observation, rng: np.random.Generator | None) -> int:
        """Return the number of a move; nothing is drawn."""
        x, count = observation, len(self.tensors) // 2
        for i in range(count):
            x = self.tensors[f"layer_{i}.weight"] @ x + self.tensors[f"layer_{i}.bias"]
            if i < count - 1:
                x = np.maximum(x, 0.0)
        return int(x.argmax())

    def save(self, path: Path) -> None:
        """Write ``path`` (safetensors) and its card, each whole or not at all."""
        save_policy(path, KIND, self.tensors, self.card)


def check_moves(tensors: Mapping[str, Weights], inputs: int, moves: int) -> None:
    """Check that the layers fit each other, the observation and the moves.

    Args:
        tensors: as :class:`GreedyMovesPolicy` has them.
        inputs: size of the observation.
        moves: two for each joint.

    Raises:
        ValueError: a shape does not fit.
    """
    count = sum(name.startswith("layer_") and name.endswith(".weight") for name in tensors)
    if not count or len(tensors) != 2 * count:
        raise ValueError("it has no layers, or more than layers")
    for i in range(count):
        width = moves if i == count - 1 else int(tensors[f"layer_{i}.bias"].size)
        check_shapes(tensors, {f"layer_{i}.weight": (width, inputs), f"layer_{i}.bias": (width,)})
        inputs = width
