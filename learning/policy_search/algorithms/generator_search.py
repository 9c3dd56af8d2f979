"""What learners of a generator of policies have in common (arXiv 2207.01570, 2501.16288)."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from asterias.arrays import FloatArray
from asterias.errors import UserError
from learning.policy_search.algorithms.generators import HeadsGenerator, TilesGenerator
from learning.policy_search.common.learner import PolicySearch

GENERATORS = {"heads": HeadsGenerator, "tiles": TilesGenerator}


@dataclass(frozen=True)
class GeneratorSettings:
    """Settings that learners of a generator share.

    Attributes:
        low, high: returns that commands are scaled by, the least and the most that there can be.
        drive: what is commanded above the best return so far, as a share of that range; 0.05 is
            the paper's 20 for Swimmer.
        sigma: standard deviation of the noise on a generated policy.
        generator: ``heads``, one for each layer, or ``tiles``.
        generator_hidden: units of its hidden layers.
        batch_size: policies or commands of an update.
        rebase: policies that were tried are kept as they act on raw observations, and are learned
            from as their numbers would be with the observations' present mean and deviation. False
            keeps the numbers, as the papers' code.
        update_every: steps of the environment between two rounds of updates; an episode that is
            longer has a round of its own, shorter ones share one.
    """

    low: float = -100.0
    high: float = 100.0
    drive: float = 0.05
    sigma: float = 0.1
    generator: Literal["heads", "tiles"] = "heads"
    generator_hidden: tuple[int, ...] = (256, 256)
    batch_size: int = 16
    rebase: bool = True
    update_every: int = 1

    def __post_init__(self) -> None:
        if self.generator not in GENERATORS:
            raise UserError(f"generator is {' or '.join(GENERATORS)}, not {self.generator!r}.")
        if not self.low < self.high or self.sigma < 0:
            raise UserError("low lies below high; sigma is 0 or more.")
        if self.batch_size < 1 or self.update_every < 1:
            raise UserError("batch_size and update_every must be 1 or more.")


class GeneratorSearch(PolicySearch, ABC):
    """A learner that makes policies from commanded returns.

    Attributes:
        generator: makes a vector from a command.
        best_return: of an episode so far.
    """

    settings: GeneratorSettings
    generator: nn.Module
    best_return: float

    def _goal(self) -> float:
        """Return the return to command next: a little more than the best so far."""
        about = self.settings
        return self.best_return + about.drive * (about.high - about.low)

    def generate(self, command: float) -> FloatArray:
        """Return the policy ``(n,)`` for a commanded return."""
        with torch.no_grad():
            scaled = torch.tensor([[self._scaled(command)]], dtype=torch.float32)
            made: FloatArray = self.generator(scaled)[0].double().numpy()
        return made

    def _kept(self, tried: FloatArray) -> FloatArray:
        """Return a policy ``(n,)`` as it is kept."""
        return self.on_raw_observations(tried) if self.settings.rebase else tried

    def _written_now(self, kept: Any) -> torch.Tensor:
        """Return policies that were kept ``(B, n)`` as they are learned from, float32."""
        vectors = self.as_written_now(kept) if self.settings.rebase else kept
        return torch.from_numpy(np.asarray(vectors, dtype=np.float32))

    def _scaled(self, value: float) -> float:
        about = self.settings
        return (value - about.low) / (about.high - about.low)

    def _unscaled(self, share: float) -> float:
        about = self.settings
        return about.low + share * (about.high - about.low)


def command_curve(
    learner: GeneratorSearch, commands: FloatArray, episodes: int
) -> list[tuple[float, float]]:
    """Return what is obtained for commanded returns.

    Args:
        learner: a generator of policies.
        commands: returns ``(C,)``.
        episodes: of each.

    Returns:
        Pairs of commanded and mean obtained return.
    """
    made = []
    for command in commands:
        results = learner.evaluate(episodes, learner.generate(float(command)))
        made.append((float(command), float(np.mean([r.learned_return for r in results]))))
    return made
