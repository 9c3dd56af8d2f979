"""From a description's backend to drivers: the limbs and cameras of a real robot, unconnected."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from asterias.errors import DescriptionError
from hardware.buses.bus import Servo, ServoBus
from hardware.buses.families import SERVO_FAMILIES
from hardware.buses.serial_bus import SerialBus
from hardware.buses.serial_port import SerialLine
from hardware.buses.udp_bus import UdpBus
from hardware.buses.udp_link import UdpLink
from hardware.cameras.stream import StreamCamera
from hardware.description.buses import SerialBusSettings
from hardware.description.devices import DevicesBackend, LimbDevices
from hardware.description.limb import CameraDescription, JointDescription, Limb
from hardware.description.robot import RobotDescription
from hardware.limbs.bus_limb import BusLimb
from hardware.limbs.calibration import Calibration, centered, default_path, load
from hardware.limbs.driver import Clock

NO_CALIBRATION = "none"


def devices_of(robot: RobotDescription) -> DevicesBackend:
    """Return the devices behind a robot.

    Raises:
        DescriptionError: it is a simulated one.
    """
    if not isinstance(robot.backend, DevicesBackend):
        raise DescriptionError(
            f"Robot '{robot.name}' has the backend 'sim': give it a backend of type devices, "
            "or start it emulated."
        )
    return robot.backend


def limb_named(robot: RobotDescription, name: str) -> Limb:
    """Return a limb of a robot by name.

    Raises:
        DescriptionError: there is none.
    """
    for limb in robot.limbs:
        if limb.name == name:
            return limb
    names = ", ".join(limb.name for limb in robot.limbs)
    raise DescriptionError(f"Robot '{robot.name}' has no limb '{name}'; its limbs are {names}.")


def servos_of(devices: LimbDevices, joints: Sequence[JointDescription]) -> list[Servo]:
    """Return the servos of a limb in joint order, with the limits that they get."""
    return [
        Servo(
            joint.name,
            devices.servos[joint.name].id,
            devices.servos[joint.name].model,
            joint.torque_limit_nm,
            joint.velocity_limit_rad_s,
        )
        for joint in joints
    ]


def make_bus(devices: LimbDevices, servos: Sequence[Servo]) -> ServoBus:
    """Return the bus of a limb, closed."""
    settings = devices.bus
    if isinstance(settings, SerialBusSettings):
        return SerialBus(
            SerialLine(settings.port, settings.baud_rate),
            servos,
            SERVO_FAMILIES.get(settings.type).models,
            answer_timeout_s=settings.answer_timeout_s,
            retries=settings.retries,
            watchdog_s=settings.watchdog_s,
        )
    return UdpBus(
        UdpLink(settings.interface, settings.broadcast, settings.port, settings.key),
        servos,
        answer_timeout_s=settings.answer_timeout_s,
        retries=settings.retries,
        watchdog_s=settings.watchdog_s,
    )


def make_limb_bus(robot: RobotDescription, number: int) -> ServoBus:
    """Return the bus of limb ``number``, closed.

    DescriptionError comes when the robot has no devices.
    """
    limb = robot.limbs[number]
    devices = devices_of(robot).limbs[limb.name]
    return make_bus(devices, servos_of(devices, limb.joints))


def calibration_path(robot: str, limb: str, devices: LimbDevices) -> Path | None:
    """Return where a limb's calibration is; None where its servos need none."""
    if devices.calibration == NO_CALIBRATION:
        return None
    return Path(devices.calibration) if devices.calibration else default_path(robot, limb)


def calibration_of(
    robot: str, limb: str, devices: LimbDevices, servos: Sequence[Servo]
) -> Calibration:
    """Return a limb's calibration, checked against its servos.

    DeviceError comes when there is none, or it does not fit.
    """
    path = calibration_path(robot, limb, devices)
    if path is None:
        return centered(robot, limb, servos)
    calibration = load(path)
    calibration.check(servos, str(path))
    return calibration


def make_limb(robot: RobotDescription, number: int, clock: Clock = time.monotonic) -> BusLimb:
    """Return limb ``number`` of a real robot, unconnected.

    DescriptionError comes when the robot has no devices, and DeviceError when the calibration is
    missing or does not fit.
    """
    limb = robot.limbs[number]
    devices = devices_of(robot).limbs[limb.name]
    servos = servos_of(devices, limb.joints)
    return BusLimb(
        limb.name,
        limb.joints,
        make_bus(devices, servos),
        calibration_of(robot.name, limb.name, devices, servos),
        command_timeout_s=robot.command_timeout_s,
        clock=clock,
    )


def make_camera(robot: RobotDescription, limb: Limb, about: CameraDescription) -> StreamCamera:
    """Return a camera of a real robot, unconnected.

    DescriptionError comes when the robot has no devices, or a control does not exist.
    """
    devices = devices_of(robot).limbs[limb.name]
    settings = devices.cameras[about.name]
    return StreamCamera(
        about,
        settings.open(about, devices.bus),
        flip=settings.flip,
        silence_s=settings.silence_s,
    )
