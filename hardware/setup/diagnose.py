"""Examine a robot without moving it: faults of buses, servos and cameras, and their cures."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np

from asterias.errors import DeviceError, HardwareError
from hardware.buses.bus import ServoBus, ServoHealth, open_bus
from hardware.cameras.health import ADVICE, CameraState
from hardware.cameras.stream import StreamCamera
from hardware.description.buses import SerialBusSettings
from hardware.description.devices import DevicesBackend, LimbDevices, SafetySettings
from hardware.description.limb import Limb
from hardware.description.robot import RobotDescription
from hardware.factory import calibration_of, devices_of, make_bus, make_camera, servos_of
from hardware.limbs.bus_limb import BusLimb, limits_text, within
from hardware.limbs.calibration import Calibration, centered

READS = 100
WATCH_CAMERAS_S = 2.0
LATENCY_MS = 1


class PartStatus(str, Enum):
    """Status of a part."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True)
class Diagnosis:
    """Result for one part: its status, what is wrong and what to do."""

    part: str
    status: PartStatus
    text: str


def examine(robot: RobotDescription) -> Iterator[Diagnosis]:
    """Examine bus after bus, servo after servo, camera after camera.

    DescriptionError is raised when the robot has no devices.

    Yields:
        A diagnosis per part.
    """
    backend = devices_of(robot)
    for limb in robot.limbs:
        yield from _limb(robot, limb, backend)
    yield from _cameras(robot)


# -- limbs ----------------------------------------------------------------------------------------


def _limb(robot: RobotDescription, limb: Limb, backend: DevicesBackend) -> Iterator[Diagnosis]:
    devices = backend.limbs[limb.name]
    servos = servos_of(devices, limb.joints)
    part = f"{limb.name} calibration"
    try:
        calibration = calibration_of(robot.name, limb.name, devices, servos)
        yield Diagnosis(part, PartStatus.GOOD, _age(calibration, devices))
    except DeviceError as error:
        yield Diagnosis(part, PartStatus.BAD, str(error))
        calibration = centered(robot.name, limb.name, servos)
    yield from _port(limb.name, devices)
    try:
        with open_bus(make_bus(devices, servos)) as bus:
            yield _handshake(limb.name, bus)
            driver = BusLimb(limb.name, limb.joints, bus, calibration)
            yield from _servos(driver, backend.safety, 1.0 / robot.control_rate_hz)
    except HardwareError as error:
        yield Diagnosis(f"{limb.name} bus", PartStatus.BAD, str(error))


def _age(calibration: Calibration, devices: LimbDevices) -> str:
    if devices.calibration == "none":
        return "none is asked for: the servos' middle is the joints' zero"
    return f"of {calibration.date}, fits the servos"


def _port(name: str, devices: LimbDevices) -> Iterator[Diagnosis]:
    """Examine settings of the adapter that cost time.

    Yields:
        A warning where its latency is too long.
    """
    if not isinstance(devices.bus, SerialBusSettings):
        return
    tty = Path(os.path.realpath(devices.bus.port)).name
    file = Path(f"/sys/bus/usb-serial/devices/{tty}/latency_timer")
    if file.is_file():
        latency_ms = int(file.read_text())
        if latency_ms > LATENCY_MS:
            yield Diagnosis(
                f"{name} bus",
                PartStatus.WARNING,
                f"the adapter holds answers back for {latency_ms} ms; "
                f"`echo {LATENCY_MS} | sudo tee {file}`, or the udev rule of the README",
            )


def _handshake(name: str, bus: ServoBus) -> Diagnosis:
    part = f"{name} bus"
    try:
        bus.handshake()
    except DeviceError as error:
        return Diagnosis(part, PartStatus.BAD, str(error))
    text = f"{len(bus.servos)} servos on {bus.place}, each of the described model"
    if getattr(bus, "has_echo", False):
        text += " (the adapter sends back what it is sent, which is left out)"
    if bus.has_watchdog:
        return Diagnosis(part, PartStatus.GOOD, text)
    return Diagnosis(
        part,
        PartStatus.WARNING,
        f"{text}; they do not stop by themselves when the cable is out: be near the power switch",
    )


def _servos(driver: BusLimb, safety: SafetySettings, period_s: float) -> Iterator[Diagnosis]:
    bus = driver.bus
    spans, missing = [], np.zeros(len(driver.joints), dtype=np.int64)
    retries = bus.counters.retries
    for _ in range(READS):
        start_s = time.perf_counter()
        position = bus.read().position_rad
        spans.append(time.perf_counter() - start_s)
        missing += np.isnan(position)
    yield _timing(driver.name, spans, bus.counters.retries - retries, period_s)
    angles = (position - driver.calibration.zeros_rad(driver.joint_names)) * (
        driver.calibration.directions(driver.joint_names)
    )
    for number, joint in enumerate(driver.joints):
        part = f"{driver.name} {joint.name}"
        if missing[number] == READS:
            yield Diagnosis(part, PartStatus.BAD, "does not answer; check power, cable and id")
            continue
        health = bus.read_health(number)
        complaints = _complaints(health, safety)
        limits = driver.joint_limits_in_servo(number)
        if limits is not None and not within(joint.limits_rad, limits):
            complaints.append(limits_text(joint, limits))
        if missing[number]:
            complaints.append(f"{missing[number]} of {READS} answers lost; check its cable")
        low, high = joint.limits_rad
        if not low - 0.05 <= angles[number] <= high + 0.05:
            complaints.append(
                f"stands at {angles[number]:.2f} rad, outside {low:.2f} to {high:.2f}; "
                "move it back by hand, or calibrate again"
            )
        if complaints:
            yield Diagnosis(part, PartStatus.BAD, "; ".join(complaints))
        elif health is not None:
            text = f"{angles[number]:+.3f} rad, {health.voltage_v:.1f} V, "
            yield Diagnosis(part, PartStatus.GOOD, f"{text}{health.temperature_c:.0f} degrees C")


def _timing(name: str, spans: list[float], retries: int, period_s: float) -> Diagnosis:
    milliseconds = 1000.0 * float(np.percentile(spans, 99))
    text = f"reading all servos takes {milliseconds:.1f} ms (99 of 100), {retries} retries"
    if milliseconds > 500.0 * period_s:
        cure = "more than half of a control period; raise the baud rate or lower control_rate_hz"
        return Diagnosis(f"{name} bus", PartStatus.WARNING, f"{text}: {cure}")
    if retries > READS // 20:
        return Diagnosis(f"{name} bus", PartStatus.WARNING, f"{text}: check cables and plugs")
    return Diagnosis(f"{name} bus", PartStatus.GOOD, text)


def _complaints(health: ServoHealth | None, safety: SafetySettings) -> list[str]:
    if health is None:
        return ["tells nothing about itself; check its cable"]
    complaints = [f"{error}; switch it off, cure that, switch it on" for error in health.errors]
    if health.temperature_c > safety.hot_c:
        complaints.append(f"{health.temperature_c:.0f} degrees C; let it cool down")
    if health.voltage_v < safety.low_v:
        complaints.append(f"only {health.voltage_v:.1f} V; check the supply")
    if 0.0 < safety.high_v < health.voltage_v:
        complaints.append(f"{health.voltage_v:.1f} V is too much; check the supply")
    return complaints


# -- cameras --------------------------------------------------------------------------------------


def _cameras(robot: RobotDescription) -> Iterator[Diagnosis]:
    """Examine all cameras at once, as they work later.

    Yields:
        A diagnosis per camera.
    """
    with ExitStack() as stack:
        cameras: list[tuple[str, StreamCamera]] = []
        for limb in robot.limbs:
            for about in limb.live_cameras:
                part = f"{limb.name} {about.name}"
                try:
                    camera = stack.enter_context(make_camera(robot, limb, about))
                    cameras.append((part, camera))
                except HardwareError as error:
                    yield Diagnosis(part, PartStatus.BAD, str(error))
        time.sleep(WATCH_CAMERAS_S if cameras else 0.0)
        for part, camera in cameras:
            yield _camera(part, camera)


def _camera(part: str, camera: StreamCamera) -> Diagnosis:
    health, counters = camera.health(), camera.counters
    rates = f"{health.rate_hz:.1f} of {camera.description.rate_hz:g} pictures/s"
    text = f"{rates}, {counters.dropped} dropped"
    if health.state is CameraState.OK:
        return Diagnosis(part, PartStatus.GOOD, text)
    bad = health.state in (CameraState.SILENT, CameraState.CORRUPT)
    reasons = [health.state.value, text, health.problem, ADVICE[health.state]]
    status = PartStatus.BAD if bad else PartStatus.WARNING
    return Diagnosis(part, status, "; ".join(reason for reason in reasons if reason))
