"""A robot for the command line: the real one, or an emulated one with hands that do as asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hardware.description.robot import RobotDescription, load_robot
from hardware.emulated.motor import IdealMotor
from hardware.emulated.robot import EmulatedLimb, EmulatedRobot, Family
from hardware.emulated.servo_line import EmulatedLine
from hardware.setup.procedures import Hand


@dataclass(frozen=True)
class Station:
    """A robot, and the hands of an emulated one (None: a person's)."""

    robot: RobotDescription
    emulated: EmulatedRobot | None = None

    def obey(self, limb: int, hand: Hand, joint: int) -> None:
        """Do to the emulated limb what a person was asked to do."""
        if self.emulated is not None:
            _act(self.emulated.limbs[limb], hand, joint)

    def unplug_servos(self, limb: int) -> None:
        """Before ids are set, none of an emulated limb's servos is plugged in."""
        if self.emulated is not None:
            bench = self.emulated.limbs[limb].bench
            if isinstance(bench, EmulatedLine):
                bench.servos = []


@contextmanager
def station(robot: str, backend: str, family: Family) -> Iterator[Station]:
    """The real robot, or with the backend ``emulated`` one that runs in this process.

    Raises:
        DescriptionError: the description is wrong.
    """
    description = load_robot(robot)
    if backend != "emulated":
        yield Station(description)
        return
    with EmulatedRobot(description, family) as emulated:
        yield Station(emulated.description, emulated)


def _act(limb: EmulatedLimb, hand: Hand, joint: int) -> None:
    motors = [motor.inner for motor in limb.motors]
    if hand == "plug" and isinstance(limb.bench, EmulatedLine):
        servo = limb.servos[joint]
        # From the factory it has an id that is free on the bus.
        servo.be_called(20 + joint)
        limb.bench.servos = [*limb.bench.servos, servo]
    elif hand == "zero":
        for motor in motors:
            if isinstance(motor, IdealMotor):
                motor.turn_to(0.0)
    elif hand in ("upper", "lower"):
        low, high = limb.limb.joints[joint].limits_rad
        motor = motors[joint]
        if isinstance(motor, IdealMotor):
            motor.turn_to(high if hand == "upper" else low)
