"""Distributions over directions: mixtures of von Mises-Fisher on the sphere, and fits of one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray
from learning.inference.renyi import check_order, log_sum_exp

# Concentrations that a fit chooses among, from the uniform one to one of 5 degrees of deviation.
CONCENTRATIONS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
# Every so many directions are candidates for the mean: the wider, the fewer do. By concentration.
_EVERY = ((0.0, 1 << 30), (2.0, 8), (8.0, 4), (math.inf, 2))
# Logarithm of what is taken for probability 0, so that divergences of orders above 1 stay finite.
_LEAST = -60.0
# Orders that are taken as 1, as single precision allows; and the largest, taken for infinity.
_NEAR_ONE, _LARGEST = 1e-3, 1e3

FastArray = npt.NDArray[np.float32]


def fibonacci_sphere(count: int) -> FloatArray:
    """Return ``(count, 3)`` unit vectors spread evenly: each stands for the same solid angle."""
    numbers = np.arange(count) + 0.5
    height = 1.0 - 2.0 * numbers / count
    turn = math.pi * (1.0 + math.sqrt(5.0)) * numbers
    ring = np.sqrt(1.0 - height**2)
    return np.stack([ring * np.cos(turn), ring * np.sin(turn), height], axis=1)


@dataclass(frozen=True)
class DirectionFit:
    """The fitted von Mises-Fisher distribution.

    Attributes:
        mean: ``(3,)`` unit vector of its mean direction.
        concentration: kappa; 0 is uniform.
        probabilities: ``(N,)`` over the directions of the grid.
        divergence: ``D_a(q || p)`` that is left.
    """

    mean: FloatArray
    concentration: float
    probabilities: FloatArray
    divergence: float


@dataclass(frozen=True)
class DirectionGrid:
    """Even directions on the sphere, on which distributions are sums.

    Attributes:
        directions: ``(N, 3)`` unit vectors.
    """

    directions: FloatArray

    @cached_property
    def kernel(self) -> FloatArray:
        """``(N, N)`` von Mises-Fisher components, one a row, as wide as directions are apart."""
        apart_rad = math.sqrt(4.0 * math.pi / len(self.directions))
        dots = self.directions @ self.directions.T
        weights: FloatArray = np.exp((dots - 1.0) / (0.5 * apart_rad) ** 2)
        return np.asarray(weights / weights.sum(1, keepdims=True))

    def mixture(self, weights: FloatArray) -> FloatArray:
        """Return ``(N,)`` probabilities of a mixture of von Mises-Fisher at the directions."""
        mixed: FloatArray = weights @ self.kernel
        return np.asarray(mixed / mixed.sum())

    @cached_property
    def _members(self) -> list[tuple[float, int]]:
        """Concentration and number of the mean direction of each ``q`` that a fit compares."""
        every = {k: next(step for top, step in _EVERY if k <= top) for k in CONCENTRATIONS}
        count = len(self.directions)
        return [(k, mean) for k in CONCENTRATIONS for mean in range(0, count, every[k])]

    @cached_property
    def _family(self) -> FastArray:
        """``(K, N)`` log-probabilities of each member at each direction."""
        means = self.directions[[mean for _, mean in self._members]]
        concentrations = np.array([k for k, _ in self._members])
        logs = concentrations[:, None] * (means @ self.directions.T)
        scaled: FastArray = np.maximum(logs - log_sum_exp(logs)[:, None], _LEAST).astype("f4")
        return scaled

    def fit(self, probabilities: FloatArray, alpha: float) -> DirectionFit:
        """Return the von Mises-Fisher ``q`` of least ``D_a(q || p)``.

        All concentrations are compared at directions all over the sphere, so there is no start to
        depend on and no local minimum. Small orders cover all modes, large ones keep to one.

        Args:
            probabilities: ``(N,)``, p, of sum 1.
            alpha: order from 0 to infinity, taken within 1e-3 to 1e3: at the ends themselves all
                q would be alike.

        Returns:
            The fit.

        Passes on ``UserError``: the order is negative.
        """
        order = min(max(check_order(alpha), 1.0 / _LARGEST), _LARGEST)
        log_p = np.log(np.maximum(probabilities, math.exp(_LEAST))).astype(np.float32)
        left = _divergences(self._family, log_p, order)
        best = int(left.argmin())
        concentration, mean = self._members[best]
        q = np.exp(self._family[best].astype(np.float64))
        return DirectionFit(self.directions[mean], concentration, q / q.sum(), float(left[best]))


def _divergences(log_q: FastArray, log_p: FastArray, alpha: float) -> FastArray:
    """Return ``D_a(q || p)`` as ``categorical_renyi`` does, in single precision and in place."""
    if abs(alpha - 1.0) < _NEAR_ONE:
        mean: FastArray = (np.exp(log_q) * (log_q - log_p)).sum(-1)
        return mean
    terms = log_q * np.float32(alpha)
    terms += np.float32(1.0 - alpha) * log_p
    top = terms.max(-1)
    terms -= top[..., None]
    np.exp(terms, out=terms)
    summed: FastArray = (top + np.log(terms.sum(-1))) / np.float32(alpha - 1.0)
    return summed
