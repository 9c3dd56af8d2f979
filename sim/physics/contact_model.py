"""Arrays of what can touch: spheres on links, planes, boxes, and the contacts of a step."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from asterias.arrays import FloatArray
from sim.physics.model import IntArray


class Contact(NamedTuple):
    """Shapes, the law of contact, and the buffers of a step; ``n`` coordinates, ``s`` spheres.

    A slot is a pair that can touch: sphere and plane, sphere and box, or two spheres. There are
    ``c = s (p + b) + k`` of them, so no contact is ever left out for want of room.

    Attributes:
        above: ``(n,)`` coordinate next above each coordinate in its tree, -1 at a root.
        link: ``(s,)`` last coordinate that moves each sphere, -1 for a sphere that stands.
        center_m, radius_m: ``(s, 3)`` in straight-pose coordinates, and ``(s,)``.
        plane: ``(p, 4)`` unit normal and offset: bodies stay where ``normal . x >= offset``.
        box_center_m, box_rotation, box_half_m: ``(b, 3)``, ``(b, 3, 3)``, ``(b, 3)``.
        pair: ``(k, 2)`` spheres that can touch each other.
        law: ``(4,)`` stiffness N/m, damping N s/m, friction coefficient, restitution coefficient.
        spin, speed: ``(h, 3)`` angular velocity of each link and velocity of its pivot.
        position, velocity: ``(s, 3)`` of the spheres' centres.
        found: ``(1,)`` how many contacts; slot: ``(c,)``; gap_m, closing: ``(c,)`` m and m/s at
            mid-step and at the step's first speed.
        frame: ``(c, 3, 3)`` normal (towards the pair's first) and two tangents, as rows.
        jacobian, reduced: ``(c, 3, n)`` J and L^-T J; path: ``(c, n)`` the coordinates, falling,
            in which they are not zero, ``length`` ``(c,)`` of them.
        block: ``(c, 3, 3)`` of J H^-1 J^T; give, bias, free: ``(c,)``, ``(c,)``, ``(c, 3)`` of the
            law, see :mod:`sim.physics.contact_solver`; impulse: ``(c, 3)`` N s in the frame.
        force_n: ``(c, 3)`` last force of each slot in the world: where the next solve begins.
        work_j: ``(2,)`` done by contacts so far, and in the step that is being tried.
    """

    above: IntArray
    link: IntArray
    center_m: FloatArray
    radius_m: FloatArray
    plane: FloatArray
    box_center_m: FloatArray
    box_rotation: FloatArray
    box_half_m: FloatArray
    pair: IntArray
    law: FloatArray
    spin: FloatArray
    speed: FloatArray
    position: FloatArray
    velocity: FloatArray
    found: IntArray
    slot: IntArray
    gap_m: FloatArray
    closing: FloatArray
    frame: FloatArray
    jacobian: FloatArray
    reduced: FloatArray
    path: IntArray
    length: IntArray
    block: FloatArray
    give: FloatArray
    bias: FloatArray
    free: FloatArray
    impulse: FloatArray
    force_n: FloatArray
    work_j: FloatArray


def make_contact(
    *,
    above: IntArray,
    hinges: int,
    link: IntArray,
    center_m: FloatArray,
    radius_m: FloatArray,
    plane: FloatArray,
    box_center_m: FloatArray,
    box_rotation: FloatArray,
    box_half_m: FloatArray,
    pair: IntArray,
    law: FloatArray,
) -> Contact:
    """Return shapes with buffers for all pairs that can touch; see :class:`Contact`."""
    n, s = above.size, link.size
    slots = s * (plane.shape[0] + box_center_m.shape[0]) + pair.shape[0]
    return Contact(
        above=above,
        link=link,
        center_m=center_m,
        radius_m=radius_m,
        plane=plane,
        box_center_m=box_center_m,
        box_rotation=box_rotation,
        box_half_m=box_half_m,
        pair=pair,
        law=law,
        spin=np.zeros((hinges, 3)),
        speed=np.zeros((hinges, 3)),
        position=np.zeros((s, 3)),
        velocity=np.zeros((s, 3)),
        found=np.zeros(1, np.int64),
        slot=np.zeros(slots, np.int64),
        gap_m=np.zeros(slots),
        closing=np.zeros(slots),
        frame=np.zeros((slots, 3, 3)),
        jacobian=np.zeros((slots, 3, n)),
        reduced=np.zeros((slots, 3, n)),
        path=np.zeros((slots, n), np.int64),
        length=np.zeros(slots, np.int64),
        block=np.zeros((slots, 3, 3)),
        give=np.zeros(slots),
        bias=np.zeros(slots),
        free=np.zeros((slots, 3)),
        impulse=np.zeros((slots, 3)),
        force_n=np.zeros((slots, 3)),
        work_j=np.zeros(2),
    )
