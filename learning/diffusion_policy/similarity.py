"""How alike a block's outputs are over the steps of denoising, and when to compute it anew."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray


@dataclass(frozen=True)
class Similarity:
    """Cosine similarity of block outputs between all pairs of steps.

    Attributes:
        values: ``(layers, kinds, steps, steps)``, mean over observations.
    """

    values: npt.NDArray[np.float32]

    def between_steps(self, layer: int, kind: int) -> FloatArray:
        """Return ``(steps - 1,)`` similarities of neighbouring steps."""
        neighbours: FloatArray = np.diagonal(self.values[layer, kind], offset=1).astype(np.float64)
        return neighbours


def scheduled_steps(similarity: npt.NDArray[np.float32], runs: int) -> list[int]:
    """Return the ``runs`` steps in which a block is to run, the first one included.

    They maximise the sum, over all steps in which it does not run, of the similarity to the step
    in which it ran last; by dynamic programming over the steps (arXiv 2506.13456).

    Args:
        similarity: ``(steps, steps)``.
        runs: how often the block runs, from 1 to the number of steps.
    """
    steps = len(similarity)
    # kept[a, b]: sum over the steps a + 1 .. b - 1 that repeat what step a gave.
    kept = np.zeros((steps, steps + 1))
    for begin in range(steps):
        kept[begin, begin + 2 :] = np.cumsum(similarity[begin, begin + 1 :])
    best = kept[:, steps].copy()  # of what begins with a run at each step, and has no later run
    choices = []
    for _ in range(runs - 1):
        # The next run lies behind this one.
        total = np.triu(kept[:, :steps], 1) + best[None, :]
        total[np.tril_indices(steps)] = -np.inf
        choices.append(total.argmax(axis=1))
        best = total.max(axis=1)
    chosen = [0]
    for choice in reversed(choices):
        chosen.append(int(choice[chosen[-1]]))
    return chosen
