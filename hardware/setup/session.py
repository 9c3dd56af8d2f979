"""A robot for the command line: the real one, or an emulated one that is moved as asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hardware.description.robot import RobotDescription, load_robot
from hardware.emulated.motor import IdealMotor
from hardware.emulated.robot import EmulatedLimb, EmulatedRobot
from hardware.emulated.servo_line import EmulatedLine
from hardware.setup.procedures import ManualAction


@dataclass(frozen=True)
class RobotSession:
    """A robot, and its emulation (None: a real robot, which a person moves)."""

    robot: RobotDescription
    emulated: EmulatedRobot | None = None

    def apply_manual_action(self, limb: int, action: ManualAction, joint: int) -> None:
        """Apply to the emulated limb what a person was asked to do."""
        if self.emulated is not None:
            _act(self.emulated.limbs[limb], action, joint)

    def unplug_servos(self, limb: int) -> None:
        """Unplug all servos of an emulated limb, before ids are set one by one."""
        if self.emulated is not None:
            bus_device = self.emulated.limbs[limb].bus_device
            if isinstance(bus_device, EmulatedLine):
                bus_device.servos = []


@contextmanager
def open_session(robot: str, backend: str, family: str) -> Iterator[RobotSession]:
    """Open the real robot, or with the backend ``emulated`` one that runs in this process.

    DescriptionError is raised when the description is wrong.

    Yields:
        The session; an emulated robot is closed at its end.
    """
    description = load_robot(robot)
    if backend != "emulated":
        yield RobotSession(description)
        return
    with EmulatedRobot(description, family) as emulated:
        yield RobotSession(emulated.description, emulated)


def _act(limb: EmulatedLimb, action: ManualAction, joint: int) -> None:
    motors = [motor.inner for motor in limb.motors]
    if action == "plug" and isinstance(limb.bus_device, EmulatedLine):
        servo = limb.servos[joint]
        # From the factory it has an id that is free on the bus.
        servo.set_id(20 + joint)
        limb.bus_device.servos = [*limb.bus_device.servos, servo]
    elif action == "zero":
        for motor in motors:
            if isinstance(motor, IdealMotor):
                motor.turn_to(0.0)
    elif action in ("upper", "lower"):
        low, high = limb.limb.joints[joint].limits_rad
        motor = motors[joint]
        if isinstance(motor, IdealMotor):
            motor.turn_to(high if action == "upper" else low)
