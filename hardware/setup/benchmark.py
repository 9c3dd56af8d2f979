"""Benchmark the drivers against emulated devices in another process: period, processor, limit."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asterias.errors import HardwareError
from asterias.files import write_json
from asterias.images.jpeg import prepare
from asterias.pacing import ask_for_priority
from asterias.provenance import provenance
from hardware.cameras.stream import StreamCamera
from hardware.description.buses import SerialBusSettings
from hardware.description.robot import RobotDescription, load_robot, save_robot
from hardware.emulated.process import EmulatorProcess
from hardware.factory import devices_of, make_camera, make_limb
from hardware.limbs.bus_limb import BusLimb
from hardware.limbs.safety_monitor import SafetyMonitor
from hardware.limbs.trajectory import TrajectoryController

GOOD_PERIOD_ERROR_MS = 2.0
GOOD_PROCESSOR_SHARE = 0.6
SWAY_RAD = 0.1
SWAY_HZ = 0.2


@dataclass(frozen=True)
class LoopFigures:
    """One loop over all limbs.

    Attributes:
        rate_hz: asked for.
        periods: measured.
        period_error_ms: distance of a period from the nominal one, median and percentiles.
        work_ms: time that a period's work took.
        processor_share: of one core, all threads of the driver's process, cameras included.
        lost_readings, retries: of servos.
        camera_rate_hz: lowest and mean of what the cameras delivered; None without cameras.
    """

    rate_hz: float
    periods: int
    period_error_ms: dict[str, float]
    work_ms: dict[str, float]
    processor_share: float
    lost_readings: int
    retries: int
    camera_rate_hz: dict[str, float] | None

    @property
    def is_good(self) -> bool:
        """Whether the loop meets the figures that the drivers promise."""
        is_punctual = self.period_error_ms["p99"] < GOOD_PERIOD_ERROR_MS
        return is_punctual and self.processor_share < GOOD_PROCESSOR_SHARE


@dataclass(frozen=True)
class BenchmarkDrivers:
    """Measure the drivers against emulated servos and cameras in another process."""

    robot: str = "starfish"
    """Name or path of a robot description; its servos are emulated, one bus per limb."""
    cameras: int = 8
    """MJPEG cameras that are read meanwhile."""
    camera_size: tuple[int, int] = (320, 240)
    """Width and height of their pictures in px."""
    camera_hz: float = 15.0
    """Their rate."""
    duration_s: float = 20.0
    """Length of each run."""
    rates_hz: tuple[float, ...] = (50.0, 100.0, 150.0, 200.0, 300.0)
    """Loop rates; the first is the one that is promised."""
    priority: int = 10
    """Real-time priority of driver and emulator, where that is granted; 0: ordinary."""
    compare_sdk: bool = False
    """Measure the vendor's dynamixel-sdk on the same servos as well, without cameras."""
    json: Path | None = None
    """Result file to write, for example results/hardware/bench.json."""

    def run(self) -> int:
        """Measure, print, and write the result file if asked for.

        Returns:
            0.

        Raises:
            HardwareError: an option is out of range.
        """
        if not 1.0 <= self.duration_s < 3600.0 or not self.rates_hz:
            raise HardwareError("--duration-s takes 1 to 3600, --rates-hz at least one rate.")
        with tempfile.TemporaryDirectory() as folder:
            robot = _bench_robot(self.robot, self.cameras, self.camera_size, self.camera_hz)
            save_robot(robot, Path(folder) / "bench.yaml")
            granted = ask_for_priority(self.priority)
            print(f"real-time priority: {self.priority if granted else 'none'}")
            arguments = ("--robot", str(Path(folder) / "bench.yaml"))
            with EmulatorProcess(Path(folder) / "emulated.yaml", *arguments) as emulator:
                figures = self._measure(emulator.description)
            figures["realtime_priority"] = self.priority if granted else 0
            figures["load_average"] = [round(load, 2) for load in os.getloadavg()]
        if self.json is not None:
            write_json(self.json, {**provenance(), **figures})
        return 0

    def _measure(self, robot: RobotDescription) -> dict[str, Any]:
        servos = sum(len(limb.joints) for limb in robot.limbs)
        print(f"{servos} servos on {len(robot.limbs)} buses, {self.cameras} cameras")
        loops = []
        for rate_hz in self.rates_hz:
            loop = measure_loop(robot, rate_hz, self.duration_s, with_cameras=True)
            loops.append(loop)
            _print(loop)
        good = [loop.rate_hz for loop in loops if loop.is_good]
        print(
            f"highest rate with p99 below 2 ms and below 60 % of a core: {max(good, default=0):g}"
        )
        figures: dict[str, Any] = {
            "robot": self.robot,
            "servos": servos,
            "buses": len(robot.limbs),
            "cameras": self.cameras,
            "camera_size_px": list(self.camera_size),
            "camera_hz": self.camera_hz,
            "loops": [asdict(loop) for loop in loops],
            "highest_good_rate_hz": max(good, default=0.0),
        }
        if self.compare_sdk:
            figures["without_cameras"] = self._compare(robot)
        return figures

    def _compare(self, robot: RobotDescription) -> dict[str, Any]:
        ours = measure_loop(robot, self.rates_hz[0], self.duration_s, with_cameras=False)
        theirs = measure_sdk(robot, self.rates_hz[0], self.duration_s)
        for name, loop in (("ours", ours), ("dynamixel-sdk", theirs)):
            print(f"{name}, without cameras:")
            _print(loop)
        return {"ours": asdict(ours), "dynamixel_sdk": asdict(theirs)}


def _print(loop: LoopFigures) -> None:
    cameras = loop.camera_rate_hz
    pictures = f", cameras {cameras['min']:.1f} Hz at least" if cameras is not None else ""
    print(
        f"  {loop.rate_hz:5.0f} Hz: period error p99 {loop.period_error_ms['p99']:.2f} ms, work "
        f"{loop.work_ms['p50']:.2f} ms, {100 * loop.processor_share:.0f} % of one core, "
        f"{loop.lost_readings} readings lost{pictures}",
        flush=True,
    )


def _bench_robot(
    robot: str, cameras: int, size_px: tuple[int, int], rate_hz: float
) -> RobotDescription:
    """Return the robot with ``cameras`` cameras over its limbs, of this size and rate.

    Raises:
        HardwareError: the robot has fewer cameras.
    """
    described = load_robot(robot)
    left, limbs = cameras, []
    for limb in described.limbs:
        kept = limb.live_cameras[:left]
        left -= len(kept)
        changes = {"width_px": size_px[0], "height_px": size_px[1], "rate_hz": rate_hz}
        row = tuple(camera.model_copy(update=changes) for camera in kept)
        limbs.append(limb.model_copy(update={"cameras": row}))
    if left > 0:
        raise HardwareError(f"--cameras {cameras}: robot '{robot}' has only {cameras - left}.")
    return described.model_copy(update={"limbs": tuple(limbs)})


# -- loops ----------------------------------------------------------------------------------------


class DriverLoop:
    """One period of ``limb_driver`` without ROS: monitor, command, write, read, observe."""

    def __init__(self, robot: RobotDescription, limbs: Sequence[BusLimb]) -> None:
        safety = devices_of(robot).safety
        self._limbs = limbs
        self._motions = [TrajectoryController(limb, time.monotonic) for limb in limbs]
        self._guards = [
            SafetyMonitor(limb, motion, safety, time.monotonic)
            for limb, motion in zip(limbs, self._motions, strict=True)
        ]
        self._home = [limb.last_sent_rad for limb in limbs]
        self._start_s = time.monotonic()
        self.lost = 0

    def step(self) -> None:
        """Run one period."""
        sway = SWAY_RAD * np.sin(2.0 * np.pi * SWAY_HZ * (time.monotonic() - self._start_s))
        for guard, motion, home in zip(self._guards, self._motions, self._home, strict=True):
            guard.tick()
            motion.command(home + sway)
            motion.tick()
        for limb in self._limbs:
            limb.request()
        for limb, guard in zip(self._limbs, self._guards, strict=True):
            state = limb.read()
            self.lost += int(np.isnan(state.position_rad).sum())
            guard.observe(state)


def measure_loop(
    robot: RobotDescription, rate_hz: float, duration_s: float, *, with_cameras: bool
) -> LoopFigures:
    """Return the figures of the drivers over all limbs at a rate, while the cameras are read."""
    prepare()  # before any servo waits for its next command
    with ExitStack() as stack:
        limbs = [make_limb(robot, number) for number in range(len(robot.limbs))]
        for number, limb in enumerate(limbs):
            stack.enter_context(limb)
            for earlier in limbs[:number]:
                earlier.read()  # its servos' watchdogs want to hear something
        cameras: list[StreamCamera] = []
        if with_cameras:
            cameras = [
                stack.enter_context(make_camera(robot, limb, about))
                for limb in robot.limbs
                for about in limb.live_cameras
            ]
        loop = DriverLoop(robot, limbs)
        run_loop(loop.step, rate_hz, 1.0)  # everything is warm and connected now
        loop.lost = 0
        captured = [camera.counters.captured for camera in cameras]
        retries = sum(limb.bus.counters.retries for limb in limbs)
        times = run_loop(loop.step, rate_hz, duration_s)
        rates = [
            (camera.counters.captured - before) / times.span_s
            for camera, before in zip(cameras, captured, strict=True)
        ]
        return times.figures(
            rate_hz,
            lost=loop.lost,
            retries=sum(limb.bus.counters.retries for limb in limbs) - retries,
            camera_rates_hz=rates,
        )


def measure_sdk(robot: RobotDescription, rate_hz: float, duration_s: float) -> LoopFigures:
    """Return the figures of the vendor's library for the same reads and writes, bus after bus.

    Raises:
        HardwareError: it is not installed, or the robot has no serial buses.
    """
    try:
        import dynamixel_sdk
    except ImportError as error:
        raise HardwareError("dynamixel-sdk is not installed; it is a part of the extra dev.") from (
            error
        )
    handler, buses = dynamixel_sdk.PacketHandler(2.0), []
    for devices in devices_of(robot).limbs.values():
        assert isinstance(devices.bus, SerialBusSettings)
        port = dynamixel_sdk.PortHandler(devices.bus.port)
        port.openPort()
        port.setBaudRate(devices.bus.baud_rate)
        read = dynamixel_sdk.GroupSyncRead(port, handler, 126, 10)
        write = dynamixel_sdk.GroupSyncWrite(port, handler, 116, 4)
        ids = [servo.id for servo in devices.servos.values()]
        for id in ids:
            read.addParam(id)
        buses.append((port, read, write, ids))
    lost = 0

    def step() -> None:
        nonlocal lost
        for _, read, write, ids in buses:
            for id in ids:
                write.addParam(id, [0, 8, 0, 0])
            write.txPacket()
            write.clearParam()
            lost += len(ids) * (read.txRxPacket() != dynamixel_sdk.COMM_SUCCESS)
            for id in ids:
                for address, size in ((132, 4), (128, 4), (126, 2)):
                    read.getData(id, address, size)

    try:
        times = run_loop(step, rate_hz, duration_s)
    finally:
        for port, *_ in buses:
            port.closePort()
    return times.figures(rate_hz, lost=lost, retries=0, camera_rates_hz=[])


@dataclass(frozen=True)
class LoopTimes:
    """Starts ``(n,)`` and works ``(n,)`` of the periods in s, and the processor time spent."""

    start_s: np.ndarray[tuple[int], np.dtype[np.float64]]
    work_s: np.ndarray[tuple[int], np.dtype[np.float64]]
    processor_s: float
    span_s: float

    def figures(
        self, rate_hz: float, *, lost: int, retries: int, camera_rates_hz: list[float]
    ) -> LoopFigures:
        """Return the figures of these times."""
        errors_ms = 1000.0 * np.abs(np.diff(self.start_s) - 1.0 / rate_hz)
        rates = camera_rates_hz
        return LoopFigures(
            rate_hz=rate_hz,
            periods=len(self.start_s),
            period_error_ms=_percentiles(errors_ms),
            work_ms=_percentiles(1000.0 * self.work_s),
            processor_share=round(self.processor_s / self.span_s, 4),
            lost_readings=lost,
            retries=retries,
            camera_rate_hz={"min": round(min(rates), 2), "mean": round(float(np.mean(rates)), 2)}
            if rates
            else None,
        )


def run_loop(step: Callable[[], None], rate_hz: float, duration_s: float) -> LoopTimes:
    """Return the times of a step run at a rate; after a late step the next ones keep their rate."""
    period_s, starts, works = 1.0 / rate_hz, [], []
    begin_s, processor_s = time.perf_counter(), time.process_time()
    due_s = begin_s
    while due_s < begin_s + duration_s:
        wait_s = due_s - time.perf_counter()
        if wait_s > 0:
            time.sleep(wait_s)
        start_s = time.perf_counter()
        step()
        starts.append(start_s)
        works.append(time.perf_counter() - start_s)
        due_s = max(due_s + period_s, time.perf_counter() - period_s)
    span_s = time.perf_counter() - begin_s
    spent_s = time.process_time() - processor_s
    return LoopTimes(np.array(starts), np.array(works), spent_s, span_s)


def _percentiles(values: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, float]:
    names = {"p50": 50, "p90": 90, "p99": 99, "max": 100}
    return {name: round(float(np.percentile(values, p)), 3) for name, p in names.items()}
