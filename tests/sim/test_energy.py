"""Energy never grows without input: no power, no push, any motion, any description.

The tolerance is rounding: a step adds and subtracts energies of the size of the largest that
occurs (weights at their height, stretched tendons), each with a relative error of some 1e-16, and
the integrator lets pass 1e-14 of that per step. A thousand steps stay below 1e-11 of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from sim.physics.limb_body import LimbBody

if TYPE_CHECKING:
    from tests.sim.conftest import FloatArray, NewBeam, NewLimb

ROUNDING = 1e-11


def energies(body: LimbBody, steps: int) -> FloatArray:
    """Total energy in J at the start and after each step."""
    found = [sum(body.energy_j())]
    for _ in range(steps):
        body.advance(1)
        found.append(sum(body.energy_j()))
    return np.array(found)


def growth(found: FloatArray) -> float:
    """The largest rise above an earlier value, as a share of the largest energy."""
    rise = float((found - np.minimum.accumulate(found)).max())
    return rise / max(float(np.abs(found).max()), 1.0)


def throw(body: LimbBody, seed: int) -> None:
    """A random state: bent, wound up and moving."""
    rng = np.random.default_rng(seed)
    body.state.q[:] = rng.uniform(-1.5, 1.5, body.state.q.size)
    body.state.v[:] = rng.uniform(-5.0, 5.0, body.state.v.size)


def without_losses(body: LimbBody) -> None:
    """Take all damping and friction away; tendons, end stops and flexures stay."""
    soft = body.soft
    names = ("structural", "viscous", "friction", "stop_damping")
    tendon = soft.tendon * np.array([1.0, 0.0, 1.0, 1.0, 0.0, 1.0])
    body.soft = soft._replace(tendon=tendon, **{name: 0.0 * getattr(soft, name) for name in names})


def without_stops_and_tendons(body: LimbBody) -> None:
    """Leave gravity, inertia and flexures alone."""
    free, soft = np.full_like(body.soft.lower, np.inf), body.soft
    body.soft = soft._replace(
        lower=-free, upper=free, arms_m=soft.arms_m[:0], tendon=soft.tendon[:0]
    )


@pytest.mark.parametrize("physics_hz", [100.0, 500.0, 2000.0])
@pytest.mark.parametrize("seed", range(3))
def test_unpowered_limb_only_loses_energy(new_limb: NewLimb, physics_hz: float, seed: int) -> None:
    body = new_limb(physics_hz=physics_hz, powered=False)
    throw(body, seed)
    found = energies(body, round(1.5 * physics_hz))
    assert growth(found) < ROUNDING
    assert found[-1] < found[0] - 1.0


@pytest.mark.parametrize("physics_hz", [100.0, 500.0, 2000.0])
@pytest.mark.parametrize("seed", range(3))
def test_limb_without_losses_gains_nothing(new_limb: NewLimb, physics_hz: float, seed: int) -> None:
    # End stops hit hard and tendons go slack and taut; the finger whips at some 100 rad/s.
    body = new_limb(physics_hz=physics_hz, powered=False)
    without_losses(body)
    throw(body, seed)
    assert growth(energies(body, round(1.5 * physics_hz))) < ROUNDING


@pytest.mark.parametrize("physics_hz", [100.0, 500.0, 2000.0])
@pytest.mark.parametrize("seed", range(3))
def test_free_tree_keeps_its_energy(new_limb: NewLimb, physics_hz: float, seed: int) -> None:
    # Nothing may be lost either.
    body = new_limb(physics_hz=physics_hz, powered=False)
    without_losses(body)
    without_stops_and_tendons(body)
    throw(body, seed)
    found = energies(body, round(1.5 * physics_hz))
    np.testing.assert_allclose(found, found[0], atol=ROUNDING * np.abs(found).max())


@pytest.mark.parametrize("physics_hz", [100.0, 500.0])
@pytest.mark.parametrize("retardation_s", [0.0, 0.01])
def test_chain_thrown_far_never_gains(
    new_beam: NewBeam, physics_hz: float, retardation_s: float
) -> None:
    body = new_beam(6, physics_hz=physics_hz, retardation_s=retardation_s, gravity_m_s2=9.81)
    throw(body, 1)
    found = energies(body, round(2.0 * physics_hz))
    assert growth(found) < ROUNDING
    if retardation_s > 0.0:
        assert found[-1] < 0.5 * found[0]


@pytest.mark.parametrize("stiffness", [1.0, 1e3, 1e6])
@pytest.mark.parametrize("damping", [0.0, 1e-3, 10.0])
@pytest.mark.parametrize("physics_hz", [100.0, 1000.0])
def test_end_stops_throw_back_no_more_than_came_in(
    new_limb: NewLimb, physics_hz: float, stiffness: float, damping: float
) -> None:
    body = new_limb(physics_hz=physics_hz, powered=False)
    without_losses(body)
    soft = body.soft
    body.soft = soft._replace(
        lower=np.full_like(soft.lower, -0.3),
        upper=np.full_like(soft.upper, 0.3),
        stop_stiffness=np.full_like(soft.lower, stiffness),
        stop_damping=np.full_like(soft.lower, damping),
        arms_m=soft.arms_m[:0],
        tendon=soft.tendon[:0],
    )
    body.state.v[:] = np.random.default_rng(4).uniform(-9.0, 9.0, body.state.v.size)
    assert growth(energies(body, round(physics_hz))) < ROUNDING


@pytest.mark.parametrize("seed", range(24))
def test_any_description_only_loses_energy(new_wild_body: NewLimb, seed: int) -> None:
    body = new_wild_body(seed=1000 + seed, powered=False)
    throw(body, seed)
    assert growth(energies(body, round(0.8 / body.dt_s))) < ROUNDING


def test_trajectories_converge_at_second_order(new_limb: NewLimb) -> None:
    def run(physics_hz: int) -> FloatArray:
        body = new_limb(physics_hz=physics_hz, powered=False)
        without_losses(body)
        without_stops_and_tendons(body)
        body.state.q[:] = [0.3, -0.4, 0.5, 0.6, -0.2, 0.1, 0.3]
        body.state.v[:] = [1.0, 2.0, -1.0, 3.0, -2.0, 1.0, 0.0]
        body.advance(physics_hz // 20)
        positions: FloatArray = body.state.q.copy()
        return positions

    # The bent flexures let the finger whip: the fastest motion needs some 1000 steps per second.
    fine = run(64000)
    errors = [float(np.abs(run(hz) - fine).max()) for hz in (800, 1600, 3200)]
    ratios = np.array(errors[:-1]) / np.array(errors[1:])
    np.testing.assert_allclose(ratios, 4.0, rtol=0.2)
