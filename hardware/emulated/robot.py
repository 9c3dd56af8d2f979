"""A whole emulated robot: servos and cameras of each limb, and the description that drives them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from asterias.context import Closeable
from asterias.errors import DescriptionError
from hardware.buses.families import SERVO_FAMILIES, UDP
from hardware.description.devices import DevicesBackend
from hardware.description.limb import JointDescription, Limb
from hardware.description.robot import RobotDescription
from hardware.emulated.mjpeg_server import MjpegServer
from hardware.emulated.motor import FailingMotor, IdealMotor, Motor
from hardware.emulated.pictures import PatternCamera, PictureSource
from hardware.emulated.servo import EmulatedServo
from hardware.emulated.servo_line import EmulatedLine
from hardware.emulated.udp_boards import EmulatedBoard, EmulatedNetwork
from hardware.limbs.driver import Clock

ANSWER_TIMEOUT_S = 0.05  # an emulated servo gets its turn when the operating system gives it


class EmulatedDevice(Protocol):
    """Carrier of emulated servos: a line, or a network."""

    def start(self) -> None:
        """Answer from now on."""

    def close(self) -> None:
        """Remove the devices."""


def ideal_motor(limb: int, joint: JointDescription, clock: Clock) -> Motor:
    """Return a motor at the joint's home, 10 % faster than the joint's velocity limit."""
    return IdealMotor(clock, 1.1 * joint.velocity_limit_rad_s, joint.home_rad)


class EmulatedLimb:
    """The devices of one limb.

    Attributes:
        motors: one per joint; faults are injected here.
        sources: one per enabled camera; it delivers what is shown there.
        bus_device: the line or network of its servos.
        servos: by their registers; empty for ``udp``.
    """

    def __init__(
        self, limb: Limb, motors: Sequence[Motor], family: str, clock: Clock, baud_rate: int
    ) -> None:
        self.limb = limb
        self.family = SERVO_FAMILIES.get(family)
        self.motors = [FailingMotor(motor, clock, seed) for seed, motor in enumerate(motors)]
        self.sources = [PictureSource() for _ in limb.live_cameras]
        self.servos: list[EmulatedServo] = []
        self.baud_rate = baud_rate
        self.bus_device: EmulatedDevice = (
            self._boards(clock) if family == UDP else self._line(clock)
        )

    def _line(self, clock: Clock) -> EmulatedLine:
        self.servos = [
            EmulatedServo(self.family.models[self._model(joint)], id, motor, clock)
            for id, (joint, motor) in enumerate(zip(self.limb.joints, self.motors, strict=True), 1)
        ]
        return EmulatedLine(self.servos, self.baud_rate)

    def _model(self, joint: JointDescription) -> str:
        """Return the model of a joint's servo: its own, where the family has it."""
        own = joint.servo in self.family.models
        return str(joint.servo) if own else self.family.default_model

    def _boards(self, clock: Clock) -> EmulatedNetwork:
        if len(self.sources) > len(self.motors):
            raise DescriptionError(
                f"Limb '{self.limb.name}' has more cameras than joints: a board carries one each."
            )
        sources = [*self.sources, *[None] * len(self.motors)]
        return EmulatedNetwork(
            [
                EmulatedBoard(id, motor, source, clock)
                for id, (motor, source) in enumerate(zip(self.motors, sources, strict=False), 1)
            ]
        )

    def settings(self, server: MjpegServer | None) -> dict[str, Any]:
        """Return the entries of a robot description for these devices."""
        if isinstance(self.bus_device, EmulatedLine):
            bus: dict[str, Any] = {"type": self.family.name, "port": self.bus_device.port}
        else:
            assert isinstance(self.bus_device, EmulatedNetwork)
            bus = {"type": "udp", "interface": "127.0.0.1", "port": self.bus_device.port}
        bus["answer_timeout_s"] = ANSWER_TIMEOUT_S
        servos = {
            joint.name: {"id": id, "model": self._model(joint)}
            for id, joint in enumerate(self.limb.joints, 1)
        }
        cameras = {
            camera.name: self._camera(number, camera.name, server)
            for number, camera in enumerate(self.limb.live_cameras)
        }
        return {"bus": bus, "servos": servos, "cameras": cameras, "calibration": "none"}

    def _camera(self, number: int, name: str, server: MjpegServer | None) -> dict[str, Any]:
        if server is None:
            return {"type": "udp", "id": number + 1}
        return {"type": "mjpeg", "url": server.url(f"{self.limb.name}/{name}")}


class EmulatedRobot(Closeable):
    """All limbs of a robot on ptys or on the loopback network, all cameras on one HTTP server.

    Args:
        robot: its backend is ignored.
        family: of the servos; with ``udp``, the boards carry the cameras.
        motor: makes the motor of a limb's joint.
        pattern: the cameras show a moving pattern; else the caller fills ``sources``.
        baud_rate: bytes take their time at this rate; 0: no time at all.
    """

    def __init__(
        self,
        robot: RobotDescription,
        family: str = "dynamixel",
        *,
        motor: Callable[[int, JointDescription, Clock], Motor] = ideal_motor,
        pattern: bool = True,
        clock: Clock = time.monotonic,
        baud_rate: int = 0,
    ) -> None:
        self.limbs = [
            EmulatedLimb(
                limb,
                [motor(number, joint, clock) for joint in limb.joints],
                family,
                clock,
                baud_rate,
            )
            for number, limb in enumerate(robot.limbs)
        ]
        self.server = None if family == UDP else MjpegServer(self._streams())
        self._cameras = self._patterns() if pattern else []
        backend = DevicesBackend.model_validate(
            {
                "type": "devices",
                "limbs": {limb.limb.name: limb.settings(self.server) for limb in self.limbs},
            }
        )
        self.description = robot.model_copy(update={"backend": backend})

    def show(self, is_moving: bool) -> None:
        """Start or stop the patterns of all cameras; stopped, no camera takes a picture."""
        for camera in self._cameras:
            camera.pause(not is_moving)

    def _streams(self) -> dict[str, PictureSource]:
        return {
            f"{limb.limb.name}/{camera.name}": source
            for limb in self.limbs
            for camera, source in zip(limb.limb.live_cameras, limb.sources, strict=True)
        }

    def _patterns(self) -> list[PatternCamera]:
        """Return the pattern cameras, one thread for all cameras of the same size and rate."""
        groups: dict[tuple[int, int, float], list[PictureSource]] = {}
        for limb in self.limbs:
            for camera, source in zip(limb.limb.live_cameras, limb.sources, strict=True):
                key = (camera.width_px, camera.height_px, camera.rate_hz)
                groups.setdefault(key, []).append(source)
        return [PatternCamera(sources, *key) for key, sources in groups.items()]

    def start(self) -> None:
        """Start all devices."""
        for part in self._parts():
            part.start()

    def close(self) -> None:
        """Remove all devices."""
        for part in reversed(self._parts()):
            part.close()

    def _parts(self) -> list[EmulatedDevice]:
        server = [] if self.server is None else [self.server]
        return [*(limb.bus_device for limb in self.limbs), *server, *self._cameras]

    def __enter__(self) -> EmulatedRobot:
        self.start()
        return self
