"""Episodes of a search with the whole body: what is drawn, what is observed, what a step does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asterias.arrays import BoolArray, FloatArray
from asterias.errors import UserError
from learning.starfish.body_sight import BodySight, Observations
from learning.starfish.options import BodySearchOptions

# Steps that an observation tells apart: later ones look alike.
COUNTED_STEPS = 3
# Kind of a silent failure that shows the picture before, and so finds the target a step later.
DELAYED = "delayed"


@dataclass
class Failures:
    """What fails in ``N`` episodes.

    Attributes:
        works: ``(N, limbs)`` limbs that move and see.
        live: ``(N, limbs, c)`` cameras that are flagged as alive.
        blind: ``(N, limbs, c)`` cameras flagged as alive that never find anything.
        late: ``(N, limbs, c)`` cameras flagged as alive that see what was a step before.
    """

    works: BoolArray
    live: BoolArray
    blind: BoolArray
    late: BoolArray

    def finds(self, sees: BoolArray, saw: BoolArray) -> BoolArray:
        """Return ``(N, limbs, c)`` which cameras report the target.

        Args:
            sees: which of them, if they worked, would see it now.
            saw: the same a step before.
        """
        return self.live & ~self.blind & np.where(self.late, saw, sees)

    def put(self, which: npt.NDArray[np.int64], other: Failures) -> None:
        """Replace the failures of some episodes."""
        for name in ("works", "live", "blind", "late"):
            getattr(self, name)[which] = getattr(other, name)


def draw_failures(
    rng: np.random.Generator, count: int, sight: BodySight, options: BodySearchOptions
) -> Failures:
    """Return what fails in ``count`` episodes; shares are met exactly, down to whole cameras.

    Raises:
        UserError: no limb would be left.
    """
    limbs, cameras = sight.limbs, sight.cameras
    if options.dead_limbs >= limbs:
        raise UserError(f"dead_limbs takes fewer than the robot's {limbs} limbs.")
    order = rng.random((count, limbs)).argsort(axis=1).argsort(axis=1)
    works = order >= options.dead_limbs
    # Cameras of working limbs in a random order; the first ones are dead, the next fail silently.
    keys = rng.random((count, limbs, cameras)) + 2.0 * ~works[:, :, None]
    rank = keys.reshape(count, -1).argsort(axis=1).argsort(axis=1).reshape(keys.shape)
    total = (limbs - options.dead_limbs) * cameras
    dead = round(options.dead_cameras * total)
    silent = round(options.silent_cameras * (total - dead))
    live = works[:, :, None] & (rank >= dead)
    fails = live & (rank < dead + silent)
    kinds = np.array([kind == DELAYED for kind in options.silent])
    late = fails & kinds[rng.integers(len(kinds), size=fails.shape)]
    return Failures(works, live, fails & ~late, late)


def draw_targets(
    rng: np.random.Generator, count: int, middle_m: FloatArray, options: BodySearchOptions
) -> tuple[FloatArray, FloatArray]:
    """Return places ``(N, 3)`` and roll, pitch, yaw ``(N, 3)`` of targets that face the robot.

    Directions are uniform on the part of the sphere that the options leave.
    """
    around = rng.uniform(-np.pi, np.pi, count)
    low, high = np.sin(options.elevation_rad)
    up = np.arcsin(rng.uniform(low, high, count))
    away = rng.uniform(*options.distance_m, count)
    level = np.cos(up)
    way = np.stack([level * np.cos(around), level * np.sin(around), np.sin(up)], axis=-1)
    askew = rng.uniform(-options.askew_rad, options.askew_rad, (2, count))
    rpy = np.stack([np.zeros(count), up + askew[0], around + np.pi + askew[1]], axis=-1)
    return middle_m + away[:, None] * way, rpy


def facing(rpy: FloatArray) -> Observations:
    """Return ``(N, 3, 3)`` rotations of pitch and yaw ``(N, 3)``, roll being 0."""
    (_, sp, sy), (_, cp, cy) = np.sin(rpy).T, np.cos(rpy).T
    zero = np.zeros_like(sp)
    rows = [[cy * cp, -sy, cy * sp], [sy * cp, cy, sy * sp], [-sp, zero, cp]]
    return np.moveaxis(np.array(rows), -1, 0).astype(np.float32)


def observe(command: FloatArray, failures: Failures, steps: npt.NDArray[np.int64]) -> Observations:
    """Return ``(N, limbs (joints + c + 1) + 3)``: what a policy is told.

    For each limb its commands from -1 to 1, a flag for each camera that is alive, and whether the
    limb works; then which step is next, as one of three flags: first, second, or later.
    """
    parts = [command, failures.live, failures.works[:, :, None]]
    table = np.concatenate([np.asarray(part, np.float32) for part in parts], axis=2)
    past = np.eye(COUNTED_STEPS)[np.minimum(steps, COUNTED_STEPS - 1)]
    return np.concatenate([table.reshape(len(table), -1), past], axis=1).astype(np.float32)


def views_of_limbs(observation: Observations, limbs: int) -> Observations:
    """Return ``(N, limbs, o)``: the observation as each limb tells it, itself first, then on round.

    For a robot whose limbs stand in a ring, one policy for all limbs then does in each what it
    does in another, turned.
    """
    table = observation[:, :-COUNTED_STEPS].reshape(len(observation), limbs, -1)
    order = (np.arange(limbs)[:, None] + np.arange(limbs)) % limbs
    turned = table[:, order].reshape(len(observation), limbs, -1)
    past = np.repeat(observation[:, None, -COUNTED_STEPS:], limbs, axis=1)
    return np.concatenate([turned, past], axis=2)


def moved(
    command: FloatArray, action: FloatArray, works: BoolArray, options: BodySearchOptions
) -> FloatArray:
    """Return the commands after an action; limbs that do not work stay."""
    wanted = np.clip(action, -1.0, 1.0).reshape(command.shape)
    change = np.clip(wanted - command, -options.increment, options.increment)
    return np.where(works[:, :, None], command + change, command)


def joints_of(command: FloatArray, limits_rad: FloatArray) -> FloatArray:
    """Return positions in rad of commands ``(..., limbs, joints)`` from -1 to 1."""
    low, high = limits_rad[..., 0], limits_rad[..., 1]
    angles: FloatArray = 0.5 * (low + high) + 0.5 * command * (high - low)
    return angles
