"""Policies for the whole body: one network for all limbs at once, or one that all limbs share."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save

from asterias.arrays import FloatArray
from asterias.errors import UserError
from asterias.files import write_bytes, write_json
from learning.starfish.body_sight import Observations
from learning.starfish.episodes import COUNTED_STEPS, views_of_limbs
from learning.target_finding.policies.weight_files import (
    find_weights,
    read_card,
    read_tensors,
    shortened,
)

WEIGHTS = Path(__file__).parent / "weights"
POLICY_FILE = "policy.safetensors"
SHARINGS = ("limbs", "body")
DEFAULT_POLICY = "pathwise_limbs"


@dataclass(frozen=True)
class BodyPolicy:
    """A network with tanh between its layers, and how it is used.

    Attributes:
        layers: weight ``(out, in)`` and bias ``(out,)`` of each.
        sharing: ``limbs``: each limb asks the same network, from its own point of view, and moves
            itself; ``body``: one network is told everything once, and moves all limbs.
        limbs: of the robot.
        card: how it was trained.
        squashed: its outputs pass a tanh; otherwise they are cut to -1 and 1.
    """

    layers: tuple[tuple[FloatArray, FloatArray], ...]
    sharing: str
    limbs: int
    card: dict[str, Any]
    squashed: bool = False

    def act(self, observation: Observations) -> FloatArray:
        """Return ``(N, limbs, joints)`` commands from -1 to 1 for ``(N, o)`` observations."""
        view = observation if self.sharing == "body" else views_of_limbs(observation, self.limbs)
        out: npt.NDArray[Any] = view
        for number, (weight, bias) in enumerate(self.layers):
            out = out @ weight.T + bias
            if number + 1 < len(self.layers):
                out = np.tanh(out)
        out = np.tanh(out) if self.squashed else np.clip(out, -1.0, 1.0)
        command: FloatArray = out.astype(np.float64)
        return command.reshape(len(observation), self.limbs, -1)

    @property
    def parameters(self) -> int:
        """Number of its weights."""
        return sum(weight.size + bias.size for weight, bias in self.layers)

    def save(self, path: Path) -> None:
        """Write the ``.safetensors`` file, and the card beside it."""
        tensors = {}
        for number, (weight, bias) in enumerate(self.layers):
            tensors[f"layer_{number}.weight"] = weight.astype(np.float32)
            tensors[f"layer_{number}.bias"] = bias.astype(np.float32)
        write_bytes(path, save(tensors))
        about = {
            "sharing": self.sharing,
            "limbs": self.limbs,
            "parameters": self.parameters,
            "squashed": self.squashed,
        }
        write_json(path.with_suffix(".json"), {**self.card, **about})


def body_policies() -> list[str]:
    """Return the names of the whole-body policies that come with Asterias."""
    return sorted(file.stem for file in WEIGHTS.glob("*.safetensors"))


def load_body_policy(name: str) -> BodyPolicy:
    """Return a policy by name, or from its file or the folder of its training.

    Raises:
        UserError: there is none, or it is damaged.
    """
    path = find_weights(name, POLICY_FILE, WEIGHTS)
    if path is None:
        known = ", ".join(body_policies())
        raise UserError(f"There is no whole-body policy '{shortened(name)}'; known are {known}.")
    card, tensors = read_card(path.with_suffix(".json")), read_tensors(path)
    layers: list[tuple[FloatArray, FloatArray]] = []
    while f"layer_{len(layers)}.weight" in tensors:
        key = f"layer_{len(layers)}"
        bias = tensors.get(f"{key}.bias", np.zeros(0))
        layers.append((tensors[f"{key}.weight"].astype(np.float64), bias.astype(np.float64)))
    sharing, limbs = card.get("sharing"), card.get("limbs")
    fits = all(w.ndim == 2 and b.shape == (w.shape[0],) for w, b in layers) and all(
        below.shape[0] == above.shape[1] for (below, _), (above, _) in pairwise(layers)
    )
    if not layers or not fits or sharing not in SHARINGS or not isinstance(limbs, int) or limbs < 1:
        raise UserError(f"{path} and its card hold no whole-body policy.")
    return BodyPolicy(tuple(layers), sharing, limbs, card, bool(card.get("squashed", False)))


def check_fit(policy: BodyPolicy, limbs: int, joints: int, cameras: int) -> None:
    """Refuse a policy that was made for another robot.

    Raises:
        UserError: it does not fit.
    """
    told = limbs * (joints + cameras + 1) + COUNTED_STEPS
    moves = joints if policy.sharing == "limbs" else limbs * joints
    takes, gives = policy.layers[0][0].shape[1], policy.layers[-1][0].shape[0]
    if policy.limbs != limbs or (takes, gives) != (told, moves):
        raise UserError(
            f"A policy for {policy.limbs} limbs ({takes} numbers in, {gives} out) does not fit a "
            f"robot of {limbs} limbs with {joints} joints and {cameras} cameras each."
        )
