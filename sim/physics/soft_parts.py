"""Flexures, joint friction, end stops and tendons."""

from __future__ import annotations

import numpy as np

from asterias.arrays import FloatArray
from sim.physics.model import IntArray, SoftModel, State
from sim.physics.numba_options import compiled

# What an end stop or tendon side does in one step.
OPEN, CLOSED, CLOSING, CLOSING_BARE = 0, 1, 2, 3
# Speeds below which dry friction turns viscous (rad/s for hinges, m/s for tendons): a regularised
# Coulomb friction needs no stiction states. Chosen small against the limb's ordinary speeds of
# some rad/s.
HINGE_SLIP_RAD_S = 2e-2
TENDON_SLIP_M_S = 2e-4


@compiled
def add_springs(soft: SoftModel, state: State, f: FloatArray, d: FloatArray, b: FloatArray) -> None:
    """Compute the forces ``f`` of flexures and add damping ``d`` (mid-step) and ``b`` (end).

    Dry friction of a hinge is Coulomb's, made viscous below HINGE_SLIP_RAD_S.
    """
    for i in range(state.q.size):
        f[i] = -soft.stiffness[i] * (state.q[i] - soft.rest[i]) + state.external[i]
        d[i, i] += soft.structural[i] + soft.viscous[i]
        if soft.friction[i] > 0.0:
            b[i, i] += soft.friction[i] / max(abs(state.v[i]), HINGE_SLIP_RAD_S)


# -- end stops and tendons: springs that push or pull only ----------------------------------------
#
# Each has a stretch s, a force T = k s + c ds/dt along a vector J, f = J T, and ds/dt = -J v.
# ``rate`` is ds/dt at the start of the step, ``s`` the stretch at mid-step without acceleration.
# CLOSED ones act at the mean of both ends; CLOSING ones at the end, without their damping where
# they are already opening again by then.


@compiled
def implicit_weight(mode: int, k: float, c: float, dt: float) -> float:
    """Return the weight in T = explicit - weight (J a): how acceleration lowers the force."""
    fraction = 0.5 if mode == CLOSED else 1.0
    return fraction * dt * (0.5 * dt * k + (0.0 if mode == CLOSING_BARE else c))


@compiled
def explicit_force(mode: int, k: float, c: float, s: float, rate: float, dt: float) -> float:
    """Return the force that would act without acceleration."""
    stretch = s if mode == CLOSED else s + 0.5 * dt * rate
    return k * stretch + (0.0 if mode == CLOSING_BARE else c * rate)


@compiled
def predict_mode(s: float, rate: float, dt: float) -> int:
    """Return the mode that motion without acceleration leads to."""
    if s - 0.5 * dt * rate > 0.0:
        return CLOSED
    return CLOSING if s + 0.5 * dt * rate > 0.0 else OPEN


@compiled
def revise_mode(
    mode: int, k: float, c: float, s: float, rate: float, pull: float, dt: float
) -> int:
    """Return the mode after a solve that gave the acceleration ``pull`` along J."""
    if mode == OPEN:
        start, end = s - 0.5 * dt * rate, s + 0.5 * dt * (rate - dt * pull)
        return CLOSING if end > max(start, 0.0) else OPEN
    if mode == CLOSING and rate - dt * pull < 0.0:
        return CLOSING_BARE
    force = explicit_force(mode, k, c, s, rate, dt) - implicit_weight(mode, k, c, dt) * pull
    return OPEN if force < 0.0 else mode


@compiled
def end_stop(soft: SoftModel, i: int, q: float) -> tuple[float, float]:
    """Return the sign of the nearer end stop's J (-1: upper) and the penetration of ``q``."""
    if q > 0.5 * (soft.lower[i] + soft.upper[i]):
        return -1.0, q - soft.upper[i]
    return 1.0, soft.lower[i] - q


@compiled
def tendon_stretch(arms: FloatArray, tendon: FloatArray, side: float, q: FloatArray) -> float:
    """Return the stretch in m on the flexor (``side`` 1) or extensor (-1) side; < 0: slack."""
    stretch = tendon[2] / tendon[0] - tendon[3]
    for i in range(q.size):
        stretch -= side * arms[i] * q[i]
    return float(stretch)


@compiled
def tendon_tension(arms: FloatArray, tendon: FloatArray, side: float, q: FloatArray) -> float:
    """Return the elastic tension in N on the flexor (``side`` 1) or extensor (-1) side."""
    return float(max(tendon[0] * tendon_stretch(arms, tendon, side, q), 0.0))


@compiled
def project_on_arms(arms: FloatArray, side: float, x: FloatArray) -> float:
    """Return ``J x`` of one side of a tendon."""
    total = 0.0
    for i in range(x.size):
        total += arms[i] * x[i]
    return side * total


@compiled
def predict_modes(
    soft: SoftModel, state: State, dt: float, stops: IntArray, tendons: IntArray
) -> None:
    """Predict the modes of end stops ``(n,)`` and tendon sides ``(t, 2)`` in this step."""
    for i in range(state.q.size):
        sign, s = end_stop(soft, i, state.q[i])
        stops[i] = predict_mode(s, -sign * state.v[i], dt)
    for t in range(soft.arms_m.shape[0]):
        arms, tendon = soft.arms_m[t], soft.tendon[t]
        for c in range(2):
            side = 1.0 - 2.0 * c
            s = tendon_stretch(arms, tendon, side, state.q)
            tendons[t, c] = predict_mode(s, -project_on_arms(arms, side, state.v), dt)


@compiled
def revise_modes(
    soft: SoftModel, state: State, a: FloatArray, dt: float, stops: IntArray, tendons: IntArray
) -> bool:
    """Revise the modes with the acceleration they led to; return whether none changed.

    Returns:
        Whether none changed.
    """
    same = True
    for i in range(state.q.size):
        sign, s = end_stop(soft, i, state.q[i])
        k, c, rate = soft.stop_stiffness[i], soft.stop_damping[i], -sign * state.v[i]
        mode = revise_mode(stops[i], k, c, s, rate, sign * a[i], dt)
        same &= mode == stops[i]
        stops[i] = mode
    for t in range(soft.arms_m.shape[0]):
        arms, tendon = soft.arms_m[t], soft.tendon[t]
        for j in range(2):
            side = 1.0 - 2.0 * j
            s, rate = (
                tendon_stretch(arms, tendon, side, state.q),
                -project_on_arms(arms, side, state.v),
            )
            pull = project_on_arms(arms, side, a)
            mode = revise_mode(tendons[t, j], tendon[0], tendon[1], s, rate, pull, dt)
            same &= mode == tendons[t, j]
            tendons[t, j] = mode
    return same


@compiled
def add_end_stops(
    soft: SoftModel, state: State, dt: float, stops: IntArray, matrix: FloatArray, x: FloatArray
) -> None:
    """Add active end stops: implicit part to ``matrix``, explicit force to ``x``."""
    for i in range(state.q.size):
        mode = stops[i]
        if mode == OPEN:
            continue
        sign, s = end_stop(soft, i, state.q[i])
        k, c = soft.stop_stiffness[i], soft.stop_damping[i]
        matrix[i, i] += implicit_weight(mode, k, c, dt)
        x[i] += sign * explicit_force(mode, k, c, s, -sign * state.v[i], dt)


@compiled
def add_tendons(
    soft: SoftModel, state: State, dt: float, tendons: IntArray, matrix: FloatArray, x: FloatArray
) -> None:
    """Add active tendons along their moment arms, as :func:`add_end_stops` does."""
    n = state.q.size
    for t in range(soft.arms_m.shape[0]):
        arms, tendon = soft.arms_m[t], soft.tendon[t]
        for c in range(2):
            mode = tendons[t, c]
            if mode == OPEN:
                continue
            side = 1.0 - 2.0 * c
            s, rate = (
                tendon_stretch(arms, tendon, side, state.q),
                -project_on_arms(arms, side, state.v),
            )
            weight = implicit_weight(mode, tendon[0], tendon[1], dt)
            tension = explicit_force(mode, tendon[0], tendon[1], s, rate, dt)
            for i in range(n):
                x[i] += side * tension * arms[i]
                for j in range(n):
                    matrix[i, j] += weight * arms[i] * arms[j]


@compiled
def _add_capstan_friction(
    arms: FloatArray, tendon: FloatArray, side: float, tension: float, state: State, b: FloatArray
) -> None:
    """Add the capstan friction of one tendon side at each hinge, from the pulley outwards.

    Past guide j slides what the hinges from j on take up; friction there is the tension lost over
    the wrapped angle, ``T (1 - exp(-mu w))`` when pulled, ``T (exp(mu w) - 1)`` when let out.
    """
    n = state.q.size
    for j in range(n):
        if arms[j] <= 0.0:
            continue
        sliding = 0.0
        for i in range(j, n):
            if arms[i] > 0.0:
                sliding += arms[i] * state.v[i]
        turn = tendon[4] * (tendon[5] + abs(state.q[j]))
        pulled = side * sliding > 0.0
        lost = tension * (1.0 - np.exp(-turn)) if pulled else tension * (np.exp(turn) - 1.0)
        grip = lost / max(abs(sliding), TENDON_SLIP_M_S)
        for r in range(j, n):
            for c in range(j, n):
                if arms[r] > 0.0 and arms[c] > 0.0:
                    b[r, c] += grip * arms[r] * arms[c]
        tension = tension - lost if pulled else tension + lost


@compiled
def add_tendon_friction(soft: SoftModel, state: State, b: FloatArray) -> None:
    """Add the capstan friction of all tendons that are taut at mid-step."""
    for t in range(soft.arms_m.shape[0]):
        arms, tendon = soft.arms_m[t], soft.tendon[t]
        for side in (1.0, -1.0):
            tension = tendon_tension(arms, tendon, side, state.q)
            if tension > 0.0:
                _add_capstan_friction(arms, tendon, side, tension, state, b)
