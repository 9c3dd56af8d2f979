"""What a search with the whole body is: where the target is, what fails, what a step may do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from asterias.errors import UserError

# A camera that fails silently shows nothing, its first picture, noise, or the picture before.
SilentKind = Literal["black", "frozen", "noisy", "delayed"]
SILENT_KINDS: tuple[str, ...] = get_args(SilentKind)


@dataclass(frozen=True)
class BodySearchOptions:
    """Settings of ``Asterias/StarfishTargetFinding-v0``.

    Attributes:
        robot: name or path of a description; its limbs are alike, with a servo on each hinge.
        dead_cameras: share, 0 to 1, of the working limbs' cameras that are dead; flags show it.
        silent_cameras: share of the others that fail and are flagged as alive.
        silent: ways in which they fail, one of them drawn for each.
        dead_limbs: so many limbs, drawn for each episode, are limp and blind.
        increment: largest change of a servo's command in a step, in halves of its range. 0.4 is
            the limb's, so that steps compare with the paper's; 2 is the whole range, which the
            starfish's servos do in 0.7 s.
        wait_s: simulated s between a command and the look, the limb's.
        cap: steps after which an episode is truncated, the limb's.
        distance_m: nearest and farthest target from the robot's middle.
        elevation_rad: lowest and highest target as seen from there; all directions round the robot.
        askew_rad: so far, at most, a target looks away from the robot, sideways and up or down.
        simulate: True: servos and rods move as in the simulation, cameras draw, and tags are
            decoded; False: geometry alone (:mod:`learning.starfish.body_sight`).
    """

    robot: str = "starfish"
    dead_cameras: float = 0.0
    silent_cameras: float = 0.0
    silent: tuple[SilentKind, ...] = ("black", "frozen", "noisy", "delayed")
    dead_limbs: int = 0
    increment: float = 0.4
    wait_s: float = 2.0
    cap: int = 5
    distance_m: tuple[float, float] = (0.45, 0.70)
    elevation_rad: tuple[float, float] = (-0.35, 0.75)
    askew_rad: float = 0.3
    simulate: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be done.

        Raises:
            UserError: an option cannot be used.
        """
        for name in ("dead_cameras", "silent_cameras"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise UserError(f"{name} is a share from 0 to 1, not {getattr(self, name):g}.")
        for name in ("increment", "wait_s"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise UserError(f"{name} takes more than 0, not {getattr(self, name):g}.")
        if self.dead_limbs < 0 or self.cap < 1:
            raise UserError("dead_limbs takes 0 or more, cap 1 or more.")
        near, far = self.distance_m
        low, high = self.elevation_rad
        if not 0.0 < near <= far < math.inf or not -1.4 <= low <= high <= 1.4:
            raise UserError("distance_m and elevation_rad take a lower and an upper bound.")
        if not 0.0 <= self.askew_rad <= 1.0:
            raise UserError(f"askew_rad takes 0 to 1, not {self.askew_rad:g}.")
        wrong = [kind for kind in self.silent if kind not in SILENT_KINDS]
        if wrong or not self.silent:
            raise UserError(f"silent takes some of {', '.join(SILENT_KINDS)}, not {self.silent}.")
