"""Whether two threads take the halves of a maze, and what happens if the second does not come."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import torch

from planners.operator.cpu_threads import end_openmp_threads, threads
from planners.operator.two_threads.progress import (
    Counters,
    WaitClock,
    has_given_up,
    new_clock,
    new_counters,
)

# After an attempt in vain the machine is busy: two threads are not tried again for a while, which
# doubles from the first number to the second. An attempt in vain costs a thread's patience and what
# had been computed.
_SHORTEST_S, _LONGEST_S = 0.5, 60.0
# A machine is busy, too, where the halves were done, but this thread has had its core for less than
# 1 / 1.3 of the time: while it waited, others ran. Besides, what handing over may take.
_MOST_WALL, _HANDED_OVER_S = 1.3, 1e-3

Half = Callable[[int, Counters, WaitClock], bool]
"""Works on half 0 or 1, and returns False if it has given up."""


class Pairs:
    """Two threads for one maze, where there is a second core that is free."""

    def __init__(self) -> None:
        self.alone_until_s, self.pause_s = 0.0, _SHORTEST_S

    def are_possible(self, batch: int) -> bool:
        """Return whether two threads may take one maze: PyTorch's settings, cores, and the past."""
        if batch != 1 or torch.get_num_threads() < 2 or _cores() < 2:
            return False
        return time.monotonic() >= self.alone_until_s

    def run(self, half: Half) -> bool:
        """Run both halves at once.

        Returns:
            False if one has waited for the other in vain; the work has to be done again by one
            thread.
        """
        end_openmp_threads()
        counters = new_counters()
        wall_s, cpu_s = time.monotonic(), time.thread_time()
        other = threads.beside(lambda: half(1, counters, new_clock()))
        half(0, counters, new_clock())
        has_come = not other.cancel() and other.result()
        is_done = has_come and not has_given_up(counters)
        wall_s, cpu_s = time.monotonic() - wall_s, time.thread_time() - cpu_s
        if is_done and wall_s <= _MOST_WALL * cpu_s + _HANDED_OVER_S:
            self.pause_s = _SHORTEST_S
        else:
            self.alone_until_s = time.monotonic() + self.pause_s
            self.pause_s = min(2 * self.pause_s, _LONGEST_S)
        return is_done


def _cores() -> int:
    """Return how many cores this process may run on."""
    return len(os.sched_getaffinity(0))


pairs = Pairs()
