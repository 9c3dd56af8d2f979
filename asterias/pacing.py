"""Keep periods punctual: pace simulated time by the wall clock, ask for real-time priority."""

from __future__ import annotations

import os
import time
from collections.abc import Callable


class Pacer:
    """Tells how many control periods are due now.

    Args:
        period_s: simulated seconds of a control period.
        real_time_factor: simulated seconds per wall second; 0 means as fast as possible.
        clock: wall clock in seconds.
        max_burst: periods handed out at once; a longer backlog is dropped, not caught up.
    """

    def __init__(
        self,
        period_s: float,
        real_time_factor: float,
        clock: Callable[[], float] = time.monotonic,
        max_burst: int = 5,
    ) -> None:
        if period_s <= 0 or not real_time_factor >= 0:
            raise ValueError(
                f"real_time_factor must be 0 (as fast as possible) or more, "
                f"got {real_time_factor:g}."
            )
        self.period_s = period_s
        self.real_time_factor = real_time_factor
        self.max_burst = max_burst
        self.dropped = 0
        self._clock = clock
        self._count = 0
        self.restart()

    def restart(self) -> None:
        """Count from now, as after a pause."""
        self._next_s = self._clock()
        self._measured_from = (self._next_s, self._count)

    @property
    def wall_period_s(self) -> float:
        """Wall seconds between two periods; 0 when as fast as possible."""
        return self.period_s / self.real_time_factor if self.real_time_factor > 0 else 0.0

    def due(self) -> int:
        """Return the number of periods to run now; 0 when it is too early."""
        if self.real_time_factor == 0:
            self._count += 1
            return 1
        behind_s = self._clock() - self._next_s
        count = int(behind_s / self.wall_period_s) + 1 if behind_s >= 0 else 0
        if count > self.max_burst:
            self.dropped += count - self.max_burst
            self._next_s = self._clock() - (self.max_burst - 1) * self.wall_period_s
            count = self.max_burst
        self._next_s += count * self.wall_period_s
        self._count += count
        return count

    def measured_factor(self) -> float:
        """Return the real-time factor reached since the last call."""
        now = self._clock()
        since, count = self._measured_from
        self._measured_from = (now, self._count)
        return (self._count - count) * self.period_s / max(now - since, 1e-9)


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
