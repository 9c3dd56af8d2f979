"""Managed node ``camera_driver``: the cameras of a real (or emulated) robot.

For camera j of limb i: publishes ``/limb_<i>/camera_<j>/image_raw``, ``…/image_raw/compressed`` and
``…/camera_info``, as the simulated robot does; serves ``/limb_<i>/inject_camera_fault``, to which
the limb driver passes on what its ``/limb_<i>/inject_fault`` is asked of cameras. For all:
``/diagnostics`` with state and real rate.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Annotated

from builtin_interfaces.msg import Time
from rclpy.timer import Timer

from asterias_nodes.robot.camera_interface import CameraInterface
from asterias_nodes.robot.fault_service import FaultService
from asterias_nodes.robot.robot_file import WAIT_HELP, wait_for_robot
from asterias_nodes.runtime.conversions import to_time_msg
from asterias_nodes.runtime.diagnostics import Diagnostics
from asterias_nodes.runtime.lifecycle_node import ManagedNode
from asterias_nodes.runtime.parameters import declare_settings
from asterias_nodes.runtime.run_node import run_node
from hardware.cameras.driver import Camera
from hardware.description.robot import RobotDescription
from hardware.factory import make_camera
from hardware.faults.camera import FaultyCamera

LOOKS_PER_PICTURE = 5.0
SHORTEST_PERIOD_S = 0.005


@dataclass(frozen=True)
class CameraDriverSettings:
    """Parameters of the node."""

    robot: Annotated[str, "name or path of a robot description with a backend of type devices"] = ""
    seed: Annotated[int, "seed of injected faults"] = 0
    enable_faults: Annotated[bool, "let cameras fail on request instead of refusing it"] = False
    wait_s: Annotated[float, WAIT_HELP] = 0.0


class CameraDriverNode(ManagedNode):
    """Real cameras on topics; each has a thread that takes its pictures, this one publishes."""

    def __init__(self) -> None:
        super().__init__("camera_driver")
        self.settings = declare_settings(self, CameraDriverSettings)
        self.cameras: list[CameraInterface] = []
        self._faults: list[FaultService] = []
        self._period_s = 0.02
        self._timer: Timer | None = None
        self._diagnostics: Diagnostics | None = None

    def configure(self) -> None:
        """Connect all cameras; one that is not there keeps no other from working."""
        robot = wait_for_robot(self.settings.robot, self.settings.wait_s)
        for number in range(len(robot.limbs)):
            self._open_limb(robot, number)
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
        for service in self._faults:
            service.close()
        self.cameras, self._faults = [], []
        if self._diagnostics is not None:
            self._diagnostics.close()
            self._diagnostics = None

    def _open_limb(self, robot: RobotDescription, number: int) -> None:
        limb = robot.limbs[number]
        is_allowed, seed = self.settings.enable_faults, self.settings.seed
        devices = [make_camera(robot, limb, about) for about in limb.live_cameras]
        cameras: list[Camera] = [
            FaultyCamera(camera, seed=seed) if is_allowed else camera for camera in devices
        ]
        for j, camera in enumerate(cameras):
            self.cameras.append(CameraInterface(self, number, j, camera, self._stamp))
        if is_allowed:
            service = f"/limb_{number}/inject_camera_fault"
            aliases = {f"camera_{j}": camera.name for j, camera in enumerate(cameras)}
            self._faults.append(
                FaultService(self, service, limb.name, cameras, aliases, is_allowed=True)
            )

    def _publish(self) -> None:
        for camera in self.cameras:
            camera.publish()

    def _stamp(self, time_s: float) -> Time:
        """Return a time of the cameras' clock on the node's."""
        age_s = time.monotonic() - time_s
        return to_time_msg(self.get_clock().now().nanoseconds * 1e-9 - age_s)


def main() -> None:
    """Run the node until it is stopped."""
    sys.exit(run_node(CameraDriverNode, sends_pictures=True))


if __name__ == "__main__":
    main()
