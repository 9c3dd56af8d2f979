"""Any description that the file allows stays finite and bounded, whatever is commanded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.sim.conftest import NewLimb


@pytest.mark.parametrize("seed", range(40))
def test_random_commands_to_a_random_description(new_wild_body: NewLimb, seed: int) -> None:
    body = new_wild_body(seed=seed)
    rng = np.random.default_rng(seed)
    low, high = np.array([joint.limits_rad for joint in body.limb.joints]).T
    per_command, furthest, energy = round(0.02 / body.dt_s), 0.0, 0.0
    for _ in range(250):
        body.set_goal(rng.uniform(low, high))
        body.advance(per_command)
        furthest = max(furthest, float(np.abs(body.state.q).max()))
        energy = max(energy, sum(body.energy_j()))
    assert np.isfinite(body.state.q).all()
    assert np.isfinite(body.state.v).all()
    # Servos of up to 100 Nm may press soft end stops (from 1 Nm/rad) in by dozens of turns at most.
    assert furthest < 100.0
    assert energy < 1e5


@pytest.mark.parametrize("physics_hz", [100.0, 333.0, 2000.0])
def test_prototype_1_takes_the_same_path_at_any_rate(new_limb: NewLimb, physics_hz: float) -> None:
    def path(rate_hz: float) -> list[np.ndarray[tuple[int], np.dtype[np.float64]]]:
        body = new_limb(physics_hz=rate_hz)
        body.set_goal([0.6, -0.5, 0.4, 0.8])
        found = []
        for _ in range(20):
            body.advance(round(0.1 * rate_hz))
            found.append(body.servo_rad)
        return found

    # On the way a servo runs behind or ahead by some of its speed times a step (5 rad/s x 10 ms).
    np.testing.assert_allclose(path(physics_hz), path(4000.0), atol=0.02 + 6.0 / physics_hz)
    np.testing.assert_allclose(path(physics_hz)[-1], path(4000.0)[-1], atol=0.002)
