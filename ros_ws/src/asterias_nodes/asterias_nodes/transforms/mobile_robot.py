"""A robot that drives in a plane: ``map``, ``odom`` and ``base_link`` (REP 105), and its URDF.

The worlds know the true pose, so ``odom`` does not drift: it is ``map``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.etree import ElementTree

from builtin_interfaces.msg import Time
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from asterias_nodes.runtime.owned_entities import OwnedEntities
from asterias_nodes.runtime.qos import latched_qos, reliable_qos
from asterias_nodes.transforms.transform_messages import (
    TF_DEPTH,
    to_static_msg,
    to_transform_msg,
)
from hardware.description.frames import BASE_FRAME, MAP_FRAME, OPTICAL_RPY, FixedFrame
from hardware.description.limb import Pose
from hardware.description.urdf import add_box, add_cylinder, add_fixed_joint, urdf_text

ODOM_FRAME = "odom"
CAMERA_FRAME, OPTICAL_FRAME = "camera", "camera_optical_frame"
BODY_COLOR, NOSE_COLOR = (0.90, 0.45, 0.20), (0.16, 0.16, 0.18)


def camera_frames(x_m: float, z_m: float) -> list[FixedFrame]:
    """Return the frames of a camera on the base that looks ahead, and of its pictures."""
    return [
        FixedFrame(BASE_FRAME, CAMERA_FRAME, Pose(xyz=(x_m, 0.0, z_m))),
        FixedFrame(CAMERA_FRAME, OPTICAL_FRAME, Pose(rpy=OPTICAL_RPY)),
    ]


def mobile_robot_urdf(
    name: str, radius_m: float, height_m: float, frames: Sequence[FixedFrame] = ()
) -> str:
    """Return the URDF of a round robot with a nose in front, and with frames that are fixed on it.

    Args:
        name: of the robot.
        radius_m: of its body.
        height_m: of its body.
        frames: of cameras, for example.
    """
    root = ElementTree.Element("robot", name=name)
    base = ElementTree.SubElement(root, "link", name=BASE_FRAME)
    middle = (0.0, 0.0, 0.5 * height_m)
    add_cylinder(base, "visual", radius_m, height_m, middle, color=BODY_COLOR)
    add_cylinder(base, "collision", radius_m, height_m, middle)
    nose = (0.5 * radius_m, 0.25 * radius_m, 0.25 * height_m)
    add_box(base, "visual", nose, (radius_m, 0.0, 0.75 * height_m), color=NOSE_COLOR)
    for frame in frames:
        ElementTree.SubElement(root, "link", name=frame.child)
        add_fixed_joint(root, frame)
    return urdf_text(root)


class MobileFrames:
    """Publishes URDF and transforms of a robot in a plane.

    Args:
        owned: opens and closes the topics.
        urdf: of the robot.
        frames: what is fixed on it.
    """

    def __init__(self, owned: OwnedEntities, urdf: str, frames: Sequence[FixedFrame] = ()) -> None:
        description = owned.publisher(String, "/robot_description", latched_qos())
        static = owned.publisher(TFMessage, "/tf_static", latched_qos())
        self._moving = owned.publisher(TFMessage, "/tf", reliable_qos(TF_DEPTH))
        self._stamp: Time | None = None
        description.publish(String(data=urdf))
        static.publish(to_static_msg([FixedFrame(MAP_FRAME, ODOM_FRAME, Pose()), *frames]))

    def publish(self, stamp: Time, point_m: tuple[float, float], yaw_rad: float) -> None:
        """Publish where the robot is; once per stamp, as tf2 has it."""
        if stamp == self._stamp:
            return
        self._stamp = stamp
        turned = math.remainder(yaw_rad, math.tau)
        pose = Pose(xyz=(float(point_m[0]), float(point_m[1]), 0.0), rpy=(0.0, 0.0, turned))
        frame = to_transform_msg(ODOM_FRAME, BASE_FRAME, pose, stamp)
        self._moving.publish(TFMessage(transforms=[frame]))
