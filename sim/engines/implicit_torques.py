"""Torques of everything that Bullet has no model of: flexures, cords, friction, end stops, servos.

They are stiff, so they are taken implicitly, as our own integrator takes them
(:mod:`sim.physics.integrator`): its equations are solved for the acceleration ``a`` of all
coordinates, and what the hinges get is the torque that makes Bullet's rigid bodies move so,

    tau = M a + h(q, v) - f_contact,

with M the inertia of the links alone. Rotors (``armature``) and the pulleys of tendons, which
Bullet lacks, are thereby in ``tau``. Contact forces are Bullet's: ``f_contact`` are those of the
last sub-step, known from how the bodies moved, ``f_contact += M (a_true - a)``. Where a contact
stops a hinge, the error of ``tau`` shrinks from sub-step to sub-step by rotor / (rotor + links).
"""

from __future__ import annotations

from asterias.arrays import FloatArray
from sim.physics.integrator import _solve_step
from sim.physics.linear_algebra import add_scaled, assign
from sim.physics.model import LinkFrames, ServoDynamics, SoftModel, State, TreeModel, Workspace
from sim.physics.numba_options import compiled
from sim.physics.servos import update_references


@compiled
def add_contact_forces(
    tree: TreeModel,
    soft: SoftModel,
    speeds: FloatArray,
    state: State,
    dt: float,
    w: Workspace,
    forces: FloatArray,
) -> None:
    """Add to ``forces`` ``(n,)`` what moved the bodies otherwise than expected; pulleys get none.

    Args:
        tree: of the links.
        soft: of the limbs.
        speeds: ``(n,)`` at the start of the last sub-step.
        state: at its end.
        dt: its length in s.
        w: as the last :func:`implicit_torques` left it.
        forces: generalised forces of the contacts, N m.
    """
    for i in range(tree.parent.size):
        unexpected = (state.v[i] - speeds[i]) / dt - w.a[i]
        for j in range(tree.parent.size):
            forces[j] += w.mass[j, i] * unexpected
        forces[i] -= soft.armature[i] * unexpected


@compiled
def implicit_torques(
    tree: TreeModel,
    soft: SoftModel,
    servo: ServoDynamics,
    state: State,
    frames: LinkFrames,
    dt: float,
    w: Workspace,
    rate: FloatArray,
    torque: FloatArray,
) -> None:
    """Compute the torques of one sub-step, and move the pulleys, which Bullet does not have.

    Args:
        tree: of the links.
        soft: of the limbs.
        servo: of the limbs.
        state: at the start of the sub-step; ``external`` holds all forces from outside.
        frames: of the links, left at mid-step.
        dt: length of the sub-step in s.
        w: scratch; afterwards ``a`` is the acceleration that is expected, and ``mass`` the inertia.
        rate: ``(s,)`` scratch for the speeds of the servos' references.
        torque: ``(h,)`` result, N m; zero for a free body's own coordinates.
    """
    update_references(servo, state, rate, dt)
    assign(w.start, state.q)
    add_scaled(state.q, w.start, 0.5 * dt, state.v)
    _solve_step(tree, soft, servo, state, frames, rate, dt, w, None)
    assign(state.q, w.start)
    hinges = tree.parent.size
    for i in range(hinges):
        torque[i] = w.bias[i] - soft.armature[i] * w.a[i] - state.external[i]
        for j in range(hinges):
            torque[i] += w.mass[i, j] * w.a[j]
    for i in range(hinges, state.q.size):
        state.q[i] += 0.5 * dt * (state.v[i] + w.v_end[i])
        state.v[i] = w.v_end[i]
