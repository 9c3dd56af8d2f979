"""Measures how long a person waits: from a key or a touch to the limb, from a camera to the page.

``ros2 run asterias_nodes teleop_bench --json results/teleop/latency.json`` launches the simulated
robot with everything that a person drives it by, and is the person: it types into a terminal,
touches the page in a real Chromium, and looks at when the joints move and when pictures are drawn.
"""

from __future__ import annotations

import json
import os
import pty
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import psutil
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image

from asterias_nodes.robot.limb_state_monitor import LimbStateMonitor
from asterias_nodes.runtime.bench import BenchOptions, run_bench
from asterias_nodes.runtime.launched_robot import LaunchedRobot
from asterias_nodes.runtime.qos import sensor_qos
from hardware.description.robot import RobotDescription

LAUNCH_FILE = "launch/teleop.launch.xml"
START_TIMEOUT_S = 90.0
# A joint has moved when it has turned so far; its readings rest within a hundredth of that.
MOVED_RAD = 0.002
LOST_S = 2.0
# A page that has just been opened is busy with itself.
SETTLE_S = 4.0
# After a command the limb holds for 0.5 s where it was sent, then where it is.
REST_S = 0.8
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass(frozen=True)
class TeleopBench(BenchOptions):
    """Options of the measurement; the limb's first joint must be able to turn both ways."""

    presses: int = 200
    """Key presses."""
    touches: int = 50
    """Touches of a slider on the page."""
    seconds: float = 20.0
    """How long pictures are watched."""
    seed: int = 0
    """Of the moments at which keys are pressed."""


class MotionWatcher(Node):
    """When the first joint moves, and when each picture is published; spun in a thread."""

    def __init__(self, robot: RobotDescription, limb: int) -> None:
        super().__init__("teleop_bench")
        self.published_s: dict[tuple[int, float], float] = {}
        self._changed = threading.Condition()
        self._from: float | None = None
        self._moved_s = 0.0
        self._state = LimbStateMonitor(self, robot, limb, on_joints=self._on_joints)
        for camera in range(len(robot.limbs[limb].live_cameras)):
            take = partial(self._on_image, camera)
            self.create_subscription(
                Image,
                f"/limb_{limb}/camera_{camera}/image_raw",
                # rclpy looks at the signature: with two arguments it passes time stamps too.
                lambda image, info, take=take: take(image, info),
                sensor_qos(20),
            )

    @property
    def is_ready(self) -> bool:
        """Whether joints are measured and a multiplexer is there."""
        return self._state.last_position_rad is not None and self._state.has_multiplexer

    @property
    def position(self) -> float:
        """The first joint's angle in rad; NaN before the first."""
        joints = self._state.last_position_rad
        return float("nan") if joints is None else float(joints[0])

    def arm(self) -> None:
        """Wait for the next motion away from here."""
        with self._changed:
            self._from, self._moved_s = self.position, 0.0

    def wait_for_motion(self) -> float | None:
        """Return when it came, on the monotonic clock; None when it did not."""
        with self._changed:
            self._changed.wait_for(lambda: self._moved_s > 0.0, LOST_S)
            self._from = None
            return self._moved_s or None

    def _on_joints(self) -> None:
        now = time.monotonic()
        with self._changed:
            start = self._from
            if start is not None and not self._moved_s and abs(self.position - start) > MOVED_RAD:
                self._moved_s = now
                self._changed.notify_all()

    def _on_image(self, camera: int, image: Image, info: Any) -> None:
        stamp_s = image.header.stamp.sec + image.header.stamp.nanosec * 1e-9
        self.published_s[camera, round(stamp_s, 4)] = int(info["source_timestamp"]) * 1e-9


class TerminalKeyboard:
    """A terminal with the node ``teleop_keyboard``, in which keys are pressed."""

    def __init__(self, robot: str, limb: int) -> None:
        self._far, near = pty.openpty()
        command = ["ros2", "run", "asterias_nodes", "teleop_keyboard", "--ros-args"]
        command += [
            "-p",
            f"terminal:={os.ttyname(near)}",
            "-p",
            f"robot:={robot}",
            "-p",
            f"limb:={limb}",
        ]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
        )
        self._near = near
        self._screen = threading.Thread(target=self._look, daemon=True)
        self.shown = ""
        self._screen.start()

    def press(self, key: bytes) -> None:
        """One press."""
        os.write(self._far, key)

    def close(self) -> None:
        """ESC, and wait."""
        self.press(b"\x1b")
        try:
            self._process.wait(10.0)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _look(self) -> None:
        while True:
            try:
                self.shown = (self.shown + os.read(self._far, 4096).decode(errors="replace"))[
                    -4096:
                ]
            except OSError:
                return


class BrowserPage:
    """The page in a headless Chromium.

    Attributes:
        drawn: per picture that was drawn: camera, stamp, and when, in Unix time.
    """

    def __init__(self, playwright: Any, browser: str, address: str) -> None:
        self.drawn: list[tuple[int, float, float]] = []
        self._browser = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        self._page = self._browser.new_page(viewport={"width": 1400, "height": 1000})
        self._page.on("websocket", self._on_socket)
        self._page.goto(address, timeout=1000 * START_TIMEOUT_S)
        self._page.wait_for_function(
            "document.querySelector('#owner')?.textContent.startsWith('moved by')",
            timeout=1000 * START_TIMEOUT_S,
        )

    def watch(self, seconds: float) -> None:
        """Let the page draw for a while."""
        self.drawn.clear()
        self._page.wait_for_timeout(1000 * seconds)

    def touch(self, fraction: float) -> float:
        """Return when the first slider is pressed, on the monotonic clock."""
        box = self._page.locator("#sliders input").first.bounding_box()
        self._page.mouse.move(box["x"] + fraction * box["width"], box["y"] + 0.5 * box["height"])
        pressed_s = time.monotonic()
        self._page.mouse.down()
        return pressed_s

    def lift(self) -> None:
        """Let go."""
        self._page.mouse.up()

    def close(self) -> None:
        """End the browser."""
        self._browser.close()

    def _on_socket(self, channel: Any) -> None:
        if channel.url.endswith("/live"):
            channel.on("framesent", self._on_sent)

    def _on_sent(self, payload: str | bytes) -> None:
        message = json.loads(payload)
        if message.get("t") == "seen":
            self.drawn.append((message["camera"], message["stamp"], message["drawn"]))


def summary(latencies_ms: Sequence[float], expected: int) -> dict[str, Any]:
    """Return median, 99th percentile and largest of what came, and how much did not."""
    ordered = sorted(latencies_ms)
    if not ordered:
        return {"count": 0, "lost": expected}
    return {
        "count": len(ordered),
        "lost": expected - len(ordered),
        "median_ms": statistics.median(ordered),
        "p99_ms": ordered[min(len(ordered) - 1, round(0.99 * (len(ordered) - 1)))],
        "max_ms": ordered[-1],
    }


def press_keys(
    watcher: MotionWatcher, keyboard: TerminalKeyboard, options: TeleopBench
) -> dict[str, Any]:
    """Return latencies from a key press in a terminal to the first joint's motion."""
    rng, latencies = random.Random(options.seed), []
    for number in range(options.presses):
        time.sleep(REST_S + rng.uniform(0.0, 0.1))  # any moment within a control period
        watcher.arm()
        pressed_s = time.monotonic()
        keyboard.press(b"q" if watcher.position < 0.0 else b"a")
        moved_s = watcher.wait_for_motion()
        if moved_s is not None:
            latencies.append(1000 * (moved_s - pressed_s))
        if number % 50 == 49:
            left_s = (options.presses - number - 1) * (REST_S + 0.15)
            print(f"key press {number + 1}/{options.presses}, {left_s:.0f} s left", flush=True)
    return summary(latencies, options.presses)


def touch_page(watcher: MotionWatcher, screen: BrowserPage, options: TeleopBench) -> dict[str, Any]:
    """Return latencies from a touch of a slider on the page to the first joint's motion."""
    latencies = []
    for _ in range(options.touches):
        screen.watch(REST_S)
        watcher.arm()
        pressed_s = screen.touch(0.75 if watcher.position < 0.0 else 0.25)
        moved_s = watcher.wait_for_motion()
        screen.lift()
        if moved_s is not None:
            latencies.append(1000 * (moved_s - pressed_s))
    return summary(latencies, options.touches)


def watch_pictures(
    watcher: MotionWatcher, screen: BrowserPage, page_server: psutil.Process | None, seconds: float
) -> dict[str, Any]:
    """Return latencies from when a picture is published to when it is drawn."""
    screen.watch(SETTLE_S)
    watcher.published_s.clear()
    before_s = sum(page_server.cpu_times()[:2]) if page_server else 0.0
    screen.watch(seconds)
    used_s = sum(page_server.cpu_times()[:2]) - before_s if page_server else float("nan")
    sent = dict(watcher.published_s)
    latencies = [
        1000 * (drawn_s - sent[camera, round(stamp_s, 4)])
        for camera, stamp_s, drawn_s in screen.drawn
        if (camera, round(stamp_s, 4)) in sent
    ]
    return {
        **summary(latencies, len(sent)),
        "drawn_share": len(latencies) / max(len(sent), 1),
        "dashboard_share_of_a_core": used_s / seconds,
    }


@contextmanager
def watching(options: TeleopBench) -> Iterator[MotionWatcher]:
    """Serve a watcher in a thread.

    Yields:
        The watcher.
    """
    watcher = MotionWatcher(options.description(), options.limb)
    executor = SingleThreadedExecutor()
    executor.add_node(watcher)

    def spin() -> None:
        with suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    try:
        yield watcher
    finally:
        executor.shutdown()
        thread.join(2.0)
        watcher.destroy_node()


def wait_until(condition: Any, what: str) -> None:
    """Wait for a part of the launched robot.

    Raises:
        TimeoutError: naming it.
    """
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{what} did not come within {START_TIMEOUT_S:g} s of the launch.")
        time.sleep(0.05)


def measure(options: TeleopBench) -> dict[str, Any]:
    """Return all figures."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    robot = LaunchedRobot(LAUNCH_FILE, "source:=web", f"robot:={options.robot}", f"port:={port}")
    try:
        with (
            watching(options) as watcher,
            closing(TerminalKeyboard(options.robot, options.limb)) as keyboard,
        ):
            wait_until(lambda: watcher.is_ready, "A limb")
            wait_until(lambda: re.search(r"moved by \w", keyboard.shown), "The keyboard's node")
            wait_until(lambda: _answers(port), "The page")
            time.sleep(2.0)
            figures: dict[str, Any] = {"load_average": os.getloadavg()[0]}
            figures["key_press_to_motion"] = press_keys(watcher, keyboard, options)
            figures.update(_on_page(watcher, options, port))
            return figures
    finally:
        robot.stop()


def _on_page(watcher: MotionWatcher, options: TeleopBench, port: int) -> dict[str, Any]:
    """Return what needs a browser; nothing where there is none."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        browser = None
    if browser is None:
        print("No Chromium, or no playwright, is installed: the page is not measured.")
        return {}
    address = f"http://127.0.0.1:{port}/"
    with (
        sync_playwright() as playwright,
        closing(BrowserPage(playwright, browser, address)) as screen,
    ):
        processes = psutil.process_iter(["cmdline"])
        server = next((one for one in processes if _is_page_of(one, port)), None)
        print(f"watching pictures for {options.seconds:g} s ...", flush=True)
        pictures = watch_pictures(watcher, screen, server, options.seconds)
        print(f"touching a slider {options.touches} times ...", flush=True)
        touches = touch_page(watcher, screen, options)
    return {"camera_to_page": pictures, "touch_to_motion": touches}


def _is_page_of(process: psutil.Process, port: int) -> bool:
    command = process.info["cmdline"] or []
    if not any(word.endswith("/asterias_nodes/dashboard") for word in command):
        return False
    return any(one.laddr.port == port for one in process.net_connections() if one.laddr)


def _answers(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def run(options: TeleopBench) -> int:
    """Return 0; measure, print and write the result file."""
    figures = measure(options)
    for name, one in figures.items():
        if isinstance(one, dict) and one["count"]:
            print(
                f"{name.replace('_', ' ')}: median {one['median_ms']:.0f} ms, "
                f"p99 {one['p99_ms']:.0f} ms, {one['count']} of {one['count'] + one['lost']}"
            )
    options.write("teleop_bench", figures, options.seed)
    return 0


def main() -> int:
    """Return the exit code of the bench, run from the command line."""
    return run_bench(TeleopBench, "teleop_bench", __doc__ or "", run)


if __name__ == "__main__":
    sys.exit(main())
