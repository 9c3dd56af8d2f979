"""Arrays of the simulated limb: tree, soft parts, servos, state, frames, buffers.

All are named tuples of NumPy arrays, so that compiled code reads them by name.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray
from sim.physics.numba_options import compiled

IntArray = npt.NDArray[np.int64]
# What a coordinate of the tree is: a turn about its axis, a way along its axis, or the last of the
# six coordinates of a free body, whose turn is followed by the body's reference attitude.
HINGE, SLIDE, ATTITUDE = 0, 1, 2
# Vectors are tuples of three floats inside the loop: the compiler keeps them in registers.
Vec = tuple[float, float, float]


class TreeModel(NamedTuple):
    """Rigid tree with ``h`` hinges, all coordinates in the limb's common frame, straight pose.

    A free body is six entries of the tree, three slides and three hinges, of which the last carries
    its mass (:func:`sim.physics.rigid_body.turn_references`).

    Attributes:
        kind: ``(h,)`` HINGE, SLIDE or ATTITUDE.
        reference: ``(h, 3, 3)`` attitude of a free body at zero angles; elsewhere not used.
        parent: ``(h,)`` hinge that carries the parent link, -1 for the root.
        pivot_m, axis: ``(h, 3)``.
        mass_kg: ``(h,)`` of each hinge's child link.
        center_m: ``(h, 3)`` centres of mass; inertia_kg_m2: ``(h, 3, 3)`` about them.
        gravity_m_s2: ``(3,)`` in the common frame.
    """

    kind: IntArray
    reference: FloatArray
    parent: IntArray
    pivot_m: FloatArray
    axis: FloatArray
    mass_kg: FloatArray
    center_m: FloatArray
    inertia_kg_m2: FloatArray
    gravity_m_s2: FloatArray


class SoftModel(NamedTuple):
    """Forces along the ``n`` coordinates, ``n = h + pulleys``.

    Attributes:
        armature, stiffness, rest, structural, viscous, friction: ``(n,)`` in kg m2, N m/rad, rad,
            N m s/rad, N m s/rad and N m.
        lower, upper, stop_stiffness, stop_damping: ``(n,)`` end stops.
        arms_m: ``(t, n)`` moment arms: the length each tendon loses per rad on its flexor side.
        tendon: ``(t, 6)`` stiffness N/m, damping N s/m, pretension N, slack m, friction, wrap rad.
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
    tendon: FloatArray


class ServoDynamics(NamedTuple):
    """Parameters ``(s,)`` of the ``s`` servos; ``joint`` is the coordinate each drives."""

    joint: IntArray
    stiffness: FloatArray
    damping: FloatArray
    torque_limit: FloatArray
    speed_limit: FloatArray
    lag_s: FloatArray


class State(NamedTuple):
    """State of the integration; its arrays are updated in place.

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


class LinkFrames(NamedTuple):
    """Frames of the links: point p of straight link i is at ``rotation[i] p + shift_m[i]``.

    Attributes:
        rotation: ``(h, 3, 3)``; shift_m: ``(h, 3)``; pivot_m, axis: ``(h, 3)`` as they are now.
    """

    rotation: FloatArray
    shift_m: FloatArray
    pivot_m: FloatArray
    axis: FloatArray


class Workspace(NamedTuple):
    """Buffers of one step.

    Attributes:
        stops, tendons: ``(n,)`` and ``(t, 2)`` mode of each end stop and of each tendon side.
        saturated: ``(s,)`` torques of servos at their limit, 0 for the others.
        mass, implicit, matrix, d, b: ``(n, n)`` M; M with the implicit part of what always acts,
            and of everything; damping at mid-step and at the end of the step.
        f, bias, gravity: ``(n,)`` passive forces; what holds against inertia and gravity; against
            gravity alone.
        a, v_mid, v_end, start: ``(n,)`` the step's acceleration, mean and final speed, and the
            position it started from.
        inertia, centers: ``(h, 3, 3)`` and ``(h, 3)`` of the links as they are now.
        work: ``(3,)`` in J by all forces, by gravity, and by servos and from outside.
        energy_j: ``(3,)`` kinetic, gravity's and elastic energy in J.
    """

    stops: IntArray
    tendons: IntArray
    saturated: FloatArray
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
    energy_j: FloatArray


@compiled
def make_workspace(n: int, h: int, t: int, s: int) -> Workspace:
    """Return buffers for ``n`` coordinates, ``h`` hinges, ``t`` tendons and ``s`` servos."""
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
