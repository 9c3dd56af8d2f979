"""Where the target is in the robot's frame, from what one of its cameras sees."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray
from hardware.description.robot import RobotDescription
from learning.crawling.tag_position import tag_position
from sim.physics.kinematics import SoftLimb
from sim.physics.limb_body import LimbBody
from sim.physics.rotations import rotation_from_rpy

# Of the search for flexible links at rest; a hundredth of what a camera can tell.
_SETTLED_RAD = 1e-5


class TargetSighting:
    """Places of the target by camera, joints and corners.

    Args:
        robot: the description.
        size_m: edge of the target's black square.
    """

    def __init__(self, robot: RobotDescription, size_m: float) -> None:
        self.size_m = size_m
        self._robot = robot
        self._bodies = [LimbBody(limb, robot.materials) for limb in robot.limbs]
        self._limbs = [SoftLimb.of(robot, number) for number in range(len(robot.limbs))]

    def position_m(
        self, limb: int, camera: int, corners_px: npt.ArrayLike, servo_rad: FloatArray
    ) -> FloatArray | None:
        """Return ``(3,)`` where the target is in ``base_link``; None where that is not known.

        Args:
            limb: number of the limb that carries the camera.
            camera: its number among the limb's live cameras.
            corners_px: ``(4, 2)`` clockwise from the tag's own top left.
            servo_rad: ``(n,)`` measured servos of the limb.
        """
        about = self._robot.limbs[limb].live_cameras[camera]
        seen = tag_position(corners_px, self.size_m, about)
        if seen is None:
            return None
        body, base = self._bodies[limb], self._robot.limbs[limb].base
        body.place(self._limbs[limb].hinges(servo_rad, _SETTLED_RAD))
        rotation, shift = body.link_pose(about.link)
        on_link = rotation_from_rpy(about.pose.rpy) @ seen + np.array(about.pose.xyz)
        on_limb = rotation @ on_link + shift
        place: FloatArray = rotation_from_rpy(base.rpy) @ on_limb + np.array(base.xyz)
        return place
