"""`ros2 daemon`: what the real command keeps running in the background, and this one does not."""

from __future__ import annotations

import argparse

from asterias_ros2.errors import VerbError
from asterias_ros2.parsers import Verbs


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verbs of `ros2 daemon`."""
    verbs = Verbs(parser)
    verbs.add("status", "tell whether the daemon runs", show_status)
    verbs.add("stop", "stop the daemon, if it runs", show_status)
    verbs.add("start", "start the daemon", refuse)


def show_status(_arguments: argparse.Namespace) -> int:
    """Print that no daemon runs.

    Returns:
        The exit code.
    """
    print("The daemon is not running")
    return 0


def refuse(_arguments: argparse.Namespace) -> int:
    """Say why none can be started.

    Raises:
        VerbError: always.
    """
    raise VerbError("there is no daemon: each command of this ros2 looks at the system anew")
