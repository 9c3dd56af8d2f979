"""Managed node ``limb_driver``: the limbs of a real (or emulated) robot, on its servo buses.

For limb i: publishes ``/limb_<i>/joint_states`` at the control rate; takes ``/limb_<i>/commands``
and ``/limb_<i>/joint_trajectory``; serves ``/limb_<i>/inject_fault``, for cameras through the node
``camera_driver``. For all: ``/diagnostics``,
``/e_stop`` with its latched state ``/e_stop_state``. Topics are those of the simulated robot.

What :mod:`hardware.limbs.safety_monitor` finds shows in ``/diagnostics``; a limb that it has
stopped moves again after ``ros2 lifecycle set /limb_driver deactivate`` and ``activate``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated

from rclpy.timer import Timer

from asterias.pacing import ask_for_priority
from asterias_nodes.robot.emergency_stop import EmergencyStop
from asterias_nodes.robot.limb_interface import LimbInterface
from asterias_nodes.robot.robot_file import WAIT_HELP, wait_for_robot
from asterias_nodes.runtime.diagnostics import Diagnostics
from asterias_nodes.runtime.lifecycle_node import ManagedNode
from asterias_nodes.runtime.parameters import declare_settings
from asterias_nodes.runtime.run_node import run_node
from hardware.description.robot import RobotDescription
from hardware.factory import devices_of, make_limb
from hardware.faults.limb import FaultyLimb


@dataclass(frozen=True)
class LimbDriverSettings:
    """Parameters of the node."""

    robot: Annotated[str, "name or path of a robot description with a backend of type devices"] = ""
    seed: Annotated[int, "seed of injected faults"] = 0
    priority: Annotated[int, "real-time priority, 1 to 99, where it is granted; 0: none"] = 0
    enable_faults: Annotated[bool, "serve inject_fault instead of refusing it"] = False
    wait_s: Annotated[float, WAIT_HELP] = 0.0


class LimbDriverNode(ManagedNode):
    """Real limbs on topics; one thread, one period after another."""

    def __init__(self) -> None:
        super().__init__("limb_driver")
        self.settings = declare_settings(self, LimbDriverSettings)
        self.limbs: list[LimbInterface] = []
        self._period_s = 0.02
        self._timer: Timer | None = None
        self._stop: EmergencyStop | None = None
        self._diagnostics: Diagnostics | None = None

    def configure(self) -> None:
        """Open the buses and check who is there; nothing moves yet."""
        if self.settings.priority > 0 and not ask_for_priority(self.settings.priority):
            self.get_logger().warning("No real-time priority is granted; see the README.")
        robot = wait_for_robot(self.settings.robot, self.settings.wait_s)
        self._period_s = 1.0 / robot.control_rate_hz
        for number in range(len(robot.limbs)):
            self._open_limb(robot, number)
        self._stop = EmergencyStop(self, self.limbs, robot.name)
        self._diagnostics = Diagnostics(self, [limb.report for limb in self.limbs])

    def activate(self) -> None:
        """Torque on where each limb is; accept commands."""
        for number, limb in enumerate(self.limbs):
            limb.activate()
            for earlier in self.limbs[:number]:
                earlier.request()  # its servos' watchdogs want to hear something
        self._timer = self.create_timer(self._period_s, self._tick)
        joints = sum(len(limb.driver.joints) for limb in self.limbs)
        self.get_logger().info(f"{len(self.limbs)} limb(s) with {joints} servos are active.")

    def deactivate(self) -> None:
        """Hold all limbs and refuse commands."""
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None
        for limb in self.limbs:
            limb.deactivate()

    def cleanup(self) -> None:
        """Torque off, buses closed, topics down."""
        for limb in self.limbs:
            limb.close()
        self.limbs = []
        if self._diagnostics is not None:
            self._diagnostics.close()
            self._diagnostics = None
        if self._stop is not None:
            self._stop.close()
            self._stop = None

    def close(self) -> None:
        """Torque off everywhere first: no limb waits for another one's silent bus."""
        for limb in self.limbs:
            limb.let_go()
        super().close()

    def _open_limb(self, robot: RobotDescription, number: int) -> None:
        driver = make_limb(robot, number)
        faults = self.settings.enable_faults
        port = LimbInterface(
            self,
            number,
            FaultyLimb(driver, seed=self.settings.seed) if faults else driver,
            clock=time.monotonic,
            cameras=(),
            allow_faults=faults,
            safety=devices_of(robot).safety,
            stream_timeout_s=robot.stream_timeout_s,
            camera_faults=f"/limb_{number}/inject_camera_fault" if faults else "",
        )
        self.limbs.append(port)
        if not driver.bus.has_watchdog:
            self.get_logger().warning(
                f"The servos of {driver.name} do not stop by themselves when the cable is out."
            )

    def _tick(self) -> None:
        """One control period; all buses work at once."""
        for limb in self.limbs:
            limb.tick()
        for limb in self.limbs:
            limb.request()
        stamp = self.get_clock().now().to_msg()
        for limb in self.limbs:
            limb.publish(stamp)


def main() -> int:
    """Return the exit code of ``ros2 run asterias_nodes limb_driver``."""
    return run_node(LimbDriverNode)
