"""Clocks, and what a reader of a measurement must know of the machine and the libraries."""

from __future__ import annotations

import os
import platform
import shlex
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch


class Clock:
    """Wall and processor time since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def passed(self) -> tuple[float, float]:
        """Return the seconds of wall time and those of all this process's threads."""
        return time.perf_counter() - self._wall, time.process_time() - self._cpu


def machine() -> dict[str, Any]:
    """Return processor, cores, versions and the load of the last five minutes."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "numba": version("numba"),
        "load_average": f"{os.getloadavg()[1]:.2f}",
    }


def command() -> str:
    """Return the command line of this process, as a person types it."""
    return shlex.join(["python", "-m", "planners", *sys.argv[1:]])


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
