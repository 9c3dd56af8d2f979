"""What language agents know of the robot: newest pictures, detections, joints and stop state.

Filled by the executor's thread, read by any other: each value is replaced whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from asterias_interfaces.msg import TagDetections
from rclpy.node import Node
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Bool, String

from asterias.arrays import FloatArray, ImageArray
from asterias_nodes.runtime.conversions import from_image_msg, to_seconds
from asterias_nodes.runtime.qos import latched_qos, reliable_qos, sensor_qos
from hardware.description.robot import RobotDescription
from learning.agents.tasks.camera_witnesses import TileReport

_FRESH_S = 1.0  # joint states older than this are as good as none


@dataclass(frozen=True)
class Picture:
    """A camera's newest picture; ``time_s`` on the robot's clock."""

    time_s: float
    image: ImageArray


class RobotEyes:
    """Subscriptions of one limb.

    Names that come in messages are compared with those of the description, and otherwise unused:
    a message can say that a tag is seen, and nothing else.
    """

    def __init__(self, node: Node, robot: RobotDescription, limb: int) -> None:
        about = robot.limbs[limb]
        self._node = node
        self._limb, self._tag = f"limb_{limb}", robot.target.id
        self.cameras = [f"camera_{j}" for j in range(len(about.live_cameras))]
        self.widths_px = dict(
            zip(self.cameras, (c.width_px for c in about.live_cameras), strict=True)
        )
        self.joints = [joint.name for joint in about.joints]
        self.pictures: dict[str, Picture] = {}
        self.tiles: dict[str, tuple[float, TileReport]] = {}
        self.is_stopped = False
        self.active_source = ""
        self._position: FloatArray | None = None
        self._joints_s = self._robot_time_s = -np.inf
        prefix = f"/{self._limb}"
        listen = node.create_subscription
        self._subscriptions = [
            listen(JointState, f"{prefix}/joint_states", self._on_joints, reliable_qos()),
            listen(TagDetections, "/target/detections", self._on_detections, reliable_qos(100)),
            listen(Bool, "/e_stop_state", self._on_stop, latched_qos()),
            listen(String, f"{prefix}/active_source", self._on_source, latched_qos()),
        ]
        for name in self.cameras:
            keep: Callable[[Image], None] = partial(self._on_image, name)
            topic = f"{prefix}/{name}/image_raw"
            self._subscriptions.append(listen(Image, topic, keep, sensor_qos(1)))

    @property
    def position_rad(self) -> FloatArray | None:
        """``(n,)`` measured joints in description order; None when none have come lately."""
        is_fresh = time.monotonic() - self._joints_s < _FRESH_S
        return self._position if is_fresh else None

    def joint_angles(self) -> dict[str, float]:
        """Measured joints by name, rad; empty when none have come lately."""
        position = self.position_rad
        return {} if position is None else dict(zip(self.joints, position.tolist(), strict=True))

    @property
    def robot_time_s(self) -> float:
        """Stamp of the newest joint state."""
        return float(self._robot_time_s)

    def close(self) -> None:
        """Take the subscriptions down."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _on_joints(self, message: JointState) -> None:
        position = dict(zip(message.name, message.position, strict=False))
        if all(name in position for name in self.joints):
            self._position = np.array([position[name] for name in self.joints])
            self._robot_time_s = to_seconds(message.header.stamp)
            self._joints_s = time.monotonic()

    def _on_image(self, camera: str, message: Image) -> None:
        try:
            image = from_image_msg(message)
        except ValueError:
            return  # as good as no picture; the detector counts it in /diagnostics
        self.pictures[camera] = Picture(to_seconds(message.header.stamp), image)

    def _on_detections(self, message: TagDetections) -> None:
        if message.limb != self._limb or message.camera not in self.cameras:
            return
        report = TileReport(False)
        for tag in message.detections:
            if tag.id == self._tag:
                across = float(tag.center_px[0]) / self.widths_px[message.camera]
                report = TileReport(True, round(across, 3), round(float(tag.side_px), 1))
        self.tiles[message.camera] = (to_seconds(message.header.stamp), report)

    def _on_stop(self, message: Bool) -> None:
        self.is_stopped = bool(message.data)

    def _on_source(self, message: String) -> None:
        self.active_source = str(message.data)
