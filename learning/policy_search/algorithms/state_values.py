"""PSVF and PAVF: value functions of a state (and an action) and the policy's parameters.

Learned by temporal differences from the steps of perturbed policies (arXiv 2006.09226):
``V(s, theta_i) = r + gamma V(s', theta_i)``, ``Q(s, a, theta_i) = r + gamma Q(s', a', theta_i)``
with ``a'`` of the same policy. The policy climbs ``V(s, theta)`` or ``Q(s, pi_theta(s), theta)``
over the states that were seen; the latter's gradient has both terms, through the action and through
``theta`` itself.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from asterias.errors import UserError
from learning.policy_search.algorithms.critics import ParameterCritic
from learning.policy_search.algorithms.transitions import StepBatch, StepBuffer
from learning.policy_search.common.learner import PolicySearch
from learning.policy_search.common.policy_table import PolicyTable


@dataclass(frozen=True)
class StateValueSettings:
    """Settings; those of the paper's code but for ``policy_batch``, the width and ``rebase``.

    Attributes:
        sigma: standard deviation of the perturbation.
        discount: of the values.
        learning_rate, critic_learning_rate: of Adam.
        update_every: steps of the environment between two updates.
        critic_steps, policy_steps: of an update.
        batch_size: steps of a critic's.
        policy_batch: states of a policy's; the paper's 10,000 cost ten times as much.
        buffer_size: steps that are kept.
        critic_hidden: units of its hidden layers; the paper's code has 512 and 512.
        rebase: the critic sees policies as their numbers would be with the observations' present
            mean and deviation, by which it sees states, too; False keeps the numbers.
    """

    sigma: float = 1.0
    discount: float = 0.99
    learning_rate: float = 1e-3
    critic_learning_rate: float = 1e-3
    update_every: int = 50
    critic_steps: int = 5
    policy_steps: int = 1
    batch_size: int = 128
    policy_batch: int = 1000
    buffer_size: int = 100_000
    critic_hidden: tuple[int, ...] = (256, 256)
    rebase: bool = True

    def __post_init__(self) -> None:
        if self.sigma <= 0 or self.batch_size < 1 or self.update_every < 1:
            raise UserError("sigma must be above 0; batch_size and update_every 1 or more.")


class StateValueSearch(PolicySearch):
    """What PSVF and PAVF share: steps with the policies that took them, updates between episodes.

    Updates that fall due within an episode are made at its end, since the perturbed policy stays
    the same until then.
    """

    settings_class = StateValueSettings
    settings: StateValueSettings

    def _set_up(self) -> None:
        about, form = self.settings, self.architecture
        if not form.low:
            raise UserError(f"{self.name} needs continuous actions; pssvf takes choices, too.")
        self.theta = form.initial(self.rng)
        self.table = PolicyTable(form.parameters, about.buffer_size)
        self.steps = StepBuffer(about.buffer_size, form.observations, form.outputs)
        self.critic = ParameterCritic(form, about.critic_hidden, self._extra())
        self._policy = nn.Parameter(torch.tensor(self.theta, dtype=torch.float32))
        self._critic_optimiser = torch.optim.Adam(
            self.critic.parameters(), about.critic_learning_rate
        )
        self._policy_optimiser = torch.optim.Adam([self._policy], about.learning_rate)
        self._due = 0

    @abstractmethod
    def _extra(self) -> int:
        """Return how many numbers the critic gets beside the policy's."""

    @abstractmethod
    def _critic_loss(self, batch: StepBatch) -> torch.Tensor:
        """Return the squared temporal difference."""

    @abstractmethod
    def _policy_loss(self, batch: StepBatch) -> torch.Tensor:
        """Return what the policy falls down."""

    def _iterate(self) -> None:
        about = self.settings
        tried = self.theta + about.sigma * self.rng.standard_normal(self.theta.size)
        kept = self.on_raw_observations(tried) if about.rebase else tried
        result = self.run_policies([tried], keep=True)[0]
        assert result.transitions is not None
        number = self.table.add(kept, result.learned_return)
        self.steps.add(result.transitions, number)
        self._due += result.length
        while self._due >= about.update_every:
            self._due -= about.update_every
            self._update()
        self.theta = self._policy.detach().double().numpy().copy()

    def _update(self) -> None:
        about, loss = self.settings, torch.zeros(())
        for _ in range(about.critic_steps):
            loss = self._critic_loss(self.steps.sample(self.rng, about.batch_size))
            self._critic_optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self._critic_optimiser.step()
        self.figures["critic_loss"] = loss.item()
        for _ in range(about.policy_steps):
            batch = self.steps.sample(self.rng, about.policy_batch)
            (gradient,) = torch.autograd.grad(self._policy_loss(batch), [self._policy])
            self._policy.grad = gradient
            self._policy_optimiser.step()

    def _seen(self, observations: torch.Tensor) -> torch.Tensor:
        mean, std = self._normalisation()
        wide: torch.Tensor = (observations.double() - torch.from_numpy(mean)) / torch.from_numpy(
            std
        )
        return wide.float()

    def _vectors(self, batch: StepBatch) -> torch.Tensor:
        thetas = self.table.of(batch.policies)
        if self.settings.rebase:
            return torch.from_numpy(self.as_written_now(thetas)).float()
        return torch.from_numpy(thetas)

    def _state(self) -> dict[str, Any]:
        return {
            "table": self.table.state(),
            "steps": self.steps.state(),
            "critic": self.critic.state_dict(),
            "policy": self._policy.detach(),
            "critic_optimiser": self._critic_optimiser.state_dict(),
            "policy_optimiser": self._policy_optimiser.state_dict(),
            "due": self._due,
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        self.table.load(state["table"])
        self.steps.load(state["steps"])
        self.critic.load_state_dict(state["critic"])
        with torch.no_grad():
            self._policy.copy_(state["policy"])
        self._critic_optimiser.load_state_dict(state["critic_optimiser"])
        self._policy_optimiser.load_state_dict(state["policy_optimiser"])
        self._due = int(state["due"])


class PSVF(StateValueSearch):
    """Parameter-based state-value function ``V(s, theta)``."""

    name = "psvf"

    def _extra(self) -> int:
        return self.architecture.observations

    def _critic_loss(self, batch: StepBatch) -> torch.Tensor:
        thetas = self._vectors(batch)
        with torch.no_grad():
            after = self.critic(thetas, self._seen(batch.following))
            wanted = batch.rewards + self.settings.discount * (1 - batch.terminated) * after
        value = self.critic(thetas, self._seen(batch.observations))
        loss: torch.Tensor = ((value - wanted) ** 2).mean()
        return loss

    def _policy_loss(self, batch: StepBatch) -> torch.Tensor:
        states = self._seen(batch.observations)
        value: torch.Tensor = self.critic(self._policy.expand(len(states), -1), states)
        return -value.mean()


class PAVF(StateValueSearch):
    """Parameter-based action-value function ``Q(s, a, theta)``.

    The gradient of a stochastic policy is weighted by how much likelier it takes the action than
    the policy that took it: ``pi / pi_b (Q grad log pi + grad_theta Q)``.
    """

    name = "pavf"

    def _extra(self) -> int:
        return self.architecture.observations + self.architecture.outputs

    def _critic_loss(self, batch: StepBatch) -> torch.Tensor:
        thetas = self._vectors(batch)
        with torch.no_grad():
            action = torch.tanh(batch.following_outputs)
            after = self.critic(thetas, self._seen(batch.following), action)
            wanted = batch.rewards + self.settings.discount * (1 - batch.terminated) * after
        action = torch.tanh(batch.outputs)
        value = self.critic(thetas, self._seen(batch.observations), action)
        loss: torch.Tensor = ((value - wanted) ** 2).mean()
        return loss

    def _policy_loss(self, batch: StepBatch) -> torch.Tensor:
        states, form = self._seen(batch.observations), self.architecture
        vectors = self._policy.expand(len(states), -1)
        outputs = form.outputs_of(self._policy[None], states)[0]
        if not form.stochastic:
            value: torch.Tensor = self.critic(vectors, states, torch.tanh(outputs))
            return -value.mean()
        behaved = form.outputs_of(self._vectors(batch), states[:, None])[:, 0]
        new, old = self._log_density(batch, outputs), self._log_density(batch, behaved)
        ratio = torch.exp(new - old).detach()
        value = self.critic(vectors, states, torch.tanh(batch.outputs))
        return -(ratio * (value.detach() * new + value)).mean()

    def _log_density(self, batch: StepBatch, means: torch.Tensor) -> torch.Tensor:
        """Return the logarithm of a Gaussian's density at the outputs, but for a constant."""
        scaled = (batch.outputs - means) * math.exp(-self.architecture.log_std)
        return -0.5 * (scaled**2).sum(-1)
