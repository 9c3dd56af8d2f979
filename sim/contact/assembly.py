"""The arrays of free bodies and of the limbs on the first of them, as one tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from asterias.arrays import FloatArray
from asterias.errors import UserError
from hardware.description.limb import Limb, Material
from sim.contact.shapes import FreeBody, Ground, Sphere, link_spheres
from sim.physics.contact_model import Contact, make_contact
from sim.physics.limb_body import servo_model, soft_model, tree_model
from sim.physics.model import (
    ATTITUDE,
    HINGE,
    SLIDE,
    IntArray,
    ServoDynamics,
    SoftModel,
    TreeModel,
)
from sim.physics.rotations import rotation_from_rpy

FREE = 6  # coordinates of a free body: along x, y, z, then about z, y, x


class Touching(NamedTuple):
    """A sphere, the last coordinate that moves it, and the body or limb that it belongs to."""

    coordinate: int
    owner: int
    sphere: Sphere


def free_tree(body: FreeBody, first: int) -> TreeModel:
    """Return the six coordinates of a free body from number ``first`` on; the last carries it."""
    mass, center, inertia = np.zeros(FREE), np.zeros((FREE, 3)), np.zeros((FREE, 3, 3))
    mass[-1], center[-1], inertia[-1] = body.mass_kg, body.center_m, body.inertia_kg_m2
    reference = np.tile(np.eye(3), (FREE, 1, 1))
    reference[-1] = rotation_from_rpy(body.rpy)
    above = np.arange(first - 1, first + FREE - 1)
    above[0] = -1
    return TreeModel(
        kind=np.array([SLIDE] * 3 + [HINGE] * 2 + [ATTITUDE], dtype=np.int64),
        reference=reference,
        parent=above.astype(np.int64),
        pivot_m=np.zeros((FREE, 3)),
        axis=np.vstack([np.eye(3), np.eye(3)[::-1]]),
        mass_kg=mass,
        center_m=center,
        inertia_kg_m2=inertia,
        gravity_m_s2=np.zeros(3),
    )


def limb_tree(limb: Limb, first: int) -> TreeModel:
    """Return a limb's tree in the frame of the first free body, which carries its root."""
    tree = tree_model(limb, 0.0)
    turned, shift = rotation_from_rpy(limb.base.rpy), np.array(limb.base.xyz)
    return tree._replace(
        parent=np.where(tree.parent < 0, FREE - 1, tree.parent + first),
        pivot_m=tree.pivot_m @ turned.T + shift,
        axis=tree.axis @ turned.T,
        center_m=tree.center_m @ turned.T + shift,
        inertia_kg_m2=turned @ tree.inertia_kg_m2 @ turned.T,
    )


def first_hinges(bodies: Sequence[FreeBody], limbs: Sequence[Limb]) -> list[int]:
    """Return the number of each limb's first hinge, and the number of all coordinates so far."""
    numbers = [FREE * len(bodies)]
    for limb in limbs:
        numbers.append(numbers[-1] + len(limb.body.hinges))
    return numbers


def join_trees(bodies: Sequence[FreeBody], limbs: Sequence[Limb], gravity_m_s2: float) -> TreeModel:
    """Return the tree of all bodies and limbs; gravity points down."""
    trees = [free_tree(body, FREE * number) for number, body in enumerate(bodies)]
    firsts = first_hinges(bodies, limbs)
    trees += [limb_tree(limb, first) for limb, first in zip(limbs, firsts, strict=False)]
    columns = [np.concatenate(parts) for parts in zip(*(t[:-1] for t in trees), strict=True)]
    return TreeModel._make([*columns, np.array([0.0, 0.0, -gravity_m_s2])])


def limb_coordinates(bodies: Sequence[FreeBody], limbs: Sequence[Limb]) -> list[IntArray]:
    """Return the coordinate numbers of each limb's hinges and then of its pulleys."""
    firsts = first_hinges(bodies, limbs)
    found, pulley = [], firsts[-1]
    for limb, first in zip(limbs, firsts, strict=False):
        hinges = np.arange(first, first + len(limb.body.hinges))
        pulleys = sum(joint.tendon is not None for joint in limb.joints)
        found.append(np.concatenate([hinges, np.arange(pulley, pulley + pulleys)]).astype(np.int64))
        pulley += pulleys
    return found


def join_soft_parts(
    limbs: Sequence[Limb], where: Sequence[IntArray], size: int, materials: Mapping[str, Material]
) -> SoftModel:
    """Return the soft parts of all limbs along ``size`` coordinates; ``where`` are the limbs'."""
    softs = [soft_model(limb, materials) for limb in limbs]
    nothing = {"lower": -np.inf, "upper": np.inf}
    columns = {}
    for name in SoftModel._fields:
        if name in ("arms_m", "tendon"):
            continue
        columns[name] = np.full(size, nothing.get(name, 0.0))
        for own, soft in zip(where, softs, strict=True):
            columns[name][own] = getattr(soft, name)
    arms = [np.zeros((0, size))]
    for own, soft in zip(where, softs, strict=True):
        arms.append(np.zeros((soft.arms_m.shape[0], size)))
        arms[-1][:, own] = soft.arms_m
    tendon = np.vstack([np.zeros((0, 6)), *(soft.tendon for soft in softs)])
    return SoftModel(**columns, arms_m=np.vstack(arms), tendon=tendon)


def join_servos(limbs: Sequence[Limb], where: Sequence[IntArray]) -> ServoDynamics:
    """Return the servos of all limbs, limb by limb in command order."""
    servos = [servo_model(limb) for limb in limbs]
    joints = [own[servo.joint] for own, servo in zip(where, servos, strict=True)]
    columns = [
        np.concatenate([np.zeros(0), *(servo[k] for servo in servos)])
        for k in range(1, len(ServoDynamics._fields))
    ]
    return ServoDynamics(np.concatenate([np.zeros(0, np.int64), *joints]), *columns)


def coordinates_above(tree: TreeModel, soft: SoftModel) -> IntArray:
    """Return the coordinate above each: a pulley's is the last hinge of its tendon.

    Raises:
        UserError: a tendon runs along hinges of which none carries the others.
    """
    hinges, size = tree.parent.size, soft.armature.size
    above = np.concatenate([tree.parent, np.full(size - hinges, -1, np.int64)])
    for arms in soft.arms_m:
        bent = np.flatnonzero(arms[:hinges])
        i, path = int(bent[-1]), set()
        above[hinges + np.flatnonzero(arms[hinges:])] = i
        while i >= 0:
            path.add(i)
            i = int(above[i])
        if not path.issuperset(bent.tolist()):
            raise UserError("A tendon of a robot that stands free must run along one chain.")
    return above


def touching_spheres(bodies: Sequence[FreeBody], limbs: Sequence[Limb]) -> list[Touching]:
    """Return all spheres: those of bodies, then those of limbs; owners are numbered likewise."""
    found = [
        Touching(FREE * (number + 1) - 1, number, sphere)
        for number, body in enumerate(bodies)
        for sphere in body.spheres
    ]
    firsts = first_hinges(bodies, limbs)
    for number, (limb, first) in enumerate(zip(limbs, firsts, strict=False)):
        links = {link.name: link for link in limb.body.links}
        turned, shift = rotation_from_rpy(limb.base.rpy), np.array(limb.base.xyz)
        for k, hinge in enumerate(limb.body.hinges):
            for sphere in link_spheres(links[hinge.child]):
                x, y, z = (turned @ np.array(sphere.center_m) + shift).tolist()
                moved = Sphere((x, y, z), sphere.radius_m)
                found.append(Touching(first + k, len(bodies) + number, moved))
    return found


def touching_pairs(spheres: Sequence[Touching], bodies: int) -> IntArray:
    """Return ``(k, 2)`` spheres of different owners, less those of a robot that overlap as built.

    Two points never touch.
    """
    centers = np.array([s.sphere.center_m for s in spheres], np.float64).reshape(-1, 3)
    radii = np.array([s.sphere.radius_m for s in spheres], np.float64)
    owners = np.array([s.owner for s in spheres], np.int64)
    first, second = np.triu_indices(len(spheres), 1)
    reach = radii[first] + radii[second]
    overlap = np.linalg.norm(centers[first] - centers[second], axis=1) < reach
    # Limbs and the body that carries them share a frame; other bodies' frames say nothing.
    limbs = owners >= bodies
    robot = limbs | (owners == 0)
    built_so = limbs[second] & robot[first] & overlap
    kept = (owners[first] != owners[second]) & (reach > 0.0) & ~built_so
    return np.stack([first[kept], second[kept]], axis=1).astype(np.int64)


def contact_arrays(
    tree: TreeModel, soft: SoftModel, spheres: Sequence[Touching], bodies: int, ground: Ground
) -> Contact:
    """Return everything that can touch, with its buffers."""
    law, boxes = ground.surface, ground.boxes
    planes = [[*_unit(plane.normal), plane.offset_m] for plane in ground.planes]
    return make_contact(
        above=coordinates_above(tree, soft),
        hinges=tree.parent.size,
        link=np.array([s.coordinate for s in spheres], dtype=np.int64),
        center_m=np.array([s.sphere.center_m for s in spheres], np.float64).reshape(-1, 3),
        radius_m=np.array([s.sphere.radius_m for s in spheres], np.float64),
        plane=np.array(planes, np.float64).reshape(-1, 4),
        box_center_m=np.array([box.center_m for box in boxes], np.float64).reshape(-1, 3),
        box_rotation=np.array([rotation_from_rpy(b.rpy) for b in boxes]).reshape(-1, 3, 3),
        box_half_m=0.5 * np.array([box.size_m for box in boxes], np.float64).reshape(-1, 3),
        pair=touching_pairs(spheres, bodies),
        law=np.array([law.stiffness_n_m, law.damping_ns_m, law.friction, law.restitution]),
    )


def _unit(normal: Sequence[float]) -> FloatArray:
    length = float(np.linalg.norm(normal))
    if not length > 0.0:
        raise UserError("The normal of a plane must not be the zero vector.")
    unit: FloatArray = np.array(normal) / length
    return unit
