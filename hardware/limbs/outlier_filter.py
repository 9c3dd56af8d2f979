"""Reject readings that differ from the last one by more than a joint can have moved."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray

TOLERANCE_RAD = 0.2
SPEED_FACTOR = 2.0  # a joint that is pushed by hand may be quicker than its limit
SETTLE_S = 0.3


class OutlierFilter:
    """Compares each reading with the last accepted one.

    A joint that jumps is unknown (NaN) until its new readings have agreed with each other for
    ``SETTLE_S``: then it has really moved, while it was not measured.

    Args:
        speed_rad_s: ``(n,)`` velocity limits.

    Attributes:
        rejected: ``(n,)`` number of rejected readings.
        doubted: ``(n,)`` whether the last reading was rejected.
    """

    def __init__(self, speed_rad_s: FloatArray) -> None:
        self._speed = SPEED_FACTOR * speed_rad_s
        self.rejected = np.zeros(len(speed_rad_s), dtype=np.int64)
        self.restart()

    def restart(self) -> None:
        """Accept the next reading."""
        count = len(self._speed)
        self._believed = np.full(count, np.nan)
        self._believed_s = np.full(count, -np.inf)
        self._doubted = np.full(count, np.nan)
        self._doubted_s = np.full(count, -np.inf)
        self._since_s = np.full(count, np.inf)
        self.doubted: npt.NDArray[np.bool_] = np.zeros(count, dtype=np.bool_)

    def filtered(self, position_rad: FloatArray, now_s: float) -> FloatArray:
        """Return ``(n,)`` positions with NaN where a reading is rejected."""
        known = np.isfinite(position_rad)
        near = self._is_near(position_rad, self._believed, now_s - self._believed_s)
        near |= np.isnan(self._believed)
        steady = self._is_near(position_rad, self._doubted, now_s - self._doubted_s)
        doubted = known & ~near
        self._since_s = np.where(doubted & ~steady, now_s, self._since_s)
        settled = doubted & steady & (now_s - self._since_s >= SETTLE_S)
        believed = known & (near | settled)
        doubted &= ~settled
        self.doubted = doubted
        self.rejected += doubted
        # A believable reading in between ends what the doubtful ones have in common.
        self._doubted = np.where(doubted, position_rad, self._doubted)
        self._doubted[believed] = np.nan
        self._doubted_s = np.where(doubted, now_s, self._doubted_s)
        self._believed = np.where(believed, position_rad, self._believed)
        self._believed_s = np.where(believed, now_s, self._believed_s)
        return np.where(believed, position_rad, np.nan)

    def _is_near(
        self, position: FloatArray, other: FloatArray, dt_s: FloatArray
    ) -> npt.NDArray[np.bool_]:
        # A clock that was set back gives no more room than none at all.
        room = self._speed * np.clip(dt_s, 0.0, 10.0) + TOLERANCE_RAD
        near: npt.NDArray[np.bool_] = np.abs(position - other) <= room
        return near
