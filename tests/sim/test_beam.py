"""A clamped row of flexible links against Euler and Bernoulli: deflection, frequency, damping."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from sim.physics.limb_body import LimbBody

if TYPE_CHECKING:
    from tests.sim.conftest import Beam, FloatArray, NewBeam

COUNTS = (4, 8, 16)


def tip_m(body: LimbBody, length_m: float) -> float:
    """Height of the beam's tip."""
    rotation, shift = body.link_pose(body.limb.body.links[-1].name)
    return float((rotation @ np.array([length_m, 0.0, 0.0]) + shift)[2])


def first_mode(body: LimbBody) -> tuple[float, FloatArray]:
    """Frequency in rad/s and shape ``(n,)`` of the chain's own first mode (no simulation)."""
    factor = np.linalg.inv(np.linalg.cholesky(body.mass_matrix()))
    values, vectors = np.linalg.eigh(factor @ np.diag(body.soft.stiffness) @ factor.T)
    shape = factor.T @ vectors[:, 0]
    return math.sqrt(values[0]), shape / np.abs(shape).max()


def swing(body: LimbBody, duration_s: float) -> FloatArray:
    """Amplitude in the first mode after every step of free motion from a small first mode."""
    _, shape = first_mode(body)
    weight = body.mass_matrix() @ shape
    weight /= weight @ shape
    body.state.q[:] = 1e-4 * shape
    found = []
    for _ in range(round(duration_s / body.dt_s)):
        body.advance(1)
        found.append(float(weight @ body.state.q))
    return np.array(found)


def crossings_s(found: FloatArray, dt_s: float) -> FloatArray:
    """Times of upward zero crossings, between the samples; ``found[0]`` is at ``dt_s``."""
    i = np.flatnonzero((found[:-1] < 0.0) & (found[1:] >= 0.0))
    times: FloatArray = dt_s * (1.0 + i - found[i] / (found[i + 1] - found[i]))
    return times


def peaks(found: FloatArray) -> FloatArray:
    """Heights of the maxima, by a parabola through each highest sample and its neighbours."""
    i = 1 + np.flatnonzero((found[1:-1] > found[:-2]) & (found[1:-1] >= found[2:]))
    before, top, after = found[i - 1], found[i], found[i + 1]
    heights: FloatArray = top - (after - before) ** 2 / (8.0 * (after - 2.0 * top + before))
    return heights


def relative_deflection_error(new_beam: NewBeam, beam: Beam, count: int) -> float:
    """Of the simulated tip, come to rest under a small load, against F L^3 / (3 E I)."""
    body = new_beam(count, retardation_s=0.05)
    force = 1e-4 * beam.bending_nm2 / beam.length_m**2
    body.push(f"piece_{count}", (beam.length_m, 0.0, 0.0), (0.0, 0.0, force))
    body.advance(1500)
    expected = force * beam.length_m**3 / (3.0 * beam.bending_nm2)
    return tip_m(body, beam.length_m) / expected - 1.0


def test_tip_bends_as_a_cantilever(new_beam: NewBeam, beam: Beam) -> None:
    assert abs(relative_deflection_error(new_beam, beam, 16)) < 0.02  # what was asked for
    assert abs(relative_deflection_error(new_beam, beam, 16)) < 0.001


@pytest.mark.parametrize("count", COUNTS)
def test_deflection_error_is_a_quarter_of_one_over_the_count_squared(
    new_beam: NewBeam, beam: Beam, count: int
) -> None:
    error = relative_deflection_error(new_beam, beam, count)
    assert error == pytest.approx(-1.0 / (4.0 * count**2), rel=1e-3)


def test_own_weight_bends_the_tip(new_beam: NewBeam, beam: Beam) -> None:
    # Little gravity, so that the beam stays nearly straight: w L^4 / (8 E I).
    body = new_beam(16, retardation_s=0.05, gravity_m_s2=0.01)
    body.advance(1500)
    expected = 0.01 * beam.line_density_kg_m * beam.length_m**4 / (8.0 * beam.bending_nm2)
    assert -tip_m(body, beam.length_m) == pytest.approx(expected, rel=0.005)


def test_hanging_beam_does_not_bend(new_beam: NewBeam) -> None:
    body = new_beam(8, gravity_m_s2=9.81, vertical=True)
    body.advance(500)
    assert np.abs(body.state.q).max() < 1e-12


def test_first_natural_frequency(new_beam: NewBeam, beam: Beam) -> None:
    errors = [first_mode(new_beam(count))[0] / beam.first_rad_s - 1.0 for count in COUNTS]
    assert abs(errors[-1]) < 0.001
    assert np.all(np.diff(np.abs(errors)) < 0.0)


@pytest.mark.parametrize("physics_hz", [250.0, 500.0, 1000.0, 2000.0])
def test_simulated_beam_swings_at_its_frequency(
    new_beam: NewBeam, beam: Beam, physics_hz: float
) -> None:
    body = new_beam(8, physics_hz=physics_hz)
    own, _ = first_mode(body)
    period = np.diff(crossings_s(swing(body, 2.0), body.dt_s)).mean()
    # The average-acceleration rule lengthens a period by (w dt)^2 / 12.
    assert period * own / math.tau == pytest.approx(1.0 + (own * body.dt_s) ** 2 / 12.0, rel=2e-4)
    assert math.tau / period == pytest.approx(beam.first_rad_s, rel=0.012)


@pytest.mark.parametrize("physics_hz", [250.0, 500.0, 1000.0, 2000.0])
@pytest.mark.parametrize("damping_ratio", [0.01, 0.05])
def test_free_decay_has_the_damping_asked_for(
    new_beam: NewBeam, physics_hz: float, damping_ratio: float
) -> None:
    own, _ = first_mode(new_beam(8))
    # Kelvin-Voigt: damping ratio of a mode = retardation time x frequency / 2.
    body = new_beam(8, physics_hz=physics_hz, retardation_s=2.0 * damping_ratio / own)
    heights = peaks(swing(body, 0.9))[:10]
    decrement = -np.polyfit(np.arange(heights.size), np.log(heights), 1)[0]
    found = decrement / math.hypot(math.tau, decrement)
    assert found == pytest.approx(damping_ratio, rel=0.02)


@pytest.mark.parametrize("physics_hz", [100.0, 500.0, 2000.0])
def test_no_damping_of_its_own_over_fifty_periods(new_beam: NewBeam, physics_hz: float) -> None:
    body = new_beam(8, physics_hz=physics_hz)
    own, _ = first_mode(body)
    period_s = math.tau / own
    found = swing(body, 52.0 * period_s)
    # At 100 steps/s a period has 8 samples: the largest of several periods comes near the top.
    window = round(5.0 * period_s / body.dt_s)
    early, late = np.abs(found[:window]).max(), np.abs(found[-window:]).max()
    if physics_hz > 100.0:
        heights = peaks(found)
        early, late = heights[0], heights[49]
    assert late == pytest.approx(early, rel=0.001 if physics_hz > 100.0 else 0.02)
    energy = sum(body.energy_j())
    body.state.v[:], body.state.q[:] = 0.0, 1e-4 * first_mode(new_beam(8))[1]
    assert energy == pytest.approx(sum(body.energy_j()), rel=1e-9)
