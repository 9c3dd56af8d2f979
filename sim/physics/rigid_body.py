"""Kinematics and dynamics of the rigid tree.

Composite rigid bodies and recursive Newton-Euler, after Featherstone, Rigid Body Dynamics
Algorithms, 2008; all in the limb's common frame.
"""

from __future__ import annotations

import numpy as np

from asterias.arrays import FloatArray
from sim.physics.linear_algebra import (
    add,
    cross,
    dot,
    get_vector,
    rotate_axis_angle,
    scale,
    set_vector,
    subtract,
    transform,
)
from sim.physics.model import ATTITUDE, SLIDE, LinkFrames, State, TreeModel
from sim.physics.numba_options import compiled

# Beyond this second angle (rad) a free body's three angles are counted from a new reference: far
# from pi/2, where they would be singular.
LARGEST_TILT_RAD = 0.5


@compiled
def forward_kinematics(tree: TreeModel, q: FloatArray, frames: LinkFrames) -> None:
    """Compute the link frames at hinge angles ``q[:h]``."""
    for i in range(tree.parent.size):
        p = tree.parent[i]
        axis, pivot = get_vector(tree.axis, i), get_vector(tree.pivot_m, i)
        if p < 0:
            set_vector(frames.axis, i, axis)
            set_vector(frames.pivot_m, i, pivot)
        else:
            set_vector(frames.axis, i, transform(frames.rotation, p, axis))
            at = add(transform(frames.rotation, p, pivot), get_vector(frames.shift_m, p))
            set_vector(frames.pivot_m, i, at)
        if tree.kind[i] == SLIDE:
            moved = scale(q[i], get_vector(frames.axis, i))
            set_vector(frames.pivot_m, i, add(get_vector(frames.pivot_m, i), moved))
            rotate_axis_angle(frames.rotation, i, frames.rotation, p, axis, 0.0)
        else:
            rotate_axis_angle(frames.rotation, i, frames.rotation, p, axis, q[i])
        if tree.kind[i] == ATTITUDE:
            turn_by(frames.rotation, tree.reference, i)
        turned = transform(frames.rotation, i, pivot)
        set_vector(frames.shift_m, i, subtract(get_vector(frames.pivot_m, i), turned))


@compiled
def turn_by(rotation: FloatArray, reference: FloatArray, i: int) -> None:
    """Compute ``rotation[i] = rotation[i] @ reference[i]``."""
    for r in range(3):
        x, y, z = get_vector(rotation[i], r)
        for c in range(3):
            rotation[i, r, c] = (
                x * reference[i, 0, c] + y * reference[i, 1, c] + z * reference[i, 2, c]
            )


@compiled
def turn_references(tree: TreeModel, state: State, frames: LinkFrames) -> None:
    """Count the angles of free bodies that tilt far from a new reference attitude.

    A free body turns about z, then y, then x (coordinates i-2, i-1, i), which is singular at a
    right angle of the second. The attitude and the angular velocity stay; angles become zero, where
    the three axes are those of the world. ``frames`` must be those of ``state.q``.
    """
    for i in range(tree.parent.size):
        if tree.kind[i] != ATTITUDE or abs(state.q[i - 1]) < LARGEST_TILT_RAD:
            continue
        spin = (0.0, 0.0, 0.0)
        for j in range(i - 2, i + 1):
            spin = add(spin, scale(state.v[j], get_vector(frames.axis, j)))
        for r in range(3):
            state.q[i - r] = 0.0
            state.v[i - r] = spin[r]
            for c in range(3):
                tree.reference[i, r, c] = frames.rotation[i, r, c]


@compiled
def world_inertia(tree: TreeModel, frames: LinkFrames, out: FloatArray) -> None:
    """Compute ``out[i] = R I R^T`` of every link, kg m2."""
    for i in range(tree.parent.size):
        for r in range(3):
            for c in range(3):
                total = 0.0
                for k in range(3):
                    row = 0.0
                    for m in range(3):
                        row += frames.rotation[i, r, m] * tree.inertia_kg_m2[i, m, k]
                    total += row * frames.rotation[i, c, k]
                out[i, r, c] = total


@compiled
def centers_of_mass(tree: TreeModel, frames: LinkFrames, out: FloatArray) -> None:
    """Compute the centres of mass ``out`` ``(h, 3)`` of the links, m."""
    for i in range(tree.parent.size):
        turned = transform(frames.rotation, i, get_vector(tree.center_m, i))
        set_vector(out, i, add(turned, get_vector(frames.shift_m, i)))


@compiled
def gravity_forces(
    tree: TreeModel, frames: LinkFrames, centers: FloatArray, out: FloatArray
) -> None:
    """Compute the torques ``out[:h]`` in N m that hold the hinges against gravity.

    The subtree beyond a hinge weighs on it as one body at its centre of mass.
    """
    n = tree.parent.size
    down = (tree.gravity_m_s2[0], tree.gravity_m_s2[1], tree.gravity_m_s2[2])
    mass, moment = tree.mass_kg.copy(), np.empty((n, 3))
    for i in range(n):
        set_vector(moment, i, scale(mass[i], get_vector(centers, i)))
    for i in range(n - 1, -1, -1):
        if tree.kind[i] == SLIDE:
            out[i] = -dot(get_vector(frames.axis, i), scale(mass[i], down))
        else:
            lever = subtract(get_vector(moment, i), scale(mass[i], get_vector(frames.pivot_m, i)))
            out[i] = -dot(get_vector(frames.axis, i), cross(lever, down))
        p = tree.parent[i]
        if p >= 0:
            mass[p] += mass[i]
            set_vector(moment, p, add(get_vector(moment, p), get_vector(moment, i)))


@compiled
def bias_forces(
    tree: TreeModel,
    frames: LinkFrames,
    v: FloatArray,
    centers: FloatArray,
    inertia: FloatArray,
    out: FloatArray,
) -> None:
    """Compute ``out[:h] = h(q, v)`` in N m: gravity and velocity terms.

    Recursive Newton-Euler with zero joint acceleration (Featherstone 2008, table 5.1); gravity
    enters as an upward acceleration of the base.
    """
    n = tree.parent.size
    spin, spin_rate, lift = np.empty((n, 3)), np.empty((n, 3)), np.empty((n, 3))
    force, moment = np.zeros((n, 3)), np.zeros((n, 3))
    up = (-tree.gravity_m_s2[0], -tree.gravity_m_s2[1], -tree.gravity_m_s2[2])
    for i in range(n):
        p = tree.parent[i]
        axis, pivot = get_vector(frames.axis, i), get_vector(frames.pivot_m, i)
        w, dw, acc = (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), up
        if p >= 0:
            w, dw = get_vector(spin, p), get_vector(spin_rate, p)
            arm = subtract(pivot, get_vector(frames.pivot_m, p))
            acc = add(get_vector(lift, p), add(cross(dw, arm), cross(w, cross(w, arm))))
        if tree.kind[i] == SLIDE:
            acc = add(acc, scale(2.0, cross(w, scale(v[i], axis))))
        else:
            dw = add(dw, cross(w, scale(v[i], axis)))
            w = add(w, scale(v[i], axis))
        set_vector(spin, i, w)
        set_vector(spin_rate, i, dw)
        set_vector(lift, i, acc)
        arm = subtract(get_vector(centers, i), pivot)
        at_center = add(acc, add(cross(dw, arm), cross(w, cross(w, arm))))
        pull = scale(tree.mass_kg[i], at_center)
        twist = add(transform(inertia, i, dw), cross(w, transform(inertia, i, w)))
        set_vector(force, i, pull)
        set_vector(moment, i, add(twist, cross(arm, pull)))
    for i in range(n - 1, -1, -1):
        along = get_vector(force, i) if tree.kind[i] == SLIDE else get_vector(moment, i)
        out[i] = dot(get_vector(frames.axis, i), along)
        p = tree.parent[i]
        if p >= 0:
            arm = subtract(get_vector(frames.pivot_m, i), get_vector(frames.pivot_m, p))
            carried = add(get_vector(moment, i), cross(arm, get_vector(force, i)))
            set_vector(moment, p, add(get_vector(moment, p), carried))
            set_vector(force, p, add(get_vector(force, p), get_vector(force, i)))


@compiled
def add_composite_inertia(
    mass: FloatArray, center: FloatArray, inertia: FloatArray, into: int, part: int
) -> None:
    """Add the composite body ``part`` to ``into``: parallel-axis theorem about the joint centre."""
    m1, m2 = mass[into], mass[part]
    c1, c2 = get_vector(center, into), get_vector(center, part)
    total = m1 + m2
    apart = subtract(c2, c1)
    reduced = m1 * m2 / total
    square = dot(apart, apart)
    for r in range(3):
        for c in range(3):
            steiner = -apart[r] * apart[c]
            if r == c:
                steiner += square
            inertia[into, r, c] += inertia[part, r, c] + reduced * steiner
    mass[into] = total
    set_vector(center, into, add(c1, scale(m2 / total, apart)))


@compiled
def mass_matrix(
    tree: TreeModel, frames: LinkFrames, centers: FloatArray, inertia: FloatArray, out: FloatArray
) -> None:
    """Compute M(q) in kg m2 into the zeroed hinge block ``out[:h, :h]``.

    Composite rigid bodies (Featherstone 2008, table 6.2).
    """
    n = tree.parent.size
    mass, center, turning = tree.mass_kg.copy(), centers.copy(), inertia.copy()
    for j in range(n - 1, -1, -1):
        axis, pivot = get_vector(frames.axis, j), get_vector(frames.pivot_m, j)
        middle = get_vector(center, j)
        force = scale(mass[j], cross(axis, subtract(middle, pivot)))
        moment = transform(turning, j, axis)
        if tree.kind[j] == SLIDE:
            force, moment = scale(mass[j], axis), (0.0, 0.0, 0.0)
        i = j
        while i >= 0:
            if tree.kind[i] == SLIDE:
                value = dot(get_vector(frames.axis, i), force)
            else:
                arm = subtract(middle, get_vector(frames.pivot_m, i))
                value = dot(get_vector(frames.axis, i), add(moment, cross(arm, force)))
            out[i, j] = value
            out[j, i] = value
            i = tree.parent[i]
        if tree.parent[j] >= 0:
            add_composite_inertia(mass, center, turning, tree.parent[j], j)
