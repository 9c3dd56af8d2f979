"""Managed node ``camera_driver``: the cameras of a real (or emulated) robot.

For camera j of limb i: publishes ``/limb_<i>/camera_<j>/image_raw``, ``…/image_raw/compressed`` and
``…/camera_info``, as the simulated robot does; for all: ``/diagnostics`` with state and real rate.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Annotated

from builtin_interfaces.msg import Time
from rclpy.timer import Timer

from asterias_nodes.camera_port import CameraPort
from asterias_nodes.conversions import to_time_msg
from asterias_nodes.diagnostics import Diagnostics
from asterias_nodes.managed import ManagedNode
from asterias_nodes.robot_file import WAIT_HELP, wait_for_robot
from asterias_nodes.run_node import run_node
from asterias_nodes.settings import declare_settings
from hardware.robot import make_camera

LOOKS_PER_PICTURE = 5.0
SHORTEST_PERIOD_S = 0.005


@dataclass(frozen=True)
class CameraDriverSettings:
    """Parameters of the node."""

    robot: Annotated[str, "name or path of a robot description with a backend of type devices"] = ""
    wait_s: Annotated[float, WAIT_HELP] = 0.0


class CameraDriverNode(ManagedNode):
    """Real cameras on topics; each has a thread that takes its pictures, this one publishes."""

    def __init__(self) -> None:
        super().__init__("camera_driver")
        self.settings = declare_settings(self, CameraDriverSettings)
        self.cameras: list[CameraPort] = []
        self._period_s = 0.02
        self._timer: Timer | None = None
        self._diagnostics: Diagnostics | None = None

    def configure(self) -> None:
        """Connect all cameras; one that is not there keeps no other from working."""
        robot = wait_for_robot(self.settings.robot, self.settings.wait_s)
        for i, limb in enumerate(robot.limbs):
            for j, about in enumerate(limb.live_cameras):
                camera = make_camera(robot, limb, about)
                self.cameras.append(CameraPort(self, i, j, camera, self._stamp))
        rates = [port.camera.description.rate_hz for port in self.cameras]
        quickest_s = 1.0 / (LOOKS_PER_PICTURE * max(rates, default=10.0))
        self._period_s = max(quickest_s, SHORTEST_PERIOD_S)
        self._diagnostics = Diagnostics(self, [camera.report for camera in self.cameras])

    def activate(self) -> None:
        """Publish pictures."""
        self._timer = self.create_timer(self._period_s, self._publish)
        self.get_logger().info(f"{len(self.cameras)} camera(s) are active.")

    def deactivate(self) -> None:
        """Publish no more."""
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None

    def cleanup(self) -> None:
        """Close all cameras."""
        for camera in self.cameras:
            camera.close()
        self.cameras = []
        if self._diagnostics is not None:
            self._diagnostics.close()
            self._diagnostics = None

    def _publish(self) -> None:
        for camera in self.cameras:
            camera.publish()

    def _stamp(self, time_s: float) -> Time:
        """A time of the cameras' clock on the node's."""
        age_s = time.monotonic() - time_s
        return to_time_msg(self.get_clock().now().nanoseconds * 1e-9 - age_s)


def main() -> None:
    """Run the node until it is told to stop."""
    sys.exit(run_node(CameraDriverNode))


if __name__ == "__main__":
    main()
