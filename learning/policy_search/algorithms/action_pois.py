"""A-POIS: policy optimisation via importance sampling, over actions (arXiv 1809.06098).

One Gaussian policy acts for a batch of episodes. An episode's weight under another policy is the
product of its actions' likelihood ratios; the 2-Renyi divergence between the two policies, added up
over the states of an episode, says how few of the episodes count for the other (``ESS``). The lower
bound made of both is climbed offline, as in P-POIS. Weights are normalised by themselves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from asterias.arrays import FloatArray
from asterias.errors import UserError
from learning.policy_search.algorithms.offline_climb import (
    LARGEST_DIVERGENCE,
    OfflineSearch,
    OfflineSettings,
    climb,
)
from learning.policy_search.common.architecture import PolicyArchitecture
from learning.policy_search.common.rollouts import Transitions

# Steps of conjugate gradients, and what is added to the Fisher information, as is usual for TRPO.
_CONJUGATE_STEPS = 10
_DAMPING = 1e-3


@dataclass(frozen=True)
class ActionPoisSettings(OfflineSettings):
    """Settings; fewer offline steps than over parameters, since each looks at all actions.

    Attributes:
        offline_steps: gradient steps on one batch, at most.
    """

    offline_steps: int = 10


class ActionBound:
    """The surrogate of one batch: lower bound of another policy's mean return.

    ``L = sum_i w_i R_i - max|R| sqrt((1 - delta) / delta * d_2 / N)`` with
    ``w_i ~ prod_t pi(a_t | s_t) / pi_old(a_t | s_t)`` and ``d_2 = mean_i exp(sum_t D_2(pi(. | s_t)
    || pi_old(. | s_t)))``. Both policies have the same standard deviation, so that ``D_2`` is the
    squared distance of their means over the variance.

    Args:
        form: of the policies, Gaussian before the tanh.
        theta: ``(n,)`` the policy that acted.
        steps: of each episode.
        returns: ``(N,)``.
        normalisation: mean and standard deviation ``(o,)`` that observations were seen through.
        delta: one minus the bound's confidence.
        least_ess: share of the episodes that must count.

    Attributes:
        refused: steps refused so far.
    """

    def __init__(
        self,
        form: PolicyArchitecture,
        theta: FloatArray,
        steps: Sequence[Transitions],
        returns: FloatArray,
        normalisation: tuple[FloatArray, FloatArray],
        delta: float,
        least_ess: float,
    ) -> None:
        mean, std = normalisation
        seen = np.concatenate([episode.observations[:-1] for episode in steps])
        drawn = np.concatenate([episode.outputs[:-1] for episode in steps])
        lengths = [len(episode.rewards) for episode in steps]
        self.form, self.least_ess, self.refused = form, least_ess, 0
        self._seen = torch.from_numpy((seen - mean) / std)
        self._drawn = torch.from_numpy(drawn)
        self._episode = torch.repeat_interleave(torch.tensor(lengths))
        self._returns = torch.from_numpy(returns)
        self._count = len(returns)
        self._variance = math.exp(2 * form.log_std)
        self._old = self._means(torch.from_numpy(theta))
        self._risk = float(np.abs(returns).max()) * math.sqrt((1 - delta) / delta)

    def _means(self, theta: torch.Tensor) -> torch.Tensor:
        means: torch.Tensor = self.form.outputs_of(theta[None], self._seen)[0]
        return means

    def _of_episodes(self, by_step: torch.Tensor) -> torch.Tensor:
        return torch.zeros(self._count, dtype=by_step.dtype).index_add(0, self._episode, by_step)

    def _weights_and_size(self, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return normalised weights ``(N,)`` and the logarithm of ``d_2``."""
        means = self._means(theta)
        nearer = (self._drawn - self._old) ** 2 - (self._drawn - means) ** 2
        logs = self._of_episodes(nearer.sum(-1) / (2 * self._variance))
        apart = self._of_episodes(((means - self._old) ** 2).sum(-1) / self._variance)
        log_d2 = torch.logsumexp(apart, 0) - math.log(self._count)
        return torch.softmax(logs, 0), log_d2

    def _bound(self, weights: torch.Tensor, log_d2: torch.Tensor) -> torch.Tensor:
        risk: torch.Tensor = self._risk * torch.exp(0.5 * log_d2) / math.sqrt(self._count)
        return weights @ self._returns - risk

    def size(self, at: FloatArray) -> tuple[float, float]:
        """Return the effective sample size and ``d_2``.

        The sample size is the lesser of ``N / d_2`` and the weights' own.
        """
        with torch.no_grad():
            return self._size(*self._weights_and_size(torch.from_numpy(at)))

    def _size(self, weights: torch.Tensor, log_d2: torch.Tensor) -> tuple[float, float]:
        d2 = math.exp(min(float(log_d2), LARGEST_DIVERGENCE))
        return min(self._count / d2, 1 / float((weights**2).sum())), d2

    def value(self, at: FloatArray) -> float:
        """Return the bound; minus infinity where too few episodes count."""
        with torch.no_grad():
            found = self._weights_and_size(torch.from_numpy(at))
            if self._size(*found)[0] < self.least_ess * self._count:
                self.refused += 1
                return -math.inf
            return float(self._bound(*found))

    def gradient(self, at: FloatArray) -> FloatArray:
        """Return the bound's gradient ``(n,)``."""
        theta = torch.from_numpy(at).clone().requires_grad_()
        (found,) = torch.autograd.grad(self._bound(*self._weights_and_size(theta)), [theta])
        gradient: FloatArray = found.numpy()
        return gradient

    def natural(self, at: FloatArray, gradient: FloatArray) -> FloatArray:
        """Return the gradient divided by an episode's Fisher information, by conjugate gradients.

        The information is ``J^T J / (variance N)``, ``J`` the means' Jacobian over all steps.
        """
        passed: Any = torch.func.vjp(self._means, torch.from_numpy(at))
        back = passed[1]

        def product(vector: torch.Tensor) -> torch.Tensor:
            ahead: Any = torch.func.jvp(self._means, (torch.from_numpy(at),), (vector,))
            result: torch.Tensor = back(ahead[1])[0] / (self._variance * self._count)
            return result + _DAMPING * vector

        solved: FloatArray = _conjugate_gradients(product, torch.from_numpy(gradient)).numpy()
        return solved

    def moved(self, at: FloatArray, step: FloatArray) -> FloatArray:
        """Return the policy that is a step away."""
        return at + step


def _conjugate_gradients(product: Any, wanted: torch.Tensor) -> torch.Tensor:
    """Return ``x`` with ``product(x)`` near ``wanted`` (Hestenes and Stiefel 1952)."""
    found, left = torch.zeros_like(wanted), wanted.clone()
    direction, size = left.clone(), left @ left
    for _ in range(_CONJUGATE_STEPS):
        if size < 1e-20:
            break
        along = product(direction)
        length = size / (direction @ along)
        found, left = found + length * direction, left - length * along
        new = left @ left
        direction, size = left + new / size * direction, new
    return found


class APOIS(OfflineSearch):
    """Action-based policy optimisation via importance sampling.

    The policy is Gaussian before the tanh, with the standard deviation ``exp(log_std)`` of the
    common options throughout; the paper learns that, too.

    Raises:
        UserError: actions are choices, or the policy is to be deterministic.
    """

    name = "apois"
    settings_class = ActionPoisSettings

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"stochastic": True, **options})

    def _set_up(self) -> None:
        form = self.architecture
        if not form.low or not form.stochastic:
            raise UserError(
                "apois needs continuous actions and a stochastic policy; ppois takes choices and "
                "deterministic policies, too."
            )
        self.theta = self.rng.normal(0, self.settings.start_scale, form.parameters)

    def _iterate(self) -> None:
        about = self.settings
        seen_through = self._normalisation()
        results = self.run_policies([self.theta] * about.batch_size, keep=True)
        returns = np.array([result.learned_return for result in results])
        steps = [result.transitions for result in results if result.transitions is not None]
        bound = ActionBound(
            self.architecture,
            self.theta,
            steps,
            returns,
            seen_through,
            about.delta,
            about.least_ess,
        )
        new, taken = climb(bound, self.theta, about.offline_steps, about.line_steps)
        ess, d2 = bound.size(new)
        self.figures = {
            "ess": ess,
            "d2": d2,
            "offline_steps": taken,
            "refused_steps": bound.refused,
        }
        # The same policy through the statistics that the next batch is seen through.
        self.theta = self.architecture.rebased(new, seen_through, self._normalisation())

    def _state(self) -> dict[str, Any]:
        return {}

    def _load(self, state: Mapping[str, Any]) -> None:
        """Take nothing: all there is is the policy."""
