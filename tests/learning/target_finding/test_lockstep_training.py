"""Learners whose worlds are moved together learn what they learn from single ones."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from asterias.errors import UserError
from learning.ball_maze.environment import BallMazeEnv
from learning.policy_search.common.architecture import architecture_for
from learning.policy_search.common.rollouts import EpisodeRules, Rollouts
from learning.policy_search.registry import LEARNERS
from learning.target_finding.algorithms.training import Training, TrainingConfig
from learning.target_finding.env.environment import TargetFindingEnv
from learning.target_finding.env.options import TargetFindingOptions

# Where the cache is cold, numba compiles the loop over worlds for half a minute.
pytestmark = pytest.mark.timeout(600)

SWIFT = TargetFindingOptions(wait_s=0.05, faults="kill1")


@pytest.mark.parametrize("padded", [False, True])
def test_ppo_learns_the_same_weights_in_step(tmp_path: Path, padded: bool) -> None:
    learned = []
    for worlds in (0, 3):
        out = tmp_path / str(worlds)
        config = TrainingConfig(
            out=out, options=SWIFT, steps=75, padded=padded, processes=3, worlds=worlds
        )
        training = Training(config)  # the three of it in this process, one after the other
        training.iterate()
        learned.append((training.finish(), training.model.policy.state_dict()))
        training.close()
    (apart, ours), (together, theirs) = learned
    assert together["worlds"] == 3 and "worlds" not in apart
    for key in ("mean_steps", "mean_return", "found", "episodes", "taken_steps"):
        assert apart["history"][0][key] == together["history"][0][key]
    assert together["simulate_s"] > 0.0
    for key in ours:
        np.testing.assert_array_equal(ours[key], theirs[key])


def test_policy_search_has_the_same_episodes_in_step() -> None:
    make = partial(TargetFindingEnv, SWIFT)
    env = make()
    architecture = architecture_for(env, "LinearPolicy", None, stochastic=True, log_std=-1.0)
    rng = np.random.default_rng(0)
    thetas = [rng.normal(size=architecture.parameters) for _ in range(7)]
    statistics = np.zeros(8), np.ones(8)
    runs = []
    for rollouts in (Rollouts(make, env=env), Rollouts(make, worlds=3)):
        rules = EpisodeRules(0.7, keep=True)
        runs.append(rollouts.run(architecture, thetas, list(range(7)), statistics, rules))
        rollouts.close()
    for alone, together in zip(*runs, strict=True):
        assert alone.learned_return == together.learned_return
        assert (alone.length, alone.info) == (together.length, together.info)
        assert alone.transitions is not None and together.transitions is not None
        np.testing.assert_array_equal(
            alone.transitions.observations, together.transitions.observations
        )


def test_what_cannot_be_run_in_step_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--worlds must be 0 or divide 75"):
        TrainingConfig(out=tmp_path, worlds=64)
    with pytest.raises(UserError, match="worlds must be 0 or more"):
        Rollouts(BallMazeEnv, worlds=-1)
    model = LEARNERS.get("pgpe")("LinearPolicy", "CartPole-v1", worlds=2)
    with pytest.raises(UserError, match="CartPoleEnv has no worlds that run in step"):
        model.learn(1)
    model.close()
