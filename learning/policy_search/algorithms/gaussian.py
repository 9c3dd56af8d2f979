"""Gaussians over vectors of parameters, and the Renyi divergence between two of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from asterias.arrays import FloatArray


@dataclass(frozen=True)
class DiagonalGaussian:
    """A Gaussian with independent components.

    Attributes:
        mean: ``(n,)``.
        log_std: ``(n,)`` logarithm of the standard deviations.
    """

    mean: FloatArray
    log_std: FloatArray

    def draw(self, rng: np.random.Generator, count: int) -> FloatArray:
        """Return ``(count, n)`` draws."""
        noise: FloatArray = rng.standard_normal((count, self.mean.size))
        return self.mean + np.exp(self.log_std) * noise

    def log_density(self, points: FloatArray) -> FloatArray:
        """Return the logarithm of the density ``(B,)`` at ``(B, n)`` points."""
        scaled = (points - self.mean) * np.exp(-self.log_std)
        constant = self.log_std.sum() + 0.5 * self.mean.size * math.log(2 * math.pi)
        density: FloatArray = -0.5 * (scaled**2).sum(-1) - constant
        return density

    def moved(self, step: FloatArray) -> DiagonalGaussian:
        """Return the one whose ``(2 n,)`` mean and log-std are a step away."""
        n = self.mean.size
        return DiagonalGaussian(self.mean + step[:n], self.log_std + step[n:])


def renyi_divergence(p: DiagonalGaussian, q: DiagonalGaussian, alpha: float = 2.0) -> float:
    """Return ``D_alpha(P || Q)`` in closed form (arXiv 1809.06098, appendix; checked by sampling).

    Per component, with ``s2 = alpha var_Q + (1 - alpha) var_P``:
    ``alpha / 2 * dmu^2 / s2 - 1 / (2 (alpha - 1)) * ln(s2 / (var_P^(1-alpha) var_Q^alpha))``.

    Args:
        p: the one.
        q: the other, of the same size.
        alpha: order, above 0 and not 1.

    Returns:
        The divergence; infinite where an ``s2`` is not above 0 (for order 2: ``var_P >= 2 var_Q``).
    """
    mixed = alpha * np.exp(2 * q.log_std) + (1 - alpha) * np.exp(2 * p.log_std)
    if not (mixed > 0).all():
        return math.inf
    apart = alpha / 2 * (p.mean - q.mean) ** 2 / mixed
    logs = np.log(mixed) - 2 * (1 - alpha) * p.log_std - 2 * alpha * q.log_std
    return float((apart - logs / (2 * (alpha - 1))).sum())
