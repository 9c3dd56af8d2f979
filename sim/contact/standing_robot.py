"""A described robot that nothing holds: its limbs' roots are one rigid body on the ground."""

from __future__ import annotations

import numpy as np

from hardware.description.limb import Link, Pose
from hardware.description.robot import RobotDescription
from sim.contact.body import ContactBody
from sim.contact.shapes import FreeBody, Ground, Sphere, join, link_spheres
from sim.physics.limb_body import box_inertia
from sim.physics.rotations import rotation_from_rpy


def standing_robot(
    robot: RobotDescription,
    *,
    ground: Ground | None = None,
    height_m: float = 0.0,
    body: type[ContactBody] = ContactBody,
) -> ContactBody:
    """Return a robot that stands free, straight, ``height_m`` above the ground plane ``z = 0``.

    All links that no hinge moves are one body, whose frame is midway between the limbs' bases;
    scenery is left out. In contact spheres stand for links
    (:func:`sim.contact.shapes.link_spheres`).

    Args:
        robot: the description.
        ground: what stands, and the surface.
        height_m: of its lowest point above the ground.
        body: what moves it.
    """
    middle = np.mean([limb.base.xyz for limb in robot.limbs], axis=0)
    limbs, roots = [], []
    for limb in robot.limbs:
        x, y, z = (np.array(limb.base.xyz) - middle).tolist()
        moved = limb.model_copy(update={"base": Pose(xyz=(x, y, z), rpy=limb.base.rpy)})
        limbs.append(moved)
        carried = {hinge.child for hinge in limb.body.hinges}
        roots += [_root(link, moved.base) for link in limb.body.links if link.name not in carried]
    settings = robot.simulation
    made = body(
        [join(roots)],
        limbs,
        robot.materials,
        ground=ground,
        physics_hz=settings.physics_hz,
        gravity_m_s2=settings.gravity_m_s2,
    )
    radii = made.contact.radius_m
    lowest = float((made.sphere_centers_m()[:, 2] - radii).min())
    made.start_at((0.0, 0.0, height_m - lowest))
    return made


def _root(link: Link, base: Pose) -> FreeBody:
    """Return a link that no hinge moves in the frame of the whole robot's body."""
    turned, shift = rotation_from_rpy(base.rpy), np.array(base.xyz)
    x, y, z = (turned @ np.array(link.center_m) + shift).tolist()
    spheres = []
    for sphere in link_spheres(link):
        a, b, c = (turned @ np.array(sphere.center_m) + shift).tolist()
        spheres.append(Sphere((a, b, c), sphere.radius_m))
    inertia = turned @ box_inertia(link.mass_kg, link.size_m) @ turned.T
    return FreeBody(link.mass_kg, inertia, tuple(spheres), center_m=(x, y, z))
