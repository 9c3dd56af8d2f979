"""Servos: first-order lag, speed limit, torque limit, power, and what happens when held back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hardware.description.limb import JointDescription
from hardware.description.robot import RobotDescription
from sim.physics.limb_body import LimbBody

if TYPE_CHECKING:
    from tests.sim.conftest import NewLimb, NewPendulum

# About the hinge: a box of 0.2 x 0.02 x 0.02 m and 0.2 kg held at its end, and the rotor.
INERTIA = 0.2 * ((0.2**2 + 0.02**2) / 12.0 + 0.1**2)
ARMATURE = 1e-3


def servo(
    *, speed: float = 1e3, torque: float = 1e4, stiffness: float = 1e4, lag_s: float = 0.0
) -> JointDescription:
    """A stiff servo: the arm goes where the reference goes."""
    return JointDescription(
        name="servo",
        hinge="hinge",
        limits_rad=(-10.0, 10.0),
        velocity_limit_rad_s=speed,
        torque_limit_nm=torque,
        stiffness_nm_rad=stiffness,
        damping_nms_rad=2.0 * math.sqrt(stiffness * INERTIA),
        lag_s=lag_s,
        armature_kg_m2=ARMATURE,
    )


def positions(body: LimbBody, duration_s: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Of the first servo, after every step."""
    found = []
    for _ in range(round(duration_s / body.dt_s)):
        body.advance(1)
        found.append(float(body.servo_rad[0]))
    return np.array(found)


@pytest.mark.parametrize("lag_s", [0.02, 0.1])
@pytest.mark.parametrize("physics_hz", [500.0, 2000.0])
def test_step_response_is_a_first_order_lag(
    new_pendulum: NewPendulum, lag_s: float, physics_hz: float
) -> None:
    body = new_pendulum(gravity_m_s2=0.0, physics_hz=physics_hz, joint=servo(lag_s=lag_s))
    body.set_goal([0.1])
    found = positions(body, 4.0 * lag_s)
    times = body.dt_s * np.arange(1, found.size + 1)
    # The arm itself follows within some milliseconds, which the tolerance covers.
    np.testing.assert_allclose(found, 0.1 * (1.0 - np.exp(-times / lag_s)), atol=0.012)
    after = times > lag_s
    np.testing.assert_allclose(
        found[after], 0.1 * (1.0 - np.exp(-times[after] / lag_s)), atol=0.005
    )


@pytest.mark.parametrize("physics_hz", [100.0, 500.0, 2000.0])
def test_speed_limit(new_pendulum: NewPendulum, physics_hz: float) -> None:
    body = new_pendulum(gravity_m_s2=0.0, physics_hz=physics_hz, joint=servo(speed=2.0))
    body.set_goal([5.0])
    found = positions(body, 2.0)
    cruise = np.diff(found)[len(found) // 2 :] * physics_hz
    np.testing.assert_allclose(cruise, 2.0, rtol=1e-6)


def test_lag_on_a_ramp_is_speed_times_time_constant(new_pendulum: NewPendulum) -> None:
    fast = new_pendulum(gravity_m_s2=0.0, joint=servo(speed=2.0))
    slow = new_pendulum(gravity_m_s2=0.0, joint=servo(speed=2.0, lag_s=0.1))
    for body in (fast, slow):
        body.set_goal([5.0])
        body.advance(1000)
    behind = float(fast.servo_rad[0] - slow.servo_rad[0])
    assert behind == pytest.approx(2.0 * 0.1, rel=0.02)


def test_torque_limit_gives_constant_acceleration(new_pendulum: NewPendulum) -> None:
    body = new_pendulum(gravity_m_s2=0.0, joint=servo(torque=0.02))
    body.set_goal([5.0])
    found = positions(body, 0.5)
    times = body.dt_s * np.arange(1, found.size + 1)
    expected = 0.5 * 0.02 / (INERTIA + ARMATURE) * times**2
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert body.servo_nm[0] == 0.02


def test_limits_of_prototype_1_are_kept(new_limb: NewLimb, limb_p1: RobotDescription) -> None:
    joints = limb_p1.limbs[0].joints
    low, high = np.array([joint.limits_rad for joint in joints]).T
    speed = np.array([joint.velocity_limit_rad_s for joint in joints])
    torque = np.array([joint.torque_limit_nm for joint in joints])
    body = new_limb()
    body.reset(low)
    body.set_goal(high)
    for _ in range(1500):
        body.advance(1)
        assert (np.abs(body.servo_nm) <= torque).all()
        # The limit is the reference's; the arm swings on the servo's own spring by so much.
        assert (np.abs(body.servo_rad_s) <= 1.15 * speed).all()
    np.testing.assert_allclose(body.servo_rad, high, atol=0.08)


@pytest.mark.parametrize("physics_hz", [100.0, 500.0, 2000.0])
@pytest.mark.parametrize("stiffness", [10.0, 1e3, 1e6])
def test_whole_range_is_reached_when_torque_suffices(
    new_pendulum: NewPendulum, physics_hz: float, stiffness: float
) -> None:
    for speed, torque in ((4.0, 0.5), (50.0, 100.0)):
        joint = servo(speed=speed, torque=torque, stiffness=stiffness, lag_s=0.03)
        # Damped so that it brakes in time: a stiffer servo with less would hunt around its goal.
        joint = joint.model_copy(update={"damping_nms_rad": 0.05 * stiffness})
        body = new_pendulum(physics_hz=physics_hz, joint=joint)
        for goal in (10.0, -10.0):
            body.set_goal([goal])
            body.advance(round(8.0 * physics_hz))
            droop = 0.2 * 0.1 * 9.81 / stiffness
            assert body.servo_rad[0] == pytest.approx(goal, abs=1.01 * droop + 1e-6)


def test_weak_servo_gives_way_and_stays_at_its_limit(new_pendulum: NewPendulum) -> None:
    body = new_pendulum(joint=servo(torque=0.1, stiffness=100.0))
    body.soft.viscous[0] = 0.02
    body.set_goal([-1.0])
    body.advance(5000)
    # Lifting needs 0.196 Nm; it hangs where its 0.1 Nm hold the arm.
    assert 0.196 * math.cos(body.servo_rad[0]) == pytest.approx(0.1, rel=0.01)
    assert body.servo_nm[0] == pytest.approx(-0.1, rel=0.01)


def test_servo_that_was_held_back_does_not_fly(new_limb: NewLimb) -> None:
    body = new_limb()
    body.set_goal([0.0, -1.2, 0.0, 0.0])
    body.state.external[1] = 8.0  # more than the servo has
    body.advance(1000)
    assert body.servo_nm[1] == pytest.approx(-2.5)
    body.state.external[1] = 0.0
    fastest = 0.0
    for _ in range(1500):
        body.advance(1)
        fastest = max(fastest, abs(float(body.servo_rad_s[1])))
    assert fastest < 1.5 * 5.2
    assert body.servo_rad[1] == pytest.approx(-1.2, abs=0.05)


def test_without_power_the_limb_sags_and_with_power_it_stays(new_limb: NewLimb) -> None:
    body = new_limb()
    body.advance(1500)
    held = body.servo_rad
    body.power(False)
    body.advance(1500)
    sagged = body.servo_rad
    assert sagged[1] > held[1] + 0.5
    assert (body.servo_nm == 0.0).all()
    body.power(True)
    body.power(True)
    body.advance(500)
    np.testing.assert_allclose(body.servo_rad, sagged, atol=0.03)
    body.set_goal([0.0] * 4)
    body.advance(1500)
    np.testing.assert_allclose(body.servo_rad, held, atol=0.01)
