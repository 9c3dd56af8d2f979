"""A robot launched with ``ros2 launch``, for benches that measure it as its users meet it."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import psutil

STOP_TIMEOUT_S = 20.0


class LaunchedRobot:
    """``ros2 launch`` in a process group of its own; stopped with Ctrl-C's signal.

    Attributes:
        started_s: monotonic time of the start.
    """

    def __init__(self, launch_file: str, *arguments: str) -> None:
        command = ["ros2", "launch", launch_file, *arguments]
        self.started_s = time.monotonic()
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    @property
    def pid(self) -> int:
        """The number of the process ``ros2 launch``."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the launch goes on."""
        return self._process.poll() is None

    def children(self) -> list[psutil.Process]:
        """Return the processes below it, empty once it has ended."""
        try:
            return list(psutil.Process(self._process.pid).children(recursive=True))
        except psutil.NoSuchProcess:
            return []

    def stop(self) -> tuple[int | None, list[str], float]:
        """Return exit code (None: had to be killed), commands left behind and seconds of a stop."""
        children = self.children()
        started_s = time.monotonic()
        if self.is_running:
            self._process.send_signal(signal.SIGINT)
        code: int | None
        try:
            code = self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            code = None
        left = [" ".join(child.cmdline()[:2]) for child in children if child.is_running()]
        return code, left, time.monotonic() - started_s
