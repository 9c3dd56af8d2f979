"""PSSVF: a value function of the policy's parameters, from the start states (arXiv 2006.09226).

An episode gives one number, the return ``G_i`` of a perturbed policy ``theta_i``. A critic learns
``V(theta_i) = G_i``, and the policy climbs ``V(theta)``. With ``critic="probes"`` the critic sees
what the policy does in K learned states instead of its numbers (arXiv 2207.01566).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from asterias.arrays import FloatArray
from asterias.errors import UserError
from learning.policy_search.algorithms.critics import ParameterCritic, ProbingCritic
from learning.policy_search.common.learner import PolicySearch
from learning.policy_search.common.policy_table import PolicyTable


@dataclass(frozen=True)
class PssvfSettings:
    """Settings; as they stand, those of the paper's code for linear policies, but for ``rebase``.

    Attributes:
        sigma: standard deviation of the perturbation; 1 suits linear policies, 0.05 to 0.1 deep
            ones.
        learning_rate, critic_learning_rate: of Adam.
        critic_steps, policy_steps: updates after each episode.
        batch_size: policies of an update of the critic.
        buffer_size: policies that are kept.
        recency: exponent of the weights ``1 / age^k`` of that draw; 0 for equal ones.
        critic: ``parameters``, learned ``probes``, or ``generated`` probes.
        critic_hidden: units of its hidden layers.
        probes: number of probing states.
        start_scale: of the first policy, which is drawn as PyTorch draws layers, times this.
        rebase: the critic sees policies that were tried before as their numbers would be with the
            observations' present mean and deviation, so that what it learned stays true of what
            they do. False keeps the numbers, as the paper's code.
        update_every: steps of the environment between two rounds of updates; an episode that is
            longer has a round of its own, shorter ones share one.
    """

    sigma: float = 1.0
    learning_rate: float = 1e-3
    critic_learning_rate: float = 1e-3
    critic_steps: int = 10
    policy_steps: int = 10
    batch_size: int = 16
    buffer_size: int = 100_000
    recency: float = 0.0
    critic: Literal["parameters", "probes", "generated"] = "parameters"
    critic_hidden: tuple[int, ...] = (64, 64)
    probes: int = 10
    start_scale: float = 1.0
    rebase: bool = True
    update_every: int = 1

    def __post_init__(self) -> None:
        if self.critic not in ("parameters", "probes", "generated"):
            raise UserError(f"critic is parameters, probes or generated, not {self.critic!r}.")
        if self.sigma <= 0 or min(self.batch_size, self.probes, self.update_every) < 1:
            raise UserError("sigma must be above 0; batch_size, probes and update_every 1 or more.")


class PSSVF(PolicySearch):
    """Parameter-based start-state value function.

    Attributes:
        table: the perturbed policies with their returns.
        critic: of whole policies.
    """

    name = "pssvf"
    settings_class = PssvfSettings
    settings: PssvfSettings

    def _set_up(self) -> None:
        about = self.settings
        self.theta = self.architecture.initial(self.rng) * about.start_scale
        self.table = PolicyTable(self.architecture.parameters, about.buffer_size)
        self.critic: nn.Module
        if about.critic == "parameters":
            self.critic = ParameterCritic(self.architecture, about.critic_hidden)
        else:
            generated = about.critic == "generated"
            self.critic = ProbingCritic(
                self.architecture, about.critic_hidden, about.probes, generated
            )
        self._policy = nn.Parameter(torch.tensor(self.theta, dtype=torch.float32))
        self._critic_optimiser = torch.optim.Adam(
            self.critic.parameters(), about.critic_learning_rate
        )
        self._policy_optimiser = torch.optim.Adam([self._policy], about.learning_rate)

    def _iterate(self) -> None:
        taken = 0
        while taken < self.settings.update_every:
            taken += self._try_policy()
        self._learn_critic()
        self._climb()

    def _try_policy(self) -> int:
        """Return the steps of an episode of a perturbed policy, which is kept."""
        noise = self.rng.standard_normal(self.theta.size)
        tried = self.theta + self.settings.sigma * noise
        kept = self.on_raw_observations(tried) if self.settings.rebase else tried
        result = self.run_policies([tried])[0]
        self.table.add(kept, result.learned_return)
        return result.length

    def sample(
        self, rng: np.random.Generator, size: int, recency: float = 0.0
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw policies that were tried, as the critic sees them.

        Args:
            rng: source of the draw.
            size: number of policies B.
            recency: exponent of the weights ``1 / age^k``.

        Returns:
            Vectors ``(B, n)`` and returns ``(B,)``, float32.
        """
        thetas, returns = self.table.sample(rng, size, recency)
        if self.settings.rebase:
            thetas = torch.from_numpy(self.as_written_now(thetas.double().numpy())).float()
        return thetas, returns

    def tried(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return all policies that are kept ``(N, n)``, as the critic sees them, and returns."""
        thetas = self.table.thetas
        if self.settings.rebase:
            thetas = self.as_written_now(thetas)
        returns = torch.as_tensor(self.table.returns, dtype=torch.float32)
        return torch.as_tensor(thetas, dtype=torch.float32), returns

    def best(self) -> tuple[FloatArray, float]:
        """Return the policy ``(n,)`` with the greatest return of an episode, and that return."""
        theta, best = self.table.best()
        return (self.as_written_now(theta) if self.settings.rebase else theta), best

    def fit(
        self,
        critic: nn.Module,
        optimiser: torch.optim.Optimizer,
        rng: np.random.Generator,
        updates: int,
    ) -> float:
        """Move a critic towards the returns of policies that were tried.

        Args:
            critic: of whole policies.
            optimiser: of its numbers.
            rng: source of the draws.
            updates: batches.

        Returns:
            The last batch's mean squared error.
        """
        about, loss = self.settings, torch.zeros(())
        for _ in range(updates):
            thetas, returns = self.sample(rng, about.batch_size, about.recency)
            loss = ((critic(thetas) - returns) ** 2).mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        return loss.item()

    def _learn_critic(self) -> None:
        self.figures["critic_loss"] = self.fit(
            self.critic, self._critic_optimiser, self.rng, self.settings.critic_steps
        )

    def _climb(self) -> None:
        value = torch.zeros(1)
        for _ in range(self.settings.policy_steps):
            value = self.critic(self._policy[None])
            (gradient,) = torch.autograd.grad(-value.sum(), [self._policy])
            self._policy.grad = gradient
            self._policy_optimiser.step()
        self.theta = self._policy.detach().double().numpy().copy()
        self.figures["predicted_return"] = value.detach().sum().item()

    def _state(self) -> dict[str, Any]:
        return {
            "table": self.table.state(),
            "critic": self.critic.state_dict(),
            "policy": self._policy.detach(),
            "critic_optimiser": self._critic_optimiser.state_dict(),
            "policy_optimiser": self._policy_optimiser.state_dict(),
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        self.table.load(state["table"])
        self.critic.load_state_dict(state["critic"])
        with torch.no_grad():
            self._policy.copy_(state["policy"])
        self._critic_optimiser.load_state_dict(state["critic_optimiser"])
        self._policy_optimiser.load_state_dict(state["policy_optimiser"])


def train_zero_shot(
    learner: PSSVF,
    policies: int,
    *,
    steps: int = 300,
    learning_rate: float = 2e-2,
    critic_updates: int = 300,
    spread: float | None = None,
    seed: int = 0,
) -> list[FloatArray]:
    """Train fresh policies through the learner's critic, without a single step of the robot.

    Args:
        learner: whose critic is copied; it stays as it is.
        policies: how many.
        steps: of Adam.
        learning_rate: of Adam.
        critic_updates: of the copy beforehand, on the policies that were tried: while one learns,
            the critic always lags behind the table.
        spread: standard deviation of a start around a policy that was tried; None draws fresh
            ones as PyTorch draws layers.
        seed: of the starts and of draws from the table.

    Returns:
        The trained vectors ``(n,)``.
    """
    rng = np.random.default_rng(seed)
    critic = copy.deepcopy(learner.critic)
    rate = learner.settings.critic_learning_rate
    learner.fit(critic, torch.optim.Adam(critic.parameters(), rate), rng, critic_updates)
    if spread is None:
        starts = np.array([learner.architecture.initial(rng) for _ in range(policies)])
    else:
        tried, _ = learner.sample(rng, policies)
        starts = tried.double().numpy() + rng.normal(0, spread, tried.shape)
    fresh = nn.Parameter(torch.tensor(starts, dtype=torch.float32))
    optimiser = torch.optim.Adam([fresh], learning_rate)
    for _ in range(steps):
        (gradient,) = torch.autograd.grad(-critic(fresh).sum(), [fresh])
        fresh.grad = gradient
        optimiser.step()
    return list(fresh.detach().double().numpy())
