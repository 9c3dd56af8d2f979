"""Position servos: a speed-limited, lagged reference, a spring and a damper, a torque limit."""

from __future__ import annotations

import numpy as np

from asterias.arrays import FloatArray
from sim.physics.model import ServoDynamics, State
from sim.physics.numba_options import compiled

# Fraction of dt^2 at which elastic forces are taken: 1/4 is the average-acceleration rule of
# Newmark (1959), the least that is stable for any stiffness.
BETA = 0.25


@compiled
def update_references(servo: ServoDynamics, state: State, rate: FloatArray, dt: float) -> None:
    """Ramp each reference towards its goal, then lag it; ``rate`` gets the reference's speed.

    A reference does not run ahead of a servo that cannot follow (anti-windup): beyond the lead at
    which the torque is at its limit it would change nothing until the servo is released, and then
    make it overshoot.
    """
    for s in range(servo.joint.size):
        reach = servo.speed_limit[s] * dt
        before, at = state.reference[s], state.q[servo.joint[s]]
        # In free motion the lag alone makes the ramp lead by this much at most.
        lead = servo.speed_limit[s] * servo.lag_s[s] + reach
        ramp = state.ramp[s] + min(max(state.goal[s] - state.ramp[s], -reach), reach)
        state.ramp[s] = min(max(ramp, before - lead), before + lead)
        # First-order lag, exact over the step.
        fraction = 1.0 if servo.lag_s[s] <= 0.0 else 1.0 - np.exp(-dt / servo.lag_s[s])
        lead = servo.torque_limit[s] / servo.stiffness[s] + reach
        reference = before + fraction * (state.ramp[s] - before)
        state.reference[s] = min(max(reference, at - lead), at + lead)
        rate[s] = (state.reference[s] - before) / dt


@compiled
def add_servos(
    servo: ServoDynamics,
    state: State,
    rate: FloatArray,
    dt: float,
    saturated: FloatArray,
    matrix: FloatArray,
    x: FloatArray,
) -> None:
    """Add servos: implicit springs and dampers, or the torque ``saturated`` at their limit."""
    for s in range(servo.joint.size):
        i = servo.joint[s]
        if saturated[s] != 0.0:
            x[i] += saturated[s]
            continue
        matrix[i, i] += BETA * dt * dt * servo.stiffness[s] + dt * servo.damping[s]
        x[i] += servo.stiffness[s] * (state.reference[s] - state.q[i])
        x[i] += servo.damping[s] * (rate[s] - state.v[i])


@compiled
def limit_servos(
    servo: ServoDynamics,
    state: State,
    rate: FloatArray,
    a: FloatArray,
    dt: float,
    saturated: FloatArray,
) -> bool:
    """Saturate servos that exceed their torque limit; return whether there were none.

    Returns:
        Whether there were none.
    """
    settled = True
    for s in range(servo.joint.size):
        if saturated[s] != 0.0:
            continue
        i = servo.joint[s]
        error = state.reference[s] - state.q[i] - BETA * dt * dt * a[i]
        torque = servo.stiffness[s] * error
        torque += servo.damping[s] * (rate[s] - state.v[i] - dt * a[i])
        state.torque[s] = torque
        if abs(torque) > servo.torque_limit[s]:
            saturated[s] = np.sign(torque) * servo.torque_limit[s]
            state.torque[s] = saturated[s]
            settled = False
    return settled


@compiled
def guess_saturated(servo: ServoDynamics, state: State, saturated: FloatArray) -> None:
    """Saturate servos that were at their torque limit in the last step."""
    for s in range(servo.joint.size):
        if abs(state.torque[s]) >= servo.torque_limit[s]:
            saturated[s] = np.sign(state.torque[s]) * servo.torque_limit[s]
            state.torque[s] = saturated[s]


@compiled
def release_servos(
    servo: ServoDynamics,
    state: State,
    rate: FloatArray,
    a: FloatArray,
    dt: float,
    saturated: FloatArray,
) -> bool:
    """Release saturated servos that need less than their torque limit.

    Returns:
        Whether there were any.
    """
    found = False
    for s in range(servo.joint.size):
        i = servo.joint[s]
        error = state.reference[s] - state.q[i] - BETA * dt * dt * a[i]
        torque = servo.stiffness[s] * error
        torque += servo.damping[s] * (rate[s] - state.v[i] - dt * a[i])
        if saturated[s] != 0.0 and abs(torque) < servo.torque_limit[s]:
            saturated[s] = 0.0
            found = True
    return found
