"""One soft or driven hinge under gravity, against closed forms solved by bisection."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from hardware.description.limb import JointDescription, Section

if TYPE_CHECKING:
    from tests.sim.conftest import NewPendulum

MASS_KG, LEVER_M, GRAVITY = 0.2, 0.1, 9.81
WEIGHT_NM = MASS_KG * LEVER_M * GRAVITY


def bisect(function: Callable[[float], float], low: float, high: float) -> float:
    """The zero of a function that rises through it between ``low`` and ``high``."""
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if function(middle) < 0.0 else (low, middle)
    return 0.5 * (low + high)


@pytest.mark.parametrize("thickness_m", [0.003, 0.005, 0.01])
@pytest.mark.parametrize("rest_rad", [0.0, -0.4])
@pytest.mark.parametrize("physics_hz", [100.0, 500.0])
def test_static_angle_of_a_flexure(
    new_pendulum: NewPendulum, thickness_m: float, rest_rad: float, physics_hz: float
) -> None:
    section = Section(shape="rectangle", width_m=0.02, thickness_m=thickness_m)
    body = new_pendulum(
        section=section, rest_rad=rest_rad, physics_hz=physics_hz, retardation_s=0.3
    )
    stiffness = 26e6 * 0.02 * thickness_m**3 / 12.0 / 0.02
    # About +y a positive angle lowers the arm, which points along x.
    expected = bisect(
        lambda angle: stiffness * (angle - rest_rad) - WEIGHT_NM * math.cos(angle), -2.0, 2.0
    )
    body.advance(round(12.0 * physics_hz))
    assert body.hinge_rad[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("stiffness", [1.0, 10.0, 1000.0])
@pytest.mark.parametrize("goal_rad", [-0.8, 0.0, 0.5])
def test_servo_droops_by_torque_over_stiffness(
    new_pendulum: NewPendulum, stiffness: float, goal_rad: float
) -> None:
    joint = JointDescription(
        name="servo",
        hinge="hinge",
        limits_rad=(-2.0, 2.0),
        velocity_limit_rad_s=5.0,
        stiffness_nm_rad=stiffness,
        damping_nms_rad=0.05 * math.sqrt(stiffness),
    )
    body = new_pendulum(joint=joint)
    body.set_goal([goal_rad])
    body.advance(3000)
    expected = bisect(
        lambda angle: stiffness * (angle - goal_rad) - WEIGHT_NM * math.cos(angle), -3.0, 3.0
    )
    assert body.servo_rad[0] == pytest.approx(expected, abs=1e-6)
    assert body.servo_nm[0] == pytest.approx(-WEIGHT_NM * math.cos(expected), abs=1e-5)


def test_pendulum_period(new_pendulum: NewPendulum) -> None:
    # A box of 0.2 x 0.02 x 0.02 m about its end, hanging: small swings about straight down.
    body = new_pendulum(physics_hz=1000.0)
    inertia = MASS_KG * ((0.2**2 + 0.02**2) / 12.0 + LEVER_M**2)
    body.state.q[0] = 0.5 * math.pi + 0.001
    period_s = math.tau * math.sqrt(inertia / WEIGHT_NM)
    body.advance(round(period_s / 4.0 * 1000.0))
    assert abs(body.hinge_rad[0] - 0.5 * math.pi) < 1e-5
    body.advance(round(period_s / 4.0 * 1000.0))
    assert body.hinge_rad[0] - 0.5 * math.pi == pytest.approx(-0.001, rel=1e-3)


def test_end_stop_holds_the_weight(new_pendulum: NewPendulum) -> None:
    body = new_pendulum(limits_rad=(-0.2, 0.2))
    body.advance(3000)
    expected = bisect(lambda angle: 50.0 * (angle - 0.2) - WEIGHT_NM * math.cos(angle), 0.0, 1.0)
    assert body.hinge_rad[0] == pytest.approx(expected, abs=1e-6)


def test_push_is_an_outside_force(new_pendulum: NewPendulum) -> None:
    section = Section(shape="rectangle", width_m=0.02, thickness_m=0.005)
    body = new_pendulum(section=section, gravity_m_s2=0.0)
    body.push("arm", (0.2, 0.0, 0.0), (0.0, 0.0, 0.01))
    body.advance(5000)
    stiffness = 26e6 * 0.02 * 0.005**3 / 12.0 / 0.02
    assert body.hinge_rad[0] == pytest.approx(-0.2 * 0.01 / stiffness, rel=1e-6)
    body.reset([])
    body.advance(500)
    assert body.hinge_rad[0] == 0.0
