"""P-POIS: policy optimisation via importance sampling, over parameters (arXiv 1809.06098).

Policies are drawn from a Gaussian over their parameters, one an episode. Offline, on the returns of
one batch, a lower confidence bound of the return of another Gaussian is climbed; how far, the
2-Renyi divergence between the two says: the further, the fewer of the episodes count (the effective
sample size ``ESS = N / exp(D_2)``). A step that leaves too few is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from asterias.arrays import FloatArray
from asterias.errors import UserError
from learning.policy_search.algorithms.gaussian import DiagonalGaussian, renyi_divergence
from learning.policy_search.algorithms.offline_climb import (
    LARGEST_DIVERGENCE,
    OfflineSearch,
    OfflineSettings,
    climb,
)


@dataclass(frozen=True)
class PoisSettings(OfflineSettings):
    """Settings.

    Attributes:
        sigma: standard deviation of the first Gaussian in each parameter.
    """

    sigma: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sigma <= 0:
            raise UserError(f"sigma must be above 0, not {self.sigma}.")


@dataclass
class Bound:
    """The surrogate of one batch: lower bound of another Gaussian's mean return.

    ``L = sum_i w_i R_i - max|R| sqrt((1 - delta) / delta * exp(D_2) / N)`` with self-normalised
    weights; at the Gaussian that drew the batch, it is the mean return less the last root at
    ``D_2 = 0``.

    Attributes:
        drawn_from: the Gaussian that drew the policies.
        thetas: ``(N, n)``.
        returns: ``(N,)``.
        delta: as in the settings.
        least_ess: as in the settings.
        refused: steps refused so far.
    """

    drawn_from: DiagonalGaussian
    thetas: FloatArray
    returns: FloatArray
    delta: float
    least_ess: float = 0.0
    refused: int = 0

    def __post_init__(self) -> None:
        self._old = self.drawn_from.log_density(self.thetas)
        risk = (1 - self.delta) / (self.delta * len(self.returns))
        self._penalty = float(np.abs(self.returns).max()) * math.sqrt(risk)

    def weights(self, at: DiagonalGaussian) -> FloatArray:
        """Return self-normalised importance weights ``(N,)``, which add up to 1."""
        logs = at.log_density(self.thetas) - self._old
        weights: FloatArray = np.exp(logs - logs.max())
        normalised: FloatArray = weights / weights.sum()
        return normalised

    def ess(self, at: DiagonalGaussian) -> float:
        """Return the effective sample size: the lesser of ``N / exp(D_2)`` and the weights' own."""
        by_divergence = len(self.returns) * math.exp(-renyi_divergence(at, self.drawn_from))
        return min(by_divergence, 1 / float((self.weights(at) ** 2).sum()))

    def value(self, at: DiagonalGaussian) -> float:
        """Return the bound; minus infinity where too few episodes count."""
        divergence = renyi_divergence(at, self.drawn_from)
        # The divergence first: where it is huge, the weights are no numbers any more.
        too_far = divergence > min(LARGEST_DIVERGENCE, -math.log(self.least_ess or 1e-300))
        if too_far or self.ess(at) < self.least_ess * len(self.returns):
            self.refused += 1
            return -math.inf
        root = math.exp(divergence / 2)
        return float(self.weights(at) @ self.returns) - self._penalty * root

    def gradient(self, at: DiagonalGaussian) -> FloatArray:
        """Return the bound's gradient ``(2 n,)`` in mean and log-std."""
        variance, old = np.exp(2 * at.log_std), np.exp(2 * self.drawn_from.log_std)
        apart = self.thetas - at.mean
        score = np.hstack([apart / variance, apart**2 / variance - 1])
        weights = self.weights(at)
        mean = float(weights @ self.returns)
        estimate: FloatArray = (weights * (self.returns - mean)) @ score
        # D_2 = dmu^2 / m - ln(m) / 2 - ln(var_P) / 2 + ln(var_Q), with m = 2 var_Q - var_P
        moved, mixed = at.mean - self.drawn_from.mean, 2 * old - variance
        by_mean = 2 * moved / mixed
        by_log_std = 2 * variance * (moved / mixed) ** 2 + variance / mixed - 1
        root = math.exp(renyi_divergence(at, self.drawn_from) / 2)
        slope = np.concatenate([by_mean, by_log_std])
        return estimate - 0.5 * self._penalty * root * slope

    def natural(self, at: DiagonalGaussian, gradient: FloatArray) -> FloatArray:
        """Return the gradient divided by the Fisher information of a diagonal Gaussian.

        It is ``1 / variance`` for means and 2 for log-stds.
        """
        variance = np.exp(2 * at.log_std)
        natural: FloatArray = gradient * np.concatenate([variance, np.full(at.mean.size, 0.5)])
        return natural

    def moved(self, at: DiagonalGaussian, step: FloatArray) -> DiagonalGaussian:
        """Return the Gaussian that is a step away."""
        return at.moved(step)


class PPOIS(OfflineSearch):
    """Parameter-based policy optimisation via importance sampling.

    Attributes:
        hyper_policy: the Gaussian over parameters; ``theta`` is its mean.
    """

    name = "ppois"
    settings_class = PoisSettings
    settings: PoisSettings

    def _set_up(self) -> None:
        size = self.architecture.parameters
        mean = self.rng.normal(0, self.settings.start_scale, size)
        self.hyper_policy = DiagonalGaussian(mean, np.full(size, math.log(self.settings.sigma)))
        self.theta = mean.copy()

    def _iterate(self) -> None:
        about = self.settings
        thetas = self.hyper_policy.draw(self.rng, about.batch_size)
        results = self.run_policies(list(thetas))
        returns = np.array([result.learned_return for result in results])
        bound = Bound(self.hyper_policy, thetas, returns, about.delta, about.least_ess)
        new, steps = climb(bound, self.hyper_policy, about.offline_steps, about.line_steps)
        self.figures = {
            "ess": bound.ess(new),
            "d2": math.exp(renyi_divergence(new, self.hyper_policy)),
            "offline_steps": steps,
            "refused_steps": bound.refused,
            "mean_std": float(np.exp(new.log_std).mean()),
        }
        self.hyper_policy, self.theta = new, new.mean.copy()

    def _state(self) -> dict[str, Any]:
        return {"mean": self.hyper_policy.mean, "log_std": self.hyper_policy.log_std}

    def _load(self, state: Mapping[str, Any]) -> None:
        mean, log_std = (np.array(state[key], np.float64) for key in ("mean", "log_std"))
        self.hyper_policy = DiagonalGaussian(mean, log_std)
