"""The whole robot as a skinned glTF file: limbs that bend instead of parts that are cut at hinges.

Each vertex belongs to one joint of its limb's skin, as in the renderer
(:mod:`sim.rendering.raster.posing`). A joint's node says in its ``extras`` which ``hinge`` it turns
with (-1: the root), by which ``share`` of the hinge's angle, about which ``pivot``, and which hinge
is the ``parent``. Whoever shows the file gives each joint the transform, in its limb's common
frame, that follows from these.
"""

from __future__ import annotations

import numpy as np

from asterias.arrays import BoolArray
from hardware.description.robot import RobotDescription
from sim.physics.rotations import quaternion_from_rotation, rotation_from_rpy
from sim.rendering.raster.geometry import BODY, Bones, Geometry, geometry_of
from sim.rendering.raster.gltf import UPRIGHT, GltfDocument
from sim.rendering.raster.limb_shapes import PEOPLE, Detail
from sim.rendering.raster.meshes import Mesh, Numbers

# As smooth as a page shows it, at a fifth of the size.
PAGE = Detail(sides=16, bends=3, rings=2, cells=4, rods=True)


def skinned_glb(
    robot: RobotDescription,
    detail: Detail = PEOPLE,
    *,
    is_upright: bool = True,
    lift: float = 0.0,
) -> bytes:
    """Return a robot, without target and scenery, as a binary glTF file with a skin for each limb.

    Args:
        robot: the description.
        detail: how finely surfaces are divided.
        is_upright: y is up, as viewers expect; else z, as in the world.
        lift: by how much black is lighter, 0 to 1: dark parts vanish before a dark background.
    """
    shapes, document = geometry_of(robot, detail), GltfDocument()
    shapes = shapes._replace(albedo=255.0 * lift + (1.0 - lift) * shapes.albedo)
    roots = [
        _limb(document, robot, shapes, number, bones) for number, bones in enumerate(shapes.limbs)
    ]
    body = shapes.bone == BODY
    if body.any():
        mesh = document.mesh("body", _surface(shapes, body)[0])
        roots.append(document.node({"name": "body", "mesh": mesh}))
    turned = {"rotation": list(UPRIGHT)} if is_upright else {}
    return document.file(document.node({"name": robot.name, "children": roots, **turned}))


def _limb(
    document: GltfDocument, robot: RobotDescription, shapes: Geometry, number: int, bones: Bones
) -> int:
    """Add a limb: its base, joints and surface.

    Returns:
        The number of its base's node.
    """
    limb = robot.limbs[number]
    joints = []
    for hinge, share in zip(bones.hinges.tolist(), bones.shares.tolist(), strict=True):
        about = {"limb": number, "hinge": hinge, "share": share}
        if hinge >= 0:
            about["parent"] = int(bones.parents[hinge])
            about["pivot"] = bones.pivots[hinge].tolist()
        name = f"joint_{number}_{hinge}_{round(1000 * share)}"
        joints.append(document.node({"name": name, "extras": about}))
    last = bones.first + len(bones.hinges)
    mesh, own = _surface(shapes, (shapes.bone >= bones.first) & (shapes.bone < last))
    surface = document.mesh(limb.name, mesh, own - bones.first)
    skin = document.skin(joints)
    shown = document.node({"name": f"skin_{number}", "mesh": surface, "skin": skin})
    turn = quaternion_from_rotation(rotation_from_rpy(limb.base.rpy)).tolist()
    base = {"name": limb.name, "translation": list(limb.base.xyz), "rotation": turn}
    return document.node({**base, "children": [*joints, shown]})


def _surface(shapes: Geometry, chosen: BoolArray) -> tuple[Mesh, Numbers]:
    """Return some vertices with their triangles, and the bone of each."""
    triangles = shapes.triangles[chosen[shapes.triangles[:, 0]]]
    number = np.cumsum(chosen) - 1
    mesh = Mesh(
        shapes.points[chosen].astype(np.float64),
        shapes.normals[chosen].astype(np.float64),
        number[triangles],
        shapes.albedo[chosen].astype(np.float64) / 255.0,
    )
    return mesh, shapes.bone[chosen].astype(np.int64)
