"""How many messages a second come on a topic."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

DEFAULT_WINDOW = 10000
HEADER = ("topic", "rate", "min_delta", "max_delta", "std_dev", "window")


@dataclass(frozen=True)
class Rate:
    """The statistics of the times between messages; `window` is their number."""

    rate_hz: float
    min_delta_s: float
    max_delta_s: float
    std_dev_s: float
    window: int


class RateMeter:
    """Collects the times of messages and gives their rate if any came since the last question."""

    def __init__(self, window: int) -> None:
        """Average over the last `window` times between messages."""
        self._deltas_ns: deque[int] = deque(maxlen=window)
        self._last_ns: int | None = None
        self._told_ns: int | None = None

    def add(self, now_ns: int) -> None:
        """Take note of a message; time 0 or a step back in time means a new start."""
        if now_ns == 0 or (self._last_ns is not None and now_ns < self._last_ns):
            self._deltas_ns.clear()
            self._last_ns = None
        if self._last_ns is not None:
            self._deltas_ns.append(now_ns - self._last_ns)
        self._last_ns = now_ns or None

    def rate(self) -> Rate | None:
        """Return the rate, or None if there is nothing new to tell."""
        if not self._deltas_ns or self._last_ns == self._told_ns:
            return None
        self._told_ns = self._last_ns
        deltas_s = [delta * 1e-9 for delta in self._deltas_ns]
        mean_s = sum(deltas_s) / len(deltas_s)
        variance = sum((delta - mean_s) ** 2 for delta in deltas_s) / len(deltas_s)
        return Rate(
            rate_hz=1.0 / mean_s if mean_s > 0.0 else 0.0,
            min_delta_s=min(deltas_s),
            max_delta_s=max(deltas_s),
            std_dev_s=math.sqrt(variance),
            window=len(deltas_s),
        )


def rate_lines(meters: Mapping[str, RateMeter]) -> Iterator[str]:
    """Yield what `ros2 topic hz` prints: two lines for one topic, a table for several."""
    rates = {topic: rate for topic, meter in meters.items() if (rate := meter.rate())}
    if len(meters) == 1:
        for rate in rates.values():
            yield f"average rate: {rate.rate_hz:.3f}"
            yield (
                f"\tmin: {rate.min_delta_s:.3f}s max: {rate.max_delta_s:.3f}s "
                f"std dev: {rate.std_dev_s:.5f}s window: {rate.window}"
            )
    elif rates:
        yield from _table(rates)


def _table(rates: Mapping[str, Rate]) -> Iterator[str]:
    rows = [
        (
            topic,
            f"{rate.rate_hz:.3f}",
            f"{rate.min_delta_s:.3f}",
            f"{rate.max_delta_s:.3f}",
            f"{rate.std_dev_s:.5f}",
            str(rate.window),
        )
        for topic, rate in rates.items()
    ]
    widths = [max(map(len, column)) for column in zip(HEADER, *rows, strict=True)]
    titles = zip(HEADER, widths, strict=True)
    yield "   ".join(title.center(width) for title, width in titles)
    yield "=" * (sum(widths) + 3 * (len(widths) - 1))
    for row in rows:
        yield "   ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
    yield ""
