"""Starts :mod:`hardware.emulated` in a process of its own, apart from the driver's."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from asterias.context import Closeable
from asterias.errors import DeviceError
from hardware.description.robot import RobotDescription, load_robot

START_S = 30.0


class EmulatorProcess(Closeable):
    """An emulated robot; ``description`` is for the drivers.

    Args:
        out: description file that the process writes.
        arguments: of ``python -m hardware.emulated``, beside ``--out``.
    """

    def __init__(self, out: Path, *arguments: str) -> None:
        out.unlink(missing_ok=True)
        command = [sys.executable, "-m", "hardware.emulated", "--out", str(out), *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE)
        deadline_s = time.monotonic() + START_S
        while not out.exists():
            if self.process.poll() is not None or time.monotonic() > deadline_s:
                self.close()
                raise DeviceError("The emulated robot did not start; see its message above.")
            time.sleep(0.05)
        self.path = out

    @property
    def description(self) -> RobotDescription:
        """The robot as it is emulated."""
        return load_robot(self.path)

    def close(self) -> None:
        """End the process by closing its standard input."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait(5.0)
