"""Trained policies as files, by name or path, and on a limb.

A policy is two files, ``NAME.safetensors`` and the card ``NAME.json`` beside it; nothing is
unpickled.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from asterias.arrays import FloatArray
from asterias.errors import UserError
from asterias.registry import Registry
from learning.target_finding.env.observation import CommandUnit, Tiles, observe
from learning.target_finding.env.options import TargetFindingOptions, options_from_card
from learning.target_finding.policies import linear_policy, moves_policy
from learning.target_finding.policies.linear_policy import LinearPolicy, SoftmaxPolicy
from learning.target_finding.policies.weight_files import (
    path_of,
    read_card,
    read_tensors,
    shortened,
)

POLICY_FILE = "policy.safetensors"
SUMMARY_FILE = "summary.json"
# Names of the same two files in a folder of the Hugging Face hub.
HUB_FILE, HUB_CARD = "model.safetensors", "config.json"
TRAINED = Path(__file__).parents[1] / "weights"
# Cards of before cameras were counted are all of limb_p1.
PAPER_CAMERAS = 4


class Policy(Protocol):
    """A trained policy."""

    @property
    def card(self) -> Any:
        """How it was trained, with the protocol under ``options``."""

    def start(self) -> None:
        """Start an episode: reset any memory of the last one."""

    def act(self, observation: Any, rng: np.random.Generator | None) -> Any:
        """Return an action of the environment; the likeliest, where there is no ``rng``."""

    def save(self, path: Path) -> None:
        """Write the policy and its card."""


# Returns the policy of a file's tensors and its card; a KeyError or ValueError says what is wrong.
Assemble = Callable[[dict[str, Any], dict[str, Any]], Policy]

# Kinds of policy that are read by other wings and by installed packages: ``module:function`` of an
# ``Assemble``, or itself. Nothing is imported before such a policy is read.
POLICY_KINDS: Registry[str | Assemble] = Registry("kind of policy", "asterias.policy_kinds")
POLICY_KINDS.register("limb_diffusion", "learning.diffusion_policy.limb_policy:assemble")
POLICY_KINDS.register("limb_act", "learning.action_chunking.limb_policy:assemble")


def load_policy(path: Path) -> Policy:
    """Return the policy in a ``.safetensors`` file, in a training's folder or one of the hub.

    Raises:
        UserError: there is none, it is damaged, or file and card do not fit.
    """
    if path.is_dir():
        path = path / (HUB_FILE if (path / HUB_FILE).is_file() else POLICY_FILE)
    card_path = path.with_name(HUB_CARD) if path.name == HUB_FILE else path.with_suffix(".json")
    if not path.is_file() or not card_path.is_file():
        raise UserError(
            f"No policy at {shortened(str(path))}: give a training's folder, or a .safetensors "
            "file with its .json beside it."
        )
    card, tensors = read_card(card_path), read_tensors(path)
    try:
        return _assemble(tensors, card)
    except KeyError as error:
        raise UserError(f"{path} and its card do not fit together: {error} is missing.") from error
    except (AttributeError, IndexError, OverflowError, TypeError, ValueError) as error:
        reason = str(error).rstrip(".")
        raise UserError(f"{path} and its card do not fit together: {reason}.") from error


def _assemble(tensors: dict[str, Any], card: dict[str, Any]) -> Policy:
    options = options_from_card(card["options"])
    joints, cameras = len(options.command_range), int(card.get("cameras", PAPER_CAMERAS))
    if not joints or cameras < 0:
        raise ValueError("the card names no joints")
    if card["kind"] == linear_policy.KIND:
        shapes = {
            "weight": (joints, joints + cameras),
            "bias": (joints,),
            "log_std": (joints,),
        }
        linear_policy.check_shapes(tensors, shapes)
        return LinearPolicy(tensors["weight"], tensors["bias"], tensors["log_std"], card)
    if card["kind"] == linear_policy.SOFTMAX_KIND:
        linear_policy.check_shapes(tensors, {"weight": (2 * joints, joints + cameras)})
        return SoftmaxPolicy(tensors["weight"], card)
    if card["kind"] == moves_policy.KIND:
        moves_policy.check_moves(tensors, network_inputs(options, joints, cameras), 2 * joints)
        return moves_policy.GreedyMovesPolicy(tensors, card)
    if card["kind"] in POLICY_KINDS:
        return _assemble_elsewhere(POLICY_KINDS.get(card["kind"]), tensors, card)
    # It imports PyTorch, for which a node that runs a linear policy should not have to wait.
    from learning.target_finding.policies import network_policy

    if card["kind"] == network_policy.KIND:
        inputs = network_inputs(options, joints, cameras)
        network_policy.check_network(tensors, card, inputs, joints)
        return network_policy.NetworkPolicy(tensors, card)
    raise ValueError(f"kind {card['kind']!r} is unknown")


def _assemble_elsewhere(
    entry: str | Assemble, tensors: dict[str, Any], card: dict[str, Any]
) -> Policy:
    if isinstance(entry, str):
        module, _, name = entry.partition(":")
        entry = getattr(importlib.import_module(module), name)
    assert not isinstance(entry, str)
    return entry(tensors, card)


def network_inputs(options: TargetFindingOptions, joints: int, cameras: int) -> int:
    """Return the size of what the first layer gets, without the encoder's part."""
    commands = joints + cameras
    seen = {"commands": commands, "images": joints, "both": commands}[options.observe]
    return seen + (6 if options.goal else 0)  # achieved and desired goal


def trained_policies() -> list[str]:
    """Return the names of the trained policies that come with Asterias."""
    return sorted(path.stem for path in TRAINED.glob("*.safetensors"))


def find_policy(name: str) -> Policy:
    """Return a policy by its name among :func:`trained_policies`, or by its path.

    Raises:
        UserError: there is none.
    """
    if name in trained_policies():
        return load_policy(TRAINED / f"{name}.safetensors")
    path = path_of(name)
    if path is None:
        known = ", ".join(trained_policies()) or "none"
        raise UserError(
            f"There is no policy '{shortened(name)}': neither a path nor one of {known}."
        )
    return load_policy(path)


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
        """Return the policy called ``name`` on a limb.

        Args:
            name: of a trained policy, or its path.
            lower_rad: ``(n,)`` lower limits of the joints.
            upper_rad: ``(n,)`` upper limits of the joints.
            cameras: number of the limb's cameras.
            rng: source of the policy's draws.

        Returns:
            The searcher.

        Raises:
            UserError: there is none of that name, or it was trained for another kind of limb.
        """
        policy = find_policy(name)
        options = policy.card["options"]
        joints = len(options["command_range"])
        trained = joints, int(policy.card.get("cameras", PAPER_CAMERAS))
        if trained != (lower_rad.size, cameras):
            raise UserError(
                f"Policy '{shortened(name)}' was trained for {trained[0]} joints and {trained[1]} "
                f"cameras; this limb has {lower_rad.size} and {cameras}."
            )
        unit = CommandUnit.of(lower_rad, upper_rad, options["command_range"])
        policy.start()
        return cls(policy, unit, cameras, rng)

    @property
    def wants_images(self) -> bool:
        """Whether it needs the cameras' pictures, instead of positions and flags or beside them."""
        return self._observed in ("images", "both")

    @property
    def _observed(self) -> str:
        return str(self.policy.card["options"].get("observe", "commands"))

    @property
    def thinks_long(self) -> bool:
        """Whether a decision takes so long that others should be served meanwhile."""
        return bool(getattr(self.policy, "thinks_long", False))

    def act(
        self, position_rad: FloatArray, live: Collection[int], tiles: Tiles | None = None
    ) -> FloatArray:
        """Return the next ``(n,)`` positions to command.

        Args:
            position_rad: ``(n,)`` positions commanded last.
            live: numbers of the cameras that work.
            tiles: ``(c, H, W)`` uint8 grey pictures, where the policy :attr:`wants_images`.

        Returns:
            Positions in rad within the limits.

        Raises:
            ValueError: it needs pictures, and there are none.
        """
        if self.wants_images and tiles is None:
            raise ValueError("This policy needs pictures; it cannot search without them.")
        command = self.unit.command(position_rad)
        seen: Any = tiles if self.wants_images else observe(command, live, self.cameras)
        if self._observed == "both":
            seen = {"commands": observe(command, live, self.cameras), "images": tiles}
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
