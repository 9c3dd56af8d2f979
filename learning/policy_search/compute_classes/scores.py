"""Interquartile means with bootstrap intervals, trends over compute classes, where they cross.

Interquartile mean and stratified bootstrap are rliable's formulas (arXiv 2108.13264).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from asterias.arrays import FloatArray

# Resamples of a bootstrap, and the share of them that an interval holds.
_RESAMPLES, _CONFIDENCE = 2000, 95.0


def interquartile_mean(scores: FloatArray) -> FloatArray:
    """Return the mean over the middle half of the last axis of ``(..., N)`` scores.

    A quarter, rounded down, is left out at each end: of fewer than four, nothing.
    """
    left_out = scores.shape[-1] // 4
    middle = np.sort(scores, axis=-1)[..., left_out : scores.shape[-1] - left_out]
    mean: FloatArray = middle.mean(axis=-1)
    return mean


def interval(values: FloatArray) -> tuple[float, float]:
    """Return the percentiles between which 95 % of ``values`` lie; NaN where there are none."""
    if not values.size:
        return math.nan, math.nan
    low, high = np.percentile(values, [50 - _CONFIDENCE / 2, 50 + _CONFIDENCE / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class Trend:
    """A score over classes: ``score = level + slope * ln(seconds)``, least squares.

    Attributes:
        level: at one second.
        slope: for each factor of e in time.
    """

    level: float
    slope: float

    @classmethod
    def fit(cls, seconds: FloatArray, scores: FloatArray) -> Trend:
        """Return the trend of scores ``(C,)`` at classes ``(C,)`` in s."""
        slope, level = np.polyfit(np.log(seconds), scores, 1)
        return cls(float(level), float(slope))

    def at(self, seconds: FloatArray) -> FloatArray:
        """Return the scores of the trend."""
        score: FloatArray = self.level + self.slope * np.log(seconds)
        return score

    def crossing_s(self, other: Trend) -> float:
        """Return the class in s at which two trends meet; NaN where they run side by side."""
        apart = self.slope - other.slope
        if abs(apart) < 1e-12:
            return math.nan
        exponent = (other.level - self.level) / apart
        return math.exp(exponent) if abs(exponent) < 700 else math.nan  # exp of it is a number


@dataclass(frozen=True)
class Summary:
    """One method over classes.

    Attributes:
        means: ``(C,)`` interquartile means.
        intervals: ``(C, 2)``.
        trend: of the means.
        resampled: trends of the bootstrap's resamples.
    """

    means: FloatArray
    intervals: FloatArray
    trend: Trend
    resampled: tuple[Trend, ...]


def summarise(seconds: FloatArray, scores: FloatArray, seed: int = 0) -> Summary:
    """Return what the runs of one method say.

    Args:
        seconds: ``(C,)`` classes, two or more.
        scores: ``(R, C)`` of R runs; a run is resampled with all its classes.
        seed: of the resampling.
    """
    rng = np.random.default_rng(seed)
    rows = rng.integers(len(scores), size=(_RESAMPLES, len(scores)))
    means = interquartile_mean(np.moveaxis(scores[rows], 1, -1))
    lines = np.polyfit(np.log(seconds), means.T, 1)
    whole = interquartile_mean(scores.T)
    return Summary(
        whole,
        np.array([interval(column) for column in means.T]),
        Trend.fit(seconds, whole),
        tuple(Trend(float(level), float(slope)) for slope, level in lines.T),
    )


def crossing(one: Summary, other: Summary) -> dict[str, float] | None:
    """Return where two methods' trends meet, with the interval over resamples.

    Args:
        one: a method.
        other: another.

    Returns:
        ``seconds``, ``low`` and ``high``; None where the trends run side by side, or do not meet
        within a thousandth of a second and a year.
    """
    at = one.trend.crossing_s(other.trend)
    if not 1e-3 < at < 3e7:
        return None
    pairs = zip(one.resampled, other.resampled, strict=True)
    low, high = interval(np.array([s for a, b in pairs if 0 < (s := a.crossing_s(b)) < math.inf]))
    return {"seconds": at, "low": low, "high": high}
