"""Measures a launched robot from another process, as its users meet it.

``ros2 run asterias_nodes bench --json results/sim/launch_bench.json``: seconds from ``ros2 launch``
to the first picture, share of pictures that arrive, their latency, and how many starts and stops in
a row are clean.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import psutil
import rclpy
import tyro
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image

from asterias.files import write_json
from asterias.provenance import provenance
from asterias_nodes.runtime.conversions import to_seconds
from asterias_nodes.runtime.domains import reserve_domain_id
from asterias_nodes.runtime.qos import sensor_qos
from hardware.description.robot import load_robot

START_PATIENCE_S = 30.0
STOP_PATIENCE_S = 20.0


@dataclass(frozen=True)
class LaunchBench:
    """Options of the measurement."""

    robot: str = "limb_p1"
    """Name or path of a robot description."""
    launch_file: str = "launch/sim.launch.xml"
    """Launch file to start."""
    seconds: float = 30.0
    """How long pictures are counted."""
    cycles: int = 20
    """Starts and stops in a row."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Result file to write."""


class Listener(Node):
    """Counts the pictures of all cameras of one limb, and how long each took to arrive."""

    def __init__(self, cameras: int) -> None:
        super().__init__("bench_listener")
        self.stamps_s: list[list[float]] = [[] for _ in range(cameras)]
        self.latencies_ms: list[float] = []
        for camera in range(cameras):
            topic = f"/limb_0/camera_{camera}/image_raw"
            take = partial(self._take, camera)
            # rclpy looks at the callback's signature: with two arguments it passes time stamps too.
            self.create_subscription(
                Image, topic, lambda image, info, take=take: take(image, info), sensor_qos(20)
            )

    def _take(self, camera: int, image: Image, info: Any) -> None:
        self.latencies_ms.append((time.time_ns() - int(info["source_timestamp"])) * 1e-6)
        self.stamps_s[camera].append(to_seconds(image.header.stamp))

    def forget(self) -> None:
        """Start counting anew."""
        for stamps in self.stamps_s:
            stamps.clear()
        self.latencies_ms.clear()

    @property
    def has_all(self) -> bool:
        """Whether every camera has delivered."""
        return all(self.stamps_s)


class LaunchedRobot:
    """``ros2 launch`` in a process group of its own; stopped with Ctrl-C's signal."""

    def __init__(self, launch_file: str, *arguments: str) -> None:
        command = ["ros2", "launch", launch_file, *arguments]
        self.started_s = time.monotonic()
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    def stop(self) -> tuple[int | None, list[str], float]:
        """Exit code (None: had to be killed), commands left behind, seconds it took."""
        children = psutil.Process(self._process.pid).children(recursive=True)
        started_s = time.monotonic()
        self._process.send_signal(signal.SIGINT)
        code: int | None
        try:
            code = self._process.wait(STOP_PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            code = None
        left = [" ".join(child.cmdline()[:2]) for child in children if child.is_running()]
        return code, left, time.monotonic() - started_s


def _listen(cameras: int, robot: LaunchedRobot, seconds: float) -> dict[str, Any]:
    """Wait for the first pictures, then count for ``seconds``."""
    # The executor driven by events cannot hand over a message's time of sending.
    listener, executor = Listener(cameras), SingleThreadedExecutor()
    executor.add_node(listener)
    try:
        while not any(listener.stamps_s):
            executor.spin_once(timeout_sec=0.05)
            if time.monotonic() - robot.started_s > START_PATIENCE_S:
                raise TimeoutError("No picture came within 30 s of the launch; see its log.")
        first_s = time.monotonic() - robot.started_s
        while not listener.has_all and time.monotonic() - robot.started_s < START_PATIENCE_S:
            executor.spin_once(timeout_sec=0.05)
        listener.forget()
        deadline_s = time.monotonic() + seconds
        while time.monotonic() < deadline_s:
            executor.spin_once(timeout_sec=0.05)
        return {"first_image_s": first_s, **_arrivals(listener)}
    finally:
        executor.shutdown()
        listener.destroy_node()


def _arrivals(listener: Listener) -> dict[str, Any]:
    """Share of the frames between the first and the last that came, and their latency."""
    period_s = 0.1
    expected = [round((s[-1] - s[0]) / period_s) + 1 if s else 0 for s in listener.stamps_s]
    received = [len(stamps) for stamps in listener.stamps_s]
    latency = sorted(listener.latencies_ms)
    if not latency:
        return {"expected": expected, "received": received, "share": 0.0}
    return {
        "expected": expected,
        "received": received,
        "share": sum(received) / max(sum(expected), 1),
        "latency_median_ms": statistics.median(latency),
        "latency_p99_ms": latency[int(0.99 * (len(latency) - 1))],
    }


def _cycle(cameras: int, options: LaunchBench, seconds: float) -> dict[str, Any]:
    robot = LaunchedRobot(options.launch_file, f"robot:={options.robot}")
    figures: dict[str, Any] = {"first_image_s": None}
    try:
        figures = _listen(cameras, robot, seconds)
    finally:
        code, left, stop_s = robot.stop()
    return {**figures, "exit_code": code, "left_behind": left, "stop_s": stop_s}


def _is_clean(cycle: dict[str, Any]) -> bool:
    return (
        cycle["exit_code"] == 0 and not cycle["left_behind"] and cycle["first_image_s"] is not None
    )


def measure(options: LaunchBench) -> dict[str, Any]:
    """All figures; prints one line for each cycle."""
    cameras = len(load_robot(options.robot).limbs[0].live_cameras)
    print(f"Counting pictures of {cameras} cameras for {options.seconds:g} s ...", flush=True)
    long = _cycle(cameras, options, options.seconds)
    cycles = []
    for number in range(1, options.cycles + 1):
        cycles.append(_cycle(cameras, options, 0.5))
        state = "clean" if _is_clean(cycles[-1]) else "NOT clean"
        left_s = (options.cycles - number) * (
            cycles[-1]["first_image_s"] + cycles[-1]["stop_s"] + 0.5
        )
        print(f"start and stop {number}/{options.cycles}: {state}, {left_s:.0f} s left", flush=True)
    firsts = [long["first_image_s"], *(cycle["first_image_s"] for cycle in cycles)]
    return {
        "robot": options.robot,
        "seconds": options.seconds,
        "pictures": long,
        "first_image_s": {
            "median": statistics.median(firsts),
            "max": max(firsts),
        },
        "stop_s_max": max(cycle["stop_s"] for cycle in [long, *cycles]),
        "cycles": options.cycles,
        "clean_cycles": sum(_is_clean(cycle) for cycle in cycles),
    }


def main() -> int:
    """Measure, print, write the result file if asked for; exit code 1 if a cycle is not clean."""
    options = tyro.cli(LaunchBench, prog="ros2 run asterias_nodes bench", description=__doc__)
    # A domain of its own, so that no other robot on this machine is counted.
    os.environ["ROS_DOMAIN_ID"] = str(reserve_domain_id())
    rclpy.init()
    try:
        figures = measure(options)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        rclpy.try_shutdown()
    pictures = figures["pictures"]
    print(
        f"first picture after {figures['first_image_s']['median']:.1f} s "
        f"(at most {figures['first_image_s']['max']:.1f}), "
        f"{100 * pictures['share']:.2f} % of {sum(pictures['expected'])} pictures arrived, "
        f"latency {pictures.get('latency_median_ms', float('nan')):.1f} ms median, "
        f"{pictures.get('latency_p99_ms', float('nan')):.1f} ms p99, "
        f"{figures['clean_cycles']} of {figures['cycles']} starts and stops clean"
    )
    if options.json is not None:
        command = "ros2 run asterias_nodes bench --json " + str(options.json)
        write_json(options.json, {**provenance(command=command), **figures})
    return 0 if figures["clean_cycles"] == figures["cycles"] else 1


if __name__ == "__main__":
    sys.exit(main())
