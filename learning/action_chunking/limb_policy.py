"""ACT on the limb, as ``/find_target``, the node ``policy`` and trials run it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from hardware.description.robot import load_robot
from learning.action_chunking.model import ActModel
from learning.recordings.episode_data import Floats
from learning.target_finding.env.observation import CommandUnit, Tiles
from learning.target_finding.env.options import TargetFindingOptions, options_from_card
from learning.target_finding.policies.linear_policy import save_policy

KIND = "limb_act"
# Sizes of a network that are no words of JSON.
_GREY_LEVELS = 255.0


@dataclass(frozen=True)
class LimbActPolicy:
    """One increment to where a chunk is at the end of a step.

    Attributes:
        model: network and scales.
        unit: of the commands.
        card: how it was trained, with the protocol under ``options``, the chunk's actions a second
            under ``fps``, and the s between two decisions under ``step_s``.
    """

    model: ActModel
    unit: CommandUnit
    card: Mapping[str, Any]
    # A network of pictures takes long: whoever serves others meanwhile asks it in another thread.
    thinks_long: bool = True

    @property
    def increment(self) -> float:
        """Largest increment, to which actions are clipped."""
        return float(self.card["options"]["increment"])

    @property
    def ahead(self) -> int:
        """Number of the chunk's action that is commanded: the one at the end of a step."""
        frames = round(float(self.card["fps"]) * float(self.card["step_s"]))
        return min(max(frames, 1), self.model.shape.chunk) - 1

    def start(self) -> None:
        """Begin an episode; nothing is remembered."""

    def act(self, observation: Any, rng: np.random.Generator | None) -> Floats:
        """Return ``(n,)`` increments of the commands; the same for the same observation."""
        seen = observation["commands"] if isinstance(observation, dict) else observation
        joints = self.model.shape.state
        commands = np.asarray(seen[:joints], np.float64)
        pictures = None
        if self.model.shape.pictures:
            pictures = pictures_of(observation["images"], self.model.shape.pictures)[None]
        state = self.unit.position_rad(commands)[None]
        chunk = self.model.chunk(state, np.asarray(seen[joints:])[None], pictures)
        goal = self.unit.command(chunk[0, self.ahead].astype(np.float64))
        increments: Floats = np.clip(goal - commands, -self.increment, self.increment).astype(
            np.float32
        )
        return increments

    def save(self, path: Path) -> None:
        """Write ``path`` (safetensors) and its card, each whole or not at all."""
        save_policy(path, KIND, self.model.tensors, {**self.card, **self.model.card})


def pictures_of(tiles: Tiles, sizes: tuple[tuple[int, int, int], ...]) -> Floats:
    """Return ``(c, 3, H, W)`` pictures from 0 to 1 of grey ``(c, h, w)`` tiles."""
    pictures = [
        np.repeat(cv2.resize(tile, size[:0:-1], interpolation=cv2.INTER_AREA)[None], 3, axis=0)
        for tile, size in zip(tiles, sizes, strict=True)
    ]
    return (np.stack(pictures) / _GREY_LEVELS).astype(np.float32)


def unit_of(options: TargetFindingOptions) -> CommandUnit:
    """Return the unit of the commands of the limb in the options."""
    joints = load_robot(options.robot).limbs[options.limb].joints
    lower, upper = np.array([joint.limits_rad for joint in joints]).T
    return CommandUnit.of(lower, upper, options.command_range)


def assemble(tensors: dict[str, npt.NDArray[Any]], card: dict[str, Any]) -> LimbActPolicy:
    """Return the policy of a file and its card.

    Raises:
        ValueError: they do not fit each other, or not the limb.
    """
    options = options_from_card(card["options"])
    model = ActModel.from_tensors(tensors, card)
    check_fits(model, options, int(card["cameras"]))
    if float(card["fps"]) <= 0 or float(card["step_s"]) <= 0:
        raise ValueError("fps and step_s must be above 0")
    torch.set_num_threads(1)  # one chunk at a time: threads would wait for each other
    return LimbActPolicy(model, unit_of(options), card)


def check_fits(model: ActModel, options: TargetFindingOptions, cameras: int) -> None:
    """Check that a network fits a limb.

    Raises:
        ValueError: it does not.
    """
    shape, joints = model.shape, len(options.command_range)
    if (shape.state, shape.actions) != (joints, joints):
        raise ValueError(
            f"it takes {shape.state} joints and gives {shape.actions}; limb {options.limb} of "
            f"{options.robot} has {joints}"
        )
    if shape.environment not in (0, cameras):
        raise ValueError(
            f"it takes {shape.environment} numbers of the environment; the limb has a flag for "
            f"each of its {cameras} cameras"
        )
    if len(shape.pictures) not in (0, cameras):
        raise ValueError(
            f"it takes the pictures of {len(shape.pictures)} cameras; the limb has {cameras}"
        )
    if bool(shape.pictures) != (options.observe == "both"):
        raise ValueError("whether it sees pictures is not what observe says")
