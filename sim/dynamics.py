"""Rigid-body dynamics of a tree of hinges with soft parts, as one compiled loop.

Equations of motion in joint coordinates q (hinges first, then servo pulleys):

    M(q) a + h(q, v) = f_elastic(q) + f_damping(v) + f_servo(q, v) + f_external

M is the joint-space inertia (composite rigid bodies), h gravity and velocity terms (recursive
Newton-Euler; both after Featherstone, Rigid Body Dynamics Algorithms, 2008). Soft parts are stiff,
so they enter implicitly: with v kept at half steps, elastic forces act at ``q + dt^2/4 a`` and
structural damping at ``v + dt/2 a``. That is the average-acceleration rule of Newmark (1959) in
leapfrog form: stable for any stiffness, second order, and without damping of its own, so the
damping that comes out is the damping that was asked for. Friction, end stops and the servos' own
damping, which are not small, act at ``v + dt a`` and can only take energy out.

Vectors are tuples of three floats inside the loop: the compiler keeps them in registers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Vec = tuple[float, float, float]

# Share of dt^2 at which elastic forces are taken: 1/4 is the average-acceleration rule.
BETA = 0.25
# Speeds below which dry friction turns viscous (rad/s for hinges, m/s for cords).
HINGE_SLIP_RAD_S = 2e-2
CORD_SLIP_M_S = 2e-4


class TreeModel(NamedTuple):
    """The rigid tree; ``h`` hinges, all coordinates in the limb's common frame, straight pose.

    Attributes:
        parent: ``(h,)`` hinge that carries the parent link, -1 for the root.
        pivot_m, axis: ``(h, 3)``.
        mass_kg: ``(h,)`` of each hinge's child link.
        center_m: ``(h, 3)`` centres of mass; inertia_kg_m2: ``(h, 3, 3)`` about them.
        gravity_m_s2: ``(3,)`` in the common frame.
    """

    parent: IntArray
    pivot_m: FloatArray
    axis: FloatArray
    mass_kg: FloatArray
    center_m: FloatArray
    inertia_kg_m2: FloatArray
    gravity_m_s2: FloatArray


class SoftModel(NamedTuple):
    """What acts along the ``n`` coordinates, ``n = h + pulleys``.

    Attributes:
        armature, stiffness, rest, structural, viscous, friction: ``(n,)`` in kg m2, N m/rad, rad,
            N m s/rad, N m s/rad and N m.
        lower, upper, stop_stiffness, stop_damping: ``(n,)`` end stops.
        arms_m: ``(t, n)`` length each tendon loses per coordinate on its flexor side.
        cord: ``(t, 6)`` stiffness N/m, damping N s/m, pretension N, slack m, friction, wrap rad.
    """

    armature: FloatArray
    stiffness: FloatArray
    rest: FloatArray
    structural: FloatArray
    viscous: FloatArray
    friction: FloatArray
    lower: FloatArray
    upper: FloatArray
    stop_stiffness: FloatArray
    stop_damping: FloatArray
    arms_m: FloatArray
    cord: FloatArray


class ServoModel(NamedTuple):
    """The ``s`` servos: coordinate number ``joint`` ``(s,)`` and their ``(s,)`` parameters."""

    joint: IntArray
    stiffness: FloatArray
    damping: FloatArray
    torque_limit: FloatArray
    speed_limit: FloatArray
    lag_s: FloatArray


class State(NamedTuple):
    """Everything that changes; arrays are updated in place.

    Attributes:
        q, v: ``(n,)`` coordinates, and their rates half a step earlier.
        goal, ramp, reference: ``(s,)`` commanded, speed-limited and lagged servo positions.
        torque: ``(s,)`` last servo torques; external: ``(n,)`` generalised forces from outside.
    """

    q: FloatArray
    v: FloatArray
    goal: FloatArray
    ramp: FloatArray
    reference: FloatArray
    torque: FloatArray
    external: FloatArray


class Poses(NamedTuple):
    """Link poses: a point p of link i (common frame, straight) is at ``rotation[i] p + shift[i]``.

    Attributes:
        rotation: ``(h, 3, 3)``; shift_m: ``(h, 3)``; pivot_m, axis: ``(h, 3)`` as they are now.
    """

    rotation: FloatArray
    shift_m: FloatArray
    pivot_m: FloatArray
    axis: FloatArray


@njit(cache=True, inline="always")
def _get(a: FloatArray, i: int) -> Vec:
    return (a[i, 0], a[i, 1], a[i, 2])


@njit(cache=True, inline="always")
def _put(a: FloatArray, i: int, x: Vec) -> None:
    a[i, 0] = x[0]
    a[i, 1] = x[1]
    a[i, 2] = x[2]


@njit(cache=True, inline="always")
def _add(a: Vec, b: Vec) -> Vec:
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])


@njit(cache=True, inline="always")
def _sub(a: Vec, b: Vec) -> Vec:
    return (a[0] - b[0], a[1] - b[1], a[2] - b[2])


@njit(cache=True, inline="always")
def _scale(s: float, a: Vec) -> Vec:
    return (s * a[0], s * a[1], s * a[2])


@njit(cache=True, inline="always")
def _dot(a: Vec, b: Vec) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@njit(cache=True, inline="always")
def _cross(a: Vec, b: Vec) -> Vec:
    return (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )


@njit(cache=True, inline="always")
def _apply(m: FloatArray, i: int, x: Vec) -> Vec:
    """Row-major 3x3 matrix ``m[i]`` times ``x``."""
    return (
        m[i, 0, 0] * x[0] + m[i, 0, 1] * x[1] + m[i, 0, 2] * x[2],
        m[i, 1, 0] * x[0] + m[i, 1, 1] * x[1] + m[i, 1, 2] * x[2],
        m[i, 2, 0] * x[0] + m[i, 2, 1] * x[1] + m[i, 2, 2] * x[2],
    )


@njit(cache=True)
def _turn(out: FloatArray, i: int, base: FloatArray, p: int, axis: Vec, angle: float) -> None:
    """``out[i] = base[p] @ R(axis, angle)`` (Rodrigues); identity base for ``p < 0``."""
    s, c = np.sin(angle), np.cos(angle)
    x, y, z = axis
    k = 1.0 - c
    columns = (
        (c + k * x * x, k * x * y + s * z, k * x * z - s * y),
        (k * x * y - s * z, c + k * y * y, k * y * z + s * x),
        (k * x * z + s * y, k * y * z - s * x, c + k * z * z),
    )
    for j in range(3):
        col = columns[j] if p < 0 else _apply(base, p, columns[j])
        out[i, 0, j] = col[0]
        out[i, 1, j] = col[1]
        out[i, 2, j] = col[2]


@njit(cache=True)
def forward_kinematics(tree: TreeModel, q: FloatArray, poses: Poses) -> None:
    """Fill ``poses`` for hinge angles ``q[:h]``."""
    for i in range(tree.parent.size):
        p = tree.parent[i]
        axis, pivot = _get(tree.axis, i), _get(tree.pivot_m, i)
        if p < 0:
            _put(poses.axis, i, axis)
            _put(poses.pivot_m, i, pivot)
        else:
            _put(poses.axis, i, _apply(poses.rotation, p, axis))
            at = _add(_apply(poses.rotation, p, pivot), _get(poses.shift_m, p))
            _put(poses.pivot_m, i, at)
        _turn(poses.rotation, i, poses.rotation, p, axis, q[i])
        turned = _apply(poses.rotation, i, pivot)
        _put(poses.shift_m, i, _sub(_get(poses.pivot_m, i), turned))


@njit(cache=True)
def world_inertia(tree: TreeModel, poses: Poses, out: FloatArray) -> None:
    """``out[i] = R I R^T`` for every link."""
    for i in range(tree.parent.size):
        for r in range(3):
            for c in range(3):
                total = 0.0
                for k in range(3):
                    row = 0.0
                    for m in range(3):
                        row += poses.rotation[i, r, m] * tree.inertia_kg_m2[i, m, k]
                    total += row * poses.rotation[i, c, k]
                out[i, r, c] = total


@njit(cache=True)
def centers_of_mass(tree: TreeModel, poses: Poses, out: FloatArray) -> None:
    for i in range(tree.parent.size):
        turned = _apply(poses.rotation, i, _get(tree.center_m, i))
        _put(out, i, _add(turned, _get(poses.shift_m, i)))


@njit(cache=True)
def bias_forces(
    tree: TreeModel,
    poses: Poses,
    v: FloatArray,
    centers: FloatArray,
    inertia: FloatArray,
    out: FloatArray,
) -> None:
    """Recursive Newton-Euler with zero acceleration: ``out[:h] = h(q, v)`` in N m."""
    n = tree.parent.size
    spin, spin_rate, lift = np.empty((n, 3)), np.empty((n, 3)), np.empty((n, 3))
    force, moment = np.zeros((n, 3)), np.zeros((n, 3))
    up = (-tree.gravity_m_s2[0], -tree.gravity_m_s2[1], -tree.gravity_m_s2[2])
    for i in range(n):
        p = tree.parent[i]
        axis, pivot = _get(poses.axis, i), _get(poses.pivot_m, i)
        w, dw, acc = (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), up
        if p >= 0:
            w, dw = _get(spin, p), _get(spin_rate, p)
            arm = _sub(pivot, _get(poses.pivot_m, p))
            acc = _add(_get(lift, p), _add(_cross(dw, arm), _cross(w, _cross(w, arm))))
        dw = _add(dw, _cross(w, _scale(v[i], axis)))
        w = _add(w, _scale(v[i], axis))
        _put(spin, i, w)
        _put(spin_rate, i, dw)
        _put(lift, i, acc)
        arm = _sub(_get(centers, i), pivot)
        at_center = _add(acc, _add(_cross(dw, arm), _cross(w, _cross(w, arm))))
        pull = _scale(tree.mass_kg[i], at_center)
        twist = _add(_apply(inertia, i, dw), _cross(w, _apply(inertia, i, w)))
        _put(force, i, pull)
        _put(moment, i, _add(twist, _cross(arm, pull)))
    for i in range(n - 1, -1, -1):
        out[i] = _dot(_get(poses.axis, i), _get(moment, i))
        p = tree.parent[i]
        if p >= 0:
            arm = _sub(_get(poses.pivot_m, i), _get(poses.pivot_m, p))
            carried = _add(_get(moment, i), _cross(arm, _get(force, i)))
            _put(moment, p, _add(_get(moment, p), carried))
            _put(force, p, _add(_get(force, p), _get(force, i)))


@njit(cache=True)
def _merge(mass: FloatArray, center: FloatArray, inertia: FloatArray, into: int, part: int) -> None:
    """Add composite body ``part`` to ``into``: parallel-axis theorem about the joint centre."""
    m1, m2 = mass[into], mass[part]
    c1, c2 = _get(center, into), _get(center, part)
    total = m1 + m2
    apart = _sub(c2, c1)
    reduced = m1 * m2 / total
    square = _dot(apart, apart)
    for r in range(3):
        for c in range(3):
            steiner = -apart[r] * apart[c]
            if r == c:
                steiner += square
            inertia[into, r, c] += inertia[part, r, c] + reduced * steiner
    mass[into] = total
    _put(center, into, _add(c1, _scale(m2 / total, apart)))


@njit(cache=True)
def mass_matrix(
    tree: TreeModel, poses: Poses, centers: FloatArray, inertia: FloatArray, out: FloatArray
) -> None:
    """Composite rigid bodies: M(q) in kg m2 into the zeroed hinge block ``out[:h, :h]``."""
    n = tree.parent.size
    mass, center, turning = tree.mass_kg.copy(), centers.copy(), inertia.copy()
    for j in range(n - 1, -1, -1):
        axis, pivot = _get(poses.axis, j), _get(poses.pivot_m, j)
        middle = _get(center, j)
        force = _scale(mass[j], _cross(axis, _sub(middle, pivot)))
        moment = _apply(turning, j, axis)
        i = j
        while i >= 0:
            arm = _sub(middle, _get(poses.pivot_m, i))
            value = _dot(_get(poses.axis, i), _add(moment, _cross(arm, force)))
            out[i, j] = value
            out[j, i] = value
            i = tree.parent[i]
        if tree.parent[j] >= 0:
            _merge(mass, center, turning, tree.parent[j], j)


@njit(cache=True)
def _springs_and_stops(
    soft: SoftModel, state: State, f: FloatArray, k: FloatArray, d: FloatArray, b: FloatArray
) -> None:
    """Flexures, end stops, joint friction: forces ``f``, stiffness ``k``, damping ``d``, ``b``.

    ``d`` acts at mid-step (structural), ``b`` at the end of the step (dissipative).
    """
    for i in range(state.q.size):
        q, v = state.q[i], state.v[i]
        f[i] = -soft.stiffness[i] * (q - soft.rest[i]) + state.external[i]
        k[i, i] += soft.stiffness[i]
        d[i, i] += soft.structural[i] + soft.viscous[i]
        if soft.friction[i] > 0.0:
            b[i, i] += soft.friction[i] / max(abs(v), HINGE_SLIP_RAD_S)
        beyond = max(q - soft.upper[i], 0.0) + min(q - soft.lower[i], 0.0)
        if beyond != 0.0:
            f[i] -= soft.stop_stiffness[i] * beyond
            k[i, i] += soft.stop_stiffness[i]
            b[i, i] += soft.stop_damping[i]


@njit(cache=True)
def _cord_friction(
    arms: FloatArray, cord: FloatArray, side: float, tension: float, state: State, b: FloatArray
) -> None:
    """Capstan friction of one cord at each hinge it passes, from the pulley outwards.

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
        turn = cord[4] * (cord[5] + abs(state.q[j]))
        pulled = side * sliding > 0.0
        lost = tension * (1.0 - np.exp(-turn)) if pulled else tension * (np.exp(turn) - 1.0)
        grip = lost / max(abs(sliding), CORD_SLIP_M_S)
        for r in range(j, n):
            for c in range(j, n):
                if arms[r] > 0.0 and arms[c] > 0.0:
                    b[r, c] += grip * arms[r] * arms[c]
        tension = tension - lost if pulled else tension + lost


@njit(cache=True)
def cord_tension(arms: FloatArray, cord: FloatArray, side: float, q: FloatArray) -> float:
    """Elastic tension in N of the flexor (``side`` 1) or extensor (-1) cord; 0 when slack."""
    stretch = cord[2] / cord[0] - cord[3]
    for i in range(q.size):
        stretch -= side * arms[i] * q[i]
    return float(max(cord[0] * stretch, 0.0))


@njit(cache=True)
def _tendons(
    soft: SoftModel, state: State, f: FloatArray, k: FloatArray, d: FloatArray, b: FloatArray
) -> None:
    """Antagonistic cords: each pulls only, along its moment arms."""
    n = state.q.size
    for t in range(soft.arms_m.shape[0]):
        arms, cord = soft.arms_m[t], soft.cord[t]
        for side in (1.0, -1.0):
            tension = cord_tension(arms, cord, side, state.q)
            if tension <= 0.0:
                continue
            for i in range(n):
                f[i] += side * tension * arms[i]
                for j in range(n):
                    k[i, j] += cord[0] * arms[i] * arms[j]
                    d[i, j] += cord[1] * arms[i] * arms[j]
            _cord_friction(arms, cord, side, tension, state, b)


@njit(cache=True)
def _solve(a: FloatArray, x: FloatArray) -> None:
    """Solve ``a x = x`` in place for a symmetric positive definite ``a`` (Cholesky)."""
    n = x.size
    for j in range(n):
        for k in range(j):
            for i in range(j, n):
                a[i, j] -= a[i, k] * a[j, k]
        pivot = np.sqrt(a[j, j])
        for i in range(j, n):
            a[i, j] /= pivot
    for i in range(n):
        for k in range(i):
            x[i] -= a[i, k] * x[k]
        x[i] /= a[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            x[i] -= a[k, i] * x[k]
        x[i] /= a[i, i]


@njit(cache=True)
def _servo_references(servo: ServoModel, state: State, rate: FloatArray, dt: float) -> None:
    """Ramp each reference towards its goal, then lag it; ``rate`` is the reference's speed."""
    for s in range(servo.joint.size):
        reach = servo.speed_limit[s] * dt
        state.ramp[s] += min(max(state.goal[s] - state.ramp[s], -reach), reach)
        before = state.reference[s]
        share = 1.0 if servo.lag_s[s] <= 0.0 else 1.0 - np.exp(-dt / servo.lag_s[s])
        state.reference[s] += share * (state.ramp[s] - before)
        rate[s] = (state.reference[s] - before) / dt


@njit(cache=True)
def _accelerate(
    servo: ServoModel,
    state: State,
    mass: FloatArray,
    f: FloatArray,
    d: FloatArray,
    b: FloatArray,
    rate: FloatArray,
    dt: float,
    a: FloatArray,
) -> None:
    """Accelerations, with servos at their torque limit where they saturate.

    ``mass`` already holds the implicit share of all passive parts, ``f`` their forces at q. A
    servo that would exceed its limit is taken out of the implicit part and pushes with the limit;
    the set of saturated servos only grows, so at most s + 1 solves are needed.
    """
    n, count = state.q.size, servo.joint.size
    matrix = np.empty((n, n))
    pushed = np.zeros(count)
    for _ in range(count + 1):
        matrix[:, :] = mass
        for i in range(n):
            a[i] = f[i]
            for j in range(n):
                a[i] -= (d[i, j] + b[i, j]) * state.v[j]
        for s in range(count):
            i = servo.joint[s]
            if pushed[s] != 0.0:
                a[i] += pushed[s]
                continue
            matrix[i, i] += BETA * dt * dt * servo.stiffness[s] + dt * servo.damping[s]
            a[i] += servo.stiffness[s] * (state.reference[s] - state.q[i])
            a[i] += servo.damping[s] * (rate[s] - state.v[i])
        _solve(matrix, a)
        settled = True
        for s in range(count):
            if pushed[s] != 0.0:
                continue
            i = servo.joint[s]
            error = state.reference[s] - state.q[i] - BETA * dt * dt * a[i]
            torque = servo.stiffness[s] * error
            torque += servo.damping[s] * (rate[s] - state.v[i] - dt * a[i])
            state.torque[s] = torque
            if abs(torque) > servo.torque_limit[s]:
                pushed[s] = np.sign(torque) * servo.torque_limit[s]
                state.torque[s] = pushed[s]
                settled = False
        if settled:
            break


@njit(cache=True, nogil=True)
def advance(
    tree: TreeModel,
    soft: SoftModel,
    servo: ServoModel,
    state: State,
    poses: Poses,
    dt: float,
    steps: int,
) -> None:
    """Integrate ``steps`` steps of ``dt`` seconds in place; ``poses`` holds the last poses."""
    n, h = state.q.size, tree.parent.size
    mass, inertia, centers = np.zeros((n, n)), np.empty((h, 3, 3)), np.empty((h, 3))
    f, bias, a = np.empty(n), np.zeros(n), np.empty(n)
    k, d, b = np.empty((n, n)), np.empty((n, n)), np.empty((n, n))
    rate = np.empty(servo.joint.size)
    for _ in range(steps):
        _servo_references(servo, state, rate, dt)
        forward_kinematics(tree, state.q, poses)
        centers_of_mass(tree, poses, centers)
        world_inertia(tree, poses, inertia)
        bias_forces(tree, poses, state.v, centers, inertia, bias)
        mass[:, :] = 0.0
        mass_matrix(tree, poses, centers, inertia, mass)
        k[:, :] = 0.0
        d[:, :] = 0.0
        b[:, :] = 0.0
        _springs_and_stops(soft, state, f, k, d, b)
        _tendons(soft, state, f, k, d, b)
        for i in range(n):
            f[i] -= bias[i]
            mass[i, i] += soft.armature[i]
            for j in range(n):
                mass[i, j] += BETA * dt * dt * k[i, j] + dt * (0.5 * d[i, j] + b[i, j])
        _accelerate(servo, state, mass, f, d, b, rate, dt, a)
        for i in range(n):
            state.v[i] += dt * a[i]
            state.q[i] += dt * state.v[i]
    forward_kinematics(tree, state.q, poses)


@njit(cache=True)
def energy(
    tree: TreeModel,
    soft: SoftModel,
    state: State,
    poses: Poses,
    dt: float,
) -> tuple[float, float]:
    """Kinetic and potential energy in J, half a step back, where v lives.

    Potential: gravity, flexures, end stops and cords. The servos' own springs are not counted.
    """
    n, h = state.q.size, tree.parent.size
    q = state.q - 0.5 * dt * state.v
    forward_kinematics(tree, q, poses)
    mass, inertia, centers = np.zeros((n, n)), np.empty((h, 3, 3)), np.empty((h, 3))
    centers_of_mass(tree, poses, centers)
    world_inertia(tree, poses, inertia)
    mass_matrix(tree, poses, centers, inertia, mass)
    potential = 0.0
    for i in range(h):
        for r in range(3):
            potential -= tree.mass_kg[i] * tree.gravity_m_s2[r] * centers[i, r]
    for i in range(n):
        mass[i, i] += soft.armature[i]
        beyond = max(q[i] - soft.upper[i], 0.0) + min(q[i] - soft.lower[i], 0.0)
        potential += 0.5 * soft.stop_stiffness[i] * beyond * beyond
        potential += 0.5 * soft.stiffness[i] * (q[i] - soft.rest[i]) ** 2
    for t in range(soft.arms_m.shape[0]):
        for side in (1.0, -1.0):
            tension = cord_tension(soft.arms_m[t], soft.cord[t], side, q)
            potential += 0.5 * tension * tension / soft.cord[t, 0]
    kinetic = 0.0
    for i in range(n):
        for j in range(n):
            kinetic += 0.5 * state.v[i] * mass[i, j] * state.v[j]
    forward_kinematics(tree, state.q, poses)
    return kinetic, potential
