"""Running mean and variance of observations, stored with every policy.

Merged batch by batch (Chan, Golub and LeVeque, 1979), so that the order of processes does not
matter and the variance is exact; that of the papers' code is slightly off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from asterias.arrays import FloatArray

# Below this standard deviation an observation counts as constant, and is not blown up.
_LEAST_STD = 1e-4


class RunningStatistics:
    """Count, mean and sum of squared deviations of observations.

    Args:
        size: numbers of an observation.

    Attributes:
        count: observations so far.
        mean: ``(size,)``.
        squares: ``(size,)`` sum of squared deviations from the mean.
    """

    def __init__(self, size: int) -> None:
        self.count = 0
        self.mean = np.zeros(size)
        self.squares = np.zeros(size)

    @classmethod
    def of(cls, observations: FloatArray) -> RunningStatistics:
        """Return the statistics of ``(N, size)`` observations."""
        made = cls(observations.shape[1])
        made.count = len(observations)
        made.mean = observations.mean(0)
        made.squares = ((observations - made.mean) ** 2).sum(0)
        return made

    @property
    def std(self) -> FloatArray:
        """``(size,)`` standard deviations; 1 where there is no spread yet."""
        if self.count < 2:
            return np.ones_like(self.mean)
        std: FloatArray = np.sqrt(self.squares / self.count)
        return np.where(std < _LEAST_STD, 1.0, std)

    def merge(self, other: RunningStatistics) -> None:
        """Add the observations of ``other``."""
        total = self.count + other.count
        if not total:
            return
        apart = other.mean - self.mean
        self.mean = self.mean + apart * (other.count / total)
        self.squares = self.squares + other.squares + apart**2 * (self.count * other.count / total)
        self.count = total

    def state(self) -> dict[str, Any]:
        """Return what :meth:`load` takes."""
        return {"count": self.count, "mean": self.mean, "squares": self.squares}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take a saved state."""
        self.count = int(state["count"])
        self.mean = np.array(state["mean"], dtype=np.float64)
        self.squares = np.array(state["squares"], dtype=np.float64)
