"""What language agents know of the robot: newest pictures, detections, joints and stop state.

Filled by the executor's thread, read by any other: each value is replaced whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from asterias_interfaces.msg import TagDetections
from rclpy.node import Node
from sensor_msgs.msg import Image

from asterias.arrays import FloatArray, ImageArray
from asterias_nodes.robot.limb_state_monitor import LimbStateMonitor
from asterias_nodes.runtime.conversions import from_image_msg, to_seconds
from asterias_nodes.runtime.owned_entities import OwnedEntities
from asterias_nodes.runtime.qos import reliable_qos, sensor_qos
from hardware.description.robot import RobotDescription
from learning.agents.tasks.camera_witnesses import TileReport


@dataclass(frozen=True)
class Picture:
    """A camera's newest picture; ``time_s`` on the robot's clock."""

    time_s: float
    image: ImageArray


class RobotStateMonitor:
    """Subscriptions of one limb and its cameras.

    Names that come in messages are compared with those of the description, and otherwise unused:
    a message can say that a tag is seen, and nothing else.
    """

    def __init__(self, node: Node, robot: RobotDescription, limb: int) -> None:
        about = robot.limbs[limb]
        self._limb, self._tag = f"limb_{limb}", robot.target.id
        self.cameras = [f"camera_{j}" for j in range(len(about.live_cameras))]
        self.widths_px = dict(
            zip(self.cameras, (c.width_px for c in about.live_cameras), strict=True)
        )
        self.joints = [joint.name for joint in about.joints]
        self.pictures: dict[str, Picture] = {}
        self.tiles: dict[str, tuple[float, TileReport]] = {}
        self._state = LimbStateMonitor(node, robot, limb)
        self._owned = OwnedEntities(node)
        listen = self._owned.subscription
        listen(TagDetections, "/target/detections", self._on_detections, reliable_qos(100))
        for name in self.cameras:
            keep: Callable[[Image], None] = partial(self._on_image, name)
            listen(Image, f"/{self._limb}/{name}/image_raw", keep, sensor_qos(1))

    @property
    def position_rad(self) -> FloatArray | None:
        """``(n,)`` measured joints in description order; None: none have come lately."""
        return self._state.position_rad

    @property
    def is_stopped(self) -> bool:
        """Whether the emergency stop is engaged."""
        return self._state.is_stopped

    @property
    def active_source(self) -> str:
        """Who has the limb; empty: nobody."""
        return self._state.active_source

    def joint_angles(self) -> dict[str, float]:
        """Return measured joints by name, rad; empty when none have come lately."""
        return self._state.joint_angles()

    @property
    def robot_time_s(self) -> float:
        """Stamp of the newest joint state."""
        return float(self._state.robot_time_s)

    def close(self) -> None:
        """Take the subscriptions down."""
        self._owned.close()
        self._state.close()

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
