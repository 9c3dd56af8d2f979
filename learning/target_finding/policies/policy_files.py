"""Trained policies as files, by name or path, and on a limb.

A policy is two files, ``NAME.safetensors`` and the card ``NAME.json`` beside it; nothing is
unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from asterias.arrays import FloatArray
from learning.target_finding.env.observation import CommandUnit, Tiles, observe
from learning.target_finding.policies import linear_policy
from learning.target_finding.policies.linear_policy import LinearPolicy, SoftmaxPolicy

POLICY_FILE = "policy.safetensors"
SUMMARY_FILE = "summary.json"
TRAINED = Path(__file__).parents[1] / "weights"


class Policy(Protocol):
    """What every trained policy can do."""

    @property
    def card(self) -> Any:
        """How it was trained, with the protocol under ``options``."""

    def start(self) -> None:
        """Begin an episode: forget the last one."""

    def act(self, observation: Any, rng: np.random.Generator | None) -> Any:
        """An action of the environment; the likeliest, where there is no ``rng`` to draw with."""

    def save(self, path: Path) -> None:
        """Write the policy and its card."""


def load_policy(path: Path) -> Policy:
    """The policy in a ``.safetensors`` file, or in a training's folder.

    Raises:
        ValueError: there is none, or file and card do not fit.
    """
    path = path / POLICY_FILE if path.is_dir() else path
    card_path = path.with_suffix(".json")
    if not path.is_file() or not card_path.is_file():
        raise ValueError(
            f"No policy at {path}: give a training's folder, or a .safetensors file with its "
            ".json beside it."
        )
    try:
        card = json.loads(card_path.read_text(encoding="utf-8"))
        return _assemble(load_file(path), card)
    except (KeyError, TypeError, ValueError, SafetensorError) as error:
        raise ValueError(f"{path} and its card do not fit together: {error}.") from error


def _assemble(tensors: dict[str, Any], card: dict[str, Any]) -> Policy:
    joints = len(card["options"]["command_range"])
    if card["kind"] == linear_policy.KIND:
        policy = LinearPolicy(tensors["weight"], tensors["bias"], tensors["log_std"], card)
        shapes = policy.weight.shape[:1], policy.bias.shape, policy.log_std.shape
        if shapes != ((joints,),) * 3:
            raise ValueError(f"shapes differ from those of {joints} joints")
        return policy
    if card["kind"] == linear_policy.SOFTMAX_KIND:
        if tensors["weight"].shape[0] != 2 * joints:
            raise ValueError(f"it has not two moves for each of {joints} joints")
        return SoftmaxPolicy(tensors["weight"], card)
    # It imports PyTorch, for which a node that runs a linear policy should not have to wait.
    from learning.target_finding.policies import network_policy

    if card["kind"] == network_policy.KIND:
        return network_policy.NetworkPolicy(tensors, card)
    raise ValueError(f"kind '{card['kind']}' is unknown")


def trained_policies() -> list[str]:
    """Names of the trained policies that come with Asterias."""
    return sorted(path.stem for path in TRAINED.glob("*.safetensors"))


def find_policy(name: str) -> Policy:
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

    policy: Policy
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
        options = policy.card["options"]
        joints = len(options["command_range"])
        # Cards of before cameras were counted are all of limb_p1.
        trained = joints, int(policy.card.get("cameras", 4))
        if trained != (lower_rad.size, cameras):
            raise ValueError(
                f"Policy '{name}' was trained for {trained[0]} joints and {trained[1]} cameras; "
                f"this limb has {lower_rad.size} and {cameras}."
            )
        unit = CommandUnit.of(lower_rad, upper_rad, options["command_range"])
        policy.start()
        return cls(policy, unit, cameras, rng)

    @property
    def wants_images(self) -> bool:
        """Whether it looks at the cameras' pictures instead of positions and flags."""
        return bool(self.policy.card["options"].get("observe", "commands") == "images")

    def act(
        self, position_rad: FloatArray, live: Collection[int], tiles: Tiles | None = None
    ) -> FloatArray:
        """Next ``(n,)`` positions to command.

        Args:
            position_rad: ``(n,)`` positions commanded last.
            live: numbers of the cameras that work.
            tiles: ``(c, H, W)`` uint8 grey pictures, where the policy :attr:`wants_images`.

        Raises:
            ValueError: it wants pictures, and there are none.
        """
        if self.wants_images and tiles is None:
            raise ValueError("This policy looks at pictures; it cannot search without them.")
        command = self.unit.command(position_rad)
        seen = tiles if self.wants_images else observe(command, live, self.cameras)
        action = self.policy.act(seen, self.rng)
        return self.unit.position_rad(command + self._increments(action))

    def _increments(self, action: Any) -> FloatArray:
        if not isinstance(action, int):
            return np.asarray(action, dtype=np.float64)
        servo, down = divmod(action, 2)
        increments = np.zeros(self.unit.reach.size)
        size = float(self.policy.card["options"]["move"])
        increments[servo] = -size if down else size
        return increments
