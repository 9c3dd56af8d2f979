"""Target finding with the whole body: what cameras see, and what fails."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from asterias.errors import UserError
from hardware.description.robot import load_robot
from learning.starfish.body_sight import BodySight
from learning.starfish.environment import StarfishTargetFindingEnv
from learning.starfish.episodes import draw_failures, joints_of
from learning.starfish.options import BodySearchOptions

# Where the cache is cold, numba compiles.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def sight() -> BodySight:
    """What the starfish's cameras see."""
    return BodySight(load_robot("starfish"))


def test_what_is_seen_by_geometry_is_framed_in_the_simulation(sight: BodySight) -> None:
    environment = StarfishTargetFindingEnv()
    seen = 0
    for seed in range(4):
        environment.reset(seed=seed)
        environment.step(environment.action_space.sample() * 0 - 1.0)
        found = sight.sees(joints_of(environment.command, sight.limits_rad), *environment._target)[
            0
        ]
        for limb, number in zip(*np.nonzero(found), strict=True):
            camera = environment.world.cameras[limb][number].description
            assert environment.world.frames_target(limb, camera)
            seen += 1
    assert seen > 0
    environment.close()


def test_shares_of_failures_are_met_to_the_camera(sight: BodySight) -> None:
    options = BodySearchOptions(dead_cameras=0.5, silent_cameras=0.25, dead_limbs=2)
    failures = draw_failures(np.random.default_rng(0), 50, sight, options)
    assert (failures.works.sum(1) == 4).all()
    assert (failures.live.sum((1, 2)) == 16).all()
    assert ((failures.blind | failures.late).sum((1, 2)) == 4).all()
    assert not (failures.live & ~failures.works[:, :, None]).any()
    sees = np.ones_like(failures.live)
    finds = failures.finds(sees, ~sees)
    assert (finds.sum((1, 2)) == 12).all()
    # A camera that is late reports what was in sight a step before.
    assert (failures.finds(~sees, sees) == failures.late).all()


def test_the_same_seed_gives_the_same_episode() -> None:
    rows = []
    for _ in range(2):
        environment = StarfishTargetFindingEnv(wait_s=0.1, dead_cameras=0.5)
        observation, info = environment.reset(seed=4)
        step = environment.step(np.full(48, 0.5, np.float32))
        rows.append((observation.tolist(), info, step[0].tolist(), step[1]))
        environment.close()
    assert rows[0] == rows[1]
    assert len(rows[0][1]["dead_cameras"]) == 24


def test_limbs_that_are_dead_stay_limp_and_the_others_move() -> None:
    environment = StarfishTargetFindingEnv(dead_limbs=2, wait_s=0.5)
    _, info = environment.reset(seed=1)
    environment.step(np.full(48, 1.0, np.float32))
    for number, body in enumerate(environment.world.bodies):
        # A limp limb hangs down, but does not turn sideways.
        sideways = np.abs(body.servo_rad[1::2]).min()
        assert (sideways < 0.01) == (number in info["dead_limbs"])
    environment.close()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"dead_cameras": 1.5}, "dead_cameras is a share from 0 to 1"),
        ({"dead_limbs": 6}, "dead_limbs takes fewer than the robot's 6 limbs"),
        ({"increment": 0.0}, "increment takes more than 0"),
        ({"cap": 0}, "cap 1 or more"),
        ({"distance_m": (0.7, 0.5)}, "a lower and an upper bound"),
        ({"silent": ("loud",)}, "silent takes some of black"),
        ({"robot": "limb_p1"}, "limb_p1 cannot search with its whole body"),
        ({"colour": 1}, "unexpected keyword argument 'colour'"),
        ({"render_mode": "human"}, "render_mode is 'human'"),
    ],
)
def test_what_cannot_be_done_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        StarfishTargetFindingEnv(**changes)
