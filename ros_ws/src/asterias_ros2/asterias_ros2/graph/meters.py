"""How many bytes a second come on a topic, and how old its messages are."""

from __future__ import annotations

import math
from collections import deque

BANDWIDTH_WINDOW = 100
DELAY_WINDOW = 10000


class BandwidthMeter:
    """Collects the sizes of messages.

    Args:
        window: so many of the newest messages count.
    """

    def __init__(self, window: int) -> None:
        self._seen: deque[tuple[int, int]] = deque(maxlen=window)

    def add(self, now_ns: int, size: int) -> None:
        """Take note of a message of so many bytes; a step back in time means a new start."""
        if self._seen and now_ns < self._seen[-1][0]:
            self._seen.clear()
        self._seen.append((now_ns, size))

    def lines(self, now_ns: int) -> list[str]:
        """Return what `ros2 topic bw` prints; nothing before the second message."""
        if len(self._seen) < 2 or now_ns <= self._seen[0][0]:
            return []
        sizes = [size for _, size in self._seen]
        per_s = sum(sizes) / (1e-9 * (now_ns - self._seen[0][0]))
        values = (per_s, sum(sizes) / len(sizes), min(sizes), max(sizes))
        rate, mean, low, high = (_bytes_text(value, per_s) for value in values)
        return [
            f"{rate}/s from {len(sizes)} messages",
            f"\tMessage size mean: {mean} min: {low} max: {high}",
        ]


def _bytes_text(size: float, per_s: float) -> str:
    """Return a size in the unit that suits the rate: all numbers of a line have the same."""
    if per_s < 1e3:
        return f"{size:.0f} B"
    return f"{size / 1e3:.2f} KB" if per_s < 1e6 else f"{size / 1e6:.2f} MB"


class DelayMeter:
    """Collects how long messages were on their way, by the stamps of their headers.

    Args:
        window: so many of the newest messages count.
    """

    def __init__(self, window: int) -> None:
        self._delays_ns: deque[int] = deque(maxlen=window)
        self._last_ns: int | None = None
        self._is_new = False

    def add(self, now_ns: int, stamp_ns: int) -> None:
        """Take note of a message; the first one, and one after a step back in time, only begins."""
        if now_ns == 0 or self._last_ns is None or now_ns < self._last_ns:
            self._delays_ns.clear()
        else:
            self._delays_ns.append(now_ns - stamp_ns)
        self._last_ns = now_ns or None
        self._is_new = True

    def lines(self) -> list[str]:
        """Return what `ros2 topic delay` prints."""
        if not self._delays_ns:
            return []
        if not self._is_new:
            return ["no new messages"]
        self._is_new = False
        delays_s = [1e-9 * delay for delay in self._delays_ns]
        mean_s = sum(delays_s) / len(delays_s)
        variance = sum((delay - mean_s) ** 2 for delay in delays_s) / len(delays_s)
        return [
            f"average delay: {mean_s:.3f}",
            f"\tmin: {min(delays_s):.3f}s max: {max(delays_s):.3f}s "
            f"std dev: {math.sqrt(variance):.5f}s window: {len(delays_s)}",
        ]
