"""The tip of a limb from its joints as they are estimated, with a covariance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asterias.arrays import FloatArray
from hardware.description.robot import RobotDescription
from sim.physics.kinematics import SoftLimb
from sim.physics.rotations import quaternion_from_rotation

# The limb's resting pose, to a hundredth of a degree: finer than any estimate.
SETTLED_RAD = 2e-4
# Differences for the Jacobian, well above that.
DIFFERENCE_RAD = 0.01


@dataclass(frozen=True)
class TipEstimate:
    """The tip in the robot's base frame.

    Attributes:
        position_m: ``(3,)``.
        quaternion: ``(4,)`` x, y, z, w of the last link.
        covariance: ``(6, 6)`` of position (m) and of small turns about the base's axes (rad).
    """

    position_m: FloatArray
    quaternion: FloatArray
    covariance: FloatArray


class TipEstimator:
    """Kinematics of a limb at rest, and how an uncertainty of its joints spreads to the tip.

    Args:
        robot: the description.
        limb: number of the limb.
    """

    def __init__(self, robot: RobotDescription, limb: int) -> None:
        self._limb = SoftLimb.of(robot, limb)

    def at(self, position_rad: FloatArray, std_rad: FloatArray) -> TipEstimate:
        """Return the tip for joints ``(n,)`` with independent standard deviations ``(n,)``."""
        place, rotation = self._pose(position_rad)
        columns = []
        for shift in DIFFERENCE_RAD * np.eye(len(position_rad)):
            moved, turned = self._pose(position_rad + shift)
            columns.append(np.concatenate([moved - place, _turn(turned @ rotation.T)]))
        jacobian = np.stack(columns, axis=1) / DIFFERENCE_RAD
        covariance = (jacobian * np.asarray(std_rad) ** 2) @ jacobian.T
        return TipEstimate(place, quaternion_from_rotation(rotation), covariance)

    def _pose(self, position_rad: FloatArray) -> tuple[FloatArray, FloatArray]:
        hinges = self._limb.hinges(position_rad, SETTLED_RAD)
        rotations, shifts = self._limb.link_poses(hinges)
        tip = rotations[-1] @ self._limb.tip_point_m + shifts[-1]
        return self._limb.in_world(tip), self._limb.base_rotation @ rotations[-1]


def _turn(rotation: FloatArray) -> FloatArray:
    """Return the vector of a small rotation, ``(3,)`` rad."""
    skew = 0.5 * (rotation - rotation.T)
    return np.array([skew[2, 1], skew[0, 2], skew[1, 0]])
