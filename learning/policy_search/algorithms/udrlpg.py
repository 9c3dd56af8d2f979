"""UDRLPG: a generator of policies without an evaluation function (arXiv 2501.16288).

The generator learns ``G(c) = theta`` for policies that were tried and the returns ``c`` that they
had, by the squared error of the numbers. Policies are kept in buckets by their returns, one in
each, so that how often a return occurred does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from asterias.arrays import FloatArray
from asterias.errors import UserError
from learning.policy_search.algorithms.generator_search import (
    GENERATORS,
    GeneratorSearch,
    GeneratorSettings,
)


@dataclass(frozen=True)
class UdrlpgSettings(GeneratorSettings):
    """Settings, the paper's but for the rate, which there (2e-6) belongs to millions of steps.

    Attributes:
        learning_rate: of Adam.
        updates: after each episode.
        buckets: of returns; the newest policy of a bucket is kept.
        rank_weight: a bucket is drawn with weight ``exp(rank_weight * rank)``, rank 0 being the
            least return.
        warm_up: episodes of random policies at first.
    """

    learning_rate: float = 1e-4
    updates: int = 8
    batch_size: int = 24
    buckets: int = 800
    rank_weight: float = 0.3
    warm_up: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.buckets < 1:
            raise UserError("buckets is 1 or more.")


class UDRLPG(GeneratorSearch):
    """Upside-down generator of policies.

    Attributes:
        kept: by bucket, the scaled return and the vector of its policy.
    """

    name = "udrlpg"
    settings_class = UdrlpgSettings
    settings: UdrlpgSettings

    def _set_up(self) -> None:
        about = self.settings
        self.generator = GENERATORS[about.generator](self.architecture, 1, about.generator_hidden)
        self._optimiser = torch.optim.Adam(self.generator.parameters(), about.learning_rate)
        self.kept: dict[int, tuple[float, FloatArray]] = {}
        self.best_return = about.low
        self.theta = self.generate(self.best_return)

    def _iterate(self) -> None:
        taken = 0
        while taken < self.settings.update_every:
            taken += self._try_policy()
        self.figures["generator_loss"] = self._learn()
        self.figures["buckets"] = len(self.kept)
        self.theta = self.generate(self.best_return)

    def _try_policy(self) -> int:
        """Return the steps of an episode of a policy, which is kept in its bucket."""
        about = self.settings
        noise = about.sigma * self.rng.standard_normal(self.theta.size)
        is_first = self.num_episodes < about.warm_up
        tried = (
            self.architecture.initial(self.rng) if is_first else self.generate(self._goal()) + noise
        )
        kept: Any = self._kept(tried).astype(np.float32)
        result = self.run_policies([tried])[0]
        scaled = self._scaled(result.learned_return)
        bucket = int(np.clip(scaled * about.buckets, 0, about.buckets - 1))
        self.kept[bucket] = (scaled, kept)
        self.best_return = max(self.best_return, result.learned_return)
        return result.length

    def _learn(self) -> float:
        about, loss = self.settings, torch.zeros(())
        rows = [self.kept[bucket] for bucket in sorted(self.kept)]
        commands = torch.tensor([[row[0]] for row in rows], dtype=torch.float32)
        thetas = self._written_now(np.array([row[1] for row in rows]))
        weight = np.exp(about.rank_weight * (np.arange(len(rows)) - len(rows) + 1.0))
        for _ in range(about.updates):
            chosen = self.rng.choice(len(rows), about.batch_size, p=weight / weight.sum())
            made = self.generator(commands[chosen])
            loss = ((made - thetas[chosen]) ** 2).mean()
            self._optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self._optimiser.step()
        return loss.item()

    def _state(self) -> dict[str, Any]:
        numbers = sorted(self.kept)
        return {
            "buckets": np.array(numbers, np.int64),
            "scaled": np.array([self.kept[number][0] for number in numbers]),
            "thetas": np.array([self.kept[number][1] for number in numbers], np.float32),
            "best_return": float(self.best_return),
            "generator": self.generator.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        rows = zip(state["buckets"], state["scaled"], state["thetas"], strict=True)
        self.kept = {
            int(number): (float(scaled), np.array(theta, np.float32))
            for number, scaled, theta in rows
        }
        self.best_return = float(state["best_return"])
        self.generator.load_state_dict(state["generator"])
        self._optimiser.load_state_dict(state["optimiser"])
