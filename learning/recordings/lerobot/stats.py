"""Statistics of a data set's columns and pictures, as learners use them to normalise."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

# A name of the statistic, and a list of its numbers.
ColumnStats = dict[str, Any]
QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
# Of a channel of 8 bits.
LEVELS = 256


def number_stats(column: npt.NDArray[Any]) -> ColumnStats:
    """Return extremes, mean, deviation, quantiles and count of ``(T,)`` or ``(T, n)``."""
    rows = np.asarray(column, np.float64).reshape(len(column), -1)
    stats: ColumnStats = {
        "min": rows.min(axis=0).tolist(),
        "max": rows.max(axis=0).tolist(),
        "mean": rows.mean(axis=0).tolist(),
        "std": rows.std(axis=0).tolist(),
        "count": [len(rows)],
    }
    for name, fraction in QUANTILES.items():
        stats[name] = np.quantile(rows, fraction, axis=0).tolist()
    return stats


def picture_stats(levels: npt.NDArray[np.int64]) -> ColumnStats:
    """Return the same of pixels from 0 to 1, shaped ``(3, 1, 1)``, from a histogram.

    Args:
        levels: ``(3, 256)`` how often each channel had each level.
    """
    scale = np.arange(LEVELS) / (LEVELS - 1)
    total = levels.sum(axis=1)
    mean = (levels * scale).sum(axis=1) / total
    spread = np.sqrt(np.maximum((levels * scale**2).sum(axis=1) / total - mean**2, 0.0))
    below = levels.cumsum(axis=1) / total[:, None]

    def shaped(values: Any) -> Any:
        return np.asarray(values, np.float64).reshape(3, 1, 1).tolist()

    stats: ColumnStats = {
        "min": shaped([scale[np.flatnonzero(row)[0]] for row in levels]),
        "max": shaped([scale[np.flatnonzero(row)[-1]] for row in levels]),
        "mean": shaped(mean),
        "std": shaped(spread),
        "count": [int(total[0])],
    }
    for name, fraction in QUANTILES.items():
        stats[name] = shaped([scale[min(int((row < fraction).sum()), LEVELS - 1)] for row in below])
    return stats
