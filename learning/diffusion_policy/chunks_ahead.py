"""Chunks that are made ahead, in a thread of their own: a control loop never waits for one."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from learning.recordings.episode_data import Floats

_LOG = logging.getLogger(__name__)


@dataclass
class ChunkCounts:
    """What became of chunks.

    Attributes:
        made: chunks that came in time for at least one of their actions.
        late: chunks that were dropped: all of their actions' times were over, or they were cleared.
        held: times at which there was no action.
        failed: chunks that could not be made.
    """

    made: int = 0
    late: int = 0
    held: int = 0
    failed: int = 0


class ChunksAhead:
    """Makes chunks in a thread, one at a time, always from the newest observation.

    A chunk's first action is due one period after its observation. The loop calls :meth:`show` with
    what it sees and :meth:`action` for what is due; both return at once. Where nothing is due, the
    loop holds, and the guards of the limb with it.

    Args:
        make: returns ``(H, A)`` actions for an observation; it runs in the thread.
        period_s: between two actions.
        refill: actions that are left of a chunk when the next one is asked for.
        now_s: the clock of all times.
    """

    def __init__(
        self,
        make: Callable[[Any], npt.NDArray[Any]],
        period_s: float,
        refill: int,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make, self._period_s, self._refill = make, period_s, refill
        self._now_s = now_s
        self.counts = ChunkCounts()
        self._lock = threading.Condition()
        self._asked: tuple[Any, float, int] | None = None
        self._is_busy = self._is_closed = False
        self._round = 0  # counts what clear() has dropped
        self._chunk: npt.NDArray[Any] | None = None
        self._seen_s = 0.0  # when the chunk's observation was made
        self._thread = threading.Thread(target=self._work, name="chunks", daemon=True)
        self._thread.start()

    def show(self, observation: Any, time_s: float) -> bool:
        """Offer an observation.

        Returns:
            Whether a chunk will be made from it.
        """
        with self._lock:
            left = 0 if self._chunk is None else len(self._chunk) - self._index(time_s)
            if self._is_busy or left > self._refill:
                return False
            self._asked = observation, time_s, self._round
            self._lock.notify()
            return True

    def action(self, time_s: float) -> Floats | None:
        """Return the ``(A,)`` action that is due, or None: there is none, so hold."""
        with self._lock:
            if self._chunk is not None:
                index = self._index(time_s)
                if 0 <= index < len(self._chunk):
                    due: Floats = self._chunk[index]
                    return due
            self.counts.held += 1
            return None

    def clear(self) -> None:
        """Drop all chunks and the one in the making, as after a stop or another's turn."""
        with self._lock:
            self._chunk = self._asked = None
            self._round += 1

    def close(self) -> None:
        """End the thread, after the chunk that it makes."""
        with self._lock:
            self._is_closed = True
            self._lock.notify()
        self._thread.join()

    def _index(self, time_s: float) -> int:
        # Rounded, since loops come a little early or late.
        return round((time_s - self._seen_s) / self._period_s) - 1

    def _work(self) -> None:
        while (asked := self._next()) is not None:
            observation, seen_s, number = asked
            try:
                chunk = self._make(observation)
            except Exception:
                # The loop holds; a policy that fails once may go on with the next picture.
                _LOG.exception("A chunk could not be made; the limb holds.")
                self._take(None, seen_s, number)
            else:
                self._take(chunk, seen_s, number)

    def _next(self) -> tuple[Any, float, int] | None:
        with self._lock:
            self._lock.wait_for(lambda: self._asked is not None or self._is_closed)
            asked, self._asked = self._asked, None
            if self._is_closed:
                return None
            self._is_busy = True
            return asked

    def _take(self, chunk: npt.NDArray[Any] | None, seen_s: float, number: int) -> None:
        with self._lock:
            self._is_busy = False
            if chunk is None:
                self.counts.failed += 1
                return
            late_s = seen_s + (len(chunk) + 0.5) * self._period_s
            if number != self._round or self._now_s() > late_s:
                self.counts.late += 1
                return
            self._chunk, self._seen_s = chunk, seen_s
            self.counts.made += 1
