"""Rényi divergences and the variational Rényi bound (arXiv 1602.02311; applied: 2107.05438).

``D_a(q || p) = 1 / (a - 1) log E_q[(q / p)^(a - 1)]``. Order 1 is ``KL(q || p)``, the one of the
evidence lower bound; near order 0 it is ``a KL(p || q)``, since ``D_a(q || p) = a / (1 - a)
D_(1 - a)(p || q)``: the best approximation ``q`` there covers all of ``p``, while large orders
punish ``q`` for mass where ``p`` has none, and it keeps to one mode.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray
from asterias.errors import UserError

# Orders this close to 1 are taken as 1: 1 / (1 - a) times a rounding error of 1e-16 would be 1e-4.
_NEAR_ONE = 1e-12


def check_order(alpha: float) -> float:
    """Return the order of a divergence, 0 to infinity.

    Raises:
        UserError: it is negative or no number.
    """
    if not alpha >= 0.0:
        raise UserError(f"alpha must be 0 or more (infinity is allowed), not {alpha}.")
    return float(alpha)


def log_sum_exp(values: FloatArray) -> FloatArray:
    """Return ``(...)`` logarithms of sums of exponentials of ``(..., n)``, without overflow.

    Twenty times as fast as ``np.logaddexp.reduce``, which takes the terms two by two.
    """
    top = values.max(-1, keepdims=True)
    finite = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        summed: FloatArray = finite[..., 0] + np.log(np.exp(values - finite).sum(-1))
    return summed


def renyi_bound(log_ratios: npt.ArrayLike, alpha: float) -> FloatArray:
    """Estimate the variational Rényi bound from samples of ``q`` (arXiv 1602.02311, eq. 8).

    ``1 / (1 - a) (logsumexp_k (1 - a) log(p(x, z_k) / q(z_k)) - log K)``. It never rises with the
    order, and its expectation lies below ``log p(x)`` for all orders from 0 on.

    Args:
        log_ratios: ``(..., K)`` of ``log p(x, z_k) - log q(z_k)``.
        alpha: order; 0 is importance sampling, 1 the evidence lower bound, infinity the smallest
            ratio.

    Returns:
        ``(...)`` bounds.

    Passes on ``UserError``: the order is negative.
    """
    ratios, alpha = np.asarray(log_ratios, dtype=np.float64), check_order(alpha)
    if math.isinf(alpha):
        smallest: FloatArray = ratios.min(-1)
        return smallest
    if abs(alpha - 1.0) < _NEAR_ONE:
        mean: FloatArray = ratios.mean(-1)
        return mean
    scaled = log_sum_exp((1.0 - alpha) * ratios) - math.log(ratios.shape[-1])
    return scaled / (1.0 - alpha)


def categorical_renyi(log_q: npt.ArrayLike, log_p: npt.ArrayLike, alpha: float) -> FloatArray:
    """Return ``D_a(q || p)`` of categorical distributions, exactly.

    Args:
        log_q: ``(..., n)`` logarithms of probabilities; minus infinity where there is none.
        log_p: ``(..., n)``, of the same shape or one that is broadcast to it.
        alpha: order from 0 to infinity.

    Returns:
        ``(...)`` divergences; infinite where ``p`` lacks what ``q`` has, from order 1 on.

    Passes on ``UserError``: the order is negative.
    """
    alpha = check_order(alpha)
    q, p = np.broadcast_arrays(np.asarray(log_q, np.float64), np.asarray(log_p, np.float64))
    has = q > -np.inf
    with np.errstate(invalid="ignore"):
        excess = np.where(has, q - p, -np.inf)
        if math.isinf(alpha):
            largest: FloatArray = excess.max(-1)
            return largest
        if abs(alpha - 1.0) < _NEAR_ONE:
            divergence: FloatArray = np.where(has, np.exp(q) * excess, 0.0).sum(-1)
            return divergence
        terms = np.where(has, q + (alpha - 1.0) * excess, -np.inf)
    return log_sum_exp(terms) / (alpha - 1.0)


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian of n dimensions.

    Attributes:
        mean: ``(n,)``.
        covariance: ``(n, n)``, symmetric and positive definite.
    """

    mean: FloatArray
    covariance: FloatArray

    @classmethod
    def of(cls, mean: npt.ArrayLike, covariance: npt.ArrayLike) -> Gaussian:
        """Return the Gaussian of a mean and a covariance, or of two numbers.

        Raises:
            UserError: the covariance is not positive definite.
        """
        made = cls(
            np.atleast_1d(np.asarray(mean, np.float64)),
            np.atleast_2d(np.asarray(covariance, np.float64)),
        )
        if not (np.linalg.eigvalsh(made.covariance) > 0).all():
            raise UserError("A covariance must be positive definite (variances above 0).")
        return made

    def log_density(self, points: npt.ArrayLike) -> FloatArray:
        """Return ``(...)`` logarithms of the density at ``(..., n)`` points."""
        apart = np.asarray(points, np.float64) - self.mean
        scaled = np.linalg.solve(self.covariance, apart[..., None])[..., 0]
        size = self.mean.size
        constant = _log_det(self.covariance) + size * math.log(2 * math.pi)
        density: FloatArray = -0.5 * ((apart * scaled).sum(-1) + constant)
        return density


def _log_det(matrix: FloatArray) -> float:
    return float(np.linalg.slogdet(matrix)[1])


def gaussian_renyi(q: Gaussian, p: Gaussian, alpha: float) -> float:
    """Return ``D_a(q || p)`` of Gaussians in closed form (Gil, Alajaji and Linder 2013, table 2).

    With ``S = a S_p + (1 - a) S_q``: ``a / 2 d' S^-1 d - 1 / (2 (a - 1)) log(|S| / (|S_q|^(1 - a)
    |S_p|^a))``.

    Args:
        q: the one.
        p: the other.
        alpha: order from 0 to infinity.

    Returns:
        The divergence; infinite where ``S`` is not positive definite (order 2: where the variance
        of ``q`` is twice that of ``p``, or more).

    Passes on ``UserError``: the order is negative.
    """
    alpha = check_order(alpha)
    apart = q.mean - p.mean
    if abs(alpha - 1.0) < _NEAR_ONE:
        ratio = np.linalg.solve(p.covariance, q.covariance)
        between = float(apart @ np.linalg.solve(p.covariance, apart))
        logs = _log_det(p.covariance) - _log_det(q.covariance)
        return 0.5 * (float(np.trace(ratio)) + between - apart.size + logs)
    if math.isinf(alpha):
        return _largest_log_ratio(q, p)
    mixed = alpha * p.covariance + (1.0 - alpha) * q.covariance
    if not (np.linalg.eigvalsh(mixed) > 0).all():
        return math.inf
    between = 0.5 * alpha * float(apart @ np.linalg.solve(mixed, apart))
    logs = _log_det(mixed) - (1 - alpha) * _log_det(q.covariance) - alpha * _log_det(p.covariance)
    return between - logs / (2.0 * (alpha - 1.0))


def _largest_log_ratio(q: Gaussian, p: Gaussian) -> float:
    """Return the supremum of ``log q - log p``: finite where ``p`` is the wider in all directions.

    Dividing the densities leaves a Gaussian of precision ``S_q^-1 - S_p^-1``; its peak lies at
    ``m_q + S_q (S_p - S_q)^-1 (m_q - m_p)``.
    """
    wider = p.covariance - q.covariance
    if not (np.linalg.eigvalsh(wider) > 0).all():
        return math.inf
    peak = q.mean + q.covariance @ np.linalg.solve(wider, q.mean - p.mean)
    return float(q.log_density(peak) - p.log_density(peak))


@dataclass(frozen=True)
class LinearGaussian:
    """The model ``x = H z + noise`` with a Gaussian prior of ``z``: all is exact in it.

    Attributes:
        prior: of the latent ``z``, ``(n,)``.
        matrix: ``H``, ``(m, n)``.
        noise: covariance ``(m, m)`` of the noise.
    """

    prior: Gaussian
    matrix: FloatArray
    noise: FloatArray

    def log_evidence(self, x: npt.ArrayLike) -> float:
        """Return ``log p(x)`` of an observation ``(m,)``."""
        mean = self.matrix @ self.prior.mean
        spread = self.matrix @ self.prior.covariance @ self.matrix.T + self.noise
        return float(Gaussian.of(mean, spread).log_density(np.atleast_1d(x)))

    def posterior(self, x: npt.ArrayLike) -> Gaussian:
        """Return the exact posterior of ``z`` given an observation ``(m,)``."""
        precision = np.linalg.inv(self.prior.covariance)
        weighted = self.matrix.T @ np.linalg.inv(self.noise)
        covariance = np.linalg.inv(precision + weighted @ self.matrix)
        mean = covariance @ (precision @ self.prior.mean + weighted @ np.atleast_1d(x))
        return Gaussian.of(mean, covariance)

    def bound(self, x: npt.ArrayLike, q: Gaussian, alpha: float) -> float:
        """Return the Rényi bound exactly: ``log p(x) - D_a(q || p(z | x))``.

        In one dimension with variance ``s_q`` above the posterior's ``s*`` it is finite only for
        orders below ``s_q / (s_q - s*)``.

        Args:
            x: observation ``(m,)``.
            q: approximate posterior.
            alpha: order from 0 to infinity.

        Returns:
            The bound; minus infinity where there is none.
        """
        return self.log_evidence(x) - gaussian_renyi(q, self.posterior(x), alpha)
