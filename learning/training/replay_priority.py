"""Replay priority: frames near those that decided are drawn more often, and weighed back.

For learners that draw examples of recordings at random. As in prioritised replay (Schaul et al.
2016, arXiv 1511.05952) a share of the draws follows the priority, the rest is uniform, and
importance weights undo what the priority changes in the mean; the priority is how far what an
example looks at decided, instead of a temporal-difference error.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import WeightedRandomSampler

from asterias.arrays import FloatArray
from asterias.errors import UserError
from learning.training.replay_options import ReplayOptions


@dataclass(frozen=True)
class ReplayPriority:
    """How often each example is drawn.

    Attributes:
        probabilities: ``(N,)``, of sum 1.
        corrections: ``(N,)`` importance weights ``(1 / (N p)) ** correction``. With a correction of
            1 the weighed mean of what is drawn is the plain mean of all, in expectation. They need
            not be divided by the largest: an even share of draws bounds them by 1 / (1 - share).
    """

    probabilities: FloatArray
    corrections: FloatArray

    @cached_property
    def _sums(self) -> torch.Tensor:
        return torch.from_numpy(np.cumsum(self.probabilities))

    def draw(
        self, count: int, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ``(count,)`` numbers of examples, and their importance weights, float32.

        Args:
            count: of draws, with replacement.
            generator: of the draws; None for PyTorch's own.
        """
        at = torch.rand(count, dtype=torch.float64, generator=generator) * self._sums[-1]
        last = len(self.probabilities) - 1
        chosen = torch.searchsorted(self._sums, at, right=True).clamp(max=last)
        return chosen, torch.from_numpy(self.corrections)[chosen].float()

    def sampler(self, count: int | None = None, seed: int = 0) -> WeightedRandomSampler:
        """Return a sampler for a ``DataLoader``.

        Args:
            count: draws of a pass; None for as many as there are examples.
            seed: of the draws.
        """
        return WeightedRandomSampler(
            self.probabilities.tolist(),
            len(self.probabilities) if count is None else count,
            generator=torch.Generator().manual_seed(seed),
        )


def replay_priority(
    criticality: npt.ArrayLike, share: float = 0.5, correction: float = 1.0
) -> ReplayPriority:
    """Return how often examples are drawn.

    Args:
        criticality: ``(N,)`` how far what each looks at decided, from 0 to 1.
        share: of the draws that follow it; the others are uniform. Also the uniform ones where
            nothing decided.
        correction: exponent of the importance weights; 1 undoes the priority in the mean of a
            gradient, 0 leaves it.

    Raises:
        UserError: a number is out of its range.
    """
    values = np.asarray(criticality, np.float64)
    if not len(values) or not np.isfinite(values).all() or values.min() < 0.0:
        raise UserError("Criticalities are one number from 0 to 1 for each frame.")
    if not 0.0 <= share < 1.0 or not 0.0 <= correction <= 1.0:
        raise UserError("A share is from 0 to below 1, a correction from 0 to 1.")
    even = np.full(len(values), 1.0 / len(values))
    total = float(values.sum())
    chosen = values / total if total > 0.0 else even
    probabilities = (1.0 - share) * even + share * chosen
    return ReplayPriority(probabilities, (even / probabilities) ** correction)


def priority_of(
    options: ReplayOptions, criticality: npt.NDArray[np.floating] | None
) -> ReplayPriority | None:
    """Return the priority that is asked for; None where examples are drawn evenly.

    Args:
        options: how examples are drawn.
        criticality: ``(N,)`` of the examples, which a priority needs.
    """
    if options.by == "uniform":
        return None
    assert criticality is not None
    return replay_priority(criticality, options.share, options.correction)


def draw_examples(
    examples: int,
    count: int,
    priority: ReplayPriority | None,
    generator: torch.Generator | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ``(count,)`` numbers of examples, and their importance weights.

    Args:
        examples: that there are.
        count: of draws, with replacement.
        priority: how often each is drawn; None draws evenly.
        generator: of the draws; None for PyTorch's own.
    """
    if priority is not None:
        return priority.draw(count, generator)
    return torch.randint(examples, (count,), generator=generator), torch.ones(count)


def window_means(criticality: npt.NDArray[np.floating], length: int) -> FloatArray:
    """Return ``(T,)`` the mean criticality of the ``length`` frames from each frame on.

    That is what an example looks at: a frame and the chunk that follows it. Behind the end there is
    nothing to learn, and nothing decided.

    Args:
        criticality: ``(T,)``.
        length: of a window, in frames.
    """
    sums = np.concatenate([[0.0], np.cumsum(np.asarray(criticality, np.float64))])
    begins = np.arange(len(sums) - 1)
    ends = np.minimum(begins + length, len(sums) - 1)
    means: FloatArray = np.maximum(sums[ends] - sums[begins], 0.0) / length
    return means
