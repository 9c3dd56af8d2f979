"""Moments of a robot on the ground, from its topics: pose, joints and what its cameras see."""

from __future__ import annotations

from functools import partial

import numpy as np
from nav_msgs.msg import Odometry
from rclpy.node import Node
from sensor_msgs.msg import Image, JointState

from asterias.arrays import FloatArray, ImageArray
from asterias_nodes.runtime.conversions import from_image_msg, from_pose_msg, to_seconds
from asterias_nodes.runtime.qos import reliable_qos, sensor_qos
from hardware.description.robot import RobotDescription
from learning.crawling.way_film import Moment


class MomentCollector:
    """Subscribes, and keeps a moment so many times a second while it collects.

    Args:
        node: the hosting node.
        robot: the description.
        rate_hz: moments per second of the robot's clock.

    Attributes:
        moments: those collected so far.
        is_collecting: whether moments are kept.
    """

    def __init__(self, node: Node, robot: RobotDescription, rate_hz: float) -> None:
        self.moments: list[Moment] = []
        self.is_collecting = False
        self._period_s, self._last_s = 1.0 / rate_hz, -np.inf
        self._has_pose = False
        self._hinges: list[FloatArray | None] = [None] * len(robot.limbs)
        self._tiles: dict[tuple[int, int], ImageArray | None] = {}
        for number, limb in enumerate(robot.limbs):
            names = {joint.hinge: joint.name for joint in limb.joints if joint.hinge is not None}
            order = [names.get(hinge.name, hinge.name) for hinge in limb.body.hinges]
            joints = partial(self._take_joints, number, order)
            topic = f"/limb_{number}"
            node.create_subscription(JointState, f"{topic}/joint_states", joints, reliable_qos())
            for camera in range(len(limb.live_cameras)):
                self._tiles[number, camera] = None
                take = partial(self._take_picture, number, camera)
                name = f"{topic}/camera_{camera}/image_raw"
                node.create_subscription(Image, name, take, sensor_qos(1))
        self._shape = len(robot.limbs), max(len(limb.live_cameras) for limb in robot.limbs)
        node.create_subscription(Odometry, "/odom", self._take_pose, reliable_qos())

    def is_complete(self) -> bool:
        """Return whether pose, joints and a picture of each camera have come."""
        return self._has_pose and all(
            part is not None for part in (*self._hinges, *self._tiles.values())
        )

    def _take_joints(self, limb: int, order: list[str], message: JointState) -> None:
        values = dict(zip(message.name, message.position, strict=False))
        if all(name in values for name in order):
            self._hinges[limb] = np.array([values[name] for name in order])

    def _take_picture(self, limb: int, camera: int, message: Image) -> None:
        picture = from_image_msg(message)
        self._tiles[limb, camera] = picture if picture.ndim == 3 else None

    def _take_pose(self, message: Odometry) -> None:
        self._has_pose = True
        now_s = to_seconds(message.header.stamp)
        due = now_s - self._last_s >= self._period_s - 5e-4 or now_s < self._last_s
        if not self.is_collecting or not due or not self.is_complete():
            return
        self._last_s = now_s
        hinges = tuple(part for part in self._hinges if part is not None)
        size = next(part.shape for part in self._tiles.values() if part is not None)
        tiles = np.zeros((*self._shape, *size), np.uint8)
        for (limb, camera), picture in self._tiles.items():
            if picture is not None and picture.shape == size:
                tiles[limb, camera] = picture
        rotation, position = from_pose_msg(message.pose.pose)
        self.moments.append(Moment(now_s, rotation, position, hinges, tiles))
