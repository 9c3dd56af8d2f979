"""Measures a launched robot with all its limbs and cameras, as ``bench --whole`` does.

Body, detector, recorder and page run as they are launched; this process counts what arrives of all
cameras, and asks the system how much of the processor each process took.
"""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from asterias_interfaces.srv import StartEpisode
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from asterias.errors import AsteriasError
from asterias_nodes.runtime.conversions import to_seconds
from asterias_nodes.runtime.launched_robot import LaunchedRobot
from asterias_nodes.runtime.qos import reliable_qos, sensor_qos
from hardware.description.robot import RobotDescription

START_TIMEOUT_S = 90.0
SERVICE_TIMEOUT_S = 20.0


class WholeRobotListener(Node):
    """Counts the pictures of all cameras and notes how long each took, by system time.

    The messages are taken as bytes: decoding 480 of them a second would cost this process, which
    stands for any that listens, more than receiving them.
    """

    def __init__(self, robot: RobotDescription) -> None:
        super().__init__("whole_robot_listener")
        self.cameras = [
            (i, j) for i, limb in enumerate(robot.limbs) for j in range(len(limb.live_cameras))
        ]
        self.arrived: dict[tuple[int, int], int] = dict.fromkeys(self.cameras, 0)
        self.latencies_ms: list[float] = []
        self.clock: tuple[float, float] = (0.0, 0.0)
        for limb, camera in self.cameras:
            take = partial(self._take, (limb, camera))
            # rclpy looks at the callback's signature: with two arguments it passes time stamps too.
            self.create_subscription(
                Image,
                f"/limb_{limb}/camera_{camera}/image_raw",
                lambda data, info, take=take: take(info),
                sensor_qos(20),
                raw=True,
            )
        self.create_subscription(Clock, "/clock", self._on_clock, reliable_qos())

    def _take(self, key: tuple[int, int], info: Any) -> None:
        self.latencies_ms.append((time.time_ns() - int(info["source_timestamp"])) * 1e-6)
        self.arrived[key] += 1

    def _on_clock(self, message: Clock) -> None:
        self.clock = time.monotonic(), to_seconds(message.clock)

    def forget(self) -> None:
        """Start counting anew."""
        self.arrived = dict.fromkeys(self.cameras, 0)
        self.latencies_ms.clear()

    @property
    def has_all(self) -> bool:
        """Whether every camera has delivered."""
        return all(self.arrived.values())


def measure_whole_robot(
    robot: RobotDescription,
    launch_file: str,
    arguments: Sequence[str],
    seconds: float,
    *,
    has_viewer: bool = False,
) -> dict[str, Any]:
    """Launch, wait for all cameras, record, count for ``seconds``; stop.

    Args:
        robot: the description that is launched.
        launch_file: to launch.
        arguments: ``name:=value`` each.
        seconds: how long is counted.
        has_viewer: a page is open while it is counted.

    Returns:
        The figures.
    """
    port = _free_port()
    launched = LaunchedRobot(launch_file, *arguments, f"port:={port}")
    listener, executor = WholeRobotListener(robot), SingleThreadedExecutor()
    executor.add_node(listener)
    try:
        first_s = _wait_for_all(listener, executor, launched)
        episode = _call(listener, executor, StartEpisode, "/recorder/start")
        with _viewer(port if has_viewer else None, seconds) as seen:
            figures = _count(listener, executor, launched, seconds)
        _call(listener, executor, Trigger, "/recorder/stop")
    finally:
        executor.shutdown()
        listener.destroy_node()
        code, left, _ = launched.stop()
    rates = [camera.rate_hz for limb in robot.limbs for camera in limb.live_cameras]
    return {
        "cameras": len(rates),
        "all_cameras_after_s": first_s,
        "recorded_bytes": _size_of(Path(str(episode.path))),
        "exit_code": code,
        "left_behind": left,
        **_shares(figures, sum(rates), seconds),
        **({"page": seen} if has_viewer else {}),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _viewer(port: int | None, seconds: float) -> Iterator[dict[str, Any]]:
    """Open a page in a process of its own, where a port is given.

    Yields:
        What it counts, filled in at the end.
    """
    seen: dict[str, Any] = {}
    if port is None:
        yield seen
        return
    words = ["asterias_nodes.page_viewer", str(port), str(seconds)]
    with subprocess.Popen([sys.executable, "-m", *words], stdout=subprocess.PIPE) as process:
        try:
            yield seen
            out, _ = process.communicate(timeout=SERVICE_TIMEOUT_S)
            seen.update(json.loads(out))
        finally:
            process.kill()


def _wait_for_all(
    listener: WholeRobotListener, executor: SingleThreadedExecutor, launched: LaunchedRobot
) -> float:
    """Return seconds from the launch to a picture of the last camera.

    Raises:
        AsteriasError: some camera is silent.
    """
    while not listener.has_all:
        executor.spin_once(timeout_sec=0.05)
        took_s = time.monotonic() - launched.started_s
        if took_s > START_TIMEOUT_S or not launched.is_running:
            missing = sum(not count for count in listener.arrived.values())
            raise AsteriasError(f"After {took_s:.0f} s {missing} cameras were silent.")
    return time.monotonic() - launched.started_s


def _call(
    listener: WholeRobotListener, executor: SingleThreadedExecutor, service: Any, name: str
) -> Any:
    """Return the answer of a service.

    Raises:
        AsteriasError: there is none in time.
    """
    client = listener.create_client(service, name)
    request: Any = service.Request()
    deadline_s = time.monotonic() + SERVICE_TIMEOUT_S
    while not client.service_is_ready() and time.monotonic() < deadline_s:
        executor.spin_once(timeout_sec=0.05)
    answer = client.call_async(request)
    while not answer.done():
        executor.spin_once(timeout_sec=0.05)
        if time.monotonic() > deadline_s:
            raise AsteriasError(f"{name} did not answer within {SERVICE_TIMEOUT_S:g} s.")
    listener.destroy_client(client)
    return answer.result()


def _count(
    listener: WholeRobotListener,
    executor: SingleThreadedExecutor,
    launched: LaunchedRobot,
    seconds: float,
) -> dict[str, Any]:
    """Return what is counted in ``seconds``."""
    processes = {_label(process): process for process in launched.children()}
    before = {name: _processor_s(process) for name, process in processes.items()}
    own_s = time.process_time()
    listener.forget()
    begun_s, clock = time.monotonic(), listener.clock
    while time.monotonic() - begun_s < seconds:
        executor.spin_once(timeout_sec=0.05)
    took_s = time.monotonic() - begun_s
    after = {name: _processor_s(process) for name, process in processes.items()}
    wall_s, simulated_s = (b - a for a, b in zip(clock, listener.clock, strict=True))
    return {
        "arrived": sum(listener.arrived.values()),
        "fewest_of_a_camera": min(listener.arrived.values()),
        "latencies_ms": sorted(listener.latencies_ms),
        "real_time_factor": simulated_s / wall_s,
        "cores": {name: (after[name] - before[name]) / took_s for name in sorted(processes)},
        "cores_of_listener": (time.process_time() - own_s) / took_s,
        "load_average": psutil.getloadavg()[0],
        "took_s": took_s,
    }


def _shares(figures: dict[str, Any], rate_hz: float, seconds: float) -> dict[str, Any]:
    latencies = figures.pop("latencies_ms")
    last = len(latencies) - 1
    # Pictures are due by simulated time: of a robot slower than time, fewer.
    due = rate_hz * figures["took_s"]
    return {
        **figures,
        "seconds": seconds,
        "share_of_rate": figures["arrived"] / due,
        "share_of_taken": figures["arrived"] / (due * figures["real_time_factor"]),
        "latency_median_ms": statistics.median(latencies) if latencies else None,
        "latency_p99_ms": latencies[int(0.99 * last)] if latencies else None,
        "cores_in_all": sum(figures["cores"].values()),
    }


def _label(process: psutil.Process) -> str:
    """Return a node's name, out of its command line."""
    try:
        words = [Path(word).name for word in process.cmdline() if not word.startswith("-")]
    except psutil.NoSuchProcess:
        return f"ended {process.pid}"
    named = [word for word in words if not word.startswith("python")]
    return named[0] if named else f"process {process.pid}"


def _processor_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def _size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
