"""How well marked frames meet those that decided: F1 with a tolerance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Marks = npt.NDArray[np.bool_]
# The paper takes the best of these.
THRESHOLDS = tuple(round(0.1 * step, 1) for step in range(11))


@dataclass(frozen=True)
class Score:
    """Shares over all clips together.

    Attributes:
        precision: of the marked frames that have a true one within the tolerance.
        recall: of the true frames that have a marked one within the tolerance.
    """

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """Harmonic mean; 0 where nothing is met."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def score(marked: Marks, true: Marks, tolerance: int) -> Score:
    """Compare marked frames ``(N, T)`` with true ones ``(N, T)``.

    Args:
        marked: what was found.
        true: what there is.
        tolerance: frames that a mark may be off.

    Returns:
        Precision and recall over all clips together.
    """
    return Score(
        _share(marked & widened(true, tolerance), marked),
        _share(true & widened(marked, tolerance), true),
    )


def widened(marks: Marks, tolerance: int) -> Marks:
    """Return ``(N, T)`` True within ``tolerance`` frames of a mark."""
    wide: Marks = marks.copy()
    for shift in range(1, tolerance + 1):
        wide[:, shift:] |= marks[:, :-shift]
        wide[:, :-shift] |= marks[:, shift:]
    return wide


def _share(some: Marks, all_of: Marks) -> float:
    total = int(all_of.sum())
    return float(some.sum()) / total if total else 0.0
