"""The Gaussian that is nearest to a mixture, by order: it covers all modes, or keeps to one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asterias.arrays import FloatArray
from learning.inference.renyi import categorical_renyi, log_sum_exp

# Quadrature over +-12: six times as far as the modes, four deviations of the widest fit.
_POINTS = np.linspace(-12.0, 12.0, 601)
_ROUNDS, _SIDE, _SHRINK = 9, 11, 0.4


@dataclass(frozen=True)
class Mixture:
    """A mixture of Gaussians on the line.

    Attributes:
        weights, means, stds: ``(m,)`` each; the weights sum to 1.
    """

    weights: Sequence[float]
    means: Sequence[float]
    stds: Sequence[float]

    def log_density(self, points: FloatArray) -> FloatArray:
        """Return ``(N,)`` logarithms of the density at ``(N,)`` points."""
        parts = [
            math.log(w) + log_normal(points, m, s)
            for w, m, s in zip(self.weights, self.means, self.stds, strict=True)
        ]
        return log_sum_exp(np.array(parts).T)

    def moments(self) -> tuple[float, float]:
        """Return mean and standard deviation, the limit of the fits for order 0."""
        weights, means, stds = (np.array(v) for v in (self.weights, self.means, self.stds))
        mean = float(weights @ means)
        return mean, math.sqrt(float(weights @ (stds**2 + means**2)) - mean**2)


# Two modes four apart, the left one with more than twice the mass of the right one.
TWO_MODES = Mixture((0.7, 0.3), (-2.0, 2.0), (0.6, 0.6))


def log_normal(points: FloatArray, mean: FloatArray | float, std: FloatArray | float) -> FloatArray:
    """Return the logarithm of a normal density; all arguments are broadcast."""
    scaled = (points - mean) / std
    density: FloatArray = -0.5 * scaled**2 - np.log(std) - 0.5 * math.log(2 * math.pi)
    return density


@dataclass(frozen=True)
class Fit:
    """A fitted Gaussian: its ``mean``, ``std``, and the ``divergence`` that is left."""

    mean: float
    std: float
    divergence: float


def fit_gaussian(p: Mixture, alpha: float) -> Fit:
    """Return the Gaussian ``q`` of least ``D_a(q || p)``.

    Searches mean and logarithm of the deviation on a grid that is drawn closer round the best
    points, one near each mode and one between, so that no other minimum is overlooked.

    Args:
        p: the mixture.
        alpha: order from 0 to infinity.

    Returns:
        The best fit, to about 1e-3.
    """
    log_p = p.log_density(_POINTS)
    low, high = min(p.means), max(p.means)
    widest = math.log(p.moments()[1] * 1.5)
    starts = np.linspace(low, high, 5)
    fits = [_descend(log_p, alpha, start, (high - low) / 4 + 0.1, widest) for start in starts]
    return min(fits, key=lambda fit: fit.divergence)


def _descend(log_p: FloatArray, alpha: float, mean: float, reach: float, widest: float) -> Fit:
    log_std, depth = widest - 1.25, 1.25
    best = Fit(mean, math.exp(log_std), math.inf)
    for _ in range(_ROUNDS):
        means = mean + np.linspace(-reach, reach, _SIDE)
        stds = np.exp(log_std + np.linspace(-depth, depth, _SIDE))
        grid = np.stack(np.meshgrid(means, stds, indexing="ij"), -1).reshape(-1, 2)
        log_q = log_normal(_POINTS, grid[:, :1], grid[:, 1:])
        # As categoricals over the points; the width of a point is the same for both and drops out.
        norm = log_sum_exp(log_q)[:, None]
        left = categorical_renyi(log_q - norm, log_p - log_sum_exp(log_p), alpha)
        i = int(left.argmin())
        mean, log_std = float(grid[i, 0]), math.log(grid[i, 1])
        best = Fit(mean, float(grid[i, 1]), float(left[i]))
        reach, depth = reach * _SHRINK, depth * _SHRINK
    return best
