"""What a training of a gait drives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from asterias.arrays import FloatArray
from learning.crawling.environment import StarfishCrawlEnv
from learning.crawling.gaits import both_sides, walk

TRAINING_S, TEST_S = 6.0, 20.0


class GaitLearner(ABC):
    """A learner that runs one batch of episodes after the other; both sides of the body do alike.

    Attributes:
        parameters: numbers that are learned.
    """

    parameters: int

    @abstractmethod
    def learn(self) -> None:
        """Run a batch of episodes, and learn from it."""

    @abstractmethod
    def returns(self) -> list[float]:
        """Return the body lengths that each episode so far made."""

    @abstractmethod
    def test(self, duration_s: float) -> dict[str, Any]:
        """Return ``lengths_per_min`` and ``sideways`` of one episode without exploration.

        Of a gait of 36 numbers also ``theta``.
        """


def test_of_gait(mirrored: FloatArray, duration_s: float) -> dict[str, Any]:
    """Return what :meth:`GaitLearner.test` does, of a mirrored gait ``(18,)``."""
    theta = both_sides(mirrored)
    tested = walk(StarfishCrawlEnv(duration_s=duration_s), theta)
    return {
        "lengths_per_min": round(tested["lengths_per_min"], 3),
        "sideways": round(tested["sideways"], 3),
        "theta": theta.tolist(),
    }
