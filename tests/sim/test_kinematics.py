"""Kinematics of resting soft limbs against the simulation and PyBullet's own tree."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hardware.description.robot import RobotDescription, load_robot
from hardware.teleop.inverse_kinematics import damped_step, solve
from hardware.teleop.jogging import Jogger
from sim.physics.kinematics import SoftLimb
from sim.rendering.bullet import pybullet
from sim.rendering.bullet_scene import BulletScene
from sim.world import SimWorld

ROBOTS = ("limb_p1", "starfish")


def ends(robot: RobotDescription) -> tuple[np.ndarray, np.ndarray]:
    limits = np.array([joint.limits_rad for joint in robot.limbs[0].joints])
    return limits[:, 0], limits[:, 1]


def bullet_tip(world: SimWorld, limb: SoftLimb) -> np.ndarray:
    """The tip in the world, as PyBullet places the last link."""
    scene, hinges = world.scene, world.robot.limbs[0].body.hinges
    assert isinstance(scene, BulletScene)
    scene.place_limb(0, world.bodies[0].hinge_rad)
    state = pybullet.getLinkState(
        scene.bodies[0],
        len(hinges) - 1,
        computeForwardKinematics=1,
        physicsClientId=scene.client,
    )
    rotation = np.array(pybullet.getMatrixFromQuaternion(state[5])).reshape(3, 3)
    return np.array(state[4]) + rotation @ (limb.tip_point_m - np.array(hinges[-1].pivot_m))


@pytest.mark.parametrize("name", ROBOTS)
def test_the_tip_is_where_pybullet_has_it_when_the_limb_rests(name: str) -> None:
    with SimWorld(name, seed=5, renderer="pybullet") as world:
        limb = SoftLimb.of(world.robot, 0)
        world.limbs[0].connect()
        world.limbs[0].activate()
        for _ in range(4):
            goal = world.random_positions()[0]
            for _ in range(100):
                world.limbs[0].send(goal)
                world.advance(0.02)
            found = limb.in_world(limb.tip(world.bodies[0].servo_rad))
            # Friction in the tendons leaves a resting finger within a millimetre or two.
            np.testing.assert_allclose(found, bullet_tip(world, limb), atol=3e-3)


@pytest.mark.parametrize("name", ROBOTS)
@settings(max_examples=25, deadline=None)
@example(seed=2762)  # near a limit: the damped pull to the middle moved the tip by more
@example(seed=7310)
@given(seed=st.integers(0, 10_000))
def test_a_step_of_the_tip_goes_the_right_way_and_never_past_a_limit(name: str, seed: int) -> None:
    robot = load_robot(name)
    limb, (lower, upper) = SoftLimb.of(robot, 0), ends(robot)
    rng = np.random.default_rng(seed)
    position = rng.uniform(lower, upper)
    way = rng.normal(size=3)
    way *= 0.002 / np.linalg.norm(way)
    before = limb.tip(position)
    step = damped_step(limb.jacobian(position), way, position, lower, upper)
    assert (position + step >= lower - 1e-9).all() and (position + step <= upper + 1e-9).all()
    left = np.linalg.norm(before + way - limb.tip(position + step))
    assert left <= np.linalg.norm(way) * 1.05, "a step never leads away from where it should go"


@pytest.mark.parametrize("name", ROBOTS)
def test_places_that_can_be_reached_are_reached(name: str) -> None:
    robot = load_robot(name)
    limb, (lower, upper) = SoftLimb.of(robot, 0), ends(robot)
    rng = np.random.default_rng(1)
    for _ in range(8):
        pose = rng.uniform(lower, upper)
        start = np.clip(pose + rng.normal(0.0, 0.2, pose.size), lower, upper)
        found, left = solve(limb, limb.tip(pose), start, lower, upper)
        assert left < 2e-3
        assert (found >= lower).all() and (found <= upper).all()


def test_a_place_out_of_reach_is_told_by_the_distance() -> None:
    robot = load_robot("limb_p1")
    limb, (lower, upper) = SoftLimb.of(robot, 0), ends(robot)
    found, left = solve(limb, [1.0, 0.0, 0.0], np.zeros(4), lower, upper)
    assert 0.5 < left < 1.0
    assert np.isfinite(found).all()


@pytest.mark.parametrize("way", np.eye(3), ids=["out", "left", "up"])
def test_the_tip_moves_straight_while_a_person_steers_it(way: np.ndarray) -> None:
    robot = load_robot("limb_p1")
    limb = SoftLimb.of(robot, 0)
    jogger = Jogger(robot.limbs[0], limb)
    position = np.array([0.2, -0.6, 0.1, 0.9])
    start = limb.tip(position)
    for _ in range(25):  # half a second at 0.15 m/s; the limb follows at once
        position = jogger.jog_tip(way, position, 0.02)
    moved = limb.tip(position) - start
    # A joint at its speed limit may cost some of the way, but not its direction.
    along = float(moved @ way)
    assert 0.9 * 0.075 < along < 1.02 * 0.075
    np.testing.assert_allclose(moved, along * way, atol=1e-3)


def test_a_goal_does_not_run_away_from_a_limb_that_is_held_fast() -> None:
    robot = load_robot("limb_p1")
    jogger = Jogger(robot.limbs[0], SoftLimb.of(robot, 0))
    measured = np.zeros(4)
    for _ in range(500):
        goal = jogger.jog_joints([1.0, 0.0, 0.0, 0.0], measured, 0.02)
    assert goal[0] == pytest.approx(jogger.limits.lead_rad)
    for _ in range(500):
        goal = jogger.jog_tip([0.0, 0.0, 1.0], measured, 0.02)
    assert np.abs(goal).max() <= jogger.limits.lead_rad + 1e-12
