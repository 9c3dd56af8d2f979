"""The family of a launch: orphans are adopted, and children end when the launch is killed.

Both are services of the Linux kernel, asked for through `prctl`; elsewhere nothing happens.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
POLL_S = 0.02


def _prctl() -> Callable[[int, int], int] | None:
    try:
        function = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        return None
    return lambda option, value: int(function(option, value, 0, 0, 0))


_PRCTL = _prctl()


def adopt_orphans() -> None:
    """Become the parent of all descendants whose own parent dies, so that none gets lost."""
    if _PRCTL is not None:
        _PRCTL(PR_SET_CHILD_SUBREAPER, 1)


def end_with_parent(parent: int) -> Callable[[], None]:
    """Return what a child does before it runs its program, to get SIGTERM if `parent` dies."""

    def ask_the_kernel() -> None:
        if _PRCTL is not None:
            _PRCTL(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)

    return ask_the_kernel


def reap() -> list[tuple[int, int]]:
    """Return all children that have ended, as (process id, exit code), signals negative."""
    ended = []
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            ended.append((pid, os.waitstatus_to_exitcode(status)))
    return ended


def children() -> list[int]:
    """Return the process ids of our children, adopted ones too; empty without /proc."""
    own = os.getpid()
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            # The command name, in brackets, may itself hold spaces and brackets.
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            if int(fields[1]) == own and fields[0] != "Z":
                found.append(int(stat.parent.name))
    return found


def end_children(patience_s: float) -> list[int]:
    """End the children that remain: SIGTERM, and SIGKILL once the patience is over.

    Returns:
        The process ids that had to be ended.
    """
    ended: set[int] = set()
    deadline = time.monotonic() + patience_s
    while remaining := children():
        late = time.monotonic() > deadline
        for pid in remaining:
            if late or pid not in ended:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
        ended.update(remaining)
        if time.monotonic() > deadline + patience_s:
            break
        time.sleep(POLL_S)
        reap()
    return sorted(ended)
