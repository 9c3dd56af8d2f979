"""GoGePo: a generator makes the policy that is commanded a return (arXiv 2207.01570).

An evaluation function ``V(theta)`` with probing states learns the returns of policies that were
tried; through it the generator learns ``V(G(c)) = c`` for the returns ``c`` that were seen. The
next policy is the one commanded a little more than the best return so far.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from asterias.errors import UserError
from learning.policy_search.algorithms.critics import ProbingCritic
from learning.policy_search.algorithms.generator_search import (
    GENERATORS,
    GeneratorSearch,
    GeneratorSettings,
)
from learning.policy_search.common.policy_table import PolicyTable


@dataclass(frozen=True)
class GogepoSettings(GeneratorSettings):
    """Settings. The paper's rates (generator 2e-6) belong to 3 M steps; these to 0.1 M.

    Attributes:
        critic_hidden: units of the critic's hidden layers.
        generator_learning_rate, critic_learning_rate: of Adam.
        generator_steps, critic_steps: updates after each episode.
        buffer_size: policies that are kept.
        recency: exponent of the weights ``1 / age^k`` of the draw.
        probes: number of probing states.
        even: share of a batch that is drawn evenly over returns, not by age.
        practice: share of episodes that are commanded a return drawn evenly between the least and
            the best so far, and run as generated, without noise.
    """

    critic_hidden: tuple[int, ...] = (256, 256)
    generator_learning_rate: float = 1e-4
    critic_learning_rate: float = 2e-3
    generator_steps: int = 20
    critic_steps: int = 10
    buffer_size: int = 10_000
    recency: float = 1.1
    probes: int = 50
    even: float = 0.0
    practice: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (0 <= self.even <= 1 and 0 <= self.practice <= 1):
            raise UserError("even and practice are shares from 0 to 1.")


class GoGePo(GeneratorSearch):
    """Goal-conditioned generator of policies.

    Attributes:
        generator: makes a vector from a command.
        critic: of whole policies, in returns scaled to 0 to 1.
        table: policies that were tried, with returns scaled likewise.
        best_return: of an episode so far.
    """

    name = "gogepo"
    settings_class = GogepoSettings
    settings: GogepoSettings

    def _set_up(self) -> None:
        about = self.settings
        self.generator: nn.Module = GENERATORS[about.generator](
            self.architecture, 1, about.generator_hidden
        )
        self.critic = ProbingCritic(self.architecture, about.critic_hidden, about.probes)
        self.table = PolicyTable(self.architecture.parameters, about.buffer_size)
        self.best_return = about.low
        self._optimisers = {
            # One pass over all numbers: the generator has many, and batches are small.
            "generator": torch.optim.Adam(
                self.generator.parameters(), about.generator_learning_rate, fused=True
            ),
            "critic": torch.optim.Adam(
                self.critic.parameters(), about.critic_learning_rate, fused=True
            ),
        }
        self.theta = self.generate(self.best_return)

    def _iterate(self) -> None:
        taken = 0
        while taken < self.settings.update_every:
            taken += self._try_policy()
        self.figures["critic_loss"] = self._learn_critic()
        self.figures["generator_loss"] = self._learn_generator()
        self.theta = self.generate(self.best_return)

    def _try_policy(self) -> int:
        """Return the steps of an episode of a generated policy, which is kept."""
        about = self.settings
        noise = about.sigma * self.rng.standard_normal(self.theta.size)
        if about.practice and len(self.table) and self.rng.random() < about.practice:
            least = self._unscaled(float(self.table.returns.min()))
            command, noise = float(self.rng.uniform(least, self.best_return)), np.zeros_like(noise)
        else:
            command = self._goal()
        self.figures["command"] = command
        tried = self.generate(command) + noise
        kept = self._kept(tried)
        result = self.run_policies([tried])[0]
        self.table.add(kept, self._scaled(result.learned_return))
        self.best_return = max(self.best_return, result.learned_return)
        return result.length

    def _sample(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return policies that were tried ``(B, n)``, as they are kept, and returns ``(B,)``."""
        about = self.settings
        evenly = round(about.even * about.batch_size)
        parts = [self.table.sample(self.rng, about.batch_size - evenly, about.recency)]
        if evenly:
            parts.append(self.table.sample_evenly(self.rng, evenly))
        kept, returns = zip(*parts, strict=True)
        return torch.cat(kept), torch.cat(returns)

    def _learn_critic(self) -> float:
        about, loss = self.settings, torch.zeros(())
        for _ in range(about.critic_steps):
            kept, returns = self._sample()
            thetas = self._written_now(kept.numpy())
            loss = ((self.critic(thetas) - returns) ** 2).mean()
            self._step("critic", loss)
        return loss.item()

    def _learn_generator(self) -> float:
        about, loss = self.settings, torch.zeros(())
        for _ in range(about.generator_steps):
            _, commands = self._sample()
            made = self.generator(commands[:, None])
            loss = ((self.critic(made) - commands) ** 2).mean()
            self._step("generator", loss)
        return loss.item()

    def _step(self, which: str, loss: Any) -> None:
        """Move one of the two networks; the other's gradients are dropped."""
        module = self.generator if which == "generator" else self.critic
        own = list(module.parameters())
        gradients = torch.autograd.grad(loss, own)
        for parameter, gradient in zip(own, gradients, strict=True):
            parameter.grad = gradient
        self._optimisers[which].step()

    def _state(self) -> dict[str, Any]:
        return {
            "table": self.table.state(),
            "best_return": float(self.best_return),
            "generator": self.generator.state_dict(),
            "critic": self.critic.state_dict(),
            **{f"{name}_optimiser": one.state_dict() for name, one in self._optimisers.items()},
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        self.table.load(state["table"])
        self.best_return = float(state["best_return"])
        self.generator.load_state_dict(state["generator"])
        self.critic.load_state_dict(state["critic"])
        for name, one in self._optimisers.items():
            one.load_state_dict(state[f"{name}_optimiser"])
