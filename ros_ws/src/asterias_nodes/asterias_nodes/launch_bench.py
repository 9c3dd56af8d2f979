"""Measures a launched robot from another process, as its users meet it.

``ros2 run asterias_nodes bench --json results/sim/launch_bench.json``: seconds from ``ros2 launch``
to the first picture, share of pictures that arrive, their latency, and how many starts and stops in
a row are clean.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image, JointState

from asterias_nodes.runtime.bench import BenchOptions, run_bench
from asterias_nodes.runtime.conversions import to_seconds
from asterias_nodes.runtime.launched_robot import LaunchedRobot
from asterias_nodes.runtime.qos import reliable_qos, sensor_qos
from asterias_nodes.whole_robot_bench import measure_whole_robot

START_TIMEOUT_S = 30.0
# The node reports of its last 200 pictures, 5 s of four cameras; those of the start do not count.
ESTIMATOR_SETTLES_S = 6.0


@dataclass(frozen=True)
class LaunchBench(BenchOptions):
    """Options of the measurement."""

    launch_file: str = "launch/sim.launch.xml"
    """Launch file to start."""
    seconds: float = 30.0
    """How long pictures are counted."""
    cycles: int = 20
    """Starts and stops in a row."""
    whole: bool = False
    """Measure all limbs and cameras instead, with detector, recorder and page: what arrives in
    another process, how late, the real-time factor, and what each process costs."""
    viewer: bool = False
    """With --whole: a page is open, too, and gets all its pictures."""
    estimator: bool = False
    """Measure the node state_estimator instead: estimates per second, how long after its pictures
    each is published, and what the node costs."""


class PictureListener(Node):
    """Counts the pictures of all cameras of one limb, and how long each took to arrive."""

    def __init__(self, limb: int, cameras: int) -> None:
        super().__init__("bench_listener")
        self.stamps_s: list[list[float]] = [[] for _ in range(cameras)]
        self.latencies_ms: list[float] = []
        for camera in range(cameras):
            topic = f"/limb_{limb}/camera_{camera}/image_raw"
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


def _listen(limb: int, cameras: int, robot: LaunchedRobot, seconds: float) -> dict[str, Any]:
    """Return what is counted in ``seconds`` after the first pictures.

    Raises:
        TimeoutError: no picture comes.
    """
    # The executor driven by events cannot hand over a message's time of sending.
    listener, executor = PictureListener(limb, cameras), SingleThreadedExecutor()
    executor.add_node(listener)
    try:
        while not any(listener.stamps_s):
            executor.spin_once(timeout_sec=0.05)
            if time.monotonic() - robot.started_s > START_TIMEOUT_S:
                raise TimeoutError("No picture came within 30 s of the launch; see its log.")
        first_s = time.monotonic() - robot.started_s
        while not listener.has_all and time.monotonic() - robot.started_s < START_TIMEOUT_S:
            executor.spin_once(timeout_sec=0.05)
        listener.forget()
        deadline_s = time.monotonic() + seconds
        while time.monotonic() < deadline_s:
            executor.spin_once(timeout_sec=0.05)
        return {"first_image_s": first_s, **_arrivals(listener)}
    finally:
        executor.shutdown()
        listener.destroy_node()


def _arrivals(listener: PictureListener) -> dict[str, Any]:
    """Return the fraction of frames, from the first to the last, that came, and their latency."""
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


def _cycle(options: LaunchBench, seconds: float) -> dict[str, Any]:
    robot = LaunchedRobot(options.launch_file, f"robot:={options.robot}")
    figures: dict[str, Any] = {"first_image_s": None}
    try:
        figures = _listen(options.limb, options.cameras, robot, seconds)
    finally:
        code, left, stop_s = robot.stop()
    return {**figures, "exit_code": code, "left_behind": left, "stop_s": stop_s}


def _is_clean(cycle: dict[str, Any]) -> bool:
    return (
        cycle["exit_code"] == 0 and not cycle["left_behind"] and cycle["first_image_s"] is not None
    )


def measure(options: LaunchBench) -> dict[str, Any]:
    """Return all figures; print one line for each cycle."""
    print(
        f"Counting pictures of {options.cameras} cameras for {options.seconds:g} s ...", flush=True
    )
    long = _cycle(options, options.seconds)
    cycles = []
    for number in range(1, options.cycles + 1):
        cycles.append(_cycle(options, 0.5))
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


class EstimateListener(Node):
    """Counts a limb's estimates, and keeps what the node reports of their latency."""

    def __init__(self, limb: int) -> None:
        super().__init__("bench_listener")
        self.count = 0
        self.latencies_ms: list[float] = []
        topic = f"/limb_{limb}/estimated_joint_states"
        self.create_subscription(JointState, topic, self._take, reliable_qos(50))
        self.create_subscription(DiagnosticArray, "/diagnostics", self._read, reliable_qos(50))

    def _take(self, message: JointState) -> None:
        self.count += 1

    def _read(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values}
            if status.name.startswith("state_estimator") and values["latency_ms"] != "none":
                self.latencies_ms.append(float(values["latency_ms"]))

    def forget(self) -> None:
        """Start counting anew."""
        self.count = 0
        self.latencies_ms.clear()


def measure_estimator(options: LaunchBench) -> dict[str, Any]:
    """Return what is counted of the estimates of a launched robot.

    Raises:
        TimeoutError: no estimate comes.
    """
    words = (f"robot:={options.robot}", "joints:=estimated")
    robot = LaunchedRobot(options.launch_file, *words)
    listener, executor = EstimateListener(options.limb), SingleThreadedExecutor()
    executor.add_node(listener)
    try:
        while not listener.count:
            executor.spin_once(timeout_sec=0.05)
            if time.monotonic() - robot.started_s > START_TIMEOUT_S:
                raise TimeoutError("No estimate came within 30 s of the launch; see its log.")
        node = next(one for one in robot.children() if _is_estimator(one))
        _spin(executor, ESTIMATOR_SETTLES_S)
        listener.forget()
        began_s, before = time.monotonic(), node.cpu_times()
        _spin(executor, options.seconds)
        took_s, after = time.monotonic() - began_s, node.cpu_times()
        spent_s = after.user + after.system - before.user - before.system
        count, latencies_ms = listener.count, list(listener.latencies_ms)
    finally:
        executor.shutdown()
        listener.destroy_node()
        code, left, _ = robot.stop()
    return {
        "robot": options.robot,
        "seconds": took_s,
        "estimates_hz": count / took_s,
        # The node reports the 95th percentile of its last 200 pictures once a second.
        "latency_p95_median_ms": statistics.median(latencies_ms) if latencies_ms else None,
        "latency_p95_worst_ms": max(latencies_ms, default=None),
        "cores": spent_s / took_s,
        "load_average": psutil.getloadavg()[0],
        "exit_code": code,
        "left_behind": left,
    }


def _spin(executor: SingleThreadedExecutor, seconds: float) -> None:
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        executor.spin_once(timeout_sec=0.05)


def _is_estimator(process: psutil.Process) -> bool:
    return any(Path(word).name == "state_estimator" for word in process.cmdline())


def _run_estimator(options: LaunchBench) -> int:
    """Return 0 if the stop is clean; measure, print and write the result file."""
    figures = measure_estimator(options)
    print(
        f"{figures['estimates_hz']:.1f} estimates/s, 95 % of pictures are in one within "
        f"{figures['latency_p95_median_ms']} ms (worst second {figures['latency_p95_worst_ms']}), "
        f"{figures['cores']:.2f} cores at load {figures['load_average']:.1f}"
    )
    options.write("bench", figures)
    return 0 if figures["exit_code"] == 0 and not figures["left_behind"] else 1


def run(options: LaunchBench) -> int:
    """Return 0 if all cycles are clean; measure, print and write the result file."""
    if options.estimator:
        return _run_estimator(options)
    if options.whole:
        return _run_whole(options)
    figures = measure(options)
    pictures = figures["pictures"]
    print(
        f"first picture after {figures['first_image_s']['median']:.1f} s "
        f"(at most {figures['first_image_s']['max']:.1f}), "
        f"{100 * pictures['share']:.2f} % of {sum(pictures['expected'])} pictures arrived, "
        f"latency {pictures.get('latency_median_ms', float('nan')):.1f} ms median, "
        f"{pictures.get('latency_p99_ms', float('nan')):.1f} ms p99, "
        f"{figures['clean_cycles']} of {figures['cycles']} starts and stops clean"
    )
    options.write("bench", figures)
    return 0 if figures["clean_cycles"] == figures["cycles"] else 1


def _run_whole(options: LaunchBench) -> int:
    """Return 0 if the stop is clean; measure the whole robot, print and write the result file."""
    with tempfile.TemporaryDirectory(prefix="asterias-bench-") as folder:
        words = (f"robot:={options.robot}", "source:=web", "record:=true")
        figures = measure_whole_robot(
            options.description(),
            "launch/teleop.launch.xml",
            (*words, f"out:={folder}/recording"),
            options.seconds,
            has_viewer=options.viewer,
        )
    print(
        f"{figures['cameras']} cameras: {100 * figures['share_of_rate']:.1f} % of their rate "
        f"arrived ({100 * figures['share_of_taken']:.1f} % of what was taken), latency "
        f"{figures['latency_median_ms']:.1f} ms median, {figures['latency_p99_ms']:.1f} ms p99, "
        f"real-time factor {figures['real_time_factor']:.3f}; {figures['cores_in_all']:.2f} cores "
        f"in all at load {figures['load_average']:.1f}"
    )
    for name, cores in figures["cores"].items():
        print(f"  {cores:6.3f} cores {name}")
    options.write("bench", {"robot": options.robot, "viewer": options.viewer, **figures})
    return 0 if figures["exit_code"] == 0 and not figures["left_behind"] else 1


def main() -> int:
    """Return the exit code of the bench, run from the command line."""
    return run_bench(LaunchBench, "bench", __doc__ or "", run)


if __name__ == "__main__":
    sys.exit(main())
