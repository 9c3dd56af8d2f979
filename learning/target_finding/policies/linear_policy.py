"""The paper's policies, linear in the observation: PPO's Gaussian, the actor-critic's softmax.

A policy is two files, ``NAME.safetensors`` and the card ``NAME.json`` beside it; nothing is
unpickled. Running one needs neither PyTorch nor stable-baselines3.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save

from asterias.files import write_bytes, write_text
from learning.target_finding.env.observation import Observation

KIND = "linear_gaussian"
SOFTMAX_KIND = "linear_softmax"

Weights = npt.NDArray[np.float32]


@dataclass(frozen=True)
class LinearPolicy:
    """Increments of the servos' commands, drawn from ``Normal(weight @ observation + bias, std)``.

    Attributes:
        weight: ``(n, n + c)`` for n servos and c cameras.
        bias: ``(n,)``.
        log_std: ``(n,)`` logarithm of the standard deviation.
        card: how it was trained, with the protocol under ``options``.
    """

    weight: Weights
    bias: Weights
    log_std: Weights
    card: Mapping[str, Any]

    @property
    def increment(self) -> float:
        """Largest increment, to which actions are clipped."""
        return float(self.card["options"]["increment"])

    def start(self) -> None:
        """Do nothing: there is no memory from step to step."""

    def act(self, observation: Observation, rng: np.random.Generator | None) -> Observation:
        """Return ``(n,)`` increments; the mean, where there is no ``rng`` to draw with."""
        mean = self.weight @ observation + self.bias
        if rng is not None:
            mean = mean + np.exp(self.log_std) * rng.standard_normal(mean.size)
        clipped: Observation = np.clip(mean, -self.increment, self.increment).astype(np.float32)
        return clipped

    def save(self, path: Path) -> None:
        """Write ``path`` (safetensors) and its card, each whole or not at all."""
        tensors = {"weight": self.weight, "bias": self.bias, "log_std": self.log_std}
        save_policy(path, KIND, tensors, self.card)


@dataclass(frozen=True)
class SoftmaxPolicy:
    """Moves of one servo, drawn from ``softmax(weight @ observation)``: the actor-critic's policy.

    Attributes:
        weight: ``(2 n, n + c)`` for n servos and c cameras.
        card: how it was trained, with the protocol under ``options``.
    """

    weight: Weights
    card: Mapping[str, Any]

    def start(self) -> None:
        """Do nothing: there is no memory from step to step."""

    def act(self, observation: Observation, rng: np.random.Generator | None) -> int:
        """Return the number of a move; the likeliest, where there is no ``rng``."""
        preference = (self.weight @ observation).astype(np.float64)
        if rng is None:
            return int(preference.argmax())
        likely = np.exp(preference - preference.max())
        return int(rng.choice(likely.size, p=likely / likely.sum()))

    def save(self, path: Path) -> None:
        """Write ``path`` (safetensors) and its card, each whole or not at all."""
        save_policy(path, SOFTMAX_KIND, {"weight": self.weight}, self.card)


def check_shapes(tensors: Mapping[str, Weights], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Check that tensors have these shapes.

    Raises:
        ValueError: one is missing or has another.
    """
    for name, shape in shapes.items():
        if name not in tensors:
            raise ValueError(f"{name} is missing")
        if tensors[name].shape != shape:
            raise ValueError(f"{name} has the shape {tensors[name].shape} instead of {shape}")


def save_policy(
    path: Path, kind: str, tensors: Mapping[str, Weights], card: Mapping[str, Any]
) -> None:
    """Write tensors to ``path`` (safetensors) and the card beside it."""
    text = json.dumps({"kind": kind, **card}, indent=1) + "\n"
    write_text(path.with_suffix(".json"), text)
    write_bytes(path, save({name: np.ascontiguousarray(t) for name, t in tensors.items()}))
