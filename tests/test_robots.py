"""Every robot description in the repository comes to life."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hardware.description.robot import ROBOTS_DIR, load_robot
from sim.rendering.outside_view import outside_view
from sim.world import SimWorld

ROBOTS = sorted(path.stem for path in ROBOTS_DIR.glob("*.yaml"))


def test_the_starfish_has_six_limbs_with_eight_motors_and_eight_cameras_each() -> None:
    robot = load_robot("starfish")
    assert [limb.name for limb in robot.limbs] == [f"limb_{i}" for i in range(6)]
    assert {len(limb.joints) for limb in robot.limbs} == {8}
    assert {len(limb.live_cameras) for limb in robot.limbs} == {8}


@pytest.mark.parametrize("robot", ROBOTS)
def test_a_robot_settles_moves_and_sees(robot: str) -> None:
    with SimWorld(robot, seed=2) as world:
        world.advance(2.0)
        for body in world.bodies:
            assert np.abs(body.servo_rad_s).max() < 0.05
        goals = world.random_positions()
        for body, goal in zip(world.bodies, goals, strict=True):
            body.set_goal(goal)
        world.advance(3.0)
        for body, goal in zip(world.bodies, goals, strict=True):
            np.testing.assert_allclose(body.servo_rad, goal, atol=0.15)
        for i, row in enumerate(world.cameras):
            for camera in row:
                about = camera.description
                picture = world.draw(i, about)
                assert picture.shape == (about.height_px, about.width_px, 3)
        assert outside_view(world, 64, 48).std() > 5


@pytest.mark.parametrize("robot", ROBOTS)
def test_a_description_can_be_given_as_a_file(robot: str, tmp_path: Path) -> None:
    copy = tmp_path / "mine.yaml"
    copy.write_text((ROBOTS_DIR / f"{robot}.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    assert load_robot(copy).name == robot
