"""Figures that summarise repeated measurements."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def mean_and_std(values: Sequence[float], digits: int = 2) -> dict[str, float]:
    """Return ``mean`` and ``std`` (of a sample; 0 for a single value), rounded.

    Args:
        values: one figure of each repetition.
        digits: decimals that stay.

    Returns:
        ``{"mean": ..., "std": ...}``, as result files hold them.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("A mean needs at least one value.")
    std = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": round(statistics.fmean(values), digits), "std": round(std, digits)}


def median_and_range(values: Sequence[float], digits: int | None = None) -> dict[str, float]:
    """Return ``median``, ``min`` and ``max``; rounded when ``digits`` are given.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("A median needs at least one value.")
    figures = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    if digits is None:
        return figures
    return {name: round(value, digits) for name, value in figures.items()}
