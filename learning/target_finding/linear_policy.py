"""The paper's policy: a Gaussian whose mean is linear in the observation; as a file and in NumPy.

A policy is two files, ``NAME.safetensors`` and the card ``NAME.json`` beside it; nothing is
unpickled. Running one needs neither PyTorch nor stable-baselines3.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from hardware.limb import FloatArray
from hardware.results import write_text
from learning.target_finding.observation import CommandUnit, Observation, observe
from planners.atomic import write_atomically

KIND = "linear_gaussian"
FILE = "policy.safetensors"
TRAINED = Path(__file__).parent / "weights"

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

    def act(self, observation: Observation, rng: np.random.Generator | None) -> Observation:
        """``(n,)`` increments; the mean, where there is no ``rng`` to draw with."""
        mean = self.weight @ observation + self.bias
        if rng is not None:
            mean = mean + np.exp(self.log_std) * rng.standard_normal(mean.size)
        clipped: Observation = np.clip(mean, -self.increment, self.increment).astype(np.float32)
        return clipped

    def save(self, path: Path) -> None:
        """Write ``path`` (safetensors) and its card, each whole or not at all."""
        card = {"kind": KIND, **self.card}
        write_text(path.with_suffix(".json"), json.dumps(card, indent=1) + "\n")
        tensors = {"weight": self.weight, "bias": self.bias, "log_std": self.log_std}
        write_atomically(path, save(tensors))


def load_policy(path: Path) -> LinearPolicy:
    """The policy in a ``.safetensors`` file, or in a training's folder.

    Raises:
        ValueError: there is none, or file and card do not fit.
    """
    path = path / FILE if path.is_dir() else path
    card_path = path.with_suffix(".json")
    if not path.is_file() or not card_path.is_file():
        raise ValueError(
            f"No policy at {path}: give a training's folder, or a .safetensors file with its "
            ".json beside it."
        )
    try:
        card = json.loads(card_path.read_text(encoding="utf-8"))
        tensors = load_file(path)
        policy = LinearPolicy(tensors["weight"], tensors["bias"], tensors["log_std"], card)
        joints = len(card["options"]["command_range"])
        fits = policy.weight.shape[0] == joints and policy.bias.shape == (joints,)
        if card["kind"] != KIND or not fits or policy.log_std.shape != (joints,):
            raise ValueError("shapes or kind differ")
    except (KeyError, TypeError, ValueError, SafetensorError) as error:
        raise ValueError(f"{path} and its card do not fit together: {error}.") from error
    return policy


def trained_policies() -> list[str]:
    """Names of the trained policies that come with Asterias."""
    return sorted(path.stem for path in TRAINED.glob("*.safetensors"))


def find_policy(name: str) -> LinearPolicy:
    """A policy by its name among :func:`trained_policies`, or by its path.

    Raises:
        ValueError: there is none.
    """
    own = TRAINED / f"{name}.safetensors"
    if own.is_file():
        return load_policy(own)
    if not Path(name).exists():
        known = ", ".join(trained_policies()) or "none"
        raise ValueError(f"There is no policy '{name}': neither a path nor one of {known}.")
    return load_policy(Path(name))


@dataclass(frozen=True)
class PolicySearcher:
    """A trained policy that searches: positions in rad in, positions in rad out.

    Attributes:
        policy: the policy.
        unit: of its commands, on this limb.
        cameras: number of the limb's cameras.
        rng: source of its draws.
    """

    policy: LinearPolicy
    unit: CommandUnit
    cameras: int
    rng: np.random.Generator

    @classmethod
    def on_limb(
        cls,
        name: str,
        lower_rad: FloatArray,
        upper_rad: FloatArray,
        cameras: int,
        rng: np.random.Generator,
    ) -> PolicySearcher:
        """The policy called ``name`` on a limb with these limits and so many cameras.

        Raises:
            ValueError: there is none of that name, or it was trained for another kind of limb.
        """
        policy = find_policy(name)
        joints, inputs = policy.weight.shape
        if (joints, inputs - joints) != (lower_rad.size, cameras):
            raise ValueError(
                f"Policy '{name}' was trained for {joints} joints and {inputs - joints} cameras; "
                f"this limb has {lower_rad.size} and {cameras}."
            )
        command_range = policy.card["options"]["command_range"]
        return cls(policy, CommandUnit.of(lower_rad, upper_rad, command_range), cameras, rng)

    def act(self, position_rad: FloatArray, live: Collection[int]) -> FloatArray:
        """Next ``(n,)`` positions to command, from the last commanded ones and live cameras."""
        command = self.unit.command(position_rad)
        increments = self.policy.act(observe(command, live, self.cameras), self.rng)
        return self.unit.position_rad(command + increments)
