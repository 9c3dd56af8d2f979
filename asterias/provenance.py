"""Result files: measured figures with the command, the seed, the versions and the machine."""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
from collections.abc import Mapping
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


def provenance(seed: int | None = None, command: str | None = None) -> dict[str, Any]:
    """How a figure was made: command, seed, date, versions, machine.

    ``command`` says what to type; None takes this process's own command line.
    """
    return {
        "command": command or " ".join(["python", *_spoken(sys.orig_argv[1:])]),
        "seed": seed,
        "date": datetime.now(timezone.utc).date().isoformat(),
        "python": platform.python_version(),
        "versions": {name: v for name in PACKAGES if (v := _version(name)) is not None},
        "machine": machine(),
    }


def machine() -> dict[str, Any]:
    """Processor, cores and memory of this machine, without its name."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
    }


def write_json(path: str | os.PathLike[str], data: Mapping[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    write_text(path, f"{json.dumps(data, indent=2)}\n")


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file whole or not at all: temporary name, flush, fsync, rename."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files private; results are for everyone.
        Path(name).chmod(0o644)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _spoken(arguments: list[str]) -> list[str]:
    """Arguments as a reader would type them: paths below the working folder made relative."""
    here = f"{Path.cwd()}/"
    return [argument.replace(here, "") for argument in arguments]


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
    return platform.processor() or "unknown"
