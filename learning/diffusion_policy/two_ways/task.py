"""Reach behind a post: the limb's tip goes round it on the left or on the right.

The tip of ``limb_p1`` starts above a ball-shaped post and is to touch a goal below it. Motion is
that of the resting soft limb (:class:`sim.physics.kinematics.SoftLimb`), which follows commands
within a step; many episodes run side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from asterias.registry import Registry
from hardware.description.robot import load_robot
from learning.recordings.episode_data import Floats
from sim.physics.kinematics import SoftLimb

ROBOT = "limb_p1"
# Servos that move, in the order of actions; the wrist stays at 0.
SERVOS = ("shoulder_yaw", "shoulder_pitch", "finger")
RATE_HZ = 10
STEPS = 40
# Largest step of a command, rad: 1.5 rad/s, which the servos reach with ease.
LARGEST_STEP_RAD = 0.15
GOAL_M = 0.02
# Numbers in an observation: servos (rad), then tip, post and goal (m).
GROUPS = (3, 3, 3, 3)
# Ranges of the draws, rad: where the post is, where the tip starts and where the goal is, as seen
# from the limb's base, relative to the post's bearing.
POST_YAW = (-0.5, 0.5)
START_YAW, START_PITCH = (-0.02, 0.02), (-0.75, -0.6)
GOAL_YAW, GOAL_PITCH = (-0.1, 0.1), (0.55, 0.7)
GOAL_FINGER = 0.2
# Grid of the precomputed kinematics: pitch and finger; yaw turns about the vertical.
_PITCHES, _FINGERS = 61, 21


@dataclass(frozen=True)
class PostTask:
    """How wide the post is, and how closely the demonstrators pass it.

    Attributes:
        summary: one line for people.
        post_m: radius of the post.
        detour_rad: how far from the post's bearing the demonstrators pass it.
    """

    summary: str
    post_m: float
    detour_rad: float


TASKS: Registry[PostTask] = Registry("two-way task")
WIDE = PostTask("the post is passed at a distance", 0.045, 0.6)
TASKS.register("wide", WIDE)
TASKS.register("close", PostTask("a wider post is passed closely", 0.05, 0.45))
DEFAULT_TASK = "wide"


@dataclass(frozen=True)
class TipTable:
    """Tip of the resting limb over pitch and finger, for yaw and wrist at 0.

    Attributes:
        lower, upper: ``(3,)`` limits of the servos, rad.
        tips: ``(pitches, fingers, 3)`` m, from the axis of the shoulder's yaw.
        axis: ``(3,)`` a point of that axis, m.
    """

    lower: npt.NDArray[np.float64]
    upper: npt.NDArray[np.float64]
    tips: npt.NDArray[np.float64]
    axis: npt.NDArray[np.float64]

    def tip(self, servos: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return tips ``(..., 3)`` m for servos ``(..., 3)`` rad, by bilinear interpolation."""
        size = np.array(self.tips.shape[:2]) - 1
        place = (servos[..., 1:] - self.lower[1:]) / (self.upper[1:] - self.lower[1:]) * size
        place = np.clip(place, 0, size - 1e-9)
        first = place.astype(np.int64)
        (i, j), part = np.moveaxis(first, -1, 0), place - first
        p, f = part[..., :1], part[..., 1:]
        tips = (1 - p) * ((1 - f) * self.tips[i, j] + f * self.tips[i, j + 1])
        tips += p * ((1 - f) * self.tips[i + 1, j] + f * self.tips[i + 1, j + 1])
        cosine, sine = np.cos(servos[..., 0]), np.sin(servos[..., 0])
        x, y, z = np.moveaxis(tips, -1, 0)
        return np.stack([cosine * x - sine * y, sine * x + cosine * y, z], axis=-1) + self.axis


@cache
def tip_table() -> TipTable:
    """Return the kinematics of ``limb_p1``, computed once."""
    limb = SoftLimb.of(load_robot(ROBOT), 0)
    joints = {joint.name: joint for joint in limb.limb.joints}
    lower, upper = np.array([joints[name].limits_rad for name in SERVOS]).T
    # The axis goes through the middle between the tip ahead and the tip turned half round.
    half = np.pi / 4
    ahead, left = limb.tip([0, 0, 0, 0]), limb.tip([2 * half, 0, 0, 0])
    middle, apart = (ahead + left) / 2, left - ahead
    axis = middle + np.array([-apart[1], apart[0], 0.0]) / (2 * np.tan(half))
    axis[2] = 0.0
    tips = [
        [
            limb.tip([0.0, pitch, 0.0, finger]) - axis
            for finger in np.linspace(lower[2], upper[2], _FINGERS)
        ]
        for pitch in np.linspace(lower[1], upper[1], _PITCHES)
    ]
    return TipTable(lower, upper, np.array(tips), axis)


@dataclass
class PostEpisodes:
    """Episodes side by side.

    Attributes:
        servos: ``(B, 3)`` commanded positions, rad.
        post, goal: ``(B, 3)`` m.
        hit, reached: ``(B,)`` whether the tip has touched the post, or the goal first.
        task: how wide the post is.
        steps: taken so far.
    """

    servos: npt.NDArray[np.float64]
    post: npt.NDArray[np.float64]
    goal: npt.NDArray[np.float64]
    hit: npt.NDArray[np.bool_]
    reached: npt.NDArray[np.bool_]
    task: PostTask = WIDE
    steps: int = 0

    @classmethod
    def draw(cls, count: int, rng: np.random.Generator, task: str = DEFAULT_TASK) -> PostEpisodes:
        """Return episodes at their start; the first of them are the same for a larger count."""
        table, rows = tip_table(), rng.random((count, 5))
        yaw = _within(POST_YAW, rows[:, 0])
        start = np.stack(
            [
                yaw + _within(START_YAW, rows[:, 1]),
                _within(START_PITCH, rows[:, 2]),
                np.zeros(count),
            ],
            axis=1,
        )
        end = np.stack(
            [
                yaw + _within(GOAL_YAW, rows[:, 3]),
                _within(GOAL_PITCH, rows[:, 4]),
                np.full(count, GOAL_FINGER),
            ],
            axis=1,
        )
        post = table.tip(np.stack([yaw, np.zeros(count), np.zeros(count)], axis=1))
        none = np.zeros(count, np.bool_)
        return cls(start, post, table.tip(end), none.copy(), none, TASKS.get(task))

    @property
    def observations(self) -> Floats:
        """``(B, 12)``: servos, tip, post, goal."""
        tip = tip_table().tip(self.servos)
        return np.concatenate([self.servos, tip, self.post, self.goal], axis=1).astype(np.float32)

    def over(self) -> bool:
        """Return whether nothing can change any more."""
        return self.steps >= STEPS or bool((self.hit | self.reached).all())

    def step(self, wanted: npt.NDArray[Any]) -> None:
        """Command ``(B, 3)`` positions, rad; those that are over stay where they are."""
        table = tip_table()
        step = np.clip(wanted - self.servos, -LARGEST_STEP_RAD, LARGEST_STEP_RAD)
        going = ~(self.hit | self.reached)
        before = self.servos
        self.servos = np.where(
            going[:, None], np.clip(before + step, table.lower, table.upper), before
        )
        # Between two commands as well, so that nobody jumps through the post.
        for share in (0.5, 1.0):
            tip = table.tip(before + share * (self.servos - before))
            self.hit |= going & ~self.reached & (_apart(tip, self.post) < self.task.post_m)
            self.reached |= going & ~self.hit & (_apart(tip, self.goal) < GOAL_M)
        self.steps += 1


def _within(ends: tuple[float, float], share: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return ends[0] + (ends[1] - ends[0]) * share


def _apart(
    first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    apart: npt.NDArray[np.float64] = np.linalg.norm(first - second, axis=1)
    return apart
