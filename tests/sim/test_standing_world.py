"""The world of a robot on the ground: drivers, cameras and target as in any other."""

from __future__ import annotations

import numpy as np
import pytest

from asterias.errors import UserError
from hardware.perception.apriltag import detect_tags
from sim.engines.registry import ENGINES
from sim.standing_world import StandingWorld

# Where the cache is cold, numba compiles the loop with contact for a minute.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module", params=ENGINES)
def world(request: pytest.FixtureRequest) -> StandingWorld:
    """A starfish that has settled."""
    made = StandingWorld("starfish", engine=request.param)
    made.advance(0.2)
    return made


def test_it_lies_still_and_its_frame_is_that_of_the_description(world: StandingWorld) -> None:
    rotation, position = world.base_pose()
    middle = rotation @ world.middle_m + position
    assert rotation == pytest.approx(np.eye(3), abs=1e-3)
    assert middle == pytest.approx([0.0, 0.0, 0.03], abs=0.01)
    assert world.time_s == pytest.approx(0.2)


def test_cameras_of_the_limbs_beside_the_way_see_the_target(world: StandingWorld) -> None:
    seeing = [
        (limb, camera.name)
        for limb, row in enumerate(world.cameras)
        for camera in row
        if detect_tags(world.draw(limb, camera.description), [world.robot.target.id])
    ]
    assert ("1", "inner_right") in [(str(limb), name) for limb, name in seeing]
    assert {limb for limb, _ in seeing} <= {0, 1, 5}


@pytest.mark.parametrize("engine", ENGINES)
def test_drivers_move_limbs_and_a_limb_without_torque_gives_way(engine: str) -> None:
    world = StandingWorld("starfish", engine=engine, pictures=False)
    for limb in world.limbs:
        limb.connect()
        limb.activate()
    lift = [-0.3, 0.0] * 4
    for _ in range(10):
        for limb in world.limbs[:2]:
            limb.send(lift)
        world.advance(0.02)
    lifted = world.limbs[0].read().position_rad
    assert lifted[0] < -0.03 and lifted[1] == pytest.approx(0.0, abs=0.01)
    torque = np.abs(world.limbs[1].read().effort_nm).max()
    world.limbs[1].disable_torque()
    world.advance(0.04)
    assert np.abs(world.limbs[1].read().effort_nm).max() < 1e-6 < torque
    with pytest.raises(RuntimeError, match="Advance the world"):
        world.bodies[0].advance(1)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_reset_gives_the_same_motion_bit_for_bit(engine: str) -> None:
    world = StandingWorld("starfish", engine=engine, pictures=False)
    ends = []
    for _ in range(2):
        world.reset(seed=1)
        world.bodies[2].set_goal(np.full(8, 0.2))
        world.advance(0.1)
        ends.append((world.time_s, *world.bodies[2].servo_rad, *world.base_pose()[1]))
    assert ends[0] == ends[1]


def test_what_cannot_stand_there_is_refused() -> None:
    with pytest.raises(UserError, match=r"takes x, y and an edge in m, not \[1.0\]"):
        StandingWorld("starfish", pictures=False, target_xy_m=[1.0])
    with pytest.raises(UserError, match="takes x, y and an edge"):
        StandingWorld("starfish", pictures=False, target_size_m=0.0)
