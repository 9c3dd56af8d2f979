"""A robot launched with the very command that users type, and a client node to talk to it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import rclpy
from asterias_interfaces.action import FindTarget
from rclpy.action import ActionClient
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from asterias_nodes.robot.emergency_stop_state import state_folder

ROOT = Path(__file__).resolve().parents[2]
START_S = 60.0  # on a machine that runs other tests, too
STOP_S = 15.0


class Launch:
    """``ros2 launch`` in a process group of its own."""

    def __init__(self, *arguments: str, folder: Path) -> None:
        self.log = folder / "launch.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                ["ros2", "launch", *arguments],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def children(self) -> list[psutil.Process]:
        """The processes below it."""
        return list(psutil.Process(self._process.pid).children(recursive=True))

    def wait(self, timeout_s: float) -> int:
        """Exit code, when it ends by itself."""
        return self._process.wait(timeout_s)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Stop it as Ctrl-C does; exit code."""
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            return self._process.wait(STOP_S)
        finally:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)


class Client:
    """A node in the test's own process."""

    def __init__(self) -> None:
        self._context = Context()
        rclpy.init(context=self._context)
        self.node = Node("test_client", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._finder: ActionClient | None = None

    def until(self, condition: Callable[[], Any], timeout_s: float = START_S) -> Any:
        """Let callbacks run until ``condition`` gives something true; that is returned."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            answer = condition()
            if answer:
                return answer
            self._executor.spin_once(timeout_sec=0.05)
        raise AssertionError(f"Nothing came within {timeout_s:g} s.")

    def collect(self, kind: Any, topic: str, qos: Any = 10) -> list[Any]:
        """A list that grows with the messages of a topic."""
        messages: list[Any] = []
        self.node.create_subscription(kind, topic, messages.append, qos)
        return messages

    def call(self, kind: Any, name: str, **fields: Any) -> Any:
        """Call a service and return its answer."""
        client = self.node.create_client(kind, name)
        self.until(client.service_is_ready)
        future = client.call_async(kind.Request(**fields))
        self.until(future.done)
        self.node.destroy_client(client)
        return future.result()

    def send_goal(self, feedback: list[Any] | None = None, **fields: Any) -> Any:
        """Send a goal to ``/find_target``; the accepted goal's handle."""
        if self._finder is None:
            self._finder = ActionClient(self.node, FindTarget, "/find_target")
        self.until(self._finder.server_is_ready)
        heard = [] if feedback is None else feedback
        future = self._finder.send_goal_async(
            FindTarget.Goal(**fields), feedback_callback=lambda m: heard.append(m.feedback)
        )
        self.until(future.done)
        return future.result()

    def result(self, handle: Any, timeout_s: float = 60.0) -> FindTarget.Result:
        """Wait for a goal's result."""
        future = handle.get_result_async()
        self.until(future.done, timeout_s)
        return future.result().result

    def close(self) -> None:
        """Leave the domain."""
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self._context)


@pytest.fixture(autouse=True)
def no_stop_of_another_test() -> None:
    """Forget emergency stops that another test has left engaged: they outlive their robots."""
    shutil.rmtree(state_folder(), ignore_errors=True)


@pytest.fixture
def client() -> Iterator[Client]:
    """A fresh client node."""
    made = Client()
    yield made
    made.close()


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Launch]]:
    """Start launch files; whatever still runs at the end of the test is stopped."""
    started: list[Launch] = []

    def start(*arguments: str) -> Launch:
        folder = tmp_path / f"launch{len(started)}"
        folder.mkdir()
        started.append(Launch(*arguments, folder=folder))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture(scope="module")
def running_robot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launch]:
    """One simulated robot, faster than real time and with faults enabled, for a module's tests."""
    arguments = ("launch/sim.launch.xml", "real_time_factor:=5.0", "enable_faults:=true")
    robot = Launch(*arguments, folder=tmp_path_factory.mktemp("robot"))
    yield robot
    assert robot.stop() == 0, robot.text
