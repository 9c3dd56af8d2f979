"""What learners of a generator of policies have in common (arXiv 2207.01570, 2501.16288)."""

from __future__ import annotations

from abc import ABC

import numpy as np
import torch
from torch import nn

from asterias.arrays import FloatArray
from learning.policy_search.algorithms.generators import HeadsGenerator, TilesGenerator
from learning.policy_search.common.learner import PolicySearch

GENERATORS = {"heads": HeadsGenerator, "tiles": TilesGenerator}


class GeneratorSearch(PolicySearch, ABC):
    """A learner that makes policies from commanded returns.

    Its settings have ``low`` and ``high``, the returns that commands are scaled by.

    Attributes:
        generator: makes a vector from a command.
        best_return: of an episode so far.
    """

    generator: nn.Module
    best_return: float

    def generate(self, command: float) -> FloatArray:
        """Return the policy ``(n,)`` for a commanded return."""
        with torch.no_grad():
            scaled = torch.tensor([[self._scaled(command)]], dtype=torch.float32)
            made: FloatArray = self.generator(scaled)[0].double().numpy()
        return made

    def _scaled(self, value: float) -> float:
        low, high = float(self.settings.low), float(self.settings.high)
        return (value - low) / (high - low)


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
