"""The URDF that Bullet loads: the robot's own, all that nothing turns merged into ``base_link``.

Bullet takes 1 kg for a link without mass, and lends a merged link no inertia by itself.
Cameras and pulleys have no mass and are left out: pictures are drawn elsewhere, and what a pulley
does is computed with its tendon.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree

import numpy as np

from asterias.arrays import FloatArray
from hardware.description.frames import BASE_FRAME, frames_of
from hardware.description.limb import Pose
from hardware.description.robot import RobotDescription
from hardware.description.urdf import urdf_of, urdf_text
from sim.contact.shapes import FreeBody, join
from sim.physics.rotations import rotation_from_rpy, rpy_from_rotation

Element = ElementTree.Element


def bullet_urdf(robot: RobotDescription) -> str:
    """Return a robot's URDF for Bullet: ``base_link``, and a link for each hinge.

    Joints turn without end and without friction: the soft parts have both.
    """
    root, tree = ElementTree.fromstring(urdf_of(robot)), frames_of(robot)
    roots = {frame.child: frame.pose for frame in tree.fixed if frame.parent == BASE_FRAME}
    kept = {BASE_FRAME} | {frame.child for frame in tree.turning if frame.hinge is not None}
    links = {link.get("name", ""): link for link in root.findall("link")}
    _merge(links[BASE_FRAME], {links[name]: pose for name, pose in roots.items()})
    for joint in root.findall("joint"):
        parent = _part(joint, "parent")
        if _part(joint, "child").get("link") not in kept:
            root.remove(joint)
            continue
        joint.set("type", "continuous")
        for name in ("limit", "dynamics"):
            joint.remove(_part(joint, name))
        pose = roots.get(parent.get("link", ""))
        if pose is not None:
            parent.set("link", BASE_FRAME)
            _carry(_part(joint, "origin"), pose)
    for name, link in links.items():
        if name not in kept:
            root.remove(link)
    return urdf_text(root)


def _merge(base: Element, roots: Mapping[Element, Pose]) -> None:
    """Give the base the shapes and the inertia of the links that are fixed on it."""
    bodies = []
    for link, pose in roots.items():
        turned = rotation_from_rpy(pose.rpy)
        for shape in link.findall("collision"):
            _carry(_part(shape, "origin"), pose)
            base.append(shape)
        inertial = _part(link, "inertial")
        moments = {k: float(v) for k, v in _part(inertial, "inertia").attrib.items()}
        x, y, z = (turned @ _numbers(_part(inertial, "origin"), "xyz") + pose.xyz).tolist()
        own = np.diag([moments["ixx"], moments["iyy"], moments["izz"]])
        mass = float(_part(inertial, "mass").get("value", ""))
        bodies.append(FreeBody(mass, turned @ own @ turned.T, (), center_m=(x, y, z)))
    whole = join(bodies)
    inertial = ElementTree.SubElement(base, "inertial")
    ElementTree.SubElement(inertial, "origin", xyz=_text(whole.center_m), rpy="0 0 0")
    ElementTree.SubElement(inertial, "mass", value=_text([whole.mass_kg]))
    entries = {
        f"i{'xyz'[i]}{'xyz'[j]}": _text([whole.inertia_kg_m2[i, j]])
        for i in range(3)
        for j in range(i, 3)
    }
    ElementTree.SubElement(inertial, "inertia", entries)


def _carry(origin: Element, pose: Pose) -> None:
    """Turn an origin in a link into one in the frame that the link has a pose in."""
    turned = rotation_from_rpy(pose.rpy)
    own = rotation_from_rpy(_numbers(origin, "rpy").tolist())
    origin.set("xyz", _text(turned @ _numbers(origin, "xyz") + pose.xyz))
    origin.set("rpy", _text(rpy_from_rotation(turned @ own)))


def _part(element: Element, name: str) -> Element:
    found = element.find(name)
    assert found is not None, f"our URDF has a {name} here"
    return found


def _numbers(element: Element, name: str) -> FloatArray:
    return np.array([float(word) for word in element.get(name, "0 0 0").split()])


def _text(values: FloatArray | list[float] | tuple[float, ...]) -> str:
    return " ".join(f"{float(value):.12g}" for value in values)
