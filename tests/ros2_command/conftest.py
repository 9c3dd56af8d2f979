"""Runs the `ros2` command as a person does: as a process, with real nodes and real signals."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "ros_ws" / "src" / "asterias_ros2"
PROBE = HERE / "probe.sh"
MARK = "TEST_RUN_MARK"
PATIENCE_S = 60.0
AT_ONCE = 4

# The modules are tested directly too, wherever pytest runs.
if str(SOURCE) not in sys.path:
    sys.path.append(str(SOURCE))

# Nodes of a test meet within half a second.
PROFILE = """<?xml version="1.0" encoding="UTF-8" ?>
<dds xmlns="http://www.eprosima.com"><profiles>
  <participant profile_name="quick" is_default_profile="true"><rtps><builtin><discovery_config>
    <leaseAnnouncement><sec>0</sec><nanosec>500000000</nanosec></leaseAnnouncement>
  </discovery_config></builtin></rtps></participant>
</profiles></dds>
"""


def has_real_launch() -> bool:
    """Return whether the real `ros2 launch` is installed; mere folders do not count."""
    try:
        names = ("launch.frontend", "launch_ros.actions", "ros2launch.api", "ros2cli.cli")
        return all(importlib.util.find_spec(name) for name in names)
    except ImportError:
        return False


def ros2_words() -> list[str]:
    """Return our `ros2`: the one on PATH, or the source where none or another one is there."""
    if shutil.which("ros2") and not os.environ.get("ROS_DISTRO"):
        return ["ros2"]
    return [sys.executable, "-m", "asterias_ros2.main"]


class Ros2:
    """The `ros2` command in an environment of its own; `mark` is on all it starts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = uuid.uuid4().hex
        profile = folder / "profile.xml"
        profile.write_text(PROFILE)
        path = os.environ.get("PYTHONPATH")
        self.environment = {
            **os.environ,
            MARK: self.mark,
            "PYTHONPATH": f"{SOURCE}{os.pathsep}{path}" if path else str(SOURCE),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "ROS_LOG_DIR": str(folder / "log"),
            "TMPDIR": str(folder),
            "FASTDDS_DEFAULT_PROFILES_FILE": str(profile),
        }
        for name in ("OVERRIDE_LAUNCH_PROCESS_OUTPUT", "PROBE_FOLDER"):
            self.environment.pop(name, None)

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        """Start the command with its output in a pipe, standard error with it."""
        return subprocess.Popen(
            [*ros2_words(), *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
            cwd=self.folder,
        )

    def run(self, *words: str | Path) -> Finished:
        """Run the command to its end."""
        return finish(self.start(*words))

    def run_all(self, *commands: Sequence[str]) -> list[Finished]:
        """Run several commands, a few at the same time, and return what came of each."""
        finished: list[Finished] = []
        for first in range(0, len(commands), AT_ONCE):
            some = [self.start(*words) for words in commands[first : first + AT_ONCE]]
            finished += [finish(process) for process in some]
        return finished

    def survivors(self) -> list[str]:
        """Return the command lines of all processes that carry our mark."""
        return [text for _, text in self.marked()]

    def kill_survivors(self) -> None:
        """Leave nothing behind, even if a test fails."""
        for pid, _ in self.marked():
            os.kill(pid, signal.SIGKILL)

    def marked(self) -> Iterator[tuple[int, str]]:
        """Yield the process id and the command line of each process that carries our mark."""
        needle = f"{MARK}={self.mark}".encode()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if needle in (folder / "environ").read_bytes():
                    words = (folder / "cmdline").read_bytes().split(b"\0")
                    yield int(folder.name), b" ".join(words).decode()
            except OSError:
                continue  # it has ended meanwhile, or is not ours


class Finished:
    """What a command gave."""

    def __init__(self, code: int, output: str) -> None:
        self.code = code
        self.output = output
        self.lines = output.splitlines()

    def of(self, name: str) -> list[str]:
        """Return the lines of one launched process, without their prefix."""
        prefix = f"[{name}] "
        return [line[len(prefix) :] for line in self.lines if line.startswith(prefix)]

    def __repr__(self) -> str:
        return f"exit code {self.code}\n{self.output}"


def finish(process: subprocess.Popen[str], read: str = "") -> Finished:
    """Wait for the end of a process, part of whose output may have been read already."""
    output, _ = process.communicate(timeout=PATIENCE_S)
    return Finished(process.returncode, read + output)


def read_until(process: subprocess.Popen[str], text: str, count: int = 1) -> str:
    """Read the output of a process until a text has come a number of times."""
    assert process.stdout is not None
    read = ""
    while read.count(text) < count:
        line = process.stdout.readline()
        assert line, f"ended before {text!r} came:\n{read}"
        read += line
    return read


def wait_until(condition: object, patience_s: float = 10.0) -> bool:
    """Return whether a function came to return true in time."""
    assert callable(condition)
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@contextmanager
def ros2_in(folder: Path) -> Iterator[Ros2]:
    """Give a command whose processes are ended in any case."""
    command = Ros2(folder)
    try:
        yield command
    finally:
        command.kill_survivors()


@pytest.fixture
def ros2(tmp_path: Path) -> Iterator[Ros2]:
    """The command, in an empty folder."""
    with ros2_in(tmp_path) as command:
        yield command


@pytest.fixture
def write(tmp_path: Path) -> object:
    """Write a launch file from what stands between <launch> and </launch>."""

    def write_file(body: str, name: str = "test.launch.xml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"<launch>\n{body}\n</launch>\n")
        return path

    return write_file
