"""Which spheres touch planes, boxes and one another, and how coordinates move the points there."""

from __future__ import annotations

import numpy as np

from asterias.arrays import FloatArray
from sim.physics.contact_model import Contact
from sim.physics.linear_algebra import (
    add,
    cross,
    dot,
    get_vector,
    scale,
    set_vector,
    subtract,
    transform,
)
from sim.physics.model import SLIDE, LinkFrames, TreeModel, Vec
from sim.physics.numba_options import compiled

# A pair whose gap at the end of a step, at the speed it begins with, is below this (m) is a
# contact: an acceleration of 50 g closes it in a step of 2 ms. One that is missed touches in the
# next step.
REACH_M = 1e-3


@compiled
def place_spheres(frames: LinkFrames, contact: Contact) -> None:
    """Compute the spheres' centres in m."""
    for s in range(contact.link.size):
        i, center = contact.link[s], get_vector(contact.center_m, s)
        if i >= 0:
            center = add(transform(frames.rotation, i, center), get_vector(frames.shift_m, i))
        set_vector(contact.position, s, center)


@compiled
def move_spheres(tree: TreeModel, frames: LinkFrames, v: FloatArray, contact: Contact) -> None:
    """Compute the velocities of links and of the spheres' centres in m/s."""
    for i in range(tree.parent.size):
        p, pivot = tree.parent[i], get_vector(frames.pivot_m, i)
        w, u = (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)
        if p >= 0:
            w = get_vector(contact.spin, p)
            arm = subtract(pivot, get_vector(frames.pivot_m, p))
            u = add(get_vector(contact.speed, p), cross(w, arm))
        if tree.kind[i] == SLIDE:
            u = add(u, scale(v[i], get_vector(frames.axis, i)))
        else:
            w = add(w, scale(v[i], get_vector(frames.axis, i)))
        set_vector(contact.spin, i, w)
        set_vector(contact.speed, i, u)
    for s in range(contact.link.size):
        i, u = contact.link[s], (0.0, 0.0, 0.0)
        if i >= 0:
            arm = subtract(get_vector(contact.position, s), get_vector(frames.pivot_m, i))
            w = get_vector(contact.spin, i)
            u = add(get_vector(contact.speed, i), cross(w, arm))
        set_vector(contact.velocity, s, u)


@compiled
def box_distance(contact: Contact, b: int, at: Vec) -> tuple[float, Vec]:
    """Return the signed distance in m of a point from box ``b``, and the unit normal there."""
    apart, rotation = subtract(at, get_vector(contact.box_center_m, b)), contact.box_rotation[b]
    outside, sign = np.empty(3), np.empty(3)
    deepest, squared = 0, 0.0
    for k in range(3):
        along = rotation[0, k] * apart[0] + rotation[1, k] * apart[1] + rotation[2, k] * apart[2]
        sign[k] = 1.0 if along >= 0.0 else -1.0
        outside[k] = abs(along) - contact.box_half_m[b, k]
        if outside[k] > outside[deepest]:
            deepest = k
        squared += max(outside[k], 0.0) ** 2
    inside = outside[deepest]
    distance = np.sqrt(squared) if inside > 0.0 else inside
    normal = (0.0, 0.0, 0.0)
    for k in range(3):
        part = 1.0 if k == deepest else 0.0
        if inside > 0.0:
            part = max(outside[k], 0.0) / distance
        column = (rotation[0, k], rotation[1, k], rotation[2, k])
        normal = add(normal, scale(sign[k] * part, column))
    return distance, normal


@compiled
def sphere_gap(contact: Contact, s: int, o: int) -> tuple[float, Vec]:
    """Return gap in m and normal between sphere ``s`` and obstacle ``o``: planes, then boxes."""
    at, planes = get_vector(contact.position, s), contact.plane.shape[0]
    if o < planes:
        normal = get_vector(contact.plane, o)
        return dot(normal, at) - contact.plane[o, 3] - contact.radius_m[s], normal
    distance, normal = box_distance(contact, o - planes, at)
    return distance - contact.radius_m[s], normal


@compiled
def pair_gap(contact: Contact, k: int) -> tuple[float, Vec]:
    """Return gap in m and normal (towards the first) of the pair ``k`` of spheres."""
    a, b = contact.pair[k, 0], contact.pair[k, 1]
    apart = subtract(get_vector(contact.position, a), get_vector(contact.position, b))
    distance, reach = np.sqrt(dot(apart, apart)), contact.radius_m[a] + contact.radius_m[b]
    # Centres that coincide have no direction of their own; any will part them.
    normal = scale(1.0 / distance, apart) if distance > 0.0 else (0.0, 0.0, 1.0)
    return distance - reach, normal


@compiled
def penetration_energy(frames: LinkFrames, contact: Contact) -> float:
    """Return the elastic energy in J of all pairs that are pressed together."""
    place_spheres(frames, contact)
    total, obstacles = 0.0, contact.plane.shape[0] + contact.box_center_m.shape[0]
    for s in range(contact.link.size):
        for o in range(obstacles):
            gap, _ = sphere_gap(contact, s, o)
            total += min(gap, 0.0) ** 2
    for k in range(contact.pair.shape[0]):
        gap, _ = pair_gap(contact, k)
        total += min(gap, 0.0) ** 2
    return float(0.5 * contact.law[0] * total)


@compiled
def find_contacts(
    tree: TreeModel, frames: LinkFrames, v: FloatArray, dt: float, contact: Contact
) -> None:
    """Find the contacts of a step from the frames at its middle and its first speed ``v``."""
    place_spheres(frames, contact)
    move_spheres(tree, frames, v, contact)
    contact.found[0] = 0
    obstacles = contact.plane.shape[0] + contact.box_center_m.shape[0]
    for s in range(contact.link.size):
        for o in range(obstacles):
            gap, normal = sphere_gap(contact, s, o)
            closing = dot(normal, get_vector(contact.velocity, s))
            if gap + dt * min(closing, 0.0) < REACH_M:
                _add_contact(tree, frames, contact, s * obstacles + o, s, -1, gap, closing, normal)
    first = contact.link.size * obstacles
    for k in range(contact.pair.shape[0]):
        gap, normal = pair_gap(contact, k)
        a, b = contact.pair[k, 0], contact.pair[k, 1]
        relative = subtract(get_vector(contact.velocity, a), get_vector(contact.velocity, b))
        closing = dot(normal, relative)
        if gap + dt * min(closing, 0.0) < REACH_M:
            _add_contact(tree, frames, contact, first + k, a, b, gap, closing, normal)


@compiled
def _add_contact(
    tree: TreeModel,
    frames: LinkFrames,
    contact: Contact,
    slot: int,
    a: int,
    b: int,
    gap: float,
    closing: float,
    normal: Vec,
) -> None:
    """Enter a contact of sphere ``a`` with an obstacle (``b`` -1) or with sphere ``b``."""
    c = contact.found[0]
    contact.found[0] = c + 1
    contact.slot[c], contact.gap_m[c], contact.closing[c] = slot, gap, closing
    set_vector(contact.frame[c], 0, normal)
    # The first tangent is square to the axis that the normal is least along.
    least = 0
    for k in range(1, 3):
        if abs(normal[k]) < abs(normal[least]):
            least = k
    axis = (
        1.0 if least == 0 else 0.0,
        1.0 if least == 1 else 0.0,
        1.0 if least == 2 else 0.0,
    )
    tangent = cross(normal, axis)
    tangent = scale(1.0 / np.sqrt(dot(tangent, tangent)), tangent)
    set_vector(contact.frame[c], 1, tangent)
    set_vector(contact.frame[c], 2, cross(normal, tangent))
    reach = scale(-(contact.radius_m[a] + 0.5 * gap), normal)
    at = add(get_vector(contact.position, a), reach)
    _trace_path(contact, c, contact.link[a], -1 if b < 0 else contact.link[b])
    for m in range(contact.length[c]):
        for r in range(3):
            contact.jacobian[c, r, contact.path[c, m]] = 0.0
    _add_motion(tree, frames, contact, c, contact.link[a], at, 1.0)
    if b >= 0:
        _add_motion(tree, frames, contact, c, contact.link[b], at, -1.0)


@compiled
def _trace_path(contact: Contact, c: int, i: int, j: int) -> None:
    """Enter all coordinates that move link i or j, from the leaves to the roots."""
    count = 0
    while i >= 0 or j >= 0:
        last = max(i, j)
        contact.path[c, count] = last
        count += 1
        if i == last:
            i = contact.above[i]
        if j == last:
            j = contact.above[j]
    contact.length[c] = count


@compiled
def _add_motion(
    tree: TreeModel,
    frames: LinkFrames,
    contact: Contact,
    c: int,
    i: int,
    at: Vec,
    sign: float,
) -> None:
    """Add to J how the coordinates above link ``i`` move its point ``at``."""
    while i >= 0:
        axis = get_vector(frames.axis, i)
        if tree.kind[i] != SLIDE:
            axis = cross(axis, subtract(at, get_vector(frames.pivot_m, i)))
        for r in range(3):
            contact.jacobian[c, r, i] += sign * dot(get_vector(contact.frame[c], r), axis)
        i = tree.parent[i]
