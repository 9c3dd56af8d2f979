"""The bandit of "Bayesian brains and the Rényi divergence" (arXiv 2107.05438), as its code has it.

Three arms pay by mixtures of Gaussians; the best one has the largest ratio of mean to variance of
its pay-offs. Per arm a Gaussian ``q`` over a latent state is learned by the Rényi bound of one
order; an arm is chosen by a draw of ``q`` over ``q``'s variance. Kept as published, since results
depend on them: the likelihood is the mean over stored rewards, not their sum, and its scale is the
rewards' variance, where a deviation is meant; so ``q`` is about the spread of pay-offs, and the
tiny variance at the start makes each arm that was not tried look good.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray
from learning.inference.renyi import check_order

# Pay-offs: probability of the first mode, both modes, deviations.
FIRST_SHARE = np.array([0.97, 1.0, 0.97])
MODES = np.array([[10.0, 22.0], [16.0, 16.0], [18.0, 10.0]])
STD = np.array([1.0, 3.0, 1.0])
# The prior of an arm's latent: an equal mixture of two Gaussians.
PRIOR_MEANS = np.array([[13.0, 20.0], [16.0, 14.0], [10.0, 17.0]])
PRIOR_STD = 1.5
START_MEAN, START_VARIANCE = 25.0, 8e-7

ALPHAS = (1e-6, 0.5, 0.99999, 2.0, 10.0, 1e9)

_ARMS = len(STD)
# Adam as in its paper; the floor keeps a likelihood of two equal rewards finite.
_BETA_1, _BETA_2, _EPSILON, _LEAST_SCALE = 0.9, 0.999, 1e-8, 1e-6
# Odds beyond exp(500) are all the same, and would overflow from exp(709) on.
_STEEPEST = 500.0

Arms = npt.NDArray[np.intp]


@dataclass(frozen=True)
class BanditOptions:
    """The protocol's numbers.

    Attributes:
        pulls: in all; the first six try each arm twice, without learning.
        adam_steps: after each later pull, on the arm that was pulled.
        samples: of ``q`` in each estimate of the bound.
        learning_rate: of Adam.
        memory: rewards stored per arm.
        evaluation_pulls: after the last, without learning.
    """

    pulls: int = 5000
    adam_steps: int = 10
    samples: int = 300
    learning_rate: float = 0.05
    memory: int = 1000
    evaluation_pulls: int = 1000


def arm_values() -> FloatArray:
    """Return the ``(3,)`` exact ratios of mean to variance of the arms' pay-offs."""
    shares = np.stack([FIRST_SHARE, 1.0 - FIRST_SHARE], 1)
    mean = (shares * MODES).sum(1)
    variance = STD**2 + (shares * MODES**2).sum(1) - mean**2
    values: FloatArray = mean / variance
    return values


def pay_off(arms: Arms, rng: np.random.Generator) -> FloatArray:
    """Return one reward of each of these arms, of the shape of ``arms``."""
    mode = (rng.random(arms.shape) >= FIRST_SHARE[arms]).astype(np.intp)
    paid: FloatArray = MODES[arms, mode] + STD[arms] * rng.standard_normal(arms.shape)
    return paid


@dataclass
class _Memory:
    """The last rewards of each run and arm, with their sums."""

    rewards: FloatArray
    count: npt.NDArray[np.intp]

    def add(self, arms: Arms, reward: FloatArray) -> None:
        rows = np.arange(arms.size)
        self.rewards[rows, arms, self.count[rows, arms] % self.rewards.shape[2]] = reward
        self.count[rows, arms] += 1

    def moments(self, arms: Arms) -> tuple[FloatArray, FloatArray]:
        """Return ``(R,)`` means and unbiased variances of these arms' rewards."""
        rows = np.arange(arms.size)
        stored = np.minimum(self.count[rows, arms], self.rewards.shape[2])
        kept = np.arange(self.rewards.shape[2]) < stored[:, None]
        values = np.where(kept, self.rewards[rows, arms], 0.0)
        mean = values.sum(1) / stored
        apart = np.where(kept, values - mean[:, None], 0.0)
        return mean, (apart**2).sum(1) / np.maximum(stored - 1, 1)


@dataclass
class Bandit:
    """Some independent runs with one order, side by side.

    Attributes:
        alpha: order of the bound.
        runs: how many, R.
        rng: source of all randomness.
        options: the protocol's numbers.
        mean, log_var: ``(R, 3)`` of ``q``.
    """

    alpha: float
    runs: int
    rng: np.random.Generator
    options: BanditOptions = field(default_factory=BanditOptions)

    def __post_init__(self) -> None:
        check_order(self.alpha)
        shape = (self.runs, _ARMS)
        self.mean = np.full(shape, START_MEAN)
        self.log_var = np.full(shape, np.log(START_VARIANCE))
        rewards = np.zeros((*shape, self.options.memory))
        self._memory = _Memory(rewards, np.zeros(shape, np.intp))
        self._first, self._second = np.zeros((*shape, 2)), np.zeros((*shape, 2))
        self._taken = np.zeros(shape)

    def choose(self) -> Arms:
        """Return ``(R,)`` arms: the largest draw of ``q`` over its variance."""
        noise = self.rng.standard_normal(self.mean.shape)
        drawn = self.mean + np.exp(0.5 * self.log_var) * noise
        chosen: Arms = (drawn * np.exp(-self.log_var)).argmax(1)
        return chosen

    def learn(self, arms: Arms) -> None:
        """Take the Adam steps on the arms that were pulled."""
        mean, variance = self._memory.moments(arms)
        scale = np.maximum(variance, _LEAST_SCALE)
        for _ in range(self.options.adam_steps):
            self._adam(arms, self._gradient(arms, mean[:, None], scale[:, None]))

    def _gradient(self, arms: Arms, mean: FloatArray, scale: FloatArray) -> FloatArray:
        """Return the ``(R, 2)`` gradient of minus the bound in mean and log-variance of ``q``.

        The bound's gradient is that of the log-ratios, weighted by ``softmax((1 - a) log-ratio)``;
        samples move with ``q``, so ``log q`` itself changes by minus half a log-variance alone.
        """
        rows = np.arange(self.runs)
        noise = self.rng.standard_normal((self.runs, self.options.samples))
        std = np.exp(0.5 * self.log_var[rows, arms])[:, None]
        latent = self.mean[rows, arms][:, None] + std * noise
        first, second = PRIOR_MEANS[arms, 0, None], PRIOR_MEANS[arms, 1, None]
        # Of an equal mixture of two like widths the share of the first is a logistic function.
        lean = (first - second) / PRIOR_STD**2
        odds = np.exp(np.clip(lean * (latent - 0.5 * (first + second)), -_STEEPEST, _STEEPEST))
        share = odds / (1.0 + odds)
        log_prior = np.log1p(odds) - 0.5 * ((latent - second) / PRIOR_STD) ** 2
        # Constants are left out, which weights do not feel: the rewards' own spread among them.
        off = (latent - mean) / scale
        ratio = log_prior - 0.5 * off**2 + 0.5 * noise**2
        power = (1.0 - self.alpha) * ratio
        weights = np.exp(power - power.max(1, keepdims=True))
        weights /= weights.sum(1, keepdims=True)
        slope = (share * (first - second) + second - latent) / PRIOR_STD**2 - off / scale
        by_mean = (weights * slope).sum(1)
        by_log_var = (weights * (0.5 * std * noise * slope + 0.5)).sum(1)
        return -np.stack([by_mean, by_log_var], 1)

    def _adam(self, arms: Arms, gradient: FloatArray) -> None:
        rows = np.arange(self.runs)
        self._taken[rows, arms] += 1
        first = _BETA_1 * self._first[rows, arms] + (1 - _BETA_1) * gradient
        second = _BETA_2 * self._second[rows, arms] + (1 - _BETA_2) * gradient**2
        self._first[rows, arms], self._second[rows, arms] = first, second
        taken = self._taken[rows, arms][:, None]
        even = first / (1 - _BETA_1**taken)
        step = even / (np.sqrt(second / (1 - _BETA_2**taken)) + _EPSILON)
        self.mean[rows, arms] -= self.options.learning_rate * step[:, 0]
        self.log_var[rows, arms] -= self.options.learning_rate * step[:, 1]

    def pull(self, number: int) -> Arms:
        """Make pull ``number`` (from 0) in all runs, and learn from it; return the ``(R,)`` arms.

        Returns:
            Which arms were pulled.
        """
        trial = number < 2 * _ARMS
        arms = np.full(self.runs, number // 2) if trial else self.choose()
        self._memory.add(arms, pay_off(arms, self.rng))
        if not trial:
            self.learn(arms)
        return arms

    def evaluate(self) -> tuple[FloatArray, FloatArray]:
        """Return ``(R,)`` ratios of mean to variance, and ``(R,)`` shares of the best arm."""
        count = self.options.evaluation_pulls
        arms = np.stack([self.choose() for _ in range(count)], 1)
        paid = pay_off(arms, self.rng)
        achieved = paid.mean(1) / paid.var(1, ddof=1)
        return achieved, (arms == int(arm_values().argmax())).mean(1)


def run_bandit(
    alpha: float,
    runs: int,
    seed: int,
    options: BanditOptions | None = None,
    on_pull: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Run the bandit with one order.

    Args:
        alpha: order.
        runs: independent runs.
        seed: of all of them.
        options: the protocol's numbers.
        on_pull: called with pulls done and in all.

    Returns:
        A row: achieved ratio, regret (best exact ratio less the achieved one), variances of ``q``,
        share of pulls of the best arm, and the cumulative regret at 101 points.
    """
    options = options or BanditOptions()
    bandit = Bandit(alpha, runs, np.random.default_rng(seed), options)
    values = arm_values()
    lost, curve = np.zeros(runs), []
    every = max(options.pulls // 100, 1)
    for number in range(options.pulls):
        if number % every == 0:
            curve.append([number, round(float(lost.mean()), 1)])
        lost += values.max() - values[bandit.pull(number)]
        if on_pull is not None:
            on_pull(number + 1, options.pulls)
    curve.append([options.pulls, round(float(lost.mean()), 1)])
    achieved, best = bandit.evaluate()
    return {
        "alpha": alpha,
        "runs": runs,
        "achieved": round(float(achieved.mean()), 3),
        "achieved_std": round(float(achieved.std(ddof=1)), 3) if runs > 1 else 0.0,
        "regret": round(float(values.max() - achieved.mean()), 3),
        "best_arm_share": round(float(best.mean()), 3),
        "q_variance": [round(float(v), 2) for v in np.exp(bandit.log_var).mean(0)],
        "q_mean": [round(float(m), 2) for m in bandit.mean.mean(0)],
        "cumulative_regret": round(float(lost.mean()), 1),
        "curve": curve,
    }


def random_pulls(runs: int, seed: int, options: BanditOptions | None = None) -> dict[str, Any]:
    """Return the row of a player that pulls arms at random: the reference.

    Args:
        runs: independent runs.
        seed: of all of them.
        options: the protocol's numbers.

    Returns:
        A row as of :func:`run_bandit`, without what only a learner has.
    """
    options = options or BanditOptions()
    rng, values = np.random.default_rng(seed), arm_values()
    arms = rng.integers(_ARMS, size=(runs, options.evaluation_pulls))
    paid = pay_off(arms, rng)
    achieved = paid.mean(1) / paid.var(1, ddof=1)
    pulled = rng.integers(_ARMS, size=(runs, options.pulls))
    return {
        "runs": runs,
        "achieved": round(float(achieved.mean()), 3),
        "regret": round(float(values.max() - achieved.mean()), 3),
        "cumulative_regret": round(float((values.max() - values[pulled]).sum(1).mean()), 1),
    }
