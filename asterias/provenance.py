"""How a figure was made: the block that stands at the head of every result file."""

from __future__ import annotations

import os
import platform
import shlex
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "numpy",
    "numba",
    "pybullet",
    "opencv-python-headless",
    "ros-rclpy",
    "torch",
    "stable-baselines3",
    "vizdoom",
    "pyelastica",
)


class Clock:
    """Wall and processor time since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def elapsed(self) -> tuple[float, float]:
        """Return the seconds of wall time and those of all this process's threads."""
        return time.perf_counter() - self._wall, time.process_time() - self._cpu


def provenance(seed: int | None = None, command: str | None = None) -> dict[str, Any]:
    """Return how a figure was made.

    Args:
        seed: of the random numbers; None where there is none, or more than one.
        command: what to type; None takes this process's own command line.

    Returns:
        ``command``, ``seed``, ``date``, ``python``, ``versions`` and ``machine``.
    """
    return {
        "command": command or command_line(),
        "seed": seed,
        "date": datetime.now(timezone.utc).date().isoformat(),
        "python": platform.python_version(),
        "versions": {name: v for name in PACKAGES if (v := _version(name)) is not None},
        "machine": machine(),
    }


def machine() -> dict[str, Any]:
    """Return processor, cores, memory and load (of five minutes), without the machine's name."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "load_average": round(os.getloadavg()[1], 2),
    }


def command_line() -> str:
    """Return this process's command line as a person types it, without this machine's folders."""
    words = sys.orig_argv[1:]
    if words and Path(words[0]).name == "asterias":
        words = ["asterias", *words[1:]]
    else:
        words = ["python", *words]
    return public_command(words)


def public_command(words: Sequence[str]) -> str:
    """Return a command for a file that others read.

    Args:
        words: the command line. Paths below the working folder become relative; of other absolute
            ones the last part stays, since the folders of this machine are nobody's business.

    Returns:
        The command line, quoted as for a shell.
    """
    here = f"{Path.cwd()}/"
    return shlex.join(
        Path(word).name if word.startswith("/") and len(Path(word).parts) > 2 else word
        for word in (word.replace(here, "") for word in words)
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown"
