"""A-POIS: policy optimisation via importance sampling, over actions (arXiv 1809.06098).

One Gaussian policy acts for a batch of episodes. An episode's weight under another policy is the
product of its actions' likelihood ratios; the 2-Renyi divergence between the two policies, added up
over the states of an episode, says how few of the episodes count for the other (``ESS``). The lower
bound made of both is climbed offline, as in P-POIS. Weights are normalised by themselves.

With few samples more helps, all of it off as it stands, none of it the paper's: steps weighed one
by one for their advantages, and earlier batches weighed again (``reused_batches`` names sources),
a limit of the divergence in place of the bound's penalty (TRPO, arXiv 1502.05477), and draws whose
spread falls.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
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
from learning.policy_search.algorithms.reused_batches import Batch, Samples, samples_of
from learning.policy_search.common.architecture import PolicyArchitecture

# Steps of conjugate gradients, and what is added to the Fisher information, as is usual for TRPO.
_CONJUGATE_STEPS = 10
_DAMPING = 1e-3
# The spread falls no further; smaller draws tell nothing.
_LEAST_LOG_STD = -3.0


@dataclass(frozen=True)
class ActionPoisSettings(OfflineSettings):
    """Settings; fewer offline steps than over parameters, since each looks at all actions.

    Attributes:
        offline_steps: gradient steps on one batch, at most.
        by_step: weigh steps by their own actions' ratios, for their advantages; else episodes, for
            their returns.
        batches: last batches that are weighed together.
        kl: largest mean divergence, over the steps, of an iteration's policy from the acting one,
            in place of the bound's penalty; 0: the penalty.
        trace: lambda of the advantages.
        spread_decay: taken off log_std with each iteration.
    """

    offline_steps: int = 10
    by_step: bool = False
    batches: int = 1
    kl: float = 0.0
    trace: float = 1.0
    spread_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batches < 1 or self.least_ess * self.batches >= 1:
            raise UserError("batches is 1 or more, and below 1 / least_ess.")
        if not 0 <= self.trace <= 1 or min(self.kl, self.spread_decay) < 0:
            raise UserError("trace is from 0 to 1; kl and spread_decay are 0 or more.")


class ActionBound:
    """The surrogate of some batches: lower bound of another policy's mean return.

    ``L = sum_i w_i R_i - max|R| sqrt((1 - delta) / delta * d_2 / N)`` with
    ``w_i ~ prod_t pi(a_t | s_t) / pi_old(a_t | s_t)`` and ``d_2 = mean_i exp(sum_t D_2(pi(. | s_t)
    || pi_old(. | s_t)))``. Both policies have the same standard deviation, so that ``D_2`` is the
    squared distance of their means over the variance, and twice the Kullback-Leibler divergence.
    With ``kl`` there is no penalty, but no policy further away. Of several batches, ``pi_old`` in
    ``w_i`` is the mixture of all policies that acted, elsewhere the last one.

    Args:
        form: of the policies, Gaussian before the tanh, with the spread of the last batch.
        theta: ``(n,)`` the policy that acted last.
        samples: what is weighed.
        normalisation: mean and standard deviation ``(o,)`` that observations were seen through.
        about: ``delta``, ``least_ess`` and ``kl`` are read.

    Attributes:
        count: N, number of samples.
        refused: steps refused so far.
    """

    def __init__(
        self,
        form: PolicyArchitecture,
        theta: FloatArray,
        samples: Samples,
        normalisation: tuple[FloatArray, FloatArray],
        about: ActionPoisSettings,
    ) -> None:
        mean, std = normalisation
        self.form, self.about, self.refused = form, about, 0
        self.count = len(samples.values)
        self._seen = torch.from_numpy((samples.seen - mean) / std)
        self._drawn = torch.from_numpy(samples.drawn)
        self._sample, self._mixture = samples.of, torch.from_numpy(samples.mixture)
        self._values = torch.from_numpy(samples.values)
        self._variance = math.exp(2 * form.log_std)
        self._old = self._means(torch.from_numpy(theta))
        largest = float(np.abs(samples.values).max())
        self._risk = 0.0 if about.kl else largest * math.sqrt((1 - about.delta) / about.delta)

    def _means(self, theta: torch.Tensor) -> torch.Tensor:
        means: torch.Tensor = self.form.outputs_of(theta[None], self._seen)[0]
        return means

    def _of_samples(self, by_step: torch.Tensor) -> torch.Tensor:
        return torch.zeros(self.count, dtype=by_step.dtype).index_add(0, self._sample, by_step)

    def _weights_and_size(self, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return normalised weights ``(N,)`` and the logarithm of ``d_2``."""
        means = self._means(theta)
        nearer = (self._drawn - self._old) ** 2 - (self._drawn - means) ** 2
        logs = self._of_samples(nearer.sum(-1) / (2 * self._variance))
        apart = self._of_samples(((means - self._old) ** 2).sum(-1) / self._variance)
        log_d2 = torch.logsumexp(apart, 0) - math.log(self.count)
        return torch.softmax(logs - self._mixture, 0), log_d2

    def weights(self, at: FloatArray) -> FloatArray:
        """Return the normalised weights ``(N,)``."""
        with torch.no_grad():
            weights: FloatArray = self._weights_and_size(torch.from_numpy(at))[0].numpy()
        return weights

    def divergence(self, at: FloatArray) -> float:
        """Return the mean Kullback-Leibler divergence over steps, from the policy that acted."""
        with torch.no_grad():
            apart = ((self._means(torch.from_numpy(at)) - self._old) ** 2).sum(-1)
            return float(apart.mean()) / (2 * self._variance)

    def _bound(self, weights: torch.Tensor, log_d2: torch.Tensor) -> torch.Tensor:
        risk: torch.Tensor = self._risk * torch.exp(0.5 * log_d2) / math.sqrt(self.count)
        return weights @ self._values - risk

    def size(self, at: FloatArray) -> tuple[float, float]:
        """Return the effective sample size and ``d_2``.

        The sample size is the lesser of ``N / d_2`` and the weights' own.
        """
        with torch.no_grad():
            return self._size(*self._weights_and_size(torch.from_numpy(at)))

    def _size(self, weights: torch.Tensor, log_d2: torch.Tensor) -> tuple[float, float]:
        d2 = math.exp(min(float(log_d2), LARGEST_DIVERGENCE))
        return min(self.count / d2, 1 / float((weights**2).sum())), d2

    def value(self, at: FloatArray) -> float:
        """Return the bound; minus infinity where too few samples count, or beyond the limit."""
        limit = self.about.kl
        with torch.no_grad():
            found = self._weights_and_size(torch.from_numpy(at))
            is_far = limit > 0 and self.divergence(at) > limit
            if is_far or self._size(*found)[0] < self.about.least_ess * self.count:
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
        """Return the gradient divided by a sample's Fisher information, by conjugate gradients.

        The information is ``J^T J / (variance N)``, ``J`` the means' Jacobian over all steps.
        """
        passed: Any = torch.func.vjp(self._means, torch.from_numpy(at))
        back = passed[1]

        def product(vector: torch.Tensor) -> torch.Tensor:
            ahead: Any = torch.func.jvp(self._means, (torch.from_numpy(at),), (vector,))
            result: torch.Tensor = back(ahead[1])[0] / (self._variance * self.count)
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
    common options, which falls by ``spread_decay``; the paper learns it, too.

    Raises:
        UserError: actions are choices, or the policy is to be deterministic.
    """

    name = "apois"
    settings_class = ActionPoisSettings
    settings: ActionPoisSettings

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"stochastic": True, **options})

    def _set_up(self) -> None:
        form = self.architecture
        if not form.low or not form.stochastic:
            raise UserError(
                "apois needs continuous actions and a stochastic policy; ppois takes choices and "
                "deterministic policies, too."
            )
        self._first_form, self._kept = form, list[Batch]()
        self.theta = self.rng.normal(0, self.settings.start_scale, form.parameters)

    def _iterate(self) -> None:
        about = self.settings
        self.architecture = self._form_of(self.num_iterations)
        seen_through, acted = self._normalisation(), self.on_raw_observations(self.theta)
        results = self.run_policies([self.theta] * about.batch_size, keep=True)
        steps = [result.transitions for result in results if result.transitions is not None]
        batches = [*self._kept, Batch(acted, self.architecture.log_std, steps)]
        gamma = self.options.gamma
        samples = samples_of(self.architecture, batches, gamma, about.trace, about.by_step)
        bound = ActionBound(self.architecture, self.theta, samples, seen_through, about)
        new, taken = climb(bound, self.theta, about.offline_steps, about.line_steps)
        ess, d2 = bound.size(new)
        self.figures = {
            "ess": ess,
            "d2": d2,
            "weighed": bound.count,
            "offline_steps": taken,
            "refused_steps": bound.refused,
        }
        self._kept = batches[-about.batches + 1 :] if about.batches > 1 else []
        # The same policy through the statistics that the next batch is seen through.
        self.theta = self.architecture.rebased(new, seen_through, self._normalisation())

    def card(self) -> dict[str, Any]:
        """Return what this learner is, as JSON; the spread is the first one."""
        return {**super().card(), "form": asdict(self._first_form)}

    def _form_of(self, iteration: int) -> PolicyArchitecture:
        first = self._first_form.log_std
        least = min(first, _LEAST_LOG_STD)
        log_std = max(least, first - self.settings.spread_decay * iteration)
        return replace(self._first_form, log_std=log_std)

    def _state(self) -> dict[str, Any]:
        return {"kept": [batch.state() for batch in self._kept]}

    def _load(self, state: Mapping[str, Any]) -> None:
        """Take kept batches back; a file of before has none."""
        self._kept = [Batch.of(held) for held in state.get("kept", [])]
        self.architecture = self._form_of(max(self.num_iterations - 1, 0))
