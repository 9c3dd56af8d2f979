"""Replay priority: frames near those that decided are drawn more often, and weighed back.

For learners that draw frames of a data set at random. As in prioritised replay (Schaul et al. 2016,
arXiv 1511.05952) a share of the draws follows the priority, the rest is uniform, and importance
weights undo what the priority changes in the mean; the priority is how far a frame decided instead
of a temporal-difference error.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from torch.utils.data import WeightedRandomSampler

from asterias.arrays import FloatArray
from asterias.errors import UserError
from learning.recordings.lerobot.criticality import CRITICALITY


@dataclass(frozen=True)
class ReplayPriority:
    """How often each frame is drawn.

    Attributes:
        probabilities: ``(N,)``, of sum 1.
        corrections: ``(N,)`` importance weights, 1 for the frames that are drawn least.
    """

    probabilities: FloatArray
    corrections: FloatArray

    def sampler(self, count: int | None = None, seed: int = 0) -> WeightedRandomSampler:
        """Return a sampler for a ``DataLoader``.

        Args:
            count: draws of a pass; None for as many as there are frames.
            seed: of the draws.
        """
        return WeightedRandomSampler(
            self.probabilities.tolist(),
            len(self.probabilities) if count is None else count,
            generator=torch.Generator().manual_seed(seed),
        )


def replay_priority(
    criticality: FloatArray, share: float = 0.5, correction: float = 1.0
) -> ReplayPriority:
    """Return how often frames are drawn.

    Args:
        criticality: ``(N,)`` how far each frame decided, from 0 to 1.
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
    return ReplayPriority(probabilities, (probabilities.min() / probabilities) ** correction)


def criticality_of(dataset: Path) -> FloatArray:
    """Return ``(N,)`` how far each frame of a LeRobot data set decided, in the order of its index.

    Raises:
        UserError: it is no such data set, or `key-frames` was not run on it.
    """
    paths = sorted((dataset / "data").rglob("*.parquet"))
    found: dict[int, float] = {}
    for path in paths:
        table = pq.read_table(path)
        if CRITICALITY not in table.column_names:
            raise UserError(
                f"{dataset} has no feature {CRITICALITY}; `asterias learning recordings "
                "key-frames` writes a copy that has it."
            )
        values = np.array(table[CRITICALITY].to_pylist(), np.float64).reshape(-1)
        found.update(zip(table["index"].to_pylist(), values.tolist(), strict=True))
    if not found:
        raise UserError(f"{dataset} is no LeRobot data set: it holds no frames.")
    return np.array([found[index] for index in sorted(found)])
