"""Real nodes in processes of their own, and one node in the test's process to talk to them."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import rclpy
from ament_index_python.packages import get_package_prefix
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from asterias_nodes.robot.emergency_stop_state import state_folder

STOP_TIMEOUT_S = 20.0
WAIT_TIMEOUT_S = 45.0  # on a machine that runs other tests, too


@dataclass
class Outcome:
    """How a process ended."""

    status: int
    stdout: str
    stderr: str


class Process:
    """A program that a test started."""

    def __init__(self, command: Sequence[str | Path], folder: Path) -> None:
        self._popen = subprocess.Popen(
            [str(word) for word in command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def is_running(self) -> bool:
        """False once the process has ended."""
        return self._popen.poll() is None

    def lines(self) -> Iterator[str]:
        """What the process says on stdout, line by line, until its end."""
        assert self._popen.stdout is not None
        for line in iter(self._popen.stdout.readline, ""):
            yield line.rstrip("\n")

    def send(self, number: signal.Signals) -> None:
        """Sends a signal."""
        self._popen.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGINT) -> Outcome:
        """Sends a signal and waits for the end."""
        self.send(number)
        return self.wait()

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> Outcome:
        """Waits for the end; a process that does not end is killed and fails the test."""
        try:
            stdout, stderr = self._popen.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            stdout, stderr = self._popen.communicate()
            pytest.fail(f"A process did not end within {timeout_s:g} s:\n{stdout}\n{stderr}")
        return Outcome(self._popen.returncode, stdout, stderr)

    def kill(self) -> None:
        """Ends the process without asking, if it still runs."""
        if self.is_running:
            self._popen.kill()
        self._popen.communicate()


class Peer:
    """A node in the test's process, spun while something is waited for."""

    def __init__(self) -> None:
        self._context = Context()
        rclpy.init(context=self._context)
        self.node = Node("test_peer", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)

    def spin(self, duration_s: float) -> None:
        """Serves callbacks for a while."""
        end_s = time.monotonic() + duration_s
        while time.monotonic() < end_s:
            self._executor.spin_once(timeout_sec=max(0.0, end_s - time.monotonic()))

    def wait_until(self, condition: Callable[[], bool], timeout_s: float = WAIT_TIMEOUT_S) -> None:
        """Serves callbacks until the condition holds; fails the test when it never does."""
        end_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end_s:
                pytest.fail(f"Waited {timeout_s:g} s in vain.")
            self._executor.spin_once(timeout_sec=0.01)

    def close(self) -> None:
        """Leaves the graph."""
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)


Start = Callable[..., Process]


def _starter(folder: Path, started: list[Process]) -> Start:
    def _start(*command: str | Path) -> Process:
        process = Process(command, folder)
        started.append(process)
        return process

    return _start


def _node_starter(start: Start) -> Start:
    folder = Path(get_package_prefix("asterias_nodes")) / "lib" / "asterias_nodes"

    def _start(name: str, **parameters: object) -> Process:
        arguments: list[str] = []
        for key, value in parameters.items():
            arguments += ["-p", f"{key}:={value}"]
        return start(folder / name, "--ros-args", *arguments)

    return _start


@pytest.fixture(autouse=True)
def no_stop_of_another_test() -> None:
    """Forget emergency stops that another test has left engaged: they outlive their robots."""
    shutil.rmtree(state_folder(), ignore_errors=True)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts programs in the test's folder; what still runs at the end is killed."""
    started: list[Process] = []
    yield _starter(tmp_path, started)
    for process in started:
        process.kill()


@pytest.fixture
def start_node(start: Start) -> Start:
    """Starts a node of asterias_nodes by name, with parameters as keyword arguments."""
    return _node_starter(start)


@pytest.fixture(scope="module")
def start_shared_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """As ``start_node``, for nodes that all tests of a module use."""
    started: list[Process] = []
    yield _node_starter(_starter(tmp_path_factory.mktemp("shared"), started))
    for process in started:
        process.kill()


@pytest.fixture
def peer() -> Iterator[Peer]:
    """A node that the test publishes and subscribes with."""
    made = Peer()
    yield made
    made.close()
