"""The antagonistic tendon: pretension, slack, and capstan friction along its guides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from sim.physics.limb_body import LimbBody

if TYPE_CHECKING:
    from tests.sim.conftest import FloatArray, NewLimb

STIFFNESS, DAMPING, PRETENSION, SLACK, FRICTION, WRAP = range(6)
PULLEY_M, ARM_M = 0.030, 0.010


def finger(new_limb: NewLimb, **parameters: float) -> LimbBody:
    """Prototype 1 without gravity and hinge friction, its tendon's parameters changed by name."""
    body = new_limb(gravity_m_s2=0.0)
    row = body.soft.tendon.copy()
    names = ("stiffness", "damping", "pretension", "slack", "friction", "wrap")
    for name, value in parameters.items():
        row[0, names.index(name)] = value
    body.soft = body.soft._replace(tendon=row, friction=0.0 * body.soft.friction)
    body.reset([0.0] * 4)
    return body


def bend(body: LimbBody, pulley_rad: float, speed_rad_s: float, start_rad: float = 0.0) -> None:
    """Turn the pulley's goal at a steady speed."""
    steps = round(abs(pulley_rad - start_rad) / speed_rad_s / body.dt_s)
    for share in np.linspace(0.0, 1.0, steps + 1)[1:]:
        body.set_goal([0.0, 0.0, 0.0, start_rad + share * (pulley_rad - start_rad)])
        body.advance(1)


def pull_n(body: LimbBody) -> FloatArray:
    """``(3,)`` net tendon force at each finger hinge, from the bending of its flexure."""
    soft, fingers = body.soft, slice(3, 6)
    found: FloatArray = soft.stiffness[fingers] * body.hinge_rad[fingers] / ARM_M
    return found


def test_pretension_in_both_cords_at_rest(new_limb: NewLimb) -> None:
    body = finger(new_limb)
    body.advance(1000)
    np.testing.assert_allclose(body.tendon_tensions_n(), [[15.0, 15.0]], rtol=1e-9)
    np.testing.assert_allclose(body.hinge_rad, 0.0, atol=1e-9)


@pytest.mark.parametrize("pulley_rad", [-0.9, 0.4, 1.0])
def test_reset_shares_the_pull_and_keeps_both_cords(new_limb: NewLimb, pulley_rad: float) -> None:
    body = finger(new_limb)
    body.reset([0.0, 0.0, 0.0, pulley_rad])
    np.testing.assert_allclose(body.hinge_rad[3:], pulley_rad, rtol=1e-12)
    np.testing.assert_allclose(body.tendon_tensions_n(), [[15.0, 15.0]], rtol=1e-9)


def test_turned_pulley_tightens_one_cord_and_loosens_the_other(new_limb: NewLimb) -> None:
    body = finger(new_limb)
    bend(body, 0.3, 1.0)
    flexor, extensor = body.tendon_tensions_n()[0]
    assert flexor > 15.0 > extensor > 0.0
    bend(body, -0.3, 1.0, 0.3)
    body.advance(500)
    flexor, extensor = body.tendon_tensions_n()[0]
    assert extensor > 15.0 > flexor > 0.0


def test_slack_cord_pulls_nothing(new_limb: NewLimb) -> None:
    body = finger(new_limb, slack=0.009, pretension=0.0)
    bend(body, 0.29, 1.0)  # 8.7 mm of tendon: still slack
    body.advance(500)
    assert (body.tendon_tensions_n() == 0.0).all()
    np.testing.assert_array_equal(body.hinge_rad[3:], 0.0)
    assert body.servo_nm[3] == pytest.approx(0.0, abs=1e-9)
    bend(body, 0.6, 1.0, 0.29)
    body.advance(1000)
    flexor, extensor = body.tendon_tensions_n()[0]
    assert flexor > 1.0
    assert extensor == 0.0
    assert (body.hinge_rad[3:] > 0.05).all()


@pytest.mark.parametrize("friction", [0.05, 0.12, 0.4])
@pytest.mark.parametrize("wrap", [0.0, 0.5])
def test_tension_falls_along_a_cord_that_is_pulled(
    new_limb: NewLimb, friction: float, wrap: float
) -> None:
    # Neither pretension nor slack: the extensor goes slack at once, one tendon is left.
    body = finger(new_limb, pretension=0.0, friction=friction, wrap=wrap)
    bend(body, 0.9, 0.3)
    flexor, extensor = body.tendon_tensions_n()[0]
    assert extensor == 0.0
    pull = pull_n(body)
    # Each guide is wrapped by its fixed angle and by the bend of its hinge.
    loss = np.exp(-friction * (wrap + body.hinge_rad[3:]))
    np.testing.assert_allclose(pull / np.array([flexor, *pull[:2]]), loss, rtol=0.01)
    assert body.servo_nm[3] == pytest.approx(PULLEY_M * flexor, rel=0.01)


def test_tension_rises_along_a_cord_that_is_let_out(new_limb: NewLimb) -> None:
    body = finger(new_limb, pretension=0.0, friction=0.12, wrap=0.1)
    bend(body, 0.9, 0.3)
    body.advance(500)
    # Guides first have to turn from one direction of sliding to the other.
    bend(body, 0.4, 0.2, 0.9)
    flexor, pull = body.tendon_tensions_n()[0, 0], pull_n(body)
    gain = np.exp(0.12 * (0.1 + body.hinge_rad[3:]))
    np.testing.assert_allclose(pull / np.array([flexor, *pull[:2]]), gain, rtol=0.01)


def test_without_friction_the_hinges_share_evenly(new_limb: NewLimb) -> None:
    body = finger(new_limb, friction=0.0)
    bend(body, 0.9, 1.0)
    body.advance(1500)
    np.testing.assert_allclose(body.hinge_rad[3:], body.hinge_rad[3], rtol=1e-4)
