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
from learning.policy_search.common.learner import PolicySearch

# Ends of the climb and of a line search, as in the authors' code.
_LEAST_GAIN = 1e-4
_LEAST_GRADIENT = 1e-4
# exp of it is still a number, and no batch has so many episodes.
_LARGEST_DIVERGENCE = 100.0
# Shares of a batch that count for the step made with it, from which on it is trusted, or just so.
_GREEN, _AMBER = 0.5, 0.2


@dataclass(frozen=True)
class PoisSettings:
    """Settings; as they stand, those of the paper's code, with a floor for the sample size.

    Attributes:
        batch_size: episodes of an iteration.
        delta: one minus the confidence of the bound; small values make small steps.
        sigma: standard deviation of the first Gaussian in each parameter.
        start_scale: standard deviation of its mean's draw.
        offline_steps: gradient steps on one batch, at most.
        line_steps: trials of a step's length, at most.
        least_ess: share of the episodes that must count; a longer step is refused. With delta
            alone, a step to an ESS of 1 in 100 was seen.
    """

    batch_size: int = 100
    delta: float = 0.99
    sigma: float = 1.0
    start_scale: float = 0.01
    offline_steps: int = 100
    line_steps: int = 30
    least_ess: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.delta < 1 or self.batch_size < 2 or self.sigma <= 0:
            raise UserError("delta lies between 0 and 1; batch_size is 2 or more, sigma above 0.")
        if not 0 <= self.least_ess < 1:
            raise UserError(f"least_ess is a share from 0 to below 1, not {self.least_ess}.")


def traffic_light(ess: float, episodes: int, steps: int) -> str:
    """Return what a batch's effective sample size says of the step that was made with it.

    Args:
        ess: effective sample size after the step.
        episodes: of the batch.
        steps: gradient steps that the bound allowed.

    Returns:
        ``green`` where half of the episodes count or more, ``amber`` where a fifth do, and else, or
        where the bound allowed no step at all, ``red: collect more``.
    """
    if not steps or ess < _AMBER * episodes:
        return "red: collect more"
    return "green" if ess >= _GREEN * episodes else "amber"


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
        too_far = divergence > min(_LARGEST_DIVERGENCE, -math.log(self.least_ess or 1e-300))
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


def climb(bound: Bound, offline_steps: int, line_steps: int) -> tuple[DiagonalGaussian, int]:
    """Climb the bound by natural gradients with a parabolic line search.

    Args:
        bound: of one batch.
        offline_steps: gradient steps, at most.
        line_steps: lengths that are tried for each, at most.

    Returns:
        The Gaussian that was reached, and the steps that were taken.
    """
    at, value = bound.drawn_from, bound.value(bound.drawn_from)
    for taken in range(offline_steps):
        gradient = bound.gradient(at)
        # The Fisher information of a diagonal Gaussian: 1 / variance for means, 2 for log-stds.
        natural = gradient * np.concatenate([np.exp(2 * at.log_std), np.full(at.mean.size, 0.5)])
        norm = float(gradient @ natural)
        if not norm > _LEAST_GRADIENT**2:
            return at, taken
        new, gain = _line_search(bound, at, value, natural / norm, line_steps)
        if gain < _LEAST_GAIN:
            return at, taken
        at, value = new, value + gain
    return at, offline_steps


def _line_search(
    bound: Bound, at: DiagonalGaussian, value: float, direction: FloatArray, trials: int
) -> tuple[DiagonalGaussian, float]:
    """Return the best point on a line, and its gain; a length of 1 is meant to gain 1."""
    length, best, gain = 1.0, at, 0.0
    for _ in range(trials):
        new = at.moved(length * direction)
        found = bound.value(new) - value
        if not math.isfinite(found):
            if gain:
                break
            length /= 4
            continue
        if found <= gain + _LEAST_GAIN and gain:
            break
        if found > gain:
            best, gain = new, found
        length = 2 * length if found > 0.75 * length else length**2 / (2 * (length - found))
    return best, gain


class PPOIS(PolicySearch):
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
        new, steps = climb(bound, about.offline_steps, about.line_steps)
        self.figures = {
            "ess": bound.ess(new),
            "d2": math.exp(renyi_divergence(new, self.hyper_policy)),
            "offline_steps": steps,
            "refused_steps": bound.refused,
            "mean_std": float(np.exp(new.log_std).mean()),
        }
        self.hyper_policy, self.theta = new, new.mean.copy()

    def traffic_light(self) -> str:
        """Return what the last batch says, as :func:`traffic_light`; empty before the first."""
        about = self.figures
        if not about:
            return ""
        return traffic_light(about["ess"], self.settings.batch_size, int(about["offline_steps"]))

    def _state(self) -> dict[str, Any]:
        return {"mean": self.hyper_policy.mean, "log_std": self.hyper_policy.log_std}

    def _load(self, state: Mapping[str, Any]) -> None:
        mean, log_std = (np.array(state[key], np.float64) for key in ("mean", "log_std"))
        self.hyper_policy = DiagonalGaussian(mean, log_std)
