"""A training of a gait: any learner, for so much processor time, in the same episodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from asterias.provenance import Clock
from learning.crawling.learners.gait_learner import TEST_S, TRAINING_S, GaitLearner
from learning.crawling.learners.policy_search import SearchedGait
from learning.crawling.learners.stable_baselines import ArsGait, PpoGait

# Learners beside those of the project's own policy search.
BASELINES: dict[str, Callable[[int], GaitLearner]] = {"ars": ArsGait, "ppo": PpoGait}


def make_learner(name: str, seed: int) -> GaitLearner:
    """Return a learner by name: ``ppo``, ``ars``, or one of policy search.

    A ``UserError`` says so where there is none.
    """
    if name in BASELINES:
        return BASELINES[name](seed)
    return SearchedGait(name, seed)


def train(learner: GaitLearner, name: str, seed: int, processor_s: float) -> dict[str, Any]:
    """Learn a gait from nothing.

    Processor time is counted, and not the clock's, since other work on the machine would choose
    how long a learner has; on a machine of one's own both are the same.

    Args:
        learner: made anew.
        name: of the learner, to tell.
        seed: that it was made with, to tell.
        processor_s: seconds; the batch in which they end is finished.

    Returns:
        The figures, with the learning curve: episodes, seconds, mean speed of the last batch.
    """
    torch.set_num_threads(1)  # the networks are small
    # Once before the clock runs, since machine code is made in the first episode.
    learner.test(0.1)
    clock, curve, spent = Clock(), [], 0.0
    while spent < processor_s:
        done = len(learner.returns())
        learner.learn()
        returns, (wall_s, spent) = learner.returns(), clock.elapsed()
        mean = float(np.mean(returns[done:])) * 60.0 / TRAINING_S
        curve.append([len(returns), round(spent, 1), round(mean, 3)])
        print(f"{name} {seed}: {spent:.0f} s, {len(returns)} episodes, {mean:.2f} lengths/min")
    return {
        "learner": name,
        "seed": seed,
        "parameters": learner.parameters,
        "episodes": curve[-1][0],
        "processor_s": curve[-1][1],
        "wall_s": round(wall_s, 1),
        "curve": curve,
        **learner.test(TEST_S),
    }
