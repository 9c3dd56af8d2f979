"""Shared memory of Fast DDS that killed processes have left behind.

A living process holds a lock on the file ``NAME_el`` (or, with others, ``NAME_sl``) beside each of
its segments and ports; what nobody holds is of no use to anybody, and takes memory until the
machine is restarted.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from pathlib import Path

FOLDER = Path("/dev/shm")
# Between the creation of a lock file and its locking pass microseconds, not seconds.
SETTLED_S = 10.0
SEGMENT = re.compile(r"(fastdds_[0-9a-f]{16})_el")
PORT = re.compile(r"(fastdds_port\d+)_[es]l")


def remove_dead_segments(folder: Path = FOLDER) -> int:
    """Return how many segments of dead processes of this user are removed.

    Their names are random and never used again, so that this is safe at any time.
    """
    return _remove(dead_names(SEGMENT, folder), folder)


def remove_dead_ports(folder: Path = FOLDER) -> int:
    """Return how many ports of dead processes of this user are removed.

    Port numbers are used again: not for the moment in which other nodes start.
    """
    return _remove(dead_names(PORT, folder), folder)


def dead_names(kind: re.Pattern[str], folder: Path = FOLDER) -> list[str]:
    """Return the names of segments or ports whose processes are dead, in order.

    Args:
        kind: :data:`SEGMENT` or :data:`PORT`.
        folder: of the shared memory.
    """
    latest_s = time.time() - SETTLED_S
    is_dead: dict[str, bool] = {}
    for path in folder.glob("fastdds_*_[es]l"):
        match = kind.fullmatch(path.name)
        if match is not None:
            name = match.group(1)
            is_dead[name] = is_dead.get(name, True) and _is_dead(path, latest_s)
    return sorted(name for name, dead in is_dead.items() if dead)


def _remove(names: list[str], folder: Path) -> int:
    for name in names:
        for part in (name, f"sem.{name}_mutex", f"{name}_sl", f"{name}_el"):
            (folder / part).unlink(missing_ok=True)
    return len(names)


def _is_dead(lock: Path, latest_s: float) -> bool:
    """Return whether a lock file of this user is old enough, and held by nobody."""
    try:
        about = lock.stat()
        if about.st_uid != os.getuid() or about.st_mtime > latest_s:
            return False
        handle = os.open(lock, os.O_RDWR)
    except OSError:
        return False  # its owner has just removed it
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True
