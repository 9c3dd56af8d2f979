"""Rigid-body dynamics of a tree of hinges with soft parts, as one compiled loop.

Equations of motion in joint coordinates q (hinges first, then servo pulleys):

    M(q) a + h(q, v) = f_elastic(q) + f_damping(v) + f_servo(q, v) + f_external

M(q) is the joint-space inertia (composite rigid bodies), h gravity and velocity terms (recursive
Newton-Euler; both after Featherstone, Rigid Body Dynamics Algorithms, 2008). A step drifts half
its time, takes everything there, and drifts the other half (position Verlet). Soft parts are stiff,
so they enter implicitly: elastic forces act at the mean of both ends of the step and structural
damping at the mean speed. That is the average-acceleration rule of Newmark (1959): stable for any
stiffness, second order, and without damping of its own, so the damping that comes out is the
damping that was asked for. Friction and the servos' own damping, which are not small, act at the
final speed.

Energy never grows without input, whatever the step, because books are kept:

* The rule above is exact for an M that stands still. Inertial forces do no work of their own, so
  the kinetic energy after a step is known from the work of all others, and the speeds are scaled to
  it, by some 10^-6 of them in ordinary motion. Without that, a loose chain of hinges gains energy
  until it bursts.
* End stops and cords push or pull only. A step in which one closes takes its force at the end of
  the step (implicit Euler), since a force at the mean would throw back more than came in; one that
  would pull a stop or push a cord is let go.
* Kinetic and potential energy together never exceed what they were, plus the work of servos and of
  forces from outside. A step that cannot pay for its end stops, or that turns a hinge too far, is
  taken again in halves.

Vectors are tuples of three floats inside the loop: the compiler keeps them in registers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from asterias.arrays import FloatArray

IntArray = npt.NDArray[np.int64]
Vec = tuple[float, float, float]

# Share of dt^2 at which elastic forces are taken: 1/4 is the average-acceleration rule.
BETA = 0.25
# Velocity forces are taken at mid-step by a second solve; where a hinge turns further in one step
# (rad), that iteration would not settle.
MIDPOINT_TURN_RAD = 0.2
# A step in which a hinge turns further (rad) is taken in halves, down to this part of it.
STEP_TURN_RAD = 0.5
SMALLEST_PART = 1.0 / 64.0
# Below these a limb creeps: steps may be taken together (see advance).
SLOW_RAD_S = 0.1
SLOW_WAY_RAD = 1e-3
# What an end stop or cord does in one step, and how often that may be revised.
OPEN, CLOSED, CLOSING, CLOSING_BARE = 0, 1, 2, 3
REVISIONS = 10
# Relative size of energy differences that are mere rounding.
ROUNDING = 1e-14
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
        q, v: ``(n,)`` coordinates and their rates.
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


class Workspace(NamedTuple):
    """Room for one step.

    Attributes:
        stops, cords: ``(n,)`` and ``(t, 2)`` whether each end stop and cord acts.
        pushed: ``(s,)`` torques of servos at their limit, 0 for the others.
        mass, implicit, matrix, d, b: ``(n, n)`` M; M with the implicit share of what always acts,
            and of everything; damping at mid-step and at the end of the step.
        f, bias, gravity: ``(n,)`` passive forces; what holds against inertia and gravity; against
            gravity alone.
        a, v_mid, v_end, start: ``(n,)`` the step's acceleration, mean and final speed, and the
            position it started from.
        inertia, centers: ``(h, 3, 3)`` and ``(h, 3)`` of the links as they are now.
        work: ``(3,)`` in J by all forces, by gravity, and by servos and from outside.
        books: ``(3,)`` kinetic, gravity's and elastic energy in J.
    """

    stops: IntArray
    cords: IntArray
    pushed: FloatArray
    mass: FloatArray
    implicit: FloatArray
    matrix: FloatArray
    d: FloatArray
    b: FloatArray
    f: FloatArray
    bias: FloatArray
    gravity: FloatArray
    a: FloatArray
    v_mid: FloatArray
    v_end: FloatArray
    start: FloatArray
    inertia: FloatArray
    centers: FloatArray
    work: FloatArray
    books: FloatArray


@njit(cache=True)
def _workspace(n: int, h: int, t: int, s: int) -> Workspace:
    return Workspace(
        np.empty(n, np.int64),
        np.empty((t, 2), np.int64),
        np.empty(s),
        np.empty((n, n)),
        np.empty((n, n)),
        np.empty((n, n)),
        np.empty((n, n)),
        np.empty((n, n)),
        np.empty(n),
        np.zeros(n),
        np.zeros(n),
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.empty((h, 3, 3)),
        np.empty((h, 3)),
        np.empty(3),
        np.empty(3),
    )


class Poses(NamedTuple):
    """Link poses: a point p of link i (common frame, straight) is at ``rotation[i] p + shift[i]``.

    Attributes:
        rotation: ``(h, 3, 3)``; shift_m: ``(h, 3)``; pivot_m, axis: ``(h, 3)`` as they are now.
    """

    rotation: FloatArray
    shift_m: FloatArray
    pivot_m: FloatArray
    axis: FloatArray


# Plain loops: the compiler takes twice as long for NumPy's array expressions and slices.


@njit(cache=True)
def _clear(m: FloatArray) -> None:
    for i in range(m.shape[0]):
        for j in range(m.shape[1]):
            m[i, j] = 0.0


@njit(cache=True)
def _copy(out: FloatArray, m: FloatArray) -> None:
    for i in range(m.shape[0]):
        for j in range(m.shape[1]):
            out[i, j] = m[i, j]


@njit(cache=True)
def _assign(out: FloatArray, x: FloatArray) -> None:
    for i in range(out.size):
        out[i] = x[i]


@njit(cache=True)
def _sum_into(out: FloatArray, x: FloatArray, s: float, y: FloatArray) -> None:
    """``out = x + s y``; the arrays may be the same."""
    for i in range(out.size):
        out[i] = x[i] + s * y[i]


@njit(cache=True)
def _inner(x: FloatArray, y: FloatArray) -> float:
    total = 0.0
    for i in range(x.size):
        total += x[i] * y[i]
    return total


@njit(cache=True)
def _product(x: FloatArray, m: FloatArray, y: FloatArray) -> float:
    total = 0.0
    for i in range(x.size):
        for j in range(y.size):
            total += x[i] * m[i, j] * y[j]
    return total


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
def gravity_forces(tree: TreeModel, poses: Poses, centers: FloatArray, out: FloatArray) -> None:
    """``out[:h]``: torque in N m that holds each hinge against gravity."""
    n = tree.parent.size
    down = (tree.gravity_m_s2[0], tree.gravity_m_s2[1], tree.gravity_m_s2[2])
    mass, moment = tree.mass_kg.copy(), np.empty((n, 3))
    for i in range(n):
        _put(moment, i, _scale(mass[i], _get(centers, i)))
    for i in range(n - 1, -1, -1):
        lever = _sub(_get(moment, i), _scale(mass[i], _get(poses.pivot_m, i)))
        out[i] = -_dot(_get(poses.axis, i), _cross(lever, down))
        p = tree.parent[i]
        if p >= 0:
            mass[p] += mass[i]
            _put(moment, p, _add(_get(moment, p), _get(moment, i)))


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
def _springs(soft: SoftModel, state: State, f: FloatArray, d: FloatArray, b: FloatArray) -> None:
    """Flexures and joint friction: forces ``f``, damping ``d`` at mid-step, ``b`` at the end."""
    for i in range(state.q.size):
        f[i] = -soft.stiffness[i] * (state.q[i] - soft.rest[i]) + state.external[i]
        d[i, i] += soft.structural[i] + soft.viscous[i]
        if soft.friction[i] > 0.0:
            b[i, i] += soft.friction[i] / max(abs(state.v[i]), HINGE_SLIP_RAD_S)


# -- end stops and cords: springs that push or pull only ------------------------------------------
#
# Each has a stretch s, a force T = k s + c ds/dt along a vector J, f = J T, and ds/dt = -J v.
# ``rate`` is ds/dt at the start of the step, ``s`` the stretch at mid-step without acceleration.
# CLOSED ones act at the mean of both ends; CLOSING ones at the end, bare of damping where they
# are already opening again by then.


@njit(cache=True)
def _weight(mode: int, k: float, c: float, dt: float) -> float:
    """What the step's acceleration, along J, takes off the force: T = explicit - weight (J a)."""
    share = 0.5 if mode == CLOSED else 1.0
    return share * dt * (0.5 * dt * k + (0.0 if mode == CLOSING_BARE else c))


@njit(cache=True)
def _explicit(mode: int, k: float, c: float, s: float, rate: float, dt: float) -> float:
    """The force that would act without acceleration."""
    stretch = s if mode == CLOSED else s + 0.5 * dt * rate
    return k * stretch + (0.0 if mode == CLOSING_BARE else c * rate)


@njit(cache=True)
def _first_mode(s: float, rate: float, dt: float) -> int:
    if s - 0.5 * dt * rate > 0.0:
        return CLOSED
    return CLOSING if s + 0.5 * dt * rate > 0.0 else OPEN


@njit(cache=True)
def _next_mode(mode: int, k: float, c: float, s: float, rate: float, pull: float, dt: float) -> int:
    """Revise a mode after a solve that gave the acceleration ``pull`` along J."""
    if mode == OPEN:
        start, end = s - 0.5 * dt * rate, s + 0.5 * dt * (rate - dt * pull)
        return CLOSING if end > max(start, 0.0) else OPEN
    if mode == CLOSING and rate - dt * pull < 0.0:
        return CLOSING_BARE
    force = _explicit(mode, k, c, s, rate, dt) - _weight(mode, k, c, dt) * pull
    return OPEN if force < 0.0 else mode


@njit(cache=True)
def _stop(soft: SoftModel, i: int, q: float) -> tuple[float, float]:
    """The nearer end stop: the sign of its J (-1 at the upper end), and how far ``q`` is in it."""
    if q > 0.5 * (soft.lower[i] + soft.upper[i]):
        return -1.0, q - soft.upper[i]
    return 1.0, soft.lower[i] - q


@njit(cache=True)
def cord_stretch(arms: FloatArray, cord: FloatArray, side: float, q: FloatArray) -> float:
    """Stretch in m of the flexor (``side`` 1) or extensor (-1) cord; negative when slack."""
    stretch = cord[2] / cord[0] - cord[3]
    for i in range(q.size):
        stretch -= side * arms[i] * q[i]
    return float(stretch)


@njit(cache=True)
def cord_tension(arms: FloatArray, cord: FloatArray, side: float, q: FloatArray) -> float:
    """Elastic tension in N of the flexor (``side`` 1) or extensor (-1) cord; 0 when slack."""
    return float(max(cord[0] * cord_stretch(arms, cord, side, q), 0.0))


@njit(cache=True)
def _along(arms: FloatArray, side: float, x: FloatArray) -> float:
    total = 0.0
    for i in range(x.size):
        total += arms[i] * x[i]
    return side * total


@njit(cache=True)
def _first_modes(
    soft: SoftModel, state: State, dt: float, stops: IntArray, cords: IntArray
) -> None:
    """Guess which end stops ``(n,)`` and cords ``(t, 2)`` act in this step."""
    for i in range(state.q.size):
        sign, s = _stop(soft, i, state.q[i])
        stops[i] = _first_mode(s, -sign * state.v[i], dt)
    for t in range(soft.arms_m.shape[0]):
        arms, cord = soft.arms_m[t], soft.cord[t]
        for c in range(2):
            side = 1.0 - 2.0 * c
            s = cord_stretch(arms, cord, side, state.q)
            cords[t, c] = _first_mode(s, -_along(arms, side, state.v), dt)


@njit(cache=True)
def _revise_modes(
    soft: SoftModel, state: State, a: FloatArray, dt: float, stops: IntArray, cords: IntArray
) -> bool:
    """Correct the guess with the acceleration it led to; whether nothing had to change."""
    same = True
    for i in range(state.q.size):
        sign, s = _stop(soft, i, state.q[i])
        k, c, rate = soft.stop_stiffness[i], soft.stop_damping[i], -sign * state.v[i]
        mode = _next_mode(stops[i], k, c, s, rate, sign * a[i], dt)
        same &= mode == stops[i]
        stops[i] = mode
    for t in range(soft.arms_m.shape[0]):
        arms, cord = soft.arms_m[t], soft.cord[t]
        for j in range(2):
            side = 1.0 - 2.0 * j
            s, rate = cord_stretch(arms, cord, side, state.q), -_along(arms, side, state.v)
            pull = _along(arms, side, a)
            mode = _next_mode(cords[t, j], cord[0], cord[1], s, rate, pull, dt)
            same &= mode == cords[t, j]
            cords[t, j] = mode
    return same


@njit(cache=True)
def _add_stops(
    soft: SoftModel, state: State, dt: float, stops: IntArray, matrix: FloatArray, x: FloatArray
) -> None:
    """End stops that act: implicit share into ``matrix``, explicit force into ``x``."""
    for i in range(state.q.size):
        mode = stops[i]
        if mode == OPEN:
            continue
        sign, s = _stop(soft, i, state.q[i])
        k, c = soft.stop_stiffness[i], soft.stop_damping[i]
        matrix[i, i] += _weight(mode, k, c, dt)
        x[i] += sign * _explicit(mode, k, c, s, -sign * state.v[i], dt)


@njit(cache=True)
def _add_cords(
    soft: SoftModel, state: State, dt: float, cords: IntArray, matrix: FloatArray, x: FloatArray
) -> None:
    """Cords that act, along their moment arms, as :func:`_add_stops` does."""
    n = state.q.size
    for t in range(soft.arms_m.shape[0]):
        arms, cord = soft.arms_m[t], soft.cord[t]
        for c in range(2):
            mode = cords[t, c]
            if mode == OPEN:
                continue
            side = 1.0 - 2.0 * c
            s, rate = cord_stretch(arms, cord, side, state.q), -_along(arms, side, state.v)
            weight = _weight(mode, cord[0], cord[1], dt)
            tension = _explicit(mode, cord[0], cord[1], s, rate, dt)
            for i in range(n):
                x[i] += side * tension * arms[i]
                for j in range(n):
                    matrix[i, j] += weight * arms[i] * arms[j]


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
def _cords_friction(soft: SoftModel, state: State, b: FloatArray) -> None:
    """Capstan friction of all cords that are taut at mid-step."""
    for t in range(soft.arms_m.shape[0]):
        arms, cord = soft.arms_m[t], soft.cord[t]
        for side in (1.0, -1.0):
            tension = cord_tension(arms, cord, side, state.q)
            if tension > 0.0:
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
    """Ramp each reference towards its goal, then lag it; ``rate`` is the reference's speed.

    A reference does not run ahead of a servo that cannot follow (anti-windup): beyond the lead at
    which the torque is at its limit it would change nothing, until the servo got free and flew.
    """
    for s in range(servo.joint.size):
        reach = servo.speed_limit[s] * dt
        before, at = state.reference[s], state.q[servo.joint[s]]
        # In free motion the lag alone makes the ramp lead by this much at most.
        lead = servo.speed_limit[s] * servo.lag_s[s] + reach
        ramp = state.ramp[s] + min(max(state.goal[s] - state.ramp[s], -reach), reach)
        state.ramp[s] = min(max(ramp, before - lead), before + lead)
        share = 1.0 if servo.lag_s[s] <= 0.0 else 1.0 - np.exp(-dt / servo.lag_s[s])
        lead = servo.torque_limit[s] / servo.stiffness[s] + reach
        reference = before + share * (state.ramp[s] - before)
        state.reference[s] = min(max(reference, at - lead), at + lead)
        rate[s] = (state.reference[s] - before) / dt


@njit(cache=True)
def _add_servos(
    servo: ServoModel,
    state: State,
    rate: FloatArray,
    dt: float,
    pushed: FloatArray,
    matrix: FloatArray,
    x: FloatArray,
) -> None:
    """Servos: implicit springs and dampers, or ``pushed`` where they are at their torque limit."""
    for s in range(servo.joint.size):
        i = servo.joint[s]
        if pushed[s] != 0.0:
            x[i] += pushed[s]
            continue
        matrix[i, i] += BETA * dt * dt * servo.stiffness[s] + dt * servo.damping[s]
        x[i] += servo.stiffness[s] * (state.reference[s] - state.q[i])
        x[i] += servo.damping[s] * (rate[s] - state.v[i])


@njit(cache=True)
def _limit_servos(
    servo: ServoModel,
    state: State,
    rate: FloatArray,
    a: FloatArray,
    dt: float,
    pushed: FloatArray,
) -> bool:
    """Take servos that exceed their torque out of the implicit part; whether there were none."""
    settled = True
    for s in range(servo.joint.size):
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
    return settled


@njit(cache=True)
def _accelerate(
    soft: SoftModel,
    servo: ServoModel,
    state: State,
    rate: FloatArray,
    dt: float,
    w: Workspace,
) -> None:
    """Accelerations ``w.a`` from ``w.f``, ``w.bias`` and all that switches.

    End stops and cords switch, starting from the given modes, and so do servo torque limits: the
    solve is repeated until none of them has to. A servo at its limit stays there for the step.
    """
    for s in range(w.pushed.size):
        w.pushed[s] = 0.0
    for _ in range(REVISIONS + servo.joint.size):
        _copy(w.matrix, w.implicit)
        _sum_into(w.a, w.f, -1.0, w.bias)
        _add_stops(soft, state, dt, w.stops, w.matrix, w.a)
        _add_cords(soft, state, dt, w.cords, w.matrix, w.a)
        _add_servos(servo, state, rate, dt, w.pushed, w.matrix, w.a)
        _solve(w.matrix, w.a)
        same = _revise_modes(soft, state, w.a, dt, w.stops, w.cords)
        free = _limit_servos(servo, state, rate, w.a, dt, w.pushed)
        if same and free:
            break


@njit(cache=True)
def _inertia_at(tree: TreeModel, soft: SoftModel, state: State, poses: Poses, w: Workspace) -> None:
    """Poses, link inertias and M (armature included) at ``state.q``."""
    forward_kinematics(tree, state.q, poses)
    centers_of_mass(tree, poses, w.centers)
    world_inertia(tree, poses, w.inertia)
    _clear(w.mass)
    mass_matrix(tree, poses, w.centers, w.inertia, w.mass)
    for i in range(state.q.size):
        w.mass[i, i] += soft.armature[i]


@njit(cache=True)
def _implicit_parts(soft: SoftModel, state: State, dt: float, w: Workspace) -> None:
    """Forces of flexures, damping and friction, and M with their implicit share."""
    _clear(w.d)
    _clear(w.b)
    _springs(soft, state, w.f, w.d, w.b)
    _cords_friction(soft, state, w.b)
    for i in range(state.q.size):
        for j in range(state.q.size):
            w.f[i] -= (w.d[i, j] + w.b[i, j]) * state.v[j]
            w.implicit[i, j] = w.mass[i, j] + dt * (0.5 * w.d[i, j] + w.b[i, j])
        w.implicit[i, i] += BETA * dt * dt * soft.stiffness[i]


@njit(cache=True)
def _gravity_energy(tree: TreeModel, centers: FloatArray) -> tuple[float, float]:
    """Potential energy in J, and the sum of its parts' sizes."""
    total, size = 0.0, 0.0
    for i in range(tree.parent.size):
        for r in range(3):
            part = tree.mass_kg[i] * tree.gravity_m_s2[r] * centers[i, r]
            total -= part
            size += abs(part)
    return total, size


@njit(cache=True)
def _elastic_energy(soft: SoftModel, q: FloatArray) -> float:
    """Energy in J of flexures, end stops and cords."""
    total = 0.0
    for i in range(q.size):
        beyond = max(_stop(soft, i, q[i])[1], 0.0)
        total += 0.5 * soft.stop_stiffness[i] * beyond * beyond
        total += 0.5 * soft.stiffness[i] * (q[i] - soft.rest[i]) ** 2
    for t in range(soft.arms_m.shape[0]):
        for side in (1.0, -1.0):
            tension = cord_tension(soft.arms_m[t], soft.cord[t], side, q)
            total += 0.5 * tension * tension / soft.cord[t, 0]
    return total


@njit(cache=True)
def _open_books(tree: TreeModel, soft: SoftModel, state: State, poses: Poses, w: Workspace) -> None:
    """Write down the energies of the state."""
    _inertia_at(tree, soft, state, poses, w)
    w.books[0] = 0.5 * _product(state.v, w.mass, state.v)
    w.books[1], _ = _gravity_energy(tree, w.centers)
    w.books[2] = _elastic_energy(soft, state.q)


@njit(cache=True)
def _furthest_turn(v: FloatArray, dt: float) -> float:
    most = 0.0
    for i in range(v.size):
        most = max(most, abs(v[i]))
    return dt * most


@njit(cache=True)
def _solve_step(
    tree: TreeModel,
    soft: SoftModel,
    servo: ServoModel,
    state: State,
    poses: Poses,
    rate: FloatArray,
    dt: float,
    w: Workspace,
) -> None:
    """With ``state.q`` at mid-step: acceleration ``w.a``, mean and final speed, and work done."""
    _inertia_at(tree, soft, state, poses, w)
    gravity_forces(tree, poses, w.centers, w.gravity)
    _implicit_parts(soft, state, dt, w)
    _first_modes(soft, state, dt, w.stops, w.cords)
    _assign(w.v_mid, state.v)
    solves = 2 if _furthest_turn(state.v, dt) < MIDPOINT_TURN_RAD else 1
    for _ in range(solves):
        bias_forces(tree, poses, w.v_mid, w.centers, w.inertia, w.bias)
        _accelerate(soft, servo, state, rate, dt, w)
        _sum_into(w.v_mid, state.v, 0.5 * dt, w.a)
    _sum_into(w.v_end, state.v, dt, w.a)
    # By all forces, by gravity, and by servos and from outside.
    against_gravity = _inner(w.v_mid, w.gravity)
    inertial = _inner(w.v_mid, w.bias) - against_gravity + _product(w.v_mid, w.mass, w.a)
    outside = _inner(w.v_mid, state.external)
    for s in range(servo.joint.size):
        outside += w.v_mid[servo.joint[s]] * state.torque[s]
    w.work[0] = dt * inertial
    w.work[1] = -dt * against_gravity
    w.work[2] = dt * outside


@njit(cache=True)
def _close_books(
    tree: TreeModel, soft: SoftModel, state: State, poses: Poses, w: Workspace
) -> float:
    """Enter the energies after a step; returns what is left for motion without being created.

    Negative: the step cannot be paid for.
    """
    _inertia_at(tree, soft, state, poses, w)
    gravity, size = _gravity_energy(tree, w.centers)
    elastic = _elastic_energy(soft, state.q)
    rounding = ROUNDING * (size + elastic)
    fallen, released = w.books[1] - gravity, w.books[2] - elastic
    left = w.books[0] + fallen + released + w.work[2] + rounding
    # Gravity acted at mid-step; what it did is known from the heights.
    missed = fallen - w.work[1]
    w.books[0] += w.work[0] + (missed if abs(missed) > rounding else 0.0)
    w.books[0] = max(min(w.books[0], left), 0.0)
    w.books[1], w.books[2] = gravity, elastic
    return float(left)


@njit(cache=True)
def _step(
    tree: TreeModel,
    soft: SoftModel,
    servo: ServoModel,
    state: State,
    poses: Poses,
    rate: FloatArray,
    dt: float,
    must: bool,
    w: Workspace,
) -> bool:
    """Take one step; or, unless it ``must``, leave the state and return False: halve the step."""
    if not must and _furthest_turn(state.v, dt) > STEP_TURN_RAD:
        return False
    _assign(w.start, state.q)
    _sum_into(state.q, w.start, 0.5 * dt, state.v)
    _solve_step(tree, soft, servo, state, poses, rate, dt, w)
    if must or _furthest_turn(w.v_end, dt) <= STEP_TURN_RAD:
        before = (w.books[0], w.books[1], w.books[2])
        _sum_into(state.q, state.q, 0.5 * dt, w.v_end)
        if _close_books(tree, soft, state, poses, w) >= 0.0 or must:
            now = 0.5 * _product(w.v_end, w.mass, w.v_end)
            scale = np.sqrt(w.books[0] / now) if now > 0.0 else 1.0
            _sum_into(state.v, w.v_end, scale - 1.0, w.v_end)
            return True
        w.books[0], w.books[1], w.books[2] = before
    _assign(state.q, w.start)
    return False


@njit(cache=True)
def _is_slow(servo: ServoModel, state: State) -> bool:
    """Whether nothing moves faster than a creep, and no servo is on its way."""
    for s in range(servo.joint.size):
        if abs(state.goal[s] - state.reference[s]) > SLOW_WAY_RAD:
            return False
    return _furthest_turn(state.v, 1.0) < SLOW_RAD_S


@njit(cache=True, nogil=True)
def advance(
    tree: TreeModel,
    soft: SoftModel,
    servo: ServoModel,
    state: State,
    poses: Poses,
    dt: float,
    steps: int,
    stride: int,
) -> None:
    """Integrate ``steps`` steps of ``dt`` seconds in place; ``poses`` holds the last poses.

    While the limb only creeps, ``stride`` steps are taken as one; 1 takes each by itself.
    """
    w = _workspace(state.q.size, tree.parent.size, soft.arms_m.shape[0], servo.joint.size)
    rate = np.empty(servo.joint.size)
    _open_books(tree, soft, state, poses, w)
    left = steps
    while left > 0:
        count = min(stride, left) if stride > 1 and _is_slow(servo, state) else 1
        left -= count
        span = count * dt
        _servo_references(servo, state, rate, span)
        done, part = 0.0, 1.0
        while done < 1.0:
            if _step(tree, soft, servo, state, poses, rate, part * span, part <= SMALLEST_PART, w):
                done += part
            else:
                part *= 0.5


@njit(cache=True)
def energy(tree: TreeModel, soft: SoftModel, state: State, poses: Poses) -> tuple[float, float]:
    """Kinetic and potential energy in J.

    Potential: gravity, flexures, end stops and cords. The servos' own springs are not counted.
    """
    w = _workspace(state.q.size, tree.parent.size, soft.arms_m.shape[0], 0)
    _open_books(tree, soft, state, poses, w)
    return w.books[0], w.books[1] + w.books[2]
