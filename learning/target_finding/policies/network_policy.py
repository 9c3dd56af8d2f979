"""Policies that are more than linear: hidden layers, a memory, an encoder of the cameras' tiles.

Run in NumPy, but for the encoder; neither stable-baselines3 nor its files are needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from learning.target_finding.env.observation import Observation
from learning.target_finding.policies.encoder import TileEncoder
from learning.target_finding.policies.linear_policy import Weights, check_shapes, save_policy
from learning.target_finding.policies.recurrent_cells import (
    CELL_GATES,
    Memory,
    cell_of,
    cell_step,
    empty_memory,
)

KIND = "network_gaussian"

_ENCODER = "encoder."
_MEAN, _STD = "normalise.mean", "normalise.std"


@dataclass
class NetworkPolicy:
    """Increments of the servos' commands from layers of a network.

    The observation (or, with an encoder, what it makes of the tiles) goes through a recurrent cell
    if there is one, then hidden layers, to the mean of a Gaussian.

    Attributes:
        tensors: ``layer_<i>.weight`` ``(out, in)`` and ``.bias``, the last of them the mean's;
            ``log_std`` ``(n,)``, or layers ``std`` of it; ``lstm.weight_ih`` (or ``gru``, ``rnn``)
            and so on as in PyTorch; ``encoder.*``; ``normalise.mean`` and ``normalise.std``
            ``(inputs,)``, by which the first layer's input is made equal in size.
        card: how it was trained, with the protocol under ``options``, the layers' ``activation``
            (``tanh`` or ``relu``), whether increments are ``squashed`` by a tanh, and the
            ``observation_clip`` of what is normalised.
    """

    tensors: Mapping[str, Weights]
    card: Mapping[str, Any]
    _memory: Memory | None = None
    _encoder: TileEncoder | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        parts = {k.removeprefix(_ENCODER): v for k, v in self.tensors.items() if _ENCODER in k}
        self._encoder = TileEncoder.from_tensors(parts) if parts else None
        if self._encoder:
            # One observation at a time: threads would wait for each other longer than they work.
            torch.set_num_threads(1)
        self.start()

    @property
    def increment(self) -> float:
        """Largest increment, to which actions are clipped."""
        return float(self.card["options"]["increment"])

    def start(self) -> None:
        """Reset the memory of the last episode."""
        self._memory = empty_memory(self.cell, self.tensors) if self.cell else None

    @property
    def cell(self) -> str | None:
        """Kind of the recurrent cell, ``lstm``, ``gru`` or ``rnn``; None without memory."""
        return cell_of(self.tensors)

    def act(self, observation: Any, rng: np.random.Generator | None) -> Observation:
        """Return ``(n,)`` increments; the mean, where there is no ``rng`` to draw with."""
        if isinstance(observation, Mapping):  # the goal-conditioned form
            observation = np.concatenate([observation[key] for key in sorted(observation)])
        features = observation if self._encoder is None else self._encoder.features(observation)
        features = self._normalised(features).astype(np.float32)
        if self.cell and self._memory is not None:
            self._memory = cell_step(self.cell, self.tensors, features, self._memory)
            features = self._memory[0]
        mean, log_std = self._gaussian(features)
        if rng is not None:
            drawn = rng.standard_normal(mean.size).astype(np.float32)
            mean = (mean + np.exp(log_std) * drawn).astype(np.float32)
        if self.card.get("squashed"):
            mean = (np.tanh(mean) * self.increment).astype(np.float32)
        clipped: Observation = np.clip(mean, -self.increment, self.increment).astype(np.float32)
        return clipped

    def save(self, path: Path) -> None:
        """Write ``path`` (safetensors) and its card, each whole or not at all."""
        save_policy(path, KIND, self.tensors, self.card)

    def _normalised(self, x: Observation) -> Observation:
        """Return ``clip((x - mean) / std)`` as stable-baselines3's VecNormalize does."""
        if _MEAN not in self.tensors:
            return x
        clip = float(self.card["observation_clip"])
        scaled: Observation = (x - self.tensors[_MEAN]) / self.tensors[_STD]
        return np.clip(scaled, -clip, clip)

    def _gaussian(self, x: Observation) -> tuple[Observation, Observation]:
        count = sum(name.startswith("layer_") for name in self.tensors) // 2
        for i in range(count - 1):
            x = self._layer(f"layer_{i}", x)
            x = np.tanh(x) if self.card["activation"] == "tanh" else np.maximum(x, 0.0)
        mean = self._layer(f"layer_{count - 1}", x)
        if "std.weight" in self.tensors:
            return mean, np.clip(self._layer("std", x), -20.0, 2.0)
        return mean, self.tensors["log_std"]

    def _layer(self, name: str, x: Observation) -> Observation:
        out: Observation = self.tensors[f"{name}.weight"] @ x + self.tensors[f"{name}.bias"]
        return out


def check_network(
    tensors: Mapping[str, Weights], card: Mapping[str, Any], inputs: int, outputs: int
) -> None:
    """Check that the layers fit each other, the observation and the joints.

    Args:
        tensors: as :class:`NetworkPolicy` has them.
        card: as :class:`NetworkPolicy` has it.
        inputs: size of the first layer's input.
        outputs: number of joints.

    Raises:
        ValueError: a shape or a value does not fit.
    """
    if card["activation"] not in ("tanh", "relu"):
        raise ValueError(f"activation {card['activation']!r} is unknown")
    if _MEAN in tensors or _STD in tensors:
        check_shapes(tensors, {_MEAN: (inputs,), _STD: (inputs,)})
        if not (tensors[_STD] > 0).all() or not float(card["observation_clip"]) > 0:
            raise ValueError(f"{_STD} and observation_clip must be above 0")
    cell = cell_of(tensors)
    if cell:
        units = int(tensors[f"{cell}.weight_hh"].shape[-1])
        rows = CELL_GATES[cell] * units
        check_shapes(
            tensors,
            {
                f"{cell}.weight_ih": (rows, inputs),
                f"{cell}.weight_hh": (rows, units),
                f"{cell}.bias_ih": (rows,),
                f"{cell}.bias_hh": (rows,),
            },
        )
        inputs = units
    count = sum(name.startswith("layer_") and name.endswith(".weight") for name in tensors)
    if not count:
        raise ValueError("it has no layers")
    for i in range(count):
        width = outputs if i == count - 1 else int(tensors[f"layer_{i}.bias"].size)
        layer = {f"layer_{i}.weight": (width, inputs), f"layer_{i}.bias": (width,)}
        check_shapes(tensors, layer)
        last, inputs = inputs, width
    if "std.weight" in tensors:
        check_shapes(tensors, {"std.weight": (outputs, last), "std.bias": (outputs,)})
    else:
        check_shapes(tensors, {"log_std": (outputs,)})
