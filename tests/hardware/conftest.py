"""The smallest limb and camera that keep the contracts: plain arrays under the private methods."""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from mcap_ros2.writer import Writer as McapWriter

from asterias.arrays import FloatArray
from hardware.cameras.driver import Camera, Frame
from hardware.cameras.replay import ReplaySource
from hardware.cameras.stream import StreamCamera
from hardware.cameras.usb import UsbSource
from hardware.description.devices import DevicesBackend
from hardware.description.limb import CameraDescription, JointDescription
from hardware.description.robot import RobotDescription, load_robot
from hardware.emulated.pictures import (
    FailingPictures,
    PatternCamera,
    PictureSource,
    encode_jpeg,
    pattern,
)
from hardware.emulated.robot import EmulatedRobot
from hardware.factory import make_camera, make_limb
from hardware.faults.camera import FaultyCamera
from hardware.faults.limb import FaultyLimb
from hardware.limbs.driver import Clock, LimbDriver, LimbState
from sim.world import SimWorld


@dataclass
class FakeClock:
    """A clock that stands still until it is moved."""

    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s

    def advance(self, duration_s: float) -> None:
        """Move the clock."""
        self.now_s += duration_s


@dataclass
class Servos:
    """Ideal servos: each runs to its goal at its speed.

    Attributes:
        position_rad, goal_rad: ``(n,)``; a test may turn them by hand.
        goals: everything that was written, oldest first.
        is_open: between open and close.
    """

    speed_rad_s: FloatArray
    position_rad: FloatArray
    goal_rad: FloatArray
    goals: list[FloatArray] = field(default_factory=list)
    is_open: bool = False
    time_s: float = 0.0

    def run_to(self, now_s: float) -> None:
        """Integrate up to a time; a clock that was set back moves nothing."""
        step = self.speed_rad_s * max(now_s - self.time_s, 0.0)
        self.time_s = now_s
        self.position_rad += np.clip(self.goal_rad - self.position_rad, -step, step)


class ArrayLimb(LimbDriver):
    """A limb made of :class:`Servos`."""

    def __init__(
        self,
        *,
        clock: Clock,
        joints: tuple[JointDescription, ...] | None = None,
        start_rad: tuple[float, ...] = (0.1, -0.2, 0.3),
    ) -> None:
        super().__init__("limb_0", joints or make_joints(), clock=clock)
        start = np.array(start_rad)
        self.servos = Servos(np.array(self._speed), start, start.copy())

    def _open(self) -> None:
        self.servos.is_open = True

    def _close(self) -> None:
        self.servos.is_open = False

    def _read(self) -> LimbState:
        self.servos.run_to(self._clock())
        position = self.servos.position_rad.copy()
        velocity = np.zeros_like(position)
        return LimbState(self._clock(), position, velocity, np.full_like(position, np.nan))

    def _write(self, position_rad: FloatArray) -> None:
        self.servos.run_to(self._clock())
        self.servos.goal_rad = np.array(position_rad)
        self.servos.goals.append(np.array(position_rad))


class ArrayCamera(Camera):
    """A camera whose picture number k shows a ramp plus k; waiting moves its clock."""

    def __init__(self, *, clock: FakeClock) -> None:
        about = CameraDescription(name="tip", link="finger", width_px=8, height_px=6, rate_hz=10)
        super().__init__(about, clock=clock)
        self.fake_clock = clock
        self.is_open = False
        self._count = 0

    def _open(self) -> None:
        self.is_open = True
        self._count = 0

    def _close(self) -> None:
        self.is_open = False

    def _capture(self) -> Frame:
        ramp = np.arange(6 * 8 * 3).reshape(6, 8, 3)
        image = ((ramp + self._count) % 256).astype(np.uint8)
        frame = Frame(self._clock(), self._count, image)
        self._count += 1
        self.counters.captured += 1
        return frame

    def _next(self, timeout_s: float) -> Frame | None:
        period_s = 1.0 / self.description.rate_hz
        if timeout_s < period_s:
            self.fake_clock.advance(timeout_s)
            return None
        self.fake_clock.advance(period_s)
        return self._capture()


def make_joints() -> tuple[JointDescription, ...]:
    """Three joints with different ranges and speeds."""
    ranges = ((-1.0, 1.0, 1.0), (-0.5, 1.5, 2.0), (-2.0, 2.0, 4.0))
    return tuple(
        JointDescription(
            name=f"joint_{i}",
            limits_rad=(low, high),
            velocity_limit_rad_s=speed,
            hinge=f"hinge_{i}",
        )
        for i, (low, high, speed) in enumerate(ranges)
    )


# -- what the contract tests run over -------------------------------------------------------------


def do_nothing() -> None:
    """Nothing to close."""


@dataclass(frozen=True)
class LimbCase:
    """A disconnected limb, how time passes for it, and what to close after the test."""

    driver: LimbDriver
    advance: Callable[[float], None]
    close: Callable[[], None] = do_nothing


@dataclass(frozen=True)
class CameraCase:
    """A disconnected camera, how time passes for it, and what to close after the test.

    Attributes:
        pause, resume: a live camera takes pictures by itself; these stop it and let it go on.
        can_pause: a file cannot be stopped.
        jitter_s: how far a real clock's frame times may be off.
    """

    camera: Camera
    advance: Callable[[float], None]
    close: Callable[[], None] = do_nothing
    pause: Callable[[], None] = do_nothing
    resume: Callable[[], None] = do_nothing
    can_pause: bool = True
    jitter_s: float = 0.0


def array_limb_case() -> LimbCase:
    """Ideal servos on a fake clock."""
    clock = FakeClock()
    return LimbCase(ArrayLimb(clock=clock), clock.advance)


def array_camera_case() -> CameraCase:
    """The counting camera on a fake clock."""
    clock = FakeClock()
    return CameraCase(ArrayCamera(clock=clock), clock.advance)


@cache
def limb_p1() -> RobotDescription:
    """Prototype 1, loaded once for all tests."""
    return load_robot("limb_p1")


def sim_limb_case(engine: str | None = None) -> LimbCase:
    """The first limb of a simulated prototype 1."""
    world = SimWorld(limb_p1(), engine=engine, pictures=False)
    return LimbCase(world.limbs[0], world.advance, world.close)


def sim_camera_case() -> CameraCase:
    """The first camera of a simulated prototype 1."""
    world = SimWorld(limb_p1())
    return CameraCase(world.cameras[0][0], world.advance, world.close)


def device_limb_case(family: str) -> LimbCase:
    """A limb of emulated servos whose motors and watchdogs run on a fake clock; bytes are real."""
    clock = FakeClock()
    robot = EmulatedRobot(limb_p1(), family, clock=clock, pattern=False)
    robot.start()
    description = with_patience(robot.description)
    return LimbCase(make_limb(description, 0, clock), clock.advance, robot.close)


def with_patience(robot: RobotDescription) -> RobotDescription:
    """On a busy machine, an emulated servo may get its turn late."""
    assert isinstance(robot.backend, DevicesBackend)
    limbs = {
        name: devices.model_copy(
            update={"bus": devices.bus.model_copy(update={"answer_timeout_s": 0.2})}
        )
        for name, devices in robot.backend.limbs.items()
    }
    backend = robot.backend.model_copy(update={"limbs": limbs})
    return robot.model_copy(update={"backend": backend})


def with_faults(case: LimbCase) -> LimbCase:
    """The same limb inside a fault wrapper that injects nothing."""
    return replace(case, driver=FaultyLimb(case.driver))


LIVE_HZ = 20.0
COMPRESSED_IMAGE = """std_msgs/Header header
string format
uint8[] data
================================================================================
MSG: std_msgs/Header
builtin_interfaces/Time stamp
string frame_id
================================================================================
MSG: builtin_interfaces/Time
int32 sec
uint32 nanosec
"""


def live_description() -> RobotDescription:
    """Prototype 1 with one quick camera."""
    limb = limb_p1().limbs[0]
    camera = limb.cameras[0].model_copy(update={"rate_hz": LIVE_HZ})
    limbs = (limb.model_copy(update={"cameras": (camera,)}),)
    return limb_p1().model_copy(update={"limbs": limbs})


def stream_case(family: str, chunked: bool = True) -> CameraCase:
    """A camera on HTTP, or on a board; bytes and time are real."""
    robot = EmulatedRobot(live_description(), family)
    if robot.server is not None:
        robot.server.chunked = chunked
    robot.start()
    limb = robot.description.limbs[0]
    return CameraCase(
        make_camera(robot.description, limb, limb.cameras[0]),
        time.sleep,
        robot.close,
        pause=lambda: stop_showing(robot),
        resume=lambda: robot.show(True),
        jitter_s=0.04,
    )


@cache
def record_pictures() -> Path:
    """A recording of two seconds of the pattern, as JPEG; made once, gone with the tests."""
    folder = tempfile.TemporaryDirectory(prefix="asterias_recording")
    atexit.register(folder.cleanup)
    path = Path(folder.name) / "pictures.mcap"
    with path.open("wb") as file, McapWriter(file, chunk_size=16384) as writer:
        schema = writer.register_msgdef("sensor_msgs/msg/CompressedImage", COMPRESSED_IMAGE)
        for number in range(round(2 * LIVE_HZ)):
            stamp_ns = round(number / LIVE_HZ * 1e9) + 10**18
            jpeg = encode_jpeg(pattern(96, 96, number))
            message = {"header": {}, "format": "jpeg", "data": jpeg}
            writer.write_message("/camera", schema, message, stamp_ns, stamp_ns)
    return path


def replay_case() -> CameraCase:
    """A camera that plays a recording."""
    about = live_description().limbs[0].cameras[0]
    camera = StreamCamera(about, ReplaySource(about, str(record_pictures()), "/camera"))
    return CameraCase(camera, time.sleep, can_pause=False, jitter_s=0.04)


@pytest.fixture
def recording() -> Path:
    """The recording that ``replay`` plays."""
    return record_pictures()


def stop_showing(robot: EmulatedRobot) -> None:
    """No camera takes a picture any more, and none is on its way."""
    robot.show(False)
    time.sleep(0.03)


def with_camera_faults(case: CameraCase) -> CameraCase:
    """The same camera inside a fault wrapper that injects nothing."""
    return replace(case, camera=FaultyCamera(case.camera))


# Every driver that keeps a contract has one line here, and passes the same tests.
LIMBS: dict[str, Callable[[], LimbCase]] = {
    "array": array_limb_case,
    "array with fault wrapper": lambda: with_faults(array_limb_case()),
    "sim": sim_limb_case,
    "sim by pybullet": lambda: sim_limb_case("pybullet"),
    "sim with fault wrapper": lambda: with_faults(sim_limb_case()),
    "dynamixel": lambda: device_limb_case("dynamixel"),
    "dynamixel with fault wrapper": lambda: with_faults(device_limb_case("dynamixel")),
    "feetech": lambda: device_limb_case("feetech"),
    "udp": lambda: device_limb_case("udp"),
}
CAMERAS: dict[str, Callable[[], CameraCase]] = {
    "array": array_camera_case,
    "array with fault wrapper": lambda: with_camera_faults(array_camera_case()),
    "sim": sim_camera_case,
    "sim with fault wrapper": lambda: with_camera_faults(sim_camera_case()),
    "mjpeg": lambda: stream_case("dynamixel"),
    "mjpeg, not chunked, with fault wrapper": lambda: with_camera_faults(
        stream_case("dynamixel", chunked=False)
    ),
    "udp": lambda: stream_case("udp"),
    "replay": replay_case,
}


# -- a USB camera, in a process that test_usb_camera.py has started -------------------------------

USB_DEVICE = os.environ.get("V4L2_CAMERA", "")


class SocketCamera:
    """The other end of ``v4l2_camera.c``: sends the pattern to whoever opens the device.

    Attributes:
        told: values of the device's control that were set.
    """

    def __init__(self) -> None:
        source = PictureSource()
        self.pictures = FailingPictures(source)
        self.pattern = PatternCamera([source], 96, 96, LIVE_HZ)
        self.told: list[int] = []
        self._viewers: list[socket.socket] = []
        Path(USB_DEVICE).unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(USB_DEVICE)
        self._socket.listen()
        self.pattern.start()
        threading.Thread(target=self._accept, daemon=True).start()

    def pull(self) -> None:
        """Pull the cable of whoever has it open."""
        for viewer in self._viewers:
            viewer.shutdown(socket.SHUT_RDWR)
        self._viewers = []

    def close(self) -> None:
        """Take the device away."""
        self.pattern.close()
        self._socket.close()
        self.pull()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                viewer, _ = self._socket.accept()
                self._viewers.append(viewer)
                threading.Thread(target=self._send, args=(viewer,), daemon=True).start()
                threading.Thread(target=self._listen, args=(viewer,), daemon=True).start()

    def _send(self, viewer: socket.socket) -> None:
        number = self.pictures.source.latest().number
        with contextlib.suppress(OSError):
            while True:
                number, shot = self.pictures.take(number, 0.05)
                if shot is not None:
                    viewer.sendall(len(shot.jpeg).to_bytes(4, "little") + shot.jpeg)

    def _listen(self, viewer: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := viewer.recv(16):
                self.told.extend(data)


@dataclass(frozen=True)
class UsbRig:
    """A camera and its device."""

    camera: StreamCamera
    device: SocketCamera


def make_usb_rig() -> UsbRig:
    """A USB camera, unconnected."""
    about = live_description().limbs[0].cameras[0]
    device = SocketCamera()
    return UsbRig(StreamCamera(about, UsbSource(about, USB_DEVICE, {"brightness": 77})), device)


@pytest.fixture
def usb_rig() -> Iterator[UsbRig]:
    """A USB camera that is connected."""
    if not USB_DEVICE:
        pytest.skip("there is no device; test_usb_camera.py makes one")
    rig = make_usb_rig()
    with rig.camera:
        yield rig
    rig.device.close()


def usb_case() -> CameraCase:
    """A USB camera for the contract tests."""
    rig = make_usb_rig()

    def pause() -> None:
        rig.device.pattern.pause()
        time.sleep(0.05)

    def resume() -> None:
        rig.device.pattern.pause(False)

    return CameraCase(
        rig.camera, time.sleep, rig.device.close, pause=pause, resume=resume, jitter_s=0.04
    )


if USB_DEVICE:
    CAMERAS["usb"] = usb_case


@pytest.fixture(params=list(LIMBS))
def limb_case(request: pytest.FixtureRequest) -> Iterator[LimbCase]:
    """Each limb in turn, disconnected."""
    case = LIMBS[request.param]()
    yield case
    case.driver.disconnect()
    case.close()


@pytest.fixture(params=list(CAMERAS))
def camera_case(request: pytest.FixtureRequest) -> Iterator[CameraCase]:
    """Each camera in turn, disconnected."""
    case = CAMERAS[request.param]()
    yield case
    case.camera.disconnect()
    case.close()


# -- for the tests of safety and of faults --------------------------------------------------------


@pytest.fixture
def clock() -> FakeClock:
    """A clock at zero."""
    return FakeClock()


@pytest.fixture
def prototype() -> RobotDescription:
    """Prototype 1 as it is described."""
    return limb_p1()


@pytest.fixture
def array_limb(clock: FakeClock) -> ArrayLimb:
    """A limb of ideal servos on ``clock``, disconnected."""
    return ArrayLimb(clock=clock)


@pytest.fixture
def array_camera(clock: FakeClock) -> ArrayCamera:
    """A counting camera on ``clock``, disconnected."""
    return ArrayCamera(clock=clock)


@pytest.fixture(scope="session")
def new_limb() -> Callable[[], tuple[ArrayLimb, FakeClock]]:
    """Makes a limb and its clock, for tests that need one per generated example."""

    def make() -> tuple[ArrayLimb, FakeClock]:
        clock = FakeClock()
        return ArrayLimb(clock=clock), clock

    return make
