"""Many worlds in one loop: Gymnasium's contract for vectors, and the numbers of a single world."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import learning.environments  # noqa: F401  (registers the names)
from asterias.errors import UserError
from learning.target_finding.env.environment import TargetFindingEnv
from learning.target_finding.env.vector_environment import TargetFindingVectorEnv

# Where the cache is cold, numba compiles the loop over worlds for half a minute.
pytestmark = pytest.mark.timeout(600)

NAME = "Asterias/TargetFinding-v0"
COUNT = 4


def same(one: Any, two: Any) -> None:
    """Fail unless two observations or infos are equal bit for bit."""
    if isinstance(one, dict):
        assert one.keys() == two.keys()
        for key in one:
            same(one[key], two[key])
    elif isinstance(one, tuple) or (isinstance(one, np.ndarray) and one.dtype == object):
        assert len(one) == len(two)
        for a, b in zip(one, two, strict=True):
            same(a, b)
    else:
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("mode", [mode.value for mode in AutoresetMode])
def test_a_vector_gives_the_numbers_of_its_single_environments(mode: str) -> None:
    about: dict[str, Any] = {"faults": "kill1", "cap": 2, "wait_s": 0.3}
    together = gymnasium.make_vec(NAME, COUNT, autoreset_mode=mode, threads=2, **about)
    apart = SyncVectorEnv([lambda: TargetFindingEnv(**about)] * COUNT, autoreset_mode=mode)
    assert isinstance(together, TargetFindingVectorEnv)
    assert together.observation_space == apart.observation_space
    assert together.action_space == apart.action_space
    assert together.metadata["autoreset_mode"] is AutoresetMode(mode)
    same(together.reset(seed=5), apart.reset(seed=5))
    apart.action_space.seed(1)
    for _ in range(6):
        actions = apart.action_space.sample()
        ours, theirs = together.step(actions), apart.step(actions)
        for one, two in zip(ours, theirs, strict=True):
            same(one, two)
        ended = theirs[2] | theirs[3]
        if mode == AutoresetMode.DISABLED.value and ended.any():
            with pytest.raises(gymnasium.error.ResetNeeded, match="reset_mask"):
                together.step(actions)
            mask = {"reset_mask": ended}
            same(together.reset(options=dict(mask)), apart.reset(options=dict(mask)))
    together.close()
    apart.close()


@pytest.mark.parametrize(
    "about",
    [
        {
            "observe": "images",
            "faults": "kill12",
            "silent": ("noisy", "delayed"),
            "robot": "limb_p1",
        },
        {"observe": "both", "target": "moving", "randomise": ("light", "stiffness", "camera_pose")},
        {"goal": True, "servo": "limp", "observe": "images"},
        {"robot": "starfish", "limb": 2, "observe": "images"},
    ],
    ids=["images", "varied", "goal", "starfish"],
)
def test_pictures_of_many_worlds_are_those_of_each(about: dict[str, Any]) -> None:
    about = {"wait_s": 0.2, "cap": 2, **about}
    together = TargetFindingVectorEnv(3, threads=2, **about)
    apart = SyncVectorEnv([lambda: TargetFindingEnv(**about)] * 3)
    same(together.reset(seed=[3, 1, 2]), apart.reset(seed=[3, 1, 2]))
    apart.action_space.seed(0)
    for _ in range(3):
        actions = apart.action_space.sample()
        for one, two in zip(together.step(actions), apart.step(actions), strict=True):
            same(one, two)
    together.close()
    apart.close()


def test_one_thread_gives_what_two_give() -> None:
    seen = []
    for threads in (1, 2):
        env = TargetFindingVectorEnv(5, threads=threads, observe="images", wait_s=0.2)
        env.reset(seed=0)
        env.action_space.seed(0)
        seen.append([env.step(env.action_space.sample())[0] for _ in range(2)])
        env.close()
    same(np.array(seen[0]), np.array(seen[1]))


def test_a_wrong_call_is_told() -> None:
    with pytest.raises(UserError, match="autoreset_mode must be one of"):
        TargetFindingVectorEnv(2, autoreset_mode="never")
    with pytest.raises(UserError, match="1 world or more"):
        TargetFindingVectorEnv(0)
    with pytest.raises(UserError, match="no option 'wait'"):
        gymnasium.make_vec(NAME, 2, wait=1.0)
    env = TargetFindingVectorEnv(2, threads=1)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(env.action_space.sample())
    with pytest.raises(ValueError, match="3 seeds for 2"):
        env.reset(seed=[1, 2, 3])
    with pytest.raises(ValueError, match="reset_mask must hold 2"):
        env.reset(options={"reset_mask": np.array([False, False])})
    env.close()
