"""What `ros2 launch` shows and keeps: its own messages and the output of its processes.

Everything shown goes to standard output, that of processes too, line by line and with a prefix,
so that lines of different processes never mix. The log folder is the one ROS 2 uses.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TextIO

from asterias_ros2.errors import VerbError

# For each `output` setting: the destinations of standard output and of standard error.
OUTPUTS: dict[str, dict[str, tuple[str, ...]]] = {
    "screen": {"stdout": ("screen",), "stderr": ("screen",)},
    "log": {"stdout": ("log",), "stderr": ("log", "screen")},
    "both": {"stdout": ("log", "screen"), "stderr": ("log", "screen")},
    "own_log": {"stdout": ("own_log",), "stderr": ("own_log",)},
    "full": {"stdout": ("log", "screen", "own_log"), "stderr": ("log", "screen", "own_log")},
}


class LaunchLog:
    """Writes messages to the screen and to `launch.log` in a folder of this run."""

    def __init__(self, environment: Mapping[str, str], *, debug: bool = False) -> None:
        """Choose the log folder; it is made when the first line is kept."""
        self.debug = debug
        self.directory: Path | None = None
        self._base = _log_base(environment)
        self._files: dict[str, TextIO] = {}
        self._screen: TextIO | None = sys.stdout

    def open(self) -> None:
        """Make the folder of this run, `latest` beside it, and say where it is.

        Raises:
            VerbError: the folder cannot be made.
        """
        stamp = datetime.now().strftime("%Y-%m-%d-%H-%M-%S-%f")
        directory = self._base / f"{stamp}-{socket.gethostname()}-{os.getpid()}"
        try:
            directory.mkdir(parents=True)
        except OSError as error:
            raise VerbError(
                f"cannot make the log folder {directory}: {error.strerror}; set ROS_LOG_DIR"
            ) from error
        self.directory = directory
        _point_latest_to(directory)
        level = "DEBUG" if self.debug else "INFO"
        self.message("INFO", "launch", f"All log files can be found below {directory}")
        self.message("INFO", "launch", f"Default logging verbosity is set to {level}")

    def message(self, level: str, name: str, text: str) -> None:
        """Show and keep one message of the launch itself."""
        if level == "DEBUG" and not self.debug:
            return
        line = f"[{level}] [{name}]: {text}"
        self._show(line)
        self._keep("launch.log", f"{time.time():.7f} {line}")

    def process_line(self, output: str, name: str, stream: str, line: str) -> None:
        """Show and keep one line of a process, as its `output` setting says."""
        text = f"[{name}] {line}"
        destinations = OUTPUTS[output][stream]
        if "screen" in destinations:
            self._show(text)
        if "log" in destinations:
            self._keep("launch.log", f"{time.time():.7f} {text}")
        if "own_log" in destinations:
            self._keep(f"{name}-{stream}.log", text)
            self._keep(f"{name}.log", text)

    def flush(self) -> None:
        """Bring what was written so far to the screen and the disk."""
        try:
            for stream in self._files.values():
                stream.flush()
        except OSError as error:
            self._lose_files(error)
        try:
            if self._screen is not None:
                self._screen.flush()
        except OSError:
            self._lose_screen()

    def close(self) -> None:
        """Flush and close all files."""
        self.flush()
        for stream in self._files.values():
            stream.close()
        self._files.clear()

    def _show(self, line: str) -> None:
        try:
            if self._screen is not None:
                self._screen.write(line + "\n")
        except OSError:
            self._lose_screen()

    def _lose_screen(self) -> None:
        """Go on without a screen: whoever read it has gone, but the robot still runs."""
        self._screen = None
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)

    def _keep(self, name: str, line: str) -> None:
        if self.directory is None:
            return
        try:
            if name not in self._files:
                path = self.directory / name
                self._files[name] = path.open("a", encoding="utf-8", errors="replace")
            self._files[name].write(line + "\n")
        except OSError as error:
            self._lose_files(error)

    def _lose_files(self, error: OSError) -> None:
        """Go on without log files, for example when the disk is full."""
        self.directory = None
        for stream in self._files.values():
            with suppress(OSError):
                stream.close()
        self._files.clear()
        self.message("ERROR", "launch", f"no more log files are written: {error.strerror}")


def _log_base(environment: Mapping[str, str]) -> Path:
    """Return the folder all runs log below."""
    if environment.get("ROS_LOG_DIR"):
        return Path(environment["ROS_LOG_DIR"]).expanduser()
    return Path(environment.get("ROS_HOME") or "~/.ros").expanduser() / "log"


def _point_latest_to(directory: Path) -> None:
    """Let `latest` point to this run; losing a race against another launch is harmless."""
    latest = directory.parent / "latest"
    if latest.is_symlink() or not latest.exists():
        try:
            latest.unlink(missing_ok=True)
            latest.symlink_to(directory, target_is_directory=True)
        except OSError:
            return
