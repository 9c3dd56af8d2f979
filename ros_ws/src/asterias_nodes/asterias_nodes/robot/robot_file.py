"""Loads a robot description that somebody else may still be writing."""

from __future__ import annotations

import time
from pathlib import Path

from hardware.description.robot import RobotDescription, load_robot

WAIT_HELP = "s to wait for the file of the description, where an emulated robot writes it"
LOOK_S = 0.05


def wait_for_robot(robot: str, wait_s: float) -> RobotDescription:
    """Return the description by name or path.

    Passes on ``DescriptionError``: it is wrong, or not there after ``wait_s``.
    """
    deadline_s = time.monotonic() + wait_s
    while not Path(robot).is_file() and time.monotonic() < deadline_s:
        time.sleep(LOOK_S)
    return load_robot(robot)
