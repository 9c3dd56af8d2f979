"""Node ``emulated_robot``: the simulated robot behind the ports and addresses of a real one.

It has no topics: ``limb_driver`` and ``camera_driver`` reach it over ptys and HTTP, as they would
reach the real robot. It writes a description for them once everything answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from rclpy.node import Node

from asterias_nodes.runtime.parameters import SettingsError, declare_settings
from asterias_nodes.runtime.run_node import run_node
from hardware.buses.families import SERVO_FAMILIES
from hardware.description.robot import load_robot, save_robot
from sim.emulation import SimulatedDevices


@dataclass(frozen=True)
class EmulatedRobotSettings:
    """Parameters of the node."""

    robot: Annotated[str, "name or path of a robot description"] = "limb_p1"
    family: Annotated[str, "servos to emulate: dynamixel, feetech or udp"] = "dynamixel"
    seed: Annotated[int, "seed of camera noise"] = 0
    renderer: Annotated[
        str, "raster, raster_2x2, pybullet, egl or auto; empty takes the description's"
    ] = ""
    out: Annotated[str, "file for the description with the emulated ports"] = "runs/emulated.yaml"

    def __post_init__(self) -> None:
        families = SERVO_FAMILIES.names()
        if self.family not in families:
            raise SettingsError(
                f"Parameter 'family' must be one of {', '.join(families)}, not '{self.family}'."
            )


class EmulatedRobotNode(Node):
    """Hosts the emulated devices; their threads do the work."""

    def __init__(self) -> None:
        super().__init__("emulated_robot")
        settings = declare_settings(self, EmulatedRobotSettings)
        self._devices = SimulatedDevices(
            load_robot(settings.robot),
            settings.family,
            seed=settings.seed,
            renderer=settings.renderer or None,
        )
        self._devices.start()
        Path(settings.out).parent.mkdir(parents=True, exist_ok=True)
        save_robot(self._devices.description, settings.out)
        self.get_logger().info(f"The devices are described in {settings.out}.")

    def close(self) -> None:
        """Take the devices away."""
        self._devices.close()


def main() -> int:
    """Return the exit code of ``ros2 run asterias_nodes emulated_robot``."""
    return run_node(EmulatedRobotNode)
