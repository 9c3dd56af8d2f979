"""Reward-weighted regression on the four rooms: anchors from the equations."""

from __future__ import annotations

import numpy as np
import pytest

from asterias.errors import UserError
from learning.policy_search.reward_weighted.four_rooms import GOAL_REWARD, four_rooms
from learning.policy_search.reward_weighted.tabular import (
    convergence_table,
    iterate,
    limit_rate,
    random_policy,
    reweight,
)


def test_the_rooms_are_the_papers() -> None:
    mdp = four_rooms()
    assert mdp.rewards.shape == (68, 4)
    assert (mdp.rewards == GOAL_REWARD).sum() == 2  # a corner has two neighbours
    assert mdp.optimal_values()[mdp.start] == pytest.approx(0.21569, abs=1e-5)
    assert limit_rate(mdp) == pytest.approx(0.9046, abs=1e-4)


def test_values_never_fall_and_errors_shrink_at_the_limit_rate() -> None:
    mdp = four_rooms()
    run = iterate(mdp, random_policy(mdp, np.random.default_rng(0)), 60)
    assert (np.diff(run.start_values) > -1e-12).all()
    assert run.rmsve[60] / run.rmsve[59] < limit_rate(mdp) + 0.01


def test_the_table_is_within_two_deviations_of_the_anchors() -> None:
    anchors = {0: 0.4779, 1: 0.3643, 5: 0.1387, 10: 0.0574, 20: 0.0143, 40: 0.0014}
    spread = {0: 0.0204, 1: 0.0193, 5: 0.0115, 10: 0.0075, 20: 0.0043, 40: 0.0004}
    for row in convergence_table(four_rooms(), 10):
        at = row["iteration"]
        assert abs(row["rmsve"] - anchors[at]) < 2 * spread[at]


def test_rewards_that_are_not_positive_are_refused() -> None:
    with pytest.raises(UserError, match="above 0"):
        reweight(np.full((1, 2), 0.5), np.array([[1.0, 0.0]]))
