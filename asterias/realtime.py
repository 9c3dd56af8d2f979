"""Asks the operating system to be punctual, as ros2_control does for its update loop."""

from __future__ import annotations

import os


def ask_for_priority(priority: int) -> bool:
    """Run this thread, and those it starts from now on, before all ordinary work.

    Args:
        priority: of the round-robin real-time policy, 1 to 99; 0 asks for nothing.

    Returns:
        Whether it was granted. It takes root, or a limit ``rtprio`` for the user (see README).
    """
    if priority <= 0:
        return False
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(priority))
    except OSError:
        return False
    return True
