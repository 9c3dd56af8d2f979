"""The target-finding task of arXiv 2404.08093, driven directly in simulation, without ROS.

Protocol (second version of the paper, as its code has it): an episode starts at uniformly random
servo positions, redrawn until no camera sees the tag; each step commands positions, waits, and
observes; the episode ends when the tag is decoded in a live camera's picture.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from asterias.arrays import FloatArray, ImageArray
from asterias.errors import UserError
from hardware.perception.apriltag import detect_tags
from learning.target_finding.env.options import dead_cameras_word
from sim.vectorised.lockstep import Course, Spent, Wait, run_alone
from sim.world import SimWorld

# Physics steps taken as one once the limb only settles: four times as fast, and where the limb is
# when it is observed stays the same to 0.002 rad, a sixth of a pixel.
_CREEP_STRIDE = 8


@dataclass(frozen=True)
class TaskOptions:
    """The protocol's numbers.

    Attributes:
        wait_s: simulated seconds between a command and the observation.
        settle_s: simulated seconds for the drive to a start position.
        max_redraws: start positions tried before the task gives up.
    """

    wait_s: float = 1.0
    settle_s: float = 1.0
    max_redraws: int = 200


class TargetFindingTask:
    """One limb of a world that searches the tag.

    Args:
        world: the simulation, which this drives directly.
        limb: number of the limb.
        options: the protocol's numbers.
    """

    def __init__(self, world: SimWorld, limb: int = 0, options: TaskOptions | None = None) -> None:
        self.world = world
        self.limb = limb
        self.options = options or TaskOptions()
        joints = world.robot.limbs[limb].joints
        self.lower = np.array([joint.limits_rad[0] for joint in joints])
        self.upper = np.array([joint.limits_rad[1] for joint in joints])
        self.cameras = world.robot.limbs[limb].live_cameras
        self.position_rad: FloatArray = np.array([joint.home_rad for joint in joints])
        for body in world.bodies:
            body.creep_stride = _CREEP_STRIDE

    def reset(self, rng: np.random.Generator) -> FloatArray:
        """Drive to random positions from which no camera sees the tag; return them, ``(n,)``.

        A ``UserError`` follows where the tag is visible from everywhere.

        Args:
            rng: source of the draws.

        Returns:
            The positions.
        """
        return run_alone(self.world, self.resetting(rng), Spent())

    def resetting(self, rng: np.random.Generator) -> Course[FloatArray]:
        """Do as :meth:`reset`, and yield where time has to pass.

        Args:
            rng: source of the draws.

        Returns:
            The positions.

        Yields:
            What is waited for.

        Raises:
            UserError: the tag is visible from everywhere.
        """
        for _ in range(self.options.max_redraws):
            self.command(rng.uniform(self.lower, self.upper))
            yield Wait(self.options.settle_s)
            if not self.seeing(range(len(self.cameras))):
                return self.position_rad
        raise UserError(
            f"After {self.options.max_redraws} random poses the tag was always in sight; "
            "move the target away or make it smaller."
        )

    def step(self, position_rad: FloatArray, live: Collection[int]) -> list[int]:
        """Command ``(n,)`` positions and wait; return the live cameras that see the tag.

        Returns:
            Their numbers.
        """
        self.command(position_rad)
        self.world.advance(self.options.wait_s)
        return self.seeing(live)

    def command(self, position_rad: FloatArray) -> None:
        """Command ``(n,)`` positions, clipped to the limits; time passes elsewhere."""
        self.position_rad = np.clip(position_rad, self.lower, self.upper)
        self.world.bodies[self.limb].set_goal(self.position_rad)

    def seeing(self, live: Collection[int]) -> list[int]:
        """Return the numbers of those ``live`` cameras that see the tag now."""
        wanted = [self.world.robot.target.id]
        row = self.world.cameras[self.limb]
        return [
            j
            for j in range(len(row))
            if j in live
            and self.world.frames_target(self.limb, row[j].description)
            and detect_tags(take_picture(self.world, self.limb, j), ids=wanted)
        ]


def take_picture(world: SimWorld, limb: int, camera: int) -> ImageArray:
    """Return the picture of a camera now, ``(H, W, 3)`` uint8 RGB with all its flaws."""
    device = world.cameras[limb][camera]
    device.connect()
    return device.read().image


def draw_dead_cameras(rng: np.random.Generator, count: int, faults: str) -> list[int]:
    """Draw the cameras that fail in one episode.

    Args:
        rng: source of the draw.
        count: number of cameras.
        faults: ``kill0``, ``kill1`` (one) or ``kill12`` (one or two), or their other words.

    Returns:
        Their numbers, in order.

    Raises:
        UserError: the setting is unknown.
    """
    settings: dict[str, Sequence[int]] = {"kill0": (0,), "kill1": (1,), "kill12": (1, 2)}
    faults = dead_cameras_word(faults)
    if faults not in settings:
        raise UserError(f"Unknown camera failures '{faults}'; choose one of {', '.join(settings)}.")
    dead = min(int(rng.choice(settings[faults])), count)
    return sorted(int(j) for j in rng.choice(count, size=dead, replace=False))
