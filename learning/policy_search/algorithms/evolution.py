"""Baselines that use returns alone: PGPE, the cross-entropy method, random search."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from asterias.arrays import FloatArray
from asterias.errors import UserError
from learning.policy_search.algorithms.gaussian import DiagonalGaussian
from learning.policy_search.common.learner import PolicySearch


@dataclass(frozen=True)
class PgpeSettings:
    """Settings of PGPE.

    Attributes:
        pairs: symmetric pairs of policies in an iteration.
        sigma: standard deviation at the start.
        learning_rate: of the mean, for the natural gradient of ranks from -0.5 to 0.5.
        std_learning_rate: of the standard deviations.
        start_scale: standard deviation of the first mean.
        alike: the two episodes of a pair have the same seed: the same start, failures and draws,
            so that they differ by their policies alone. Only where episodes can be repeated.
        average: weight of what was learned before in the policy that is given out, the running
            mean of the means; 0 gives out the last mean (Polyak and Juditsky, 1992).
    """

    pairs: int = 10
    sigma: float = 1.0
    learning_rate: float = 5.0
    std_learning_rate: float = 0.1
    start_scale: float = 0.01
    alike: bool = False
    average: float = 0.0

    def __post_init__(self) -> None:
        if self.pairs < 1 or self.sigma <= 0:
            raise UserError("pairs must be 1 or more, sigma above 0.")
        if not 0 <= self.average < 1:
            raise UserError("average is a weight from 0 to below 1.")


def centred_ranks(returns: FloatArray) -> FloatArray:
    """Return ranks from -0.5 to 0.5 of returns ``(N,)``; equal returns share their mean rank."""
    if len(returns) < 2:
        return np.zeros_like(returns)
    _, inverse, counts = np.unique(returns, return_inverse=True, return_counts=True)
    last = counts.cumsum()
    ranks: FloatArray = (last - (counts + 1) / 2)[inverse]
    return ranks / (len(returns) - 1) - 0.5


class PGPE(PolicySearch):
    """Policy gradients with parameter-based exploration (Sehnke et al., 2010), symmetric sampling.

    Utilities are centred ranks, and gradients natural, so that neither the scale of returns nor
    that of parameters matters.
    """

    name = "pgpe"
    settings_class = PgpeSettings
    settings: PgpeSettings

    def _set_up(self) -> None:
        size = self.architecture.parameters
        self.mean = self.rng.normal(0, self.settings.start_scale, size)
        self.theta = self.mean.copy()
        self.log_std = np.full(size, math.log(self.settings.sigma))

    def _iterate(self) -> None:
        about = self.settings
        noise = self.rng.standard_normal((about.pairs, self.theta.size))
        steps = noise * np.exp(self.log_std)
        thetas = [self.mean + step for step in steps] + [self.mean - step for step in steps]
        numbers = 2 * list(range(about.pairs)) if about.alike else None
        results = self.run_policies(thetas, alike=numbers)
        returns = np.array([result.learned_return for result in results])
        utility = centred_ranks(returns)
        plus, minus = utility[: about.pairs], utility[about.pairs :]
        mean_step = ((plus - minus) / 2) @ steps / about.pairs
        spread = ((plus + minus) / 2) @ (noise**2 - 1) / about.pairs
        self.mean = self.mean + about.learning_rate * mean_step
        self.theta = about.average * self.theta + (1 - about.average) * self.mean
        self.log_std = self.log_std + about.std_learning_rate * spread
        self.figures = {"mean_std": float(np.exp(self.log_std).mean())}

    def _state(self) -> dict[str, Any]:
        return {"log_std": self.log_std, "mean": self.mean}

    def _load(self, state: Mapping[str, Any]) -> None:
        self.log_std = np.array(state["log_std"], np.float64)
        self.mean = np.array(state["mean"], np.float64)


@dataclass(frozen=True)
class CemSettings:
    """Settings of the cross-entropy method.

    Attributes:
        population: policies of an iteration.
        elite: share of them that the next Gaussian is fitted to.
        sigma: standard deviation at the start.
        start_scale: standard deviation of the first mean.
        extra_std: added to the fitted deviations, less by ``extra_decay`` each iteration; without
            it the Gaussian collapses too soon (Szita and Lorincz, 2006).
        extra_decay: factor of an iteration.
    """

    population: int = 40
    elite: float = 0.2
    sigma: float = 1.0
    start_scale: float = 0.01
    extra_std: float = 0.3
    extra_decay: float = 0.95

    def __post_init__(self) -> None:
        if self.population < 2 or not 0 < self.elite < 1 or self.sigma <= 0:
            raise UserError("population is 2 or more, elite between 0 and 1, sigma above 0.")


class CEM(PolicySearch):
    """Cross-entropy method: fit a Gaussian to the best, draw from it, and so on."""

    name = "cem"
    settings_class = CemSettings
    settings: CemSettings

    def _set_up(self) -> None:
        size = self.architecture.parameters
        self.theta = self.rng.normal(0, self.settings.start_scale, size)
        self.log_std = np.full(size, math.log(self.settings.sigma))
        self.extra = self.settings.extra_std

    def _iterate(self) -> None:
        about = self.settings
        thetas = DiagonalGaussian(self.theta, self.log_std).draw(self.rng, about.population)
        returns = np.array([result.learned_return for result in self.run_policies(list(thetas))])
        count = max(1, round(about.elite * about.population))
        # A stable sort, so that equal returns are taken in the order of their draw.
        elite = thetas[np.argsort(-returns, kind="stable")[:count]]
        self.theta = elite.mean(0)
        self.log_std = np.log(elite.std(0) + self.extra + 1e-6)
        self.extra *= about.extra_decay
        self.figures = {"mean_std": float(np.exp(self.log_std).mean())}

    def _state(self) -> dict[str, Any]:
        return {"log_std": self.log_std, "extra": self.extra}

    def _load(self, state: Mapping[str, Any]) -> None:
        self.log_std = np.array(state["log_std"], np.float64)
        self.extra = float(state["extra"])


@dataclass(frozen=True)
class RandomSearchSettings:
    """Settings of random search.

    Attributes:
        sigma: standard deviation of the policies that are drawn, round 0.
        episodes: of each policy; its mean return counts.
    """

    sigma: float = 1.0
    episodes: int = 5

    def __post_init__(self) -> None:
        if self.episodes < 1 or self.sigma <= 0:
            raise UserError("episodes must be 1 or more, sigma above 0.")


class RandomSearch(PolicySearch):
    """Draw policies at random, and keep the best so far: what every algorithm has to beat."""

    name = "random_search"
    settings_class = RandomSearchSettings
    settings: RandomSearchSettings

    def _set_up(self) -> None:
        self.best = -math.inf

    def _iterate(self) -> None:
        drawn = self.rng.normal(0, self.settings.sigma, self.theta.size)
        results = self.run_policies([drawn] * self.settings.episodes)
        mean = float(np.mean([result.learned_return for result in results]))
        if mean > self.best:
            self.best, self.theta = mean, drawn
        self.figures = {"best_return": self.best}

    def _state(self) -> dict[str, Any]:
        return {"best": None if math.isinf(self.best) else self.best}

    def _load(self, state: Mapping[str, Any]) -> None:
        self.best = -math.inf if state["best"] is None else float(state["best"])
