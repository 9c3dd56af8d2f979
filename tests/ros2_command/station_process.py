"""Runs station.py beside a test."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from .conftest import HERE, Ros2, read_until


@contextmanager
def running_station(ros2: Ros2) -> Iterator[None]:
    """Run a node with one of everything until the block ends."""
    node = subprocess.Popen(
        [sys.executable, str(HERE / "station.py")],
        stdout=subprocess.PIPE,
        text=True,
        env=ros2.environment,
    )
    read_until(node, "ready")
    yield
    node.send_signal(signal.SIGINT)
    assert node.wait(timeout=20) == 0
    assert node.stdout is not None
    node.stdout.close()
