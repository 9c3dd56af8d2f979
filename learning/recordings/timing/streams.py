"""Streams that every frame of a data set needs, and when they are all there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from asterias.arrays import FloatArray

# Of times in s that were whole ns.
ROUNDING_S = 1e-9

Span = tuple[float, float]


@dataclass(frozen=True)
class Stream:
    """What every frame needs: a joint or a camera.

    Attributes:
        topic: where it comes from.
        times_s: ``(T,)`` when it was there.
        bound_s: how long it is good for.
    """

    topic: str
    times_s: FloatArray
    bound_s: float

    def spans(self) -> list[Span]:
        """Return from when to when it is good, in order."""
        if not len(self.times_s):
            return []
        breaks = np.flatnonzero(np.diff(self.times_s) > self.bound_s + ROUNDING_S)
        starts = self.times_s[[0, *(breaks + 1)]]
        ends = self.times_s[[*breaks, -1]] + self.bound_s
        return list(zip(starts.tolist(), ends.tolist(), strict=True))

    def is_good(self, time_s: float) -> bool:
        """Return whether it is there, and not too old, at a time."""
        place = int(np.searchsorted(self.times_s, time_s, side="right")) - 1
        return place >= 0 and time_s - self.times_s[place] <= self.bound_s + ROUNDING_S


def common_spans(spans: Iterator[list[Span]]) -> list[Span]:
    """Return the times that are within a span of each."""
    common: list[Span] | None = None
    for row in spans:
        common = row if common is None else _both(common, row)
    return common or []


def _both(one: list[Span], other: list[Span]) -> list[Span]:
    found = []
    first, second = 0, 0
    while first < len(one) and second < len(other):
        start = max(one[first][0], other[second][0])
        end = min(one[first][1], other[second][1])
        if start <= end:
            found.append((start, end))
        if one[first][1] < other[second][1]:
            first += 1
        else:
            second += 1
    return found
