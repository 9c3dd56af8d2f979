"""All of a robot and its room as the flat arrays that the compiled loops draw from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from asterias.arrays import FloatArray
from hardware.description.limb import Limb
from hardware.description.robot import RobotDescription
from hardware.perception.apriltag import CELLS, SHEET_CELLS
from sim.physics.rotations import rotation_from_rpy
from sim.rendering.raster.background import Single
from sim.rendering.raster.limb_shapes import Detail, Piece, limb_pieces
from sim.rendering.raster.meshes import Mesh, box, tube
from sim.rendering.raster.triangles import Index

# Bones that are no limb's: of the target's sheet, of the world, and of the body that joins limbs.
TARGET, WORLD, BODY = 0, 1, 2
# The body that joins limbs that stand round a middle: how far it reaches, beside their roots.
_DISC_REACH, _DISC_HEIGHT, _LOBES = 1.05, 0.62, 0.08
_DISC_LIMBS = 3


class Bones(NamedTuple):
    """The bones of one limb and where they stand among all.

    Attributes:
        base: ``(4, 3)`` rotation and position of the limb's common frame in the world.
        parents: ``(h,)``; pivots, axes: ``(h, 3)``, as :func:`..posing.place_bones` has them.
        hinges: ``(b,)``; shares: ``(b,)``.
        first: number of the first bone.
    """

    base: FloatArray
    parents: Index
    pivots: FloatArray
    axes: FloatArray
    hinges: Index
    shares: FloatArray
    first: int


class Geometry(NamedTuple):
    """Surfaces; part 0 is the target's sheet, the first bones are the target, the world, the body.

    Attributes:
        points, normals, albedo: ``(n, 3)`` in their bone's frame; colours from 0 to 255, u and v
            of the sheet.
        bone: ``(n,)``.
        triangles: ``(m, 3)``.
        parts: ``(p, 5)`` first and end of vertices and triangles, and whether it has a texture.
        names: ``(p,)`` what each part is.
        limbs: the bones by limb.
        bones: number of all bones.
    """

    points: Single
    normals: Single
    albedo: Single
    bone: Index
    triangles: Index
    parts: Index
    names: tuple[str, ...]
    limbs: tuple[Bones, ...]
    bones: int


def geometry_of(robot: RobotDescription, detail: Detail) -> Geometry:
    """Return the surfaces of a robot's limbs, target and scenery."""
    meshes = [("target", sheet(robot.target.size_m * SHEET_CELLS / CELLS))]
    bones = [np.full(4, TARGET, np.int64)]
    for thing in robot.scenery:
        mesh = box(thing.size_m).painted(thing.color).moved(np.eye(3), thing.center_m)
        meshes.append((thing.name, mesh))
        bones.append(np.full(len(mesh.points), WORLD, np.int64))
    disc = _disc(robot, detail)
    if disc is not None:
        meshes.append(("body", disc))
        bones.append(np.full(len(disc.points), BODY, np.int64))
    limbs, first = [], BODY + 1
    for limb in robot.limbs:
        pieces = limb_pieces(limb, detail)
        table = sorted(
            {bone for piece in pieces for bone in zip(piece.hinges, piece.shares, strict=True)}
        )
        number = {bone: first + i for i, bone in enumerate(table)}
        limbs.append(_bones(limb, table, first))
        first += len(table)
        for piece in pieces:
            meshes.append((f"{limb.name} {piece.name}", piece.mesh))
            bones.append(_bone_of(piece, number))
    return _flat(meshes, bones, tuple(limbs), first)


def sheet(edge_m: float) -> Mesh:
    """Return the target's square in the y-z plane, facing +x; colours are u, v of its picture."""
    half = 0.5 * edge_m
    points = np.array([[0, -half, half], [0, half, half], [0, half, -half], [0, -half, -half]])
    normals = np.tile([1.0, 0.0, 0.0], (4, 1))
    corners = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    return Mesh(points, normals, np.array([[0, 2, 1], [0, 3, 2]]), corners)


def _bone_of(
    piece: Piece, number: dict[tuple[int, float], int]
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the bone of each vertex."""
    by_ring = np.array([number[bone] for bone in zip(piece.hinges, piece.shares, strict=True)])
    bones: np.ndarray[tuple[int], np.dtype[np.int64]] = by_ring[piece.mesh.rings]
    return bones


def _bones(limb: Limb, table: Sequence[tuple[int, float]], first: int) -> Bones:
    hinges = limb.body.hinges
    number = {hinge.child: i for i, hinge in enumerate(hinges)}
    axes = np.array([hinge.axis for hinge in hinges], dtype=np.float64).reshape(-1, 3)
    return Bones(
        base=np.vstack([rotation_from_rpy(limb.base.rpy), np.asarray(limb.base.xyz)[None]]),
        parents=np.array([number.get(hinge.parent, -1) for hinge in hinges], dtype=np.int32),
        pivots=np.array([hinge.pivot_m for hinge in hinges], dtype=np.float64).reshape(-1, 3),
        axes=axes / np.linalg.norm(axes, axis=1, keepdims=True),
        hinges=np.array([hinge for hinge, _ in table], dtype=np.int32),
        shares=np.array([share for _, share in table], dtype=np.float64),
        first=first,
    )


def _disc(robot: RobotDescription, detail: Detail) -> Mesh | None:
    """Return the round body that joins the limbs of a robot; None where they do not meet."""
    if len(robot.limbs) < _DISC_LIMBS:
        return None
    bases = np.array([limb.base.xyz for limb in robot.limbs])
    middle = bases.mean(axis=0)
    away = np.linalg.norm(bases - middle, axis=1)
    root = robot.limbs[0].body.links[0]
    if away.max() > 2.0 * root.size_m[0]:
        return None
    turn = np.linspace(-0.5 * np.pi, 0.5 * np.pi, 2 * detail.rings + 5)
    # A tube along x, stood on end: flat below and above, round at the rim.
    radius = _DISC_REACH * away.mean() * np.maximum(np.cos(turn) ** 0.55, 1e-4)
    height = _DISC_HEIGHT * root.size_m[2] * np.sin(turn)
    centers = np.column_stack([height, 0 * height, 0 * height])
    mesh = tube(centers, radius, radius, 3 * detail.sides)
    # Lobes towards the limbs.
    first = np.arctan2(bases[0, 1] - middle[1], bases[0, 0] - middle[0])
    around = np.arctan2(mesh.points[:, 2], mesh.points[:, 1])
    lobes = 1.0 + _LOBES * np.cos(len(bases) * (around - first))
    mesh.points[:, 1:] *= lobes[:, None]
    upright = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    mesh = mesh.painted(root.color).moved(upright, middle)
    mesh.rings = np.zeros(len(mesh.points), np.int64)
    return mesh


def _flat(
    meshes: Sequence[tuple[str, Mesh]],
    bones: Sequence[np.ndarray[tuple[int], np.dtype[np.int64]]],
    limbs: tuple[Bones, ...],
    count: int,
) -> Geometry:
    """Return all meshes behind each other."""
    vertices = np.cumsum([0, *(len(mesh.points) for _, mesh in meshes)])
    faces = np.cumsum([0, *(len(mesh.triangles) for _, mesh in meshes)])
    parts = np.column_stack([vertices[:-1], vertices[1:], faces[:-1], faces[1:], 0 * faces[1:]])
    parts[0, 4] = 1
    albedo = np.vstack([mesh.colors for _, mesh in meshes])
    albedo[len(meshes[0][1].points) :] *= 255.0
    return Geometry(
        points=np.vstack([mesh.points for _, mesh in meshes]).astype(np.float32),
        normals=np.vstack([mesh.normals for _, mesh in meshes]).astype(np.float32),
        albedo=albedo.astype(np.float32),
        bone=np.concatenate(bones).astype(np.int32),
        triangles=np.vstack(
            [mesh.triangles + at for (_, mesh), at in zip(meshes, vertices[:-1], strict=True)]
        ).astype(np.int32),
        parts=parts.astype(np.int32),
        names=tuple(name for name, _ in meshes),
        limbs=limbs,
        bones=count,
    )
