"""URDF of a robot: what RViz, Foxglove, MoveIt and simulators read.

Links, joints with limits, visual and collision shapes, inertia, and cameras with their optical
frames. Each flexible link is a joint of its own that no servo drives, so that soft limbs are
chains. The pulley of a tendon is a joint as well, since it is what is commanded.

Format: http://wiki.ros.org/urdf/XML
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.etree import ElementTree

from hardware.description.fields import Vector3
from hardware.description.frames import (
    BASE_FRAME,
    FixedFrame,
    TurningFrame,
    frames_of,
    pivots_of,
    prefixed,
)
from hardware.description.limb import Flexure, Hinge, Limb, Link
from hardware.description.robot import RobotDescription

Element = ElementTree.Element

CAMERA_SIZE_M = (0.008, 0.010, 0.010)
CAMERA_COLOR = (0.05, 0.05, 0.06)
FLEXURE_COLOR = (0.93, 0.93, 0.88)
PULLEY_COLOR = (0.30, 0.30, 0.33)
PULLEY_WIDTH_M = 0.006
# Its links' masses are the limb's whole mass; but simulators take 1 kg where they find none.
NO_MASS_KG = 1e-6
NO_INERTIA: Vector3 = (1e-9, 1e-9, 1e-9)


def urdf_of(robot: RobotDescription) -> str:
    """Return the URDF of a robot as XML text.

    Passes on ``ValueError``: two links or two joints would have one name.
    """
    tree = frames_of(robot)
    root = ElementTree.Element("robot", name=robot.name)
    ElementTree.SubElement(root, "link", name=BASE_FRAME)
    for number, limb in enumerate(robot.limbs):
        _add_links(root, number, limb)
    for turning in tree.turning:
        if turning.hinge is None:
            _add_pulley(root, turning, robot.limbs[turning.limb])
    for fixed in tree.fixed:
        if fixed.child.endswith("_optical_frame"):
            _add_camera(root, fixed.parent, fixed.child)
    for fixed in tree.fixed:
        add_fixed_joint(root, fixed)
    for turning in tree.turning:
        _add_joint(root, turning)
    return urdf_text(root)


def urdf_text(root: Element) -> str:
    """Return an element as an indented XML document."""
    ElementTree.indent(root)
    return '<?xml version="1.0"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def box_moments(mass_kg: float, size_m: Sequence[float]) -> Vector3:
    """Return Ixx, Iyy, Izz in kg m2 of a solid box about its centre."""
    x2, y2, z2 = (edge * edge for edge in size_m)
    twelfth = mass_kg / 12.0
    return (twelfth * (y2 + z2), twelfth * (x2 + z2), twelfth * (x2 + y2))


# -- links --------------------------------------------------------------------------------------


def _add_links(root: Element, number: int, limb: Limb) -> None:
    pivots = pivots_of(limb)
    carriers = {hinge.child: hinge for hinge in limb.body.hinges}
    for link in limb.body.links:
        element = ElementTree.SubElement(root, "link", name=prefixed(number, link.name))
        pivot = pivots[link.name]
        x, y, z = (c - p for c, p in zip(link.center_m, pivot, strict=True))
        add_inertial(element, link.mass_kg, box_moments(link.mass_kg, link.size_m), (x, y, z))
        for kind in ("visual", "collision"):
            _add_shape(element, kind, link, (x, y, z))
        hinge = carriers.get(link.name)
        if hinge is not None and hinge.flexure is not None:
            _add_flexure(element, hinge, hinge.flexure)


def add_inertial(link: Element, mass_kg: float, moments: Vector3, center_m: Vector3) -> None:
    """Give a link its mass in kg and its moments Ixx, Iyy, Izz in kg m2 about ``center_m``."""
    inertial = ElementTree.SubElement(link, "inertial")
    _add_origin(inertial, center_m)
    ElementTree.SubElement(inertial, "mass", value=_number(mass_kg))
    values = dict(zip(("ixx", "iyy", "izz"), map(_number, moments), strict=True))
    ElementTree.SubElement(inertial, "inertia", {**values, "ixy": "0", "ixz": "0", "iyz": "0"})


def _add_shape(element: Element, kind: str, link: Link, center: Vector3) -> None:
    """Add the shape of a link; a capsule, which URDF lacks, is a cylinder with two balls."""
    color = link.color if kind == "visual" else None
    if link.shape == "box":
        add_box(element, kind, link.size_m, center, color=color)
        return
    if link.shape == "cylinder_z":
        radius = 0.5 * max(link.size_m[:2])
        add_cylinder(element, kind, radius, link.size_m[2], center, color=color)
        return
    radius = 0.5 * max(link.size_m[1:])
    length = max(link.size_m[0] - 2.0 * radius, 1e-6)
    along_x = (0.0, 0.5 * math.pi, 0.0)
    add_cylinder(element, kind, radius, length, center, along_x, color)
    for side in (-0.5, 0.5):
        end = (center[0] + side * length, center[1], center[2])
        sphere = _geometry(element, kind, end, color=color)
        ElementTree.SubElement(sphere, "sphere", radius=_number(radius))


def _add_flexure(element: Element, hinge: Hinge, flexure: Flexure) -> None:
    """Draw a flexible link across its hinge: its length along x, its width along the hinge."""
    section = flexure.section
    # Turned about x so that the box's y axis is the hinge's.
    roll = math.atan2(hinge.axis[2], hinge.axis[1])
    if section.shape == "rectangle":
        size = (flexure.length_m, section.width_m or 0.0, section.thickness_m or 0.0)
        add_box(element, "visual", size, (0.0, 0.0, 0.0), (roll, 0.0, 0.0), FLEXURE_COLOR)
        return
    radius, along_x = 0.5 * (section.diameter_m or 0.0), (0.0, 0.5 * math.pi, 0.0)
    origin = (0.0, 0.0, 0.0)
    add_cylinder(element, "visual", radius, flexure.length_m, origin, along_x, FLEXURE_COLOR)


def _add_pulley(root: Element, frame: TurningFrame, limb: Limb) -> None:
    assert frame.servo is not None
    radius = next(t.pulley_radius_m for t in limb.body.tendons if t.name == frame.servo.tendon)
    link = ElementTree.SubElement(root, "link", name=frame.child)
    armature = frame.servo.armature_kg_m2
    add_inertial(link, NO_MASS_KG, (armature, armature, armature), (0.0, 0.0, 0.0))
    turned = _z_along(frame.axis)
    add_cylinder(link, "visual", radius, PULLEY_WIDTH_M, (0.0, 0.0, 0.0), turned, PULLEY_COLOR)


def _add_camera(root: Element, name: str, optical: str) -> None:
    link = ElementTree.SubElement(root, "link", name=name)
    add_inertial(link, NO_MASS_KG, NO_INERTIA, (0.0, 0.0, 0.0))
    behind = (-0.5 * CAMERA_SIZE_M[0], 0.0, 0.0)
    add_box(link, "visual", CAMERA_SIZE_M, behind, color=CAMERA_COLOR)
    link = ElementTree.SubElement(root, "link", name=optical)
    add_inertial(link, NO_MASS_KG, NO_INERTIA, (0.0, 0.0, 0.0))


# -- shapes -------------------------------------------------------------------------------------


def add_box(
    link: Element,
    kind: str,
    size_m: Sequence[float],
    center_m: Vector3,
    rpy: Vector3 = (0.0, 0.0, 0.0),
    color: Sequence[float] | None = None,
) -> None:
    """Give a link a box, as ``visual`` or ``collision``; ``color`` is RGB from 0 to 1."""
    geometry = _geometry(link, kind, center_m, rpy, color)
    ElementTree.SubElement(geometry, "box", size=_vector(size_m))


def add_cylinder(
    link: Element,
    kind: str,
    radius_m: float,
    length_m: float,
    center_m: Vector3,
    rpy: Vector3 = (0.0, 0.0, 0.0),
    color: Sequence[float] | None = None,
) -> None:
    """Give a link a cylinder along z, as ``visual`` or ``collision``."""
    geometry = _geometry(link, kind, center_m, rpy, color)
    size = {"radius": _number(radius_m), "length": _number(length_m)}
    ElementTree.SubElement(geometry, "cylinder", size)


def _geometry(
    link: Element,
    kind: str,
    center_m: Vector3,
    rpy: Vector3 = (0.0, 0.0, 0.0),
    color: Sequence[float] | None = None,
) -> Element:
    shape = ElementTree.SubElement(link, kind)
    _add_origin(shape, center_m, rpy)
    geometry = ElementTree.SubElement(shape, "geometry")
    if color is not None:
        name = "rgb_" + "_".join(f"{round(255 * share):02x}" for share in color)
        material = ElementTree.SubElement(shape, "material", name=name)
        ElementTree.SubElement(material, "color", rgba=_vector([*color, 1.0]))
    return geometry


# -- joints -------------------------------------------------------------------------------------


def add_fixed_joint(root: Element, frame: FixedFrame) -> None:
    """Fix the link of a frame in its parent."""
    joint = ElementTree.SubElement(root, "joint", name=f"{frame.child}_fixed", type="fixed")
    _add_origin(joint, frame.pose.xyz, frame.pose.rpy)
    ElementTree.SubElement(joint, "parent", link=frame.parent)
    ElementTree.SubElement(joint, "child", link=frame.child)


def _add_joint(root: Element, frame: TurningFrame) -> None:
    joint = ElementTree.SubElement(root, "joint", name=frame.joint, type="revolute")
    _add_origin(joint, frame.origin_m)
    ElementTree.SubElement(joint, "parent", link=frame.parent)
    ElementTree.SubElement(joint, "child", link=frame.child)
    ElementTree.SubElement(joint, "axis", xyz=_vector(frame.axis))
    servo, hinge = frame.servo, frame.hinge
    lower, upper = (0.0, 0.0) if hinge is None else hinge.limits_rad
    # Joints that nothing drives have no effort; a speed is asked for by the format.
    effort, velocity = 0.0, 10.0
    if servo is not None:
        (lower, upper), effort = servo.limits_rad, servo.torque_limit_nm
        velocity = servo.velocity_limit_rad_s
    ElementTree.SubElement(
        joint,
        "limit",
        lower=_number(lower),
        upper=_number(upper),
        effort=_number(effort),
        velocity=_number(velocity),
    )
    if hinge is not None:
        damping, friction = _number(hinge.damping_nms_rad), _number(hinge.friction_nm)
        ElementTree.SubElement(joint, "dynamics", damping=damping, friction=friction)


def _add_origin(element: Element, xyz: Vector3, rpy: Vector3 = (0.0, 0.0, 0.0)) -> None:
    ElementTree.SubElement(element, "origin", xyz=_vector(xyz), rpy=_vector(rpy))


def _z_along(axis: Vector3) -> Vector3:
    """Return roll, pitch, yaw in rad that turn the z axis onto a unit vector."""
    return (0.0, math.acos(max(-1.0, min(1.0, axis[2]))), math.atan2(axis[1], axis[0]))


def _number(value: float) -> str:
    """Return a number with 12 digits: rounding moves no link by a nanometre."""
    return f"{value:.12g}"


def _vector(values: Sequence[float]) -> str:
    return " ".join(map(_number, values))
