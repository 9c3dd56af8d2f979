"""Gaits by the project's own policy search: a linear policy of the clock, 18 numbers."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from learning.crawling.environment import StarfishCrawlEnv
from learning.crawling.learners.gait_learner import TRAINING_S, GaitLearner, test_of_gait
from learning.policy_search.registry import LEARNERS

# Episodes of an iteration are few, since a training has some 200: else as the learners have it.
_SETTINGS: dict[str, dict[str, Any]] = {
    "cem": {"population": 30, "sigma": 1.0},
    "pgpe": {"pairs": 15, "sigma": 1.0},
    "ppois": {"batch_size": 30, "delta": 0.99, "sigma": 1.0},
    "pssvf": {"sigma": 1.0, "learning_rate": 5e-3, "recency": 0.5},
}


class SearchedGait(GaitLearner):
    """A learner of :data:`learning.policy_search.registry.LEARNERS`.

    Args:
        name: of the learner.
        seed: of everything.

    A ``UserError`` says so where there is no such learner.
    """

    def __init__(self, name: str, seed: int) -> None:
        make = partial(StarfishCrawlEnv, mirrored=True, duration_s=TRAINING_S)
        settings = _SETTINGS.get(name, {})
        self._model = LEARNERS.get(name)(
            "LinearPolicy", make, seed=seed, normalise=False, **settings
        )
        self.parameters = self._model.architecture.parameters

    def learn(self) -> None:
        """Run one iteration."""
        self._model.learn(1, reset_num_timesteps=False)

    def returns(self) -> list[float]:
        """Return the body lengths that each episode so far made."""
        return self._model.returns

    def test(self, duration_s: float) -> dict[str, Any]:
        """Return what the mean policy makes."""
        return test_of_gait(np.array(self._model.theta, dtype=np.float64), duration_s)
