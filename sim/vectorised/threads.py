"""Threads that share out the rows of a compiled loop."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from asterias.errors import UserError

RowNumbers = npt.NDArray[np.int64]
# Shares for each thread: worlds do not take the same time, and who is done early takes another.
_SHARES = 4


class Threads:
    """Runs a loop that holds no interpreter lock over shares of its rows.

    Args:
        count: how many; None: one for each core that this process may use.

    Raises:
        UserError: fewer than one.
    """

    def __init__(self, count: int | None = None) -> None:
        self.count = len(os.sched_getaffinity(0)) if count is None else count
        if self.count < 1:
            raise UserError(f"threads must be 1 or more, not {count}.")
        self._pool: ThreadPoolExecutor | None = None

    def run(self, work: Callable[[RowNumbers], object], rows: int) -> None:
        """Call ``work`` with the numbers from 0 to ``rows``, all in one call or in shares."""
        if self.count == 1 or rows < 2:
            work(np.arange(rows))
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.count, thread_name_prefix="worlds")
        shares = np.array_split(np.arange(rows), min(rows, _SHARES * self.count))
        for done in [self._pool.submit(work, share) for share in shares]:
            done.result()

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
