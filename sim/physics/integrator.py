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

Energy never grows without input, whatever the step, because an energy account is kept:

* The rule above is exact for an M that stands still. Inertial forces do no work of their own, so
  the kinetic energy after a step is known from the work of all others, and the speeds are scaled to
  it, by some 10^-6 of them in ordinary motion. Without that, a loose chain of hinges gains energy
  until it bursts.
* End stops and tendons push or pull only. A step in which one closes takes its force at the end
  of the step (implicit Euler), since a force at the mean would return more energy than came in;
  one that would pull a stop or push a tendon is opened.
* Kinetic and potential energy together never exceed what they were, plus the work of servos and of
  forces from outside. A step whose end stops would create energy, or that turns a hinge too far,
  is taken again in halves.

Bodies that touch do so by :mod:`sim.physics.contact_solver`, with their elastic energy in the same
account. ``contact`` is None where nothing can touch: machine code is made without it then.
"""

from __future__ import annotations

import numpy as np

from asterias.arrays import FloatArray
from sim.physics.contact_geometry import find_contacts, penetration_energy
from sim.physics.contact_model import Contact
from sim.physics.contact_solver import contact_work, solve_contacts, unsettled_energy
from sim.physics.linear_algebra import (
    add_scaled,
    assign,
    bilinear_form,
    clear,
    copy_into,
    factor_tree,
    inner_product,
    solve_above,
    solve_below,
    solve_cholesky,
)
from sim.physics.model import (
    LinkFrames,
    ServoDynamics,
    SoftModel,
    State,
    TreeModel,
    Workspace,
    make_workspace,
)
from sim.physics.numba_options import compiled
from sim.physics.rigid_body import (
    bias_forces,
    centers_of_mass,
    forward_kinematics,
    gravity_forces,
    mass_matrix,
    turn_references,
    world_inertia,
)
from sim.physics.servos import (
    BETA,
    add_servos,
    guess_saturated,
    limit_servos,
    release_servos,
    update_references,
)
from sim.physics.soft_parts import (
    add_end_stops,
    add_springs,
    add_tendon_friction,
    add_tendons,
    end_stop,
    predict_modes,
    revise_modes,
    tendon_tension,
)

# Velocity forces are taken at mid-step by a second solve, a fixed-point iteration; where a hinge
# turns further in one step (rad) that iteration would not settle.
MIDPOINT_ROTATION_RAD = 0.2
# A step in which a hinge turns further (rad) is taken in halves, down to this fraction of it.
STEP_ROTATION_RAD = 0.5
SMALLEST_FRACTION = 1.0 / 64.0
# Below these a limb creeps: steps may be taken together (see advance).
SLOW_RAD_S = 0.1
SLOW_DISPLACEMENT_RAD = 1e-3
# How often the modes of end stops and tendons may be revised in a step: a bound on switching.
REVISIONS = 10
# Relative size of energy differences that are mere rounding: some 50 times float64's 2e-16.
ROUNDING = 1e-14


@compiled
def _solve(tree: TreeModel, state: State, dt: float, w: Workspace, contact: Contact | None) -> None:
    """Solve ``w.matrix a = w.a`` for the acceleration ``w.a``, with contacts where there are."""
    if contact is None:
        solve_cholesky(w.matrix, w.a)
    else:
        factor_tree(contact.above, w.matrix)
        solve_above(contact.above, w.matrix, w.a)
        solve_below(contact.above, w.matrix, w.a)
        if contact.found[0] > 0:
            g = np.sqrt(inner_product(tree.gravity_m_s2, tree.gravity_m_s2))
            solve_contacts(contact, w.matrix, state.v, w.a, g, dt)


@compiled
def _accelerate(
    tree: TreeModel,
    soft: SoftModel,
    servo: ServoDynamics,
    state: State,
    rate: FloatArray,
    dt: float,
    w: Workspace,
    contact: Contact | None,
) -> None:
    """Compute ``w.a`` from ``w.f``, ``w.bias`` and everything that switches.

    End stops and tendons switch, starting from the given modes, and so do servo torque limits: the
    solve is repeated until none of them has to. A servo at its limit stays there for the step.
    """
    for s in range(w.saturated.size):
        w.saturated[s] = 0.0
    # Contacts begin with the forces of the last step, which belong to its servos at their limit.
    released = contact is None
    if contact is not None:
        guess_saturated(servo, state, w.saturated)
    for _ in range(REVISIONS + servo.joint.size):
        copy_into(w.matrix, w.implicit)
        add_scaled(w.a, w.f, -1.0, w.bias)
        add_end_stops(soft, state, dt, w.stops, w.matrix, w.a)
        add_tendons(soft, state, dt, w.tendons, w.matrix, w.a)
        add_servos(servo, state, rate, dt, w.saturated, w.matrix, w.a)
        _solve(tree, state, dt, w, contact)
        same = revise_modes(soft, state, w.a, dt, w.stops, w.tendons)
        free = limit_servos(servo, state, rate, w.a, dt, w.saturated)
        if same and free:
            if released or not release_servos(servo, state, rate, w.a, dt, w.saturated):
                break
            released = True


@compiled
def _inertia_at(
    tree: TreeModel, soft: SoftModel, state: State, frames: LinkFrames, w: Workspace
) -> None:
    """Compute link frames, link inertias and M (armature included) at ``state.q``."""
    forward_kinematics(tree, state.q, frames)
    centers_of_mass(tree, frames, w.centers)
    world_inertia(tree, frames, w.inertia)
    clear(w.mass)
    mass_matrix(tree, frames, w.centers, w.inertia, w.mass)
    for i in range(state.q.size):
        w.mass[i, i] += soft.armature[i]


@compiled
def _implicit_parts(soft: SoftModel, state: State, dt: float, w: Workspace) -> None:
    """Compute forces of flexures, damping and friction, and M with their implicit part."""
    clear(w.d)
    clear(w.b)
    add_springs(soft, state, w.f, w.d, w.b)
    add_tendon_friction(soft, state, w.b)
    for i in range(state.q.size):
        for j in range(state.q.size):
            w.f[i] -= (w.d[i, j] + w.b[i, j]) * state.v[j]
            w.implicit[i, j] = w.mass[i, j] + dt * (0.5 * w.d[i, j] + w.b[i, j])
        w.implicit[i, i] += BETA * dt * dt * soft.stiffness[i]


@compiled
def _gravity_energy(tree: TreeModel, centers: FloatArray) -> tuple[float, float]:
    """Return the potential energy in J and the sum of its parts' absolute values."""
    total, size = 0.0, 0.0
    for i in range(tree.parent.size):
        for r in range(3):
            part = tree.mass_kg[i] * tree.gravity_m_s2[r] * centers[i, r]
            total -= part
            size += abs(part)
    return total, size


@compiled
def _elastic_energy(soft: SoftModel, q: FloatArray) -> float:
    """Return the energy in J of flexures, end stops and tendons."""
    total = 0.0
    for i in range(q.size):
        beyond = max(end_stop(soft, i, q[i])[1], 0.0)
        total += 0.5 * soft.stop_stiffness[i] * beyond * beyond
        total += 0.5 * soft.stiffness[i] * (q[i] - soft.rest[i]) ** 2
    for t in range(soft.arms_m.shape[0]):
        for side in (1.0, -1.0):
            tension = tendon_tension(soft.arms_m[t], soft.tendon[t], side, q)
            total += 0.5 * tension * tension / soft.tendon[t, 0]
    return total


@compiled
def begin_energy_account(
    tree: TreeModel,
    soft: SoftModel,
    state: State,
    frames: LinkFrames,
    w: Workspace,
    contact: Contact | None,
) -> None:
    """Start the energy account with the energies of the state."""
    _inertia_at(tree, soft, state, frames, w)
    w.energy_j[0] = 0.5 * bilinear_form(state.v, w.mass, state.v)
    w.energy_j[1], _ = _gravity_energy(tree, w.centers)
    w.energy_j[2] = _elastic_energy(soft, state.q)
    if contact is not None:
        w.energy_j[2] += penetration_energy(frames, contact)


@compiled
def _largest_rotation(v: FloatArray, dt: float) -> float:
    """Return the largest rotation in rad of any coordinate in ``dt``."""
    most = 0.0
    for i in range(v.size):
        most = max(most, abs(v[i]))
    return dt * most


@compiled
def _solve_step(
    tree: TreeModel,
    soft: SoftModel,
    servo: ServoDynamics,
    state: State,
    frames: LinkFrames,
    rate: FloatArray,
    dt: float,
    w: Workspace,
    contact: Contact | None,
) -> None:
    """Compute acceleration, mean and final speed, and work, with ``state.q`` at mid-step."""
    _inertia_at(tree, soft, state, frames, w)
    gravity_forces(tree, frames, w.centers, w.gravity)
    _implicit_parts(soft, state, dt, w)
    predict_modes(soft, state, dt, w.stops, w.tendons)
    if contact is not None:
        find_contacts(tree, frames, state.v, dt, contact)
    assign(w.v_mid, state.v)
    solves = 2 if _largest_rotation(state.v, dt) < MIDPOINT_ROTATION_RAD else 1
    for _ in range(solves):
        bias_forces(tree, frames, w.v_mid, w.centers, w.inertia, w.bias)
        _accelerate(tree, soft, servo, state, rate, dt, w, contact)
        add_scaled(w.v_mid, state.v, 0.5 * dt, w.a)
    add_scaled(w.v_end, state.v, dt, w.a)
    # By all forces, by gravity, and by servos and from outside.
    against_gravity = inner_product(w.v_mid, w.gravity)
    inertial = (
        inner_product(w.v_mid, w.bias) - against_gravity + bilinear_form(w.v_mid, w.mass, w.a)
    )
    outside = inner_product(w.v_mid, state.external)
    for s in range(servo.joint.size):
        outside += w.v_mid[servo.joint[s]] * state.torque[s]
    w.work[0] = dt * inertial
    w.work[1] = -dt * against_gravity
    w.work[2] = dt * outside
    if contact is not None:
        contact.work_j[1] = contact_work(contact, w.v_mid)


@compiled
def _settle_energy_account(
    tree: TreeModel,
    soft: SoftModel,
    state: State,
    frames: LinkFrames,
    w: Workspace,
    contact: Contact | None,
) -> float:
    """Enter the energies after a step; return what is left for motion.

    A negative value means that the step would create energy.

    Returns:
        Energy in J.
    """
    _inertia_at(tree, soft, state, frames, w)
    gravity, size = _gravity_energy(tree, w.centers)
    elastic = _elastic_energy(soft, state.q)
    # What bodies at rest may owe: the solver of contacts leaves them this much motion.
    debt = 0.0
    if contact is not None:
        elastic += penetration_energy(frames, contact)
        debt = unsettled_energy(contact)
    rounding = ROUNDING * (size + elastic)
    fallen, released = w.energy_j[1] - gravity, w.energy_j[2] - elastic
    left = w.energy_j[0] + fallen + released + w.work[2] + rounding
    # Gravity acted at mid-step; what it did is known from the heights.
    missed = fallen - w.work[1]
    w.energy_j[0] += w.work[0] + (missed if abs(missed) > rounding else 0.0)
    w.energy_j[0] = max(min(w.energy_j[0], left), -debt)
    w.energy_j[1], w.energy_j[2] = gravity, elastic
    return float(left + debt)


@compiled
def _step(
    tree: TreeModel,
    soft: SoftModel,
    servo: ServoDynamics,
    state: State,
    frames: LinkFrames,
    rate: FloatArray,
    dt: float,
    is_final: bool,
    w: Workspace,
    contact: Contact | None,
) -> bool:
    """Take one step, or return False to have it halved, unless this is the final size.

    Returns:
        Whether the step was taken.
    """
    if not is_final and _largest_rotation(state.v, dt) > STEP_ROTATION_RAD:
        return False
    assign(w.start, state.q)
    add_scaled(state.q, w.start, 0.5 * dt, state.v)
    _solve_step(tree, soft, servo, state, frames, rate, dt, w, contact)
    if is_final or _largest_rotation(w.v_end, dt) <= STEP_ROTATION_RAD:
        before = (w.energy_j[0], w.energy_j[1], w.energy_j[2])
        add_scaled(state.q, state.q, 0.5 * dt, w.v_end)
        if _settle_energy_account(tree, soft, state, frames, w, contact) >= 0.0 or is_final:
            now = 0.5 * bilinear_form(w.v_end, w.mass, w.v_end)
            scale = np.sqrt(max(w.energy_j[0], 0.0) / now) if now > 0.0 else 1.0
            add_scaled(state.v, w.v_end, scale - 1.0, w.v_end)
            if contact is not None:
                contact.work_j[0] += contact.work_j[1]
            return True
        w.energy_j[0], w.energy_j[1], w.energy_j[2] = before
    assign(state.q, w.start)
    return False


@compiled
def _is_creeping(servo: ServoDynamics, state: State) -> bool:
    """Return whether everything moves slower than a creep and no servo is ramping."""
    for s in range(servo.joint.size):
        if abs(state.goal[s] - state.reference[s]) > SLOW_DISPLACEMENT_RAD:
            return False
    return _largest_rotation(state.v, 1.0) < SLOW_RAD_S


@compiled
def advance(
    tree: TreeModel,
    soft: SoftModel,
    servo: ServoDynamics,
    state: State,
    frames: LinkFrames,
    dt: float,
    steps: int,
    stride: int,
    contact: Contact | None,
) -> None:
    """Integrate ``steps`` steps of ``dt`` seconds in place, and leave the link frames.

    While the limb only creeps, ``stride`` steps are taken as one; 1 takes each by itself.
    """
    w = make_workspace(state.q.size, tree.parent.size, soft.arms_m.shape[0], servo.joint.size)
    rate = np.empty(servo.joint.size)
    begin_energy_account(tree, soft, state, frames, w, contact)
    left = steps
    while left > 0:
        count = min(stride, left) if stride > 1 and _is_creeping(servo, state) else 1
        left -= count
        if contact is not None:
            turn_references(tree, state, frames)
        span = count * dt
        update_references(servo, state, rate, span)
        done, part = 0.0, 1.0
        while done < 1.0:
            final = part <= SMALLEST_FRACTION
            if _step(tree, soft, servo, state, frames, rate, part * span, final, w, contact):
                done += part
            else:
                part *= 0.5


@compiled
def energy(
    tree: TreeModel, soft: SoftModel, state: State, frames: LinkFrames, contact: Contact | None
) -> tuple[float, float]:
    """Return the kinetic and potential energy in J.

    Potential: gravity, flexures, end stops, tendons and bodies pressed together. The servos' own
    springs are not counted.
    """
    w = make_workspace(state.q.size, tree.parent.size, soft.arms_m.shape[0], 0)
    begin_energy_account(tree, soft, state, frames, w, contact)
    return w.energy_j[0], w.energy_j[1] + w.energy_j[2]
