"""The shapes of a robot as files: STL for its links, glTF for the whole, URDF that names them.

STL (binary): 80 bytes of header, the number of triangles, 50 bytes for each. glTF 2.0 (binary,
https://registry.khronos.org/glTF/specs/2.0/): a chunk of JSON and one of numbers; y is up there.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from asterias.files import write_bytes, write_text
from hardware.description.frames import pivots_of, prefixed
from hardware.description.limb import Limb
from hardware.description.robot import RobotDescription
from hardware.description.urdf import urdf_of, urdf_text
from sim.physics.rotations import quaternion_from_rotation, rotation_from_rpy
from sim.rendering.raster.gltf import UPRIGHT, GltfDocument
from sim.rendering.raster.limb_shapes import PEOPLE, Detail, Piece, limb_pieces
from sim.rendering.raster.meshes import Mesh, joined
from sim.rendering.raster.skin_file import skinned_glb


def export_robot(robot: RobotDescription, folder: Path, detail: Detail = PEOPLE) -> list[Path]:
    """Write ``meshes/<link>.stl``, ``<robot>.glb`` and ``<robot>.urdf`` to a folder.

    Besides ``<robot>_skinned.glb``, whose limbs bend (:mod:`sim.rendering.raster.skin_file`).

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "meshes").mkdir(exist_ok=True)
    meshes = [link_meshes(limb, detail) for limb in robot.limbs]
    files = []
    for number, links in enumerate(meshes):
        for name, mesh in links.items():
            files.append(folder / "meshes" / f"{prefixed(number, name)}.stl")
            write_bytes(files[-1], stl(mesh))
    files += [folder / f"{robot.name}.glb", folder / f"{robot.name}.urdf"]
    write_bytes(files[-2], glb(robot, meshes))
    files.append(folder / f"{robot.name}_skinned.glb")
    write_bytes(files[-1], skinned_glb(robot, detail))
    write_text(folder / f"{robot.name}.urdf", _urdf(robot, meshes))
    return files


def link_meshes(limb: Limb, detail: Detail) -> dict[str, Mesh]:
    """Return the surface of each link, in the link's own frame; the skin is cut at its hinges."""
    pivots = pivots_of(limb)
    parts: dict[str, list[Mesh]] = {link.name: [] for link in limb.body.links}
    for piece in limb_pieces(limb, detail):
        for link, mesh in _by_link(limb, piece).items():
            parts[link].append(mesh.moved(np.eye(3), -np.asarray(pivots[link])))
    return {link: joined(meshes) for link, meshes in parts.items() if meshes}


def _by_link(limb: Limb, piece: Piece) -> dict[str, Mesh]:
    """Return a piece's triangles by the link that its rings turn with, by half or more."""
    owners = []
    for hinge, share in zip(piece.hinges, piece.shares, strict=True):
        about = limb.body.hinges[hinge]
        root = limb.body.links[0].name
        owners.append(root if hinge < 0 else about.child if share >= 0.5 else about.parent)
    mesh = piece.mesh
    owner = np.array(owners)[mesh.rings[mesh.triangles[:, 0]]]
    cut = {}
    for link in dict.fromkeys(owners):
        used, triangles = np.unique(mesh.triangles[owner == link], return_inverse=True)
        if used.size:
            parts = (mesh.points[used], mesh.normals[used], triangles.reshape(-1, 3))
            cut[link] = Mesh(*parts, mesh.colors[used])
    return cut


# -- STL and URDF ---------------------------------------------------------------------------------


def stl(mesh: Mesh) -> bytes:
    """Return a surface as a binary STL file, in m."""
    corners = mesh.points[mesh.triangles].astype(np.float32)
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    facing /= np.maximum(np.linalg.norm(facing, axis=1, keepdims=True), 1e-20)
    rows = np.zeros(
        len(corners), [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("end", "<u2")]
    )
    rows["normal"], rows["corners"] = facing, corners
    return b"asterias".ljust(80, b"\0") + struct.pack("<I", len(rows)) + rows.tobytes()


def _urdf(robot: RobotDescription, meshes: list[dict[str, Mesh]]) -> str:
    """Return the robot's URDF with the files in the place of its boxes."""
    root = ElementTree.fromstring(urdf_of(robot))
    links = {link.get("name"): link for link in root.findall("link")}
    for number, limb in enumerate(meshes):
        for name, mesh in limb.items():
            link = links[prefixed(number, name)]
            for visual in link.findall("visual"):
                link.remove(visual)
            visual = ElementTree.SubElement(link, "visual")
            shape = ElementTree.SubElement(visual, "geometry")
            ElementTree.SubElement(shape, "mesh", filename=f"meshes/{prefixed(number, name)}.stl")
            paint = ElementTree.SubElement(visual, "material", name=f"of_{prefixed(number, name)}")
            color = " ".join(f"{part:.3f}" for part in (*mesh.colors.mean(axis=0), 1.0))
            ElementTree.SubElement(paint, "color", rgba=color)
    return urdf_text(root)


# -- glTF -----------------------------------------------------------------------------------------


def glb(robot: RobotDescription, meshes: list[dict[str, Mesh]]) -> bytes:
    """Return a robot as a binary glTF file: a node a link, nested as the hinges are."""
    scene = GltfDocument()
    roots = []
    for number, limb in enumerate(robot.limbs):
        nodes = _limb_nodes(scene, number, limb, meshes[number])
        turned = quaternion_from_rotation(rotation_from_rpy(limb.base.rpy)).tolist()
        base = {"name": limb.name, "translation": list(limb.base.xyz), "rotation": turned}
        roots.append(scene.node({**base, "children": [nodes[limb.body.links[0].name]]}))
    upright = scene.node({"name": robot.name, "rotation": list(UPRIGHT), "children": roots})
    return scene.file(upright)


def _limb_nodes(
    scene: GltfDocument, number: int, limb: Limb, meshes: dict[str, Mesh]
) -> dict[str, int]:
    """Add a limb's links, the outermost first.

    Returns:
        The number of the node of each.
    """
    pivots = pivots_of(limb)
    nodes: dict[str, int] = {}
    parents = {hinge.child: hinge.parent for hinge in limb.body.hinges}
    order = [limb.body.links[0].name, *(hinge.child for hinge in limb.body.hinges)]
    for name in reversed(order):
        node: dict[str, Any] = {"name": prefixed(number, name)}
        if name in meshes:
            node["mesh"] = scene.mesh(node["name"], meshes[name])
        before = pivots[parents[name]] if name in parents else (0.0, 0.0, 0.0)
        node["translation"] = (np.asarray(pivots[name]) - before).tolist()
        children = [nodes[child] for child, parent in parents.items() if parent == name]
        if children:
            node["children"] = children
        nodes[name] = scene.node(node)
    return nodes
