"""Surfaces of triangles, made by code: boxes, rods, balls, and tubes along a bent line.

All triangles are counter-clockwise seen from outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray

Numbers = npt.NDArray[np.int64]


@dataclass
class Mesh:
    """A surface.

    Attributes:
        points: ``(n, 3)`` m.
        normals: ``(n, 3)`` outward, of unit length.
        triangles: ``(m, 3)`` vertices.
        colors: ``(n, 3)`` 0 to 1.
        rings: ``(n,)`` for tubes: the station that each vertex belongs to; else zeros.
    """

    points: FloatArray
    normals: FloatArray
    triangles: Numbers
    colors: FloatArray = field(default_factory=lambda: np.zeros((0, 3)))
    rings: Numbers = field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        if not self.colors.size:
            self.colors = np.full_like(self.points, 0.5)
        if not self.rings.size:
            self.rings = np.zeros(len(self.points), np.int64)

    def painted(self, color: Sequence[float]) -> Mesh:
        """Return the same surface in one colour."""
        colors = np.tile(np.asarray(color, dtype=np.float64), (len(self.points), 1))
        return Mesh(self.points, self.normals, self.triangles, colors, self.rings)

    def moved(self, rotation: FloatArray, shift_m: Sequence[float] | FloatArray) -> Mesh:
        """Return the surface turned, then moved."""
        points = self.points @ rotation.T + np.asarray(shift_m)
        return Mesh(points, self.normals @ rotation.T, self.triangles, self.colors, self.rings)


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """Return several surfaces as one."""
    offsets = np.cumsum([0, *(len(mesh.points) for mesh in meshes[:-1])])
    return Mesh(
        np.vstack([mesh.points for mesh in meshes]),
        np.vstack([mesh.normals for mesh in meshes]),
        np.vstack([mesh.triangles + at for mesh, at in zip(meshes, offsets, strict=True)]),
        np.vstack([mesh.colors for mesh in meshes]),
        np.concatenate([mesh.rings for mesh in meshes]),
    )


def grid_triangles(rows: int, columns: int, *, closed: bool) -> Numbers:
    """Return the triangles of a grid of vertices, row by row; ``closed`` joins its last column."""
    row, column = np.indices((rows - 1, columns if closed else columns - 1))
    row, column = row.ravel(), column.ravel()
    after = (column + 1) % columns
    a, b = row * columns + column, row * columns + after
    c, d = a + columns, b + columns
    return np.vstack([np.column_stack([a, b, d]), np.column_stack([a, d, c])])


def box(size_m: Sequence[float]) -> Mesh:
    """Return a box round the origin with flat sides."""
    return rounded_box(size_m, 0.0, 1)


def rounded_box(size_m: Sequence[float], radius_m: float, cells: int) -> Mesh:
    """Return a box round the origin whose edges are rounded with a radius.

    A point of the box goes to the nearest point of the box that is smaller by the radius on each
    side, and from there outwards by the radius: the surface of a box that a ball has been rolled
    around.

    Args:
        size_m: edges along x, y and z.
        radius_m: of the rounding; at most half of the shortest edge is used.
        cells: of the grid on each side, along an edge.
    """
    half = 0.5 * np.asarray(size_m, dtype=np.float64)
    radius = min(radius_m, float(half.min()))
    steps = np.linspace(-1.0, 1.0, cells + 1)
    # More corners of the grid lie where the surface is round.
    steps = np.sign(steps) * np.abs(steps) ** 0.5
    first, second = (grid.ravel() for grid in np.meshgrid(steps, steps, indexing="ij"))
    flat = grid_triangles(cells + 1, cells + 1, closed=False)[:, ::-1]
    sides = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            corner = np.empty((first.size, 3))
            corner[:, axis] = sign
            corner[:, (axis + 1) % 3], corner[:, (axis + 2) % 3] = first, second
            corner *= half
            core = np.clip(corner, -(half - radius), half - radius)
            outward = corner - core if radius > 0 else np.eye(3)[axis] * np.full((1, 1), sign)
            outward = np.broadcast_to(outward, corner.shape)
            outward = outward / np.linalg.norm(outward, axis=1, keepdims=True)
            triangles = flat if sign > 0 else flat[:, ::-1]
            sides.append(Mesh(core + radius * outward, outward, triangles))
    return joined(sides)


def tube(
    centers: FloatArray, half_y: FloatArray, half_z: FloatArray, sides: int, power: float = 2.0
) -> Mesh:
    """Return a tube along x through ``(s, 3)`` centres, sections in planes across x.

    Args:
        centers: of the sections, x ascending.
        half_y: ``(s,)`` half widths of the sections.
        half_z: ``(s,)`` half heights.
        sides: vertices round a section.
        power: exponent of the section's superellipse: 2 an ellipse, more: nearer to a rectangle.

    Returns:
        The surface; ``rings`` are the sections' numbers.
    """
    angle = 2.0 * np.pi * (np.arange(sides) + 0.5) / sides
    cosine, sine = np.cos(angle), np.sin(angle)
    y = np.sign(cosine) * np.abs(cosine) ** (2.0 / power)
    z = np.sign(sine) * np.abs(sine) ** (2.0 / power)
    points = np.empty((len(centers), sides, 3))
    points[..., 0] = centers[:, :1]
    points[..., 1] = centers[:, 1:2] + np.outer(half_y, y)
    points[..., 2] = centers[:, 2:3] + np.outer(half_z, z)
    along = np.gradient(points, axis=0)
    around = np.roll(points, -1, axis=1) - np.roll(points, 1, axis=1)
    normals = np.cross(around, along)
    length = np.linalg.norm(normals, axis=2, keepdims=True)
    # Where a section shrinks to a point, the surface faces along x.
    facing = np.zeros_like(normals)
    facing[0, :, 0], facing[-1, :, 0] = -1.0, 1.0
    normals = np.where(length > 1e-14, normals / np.maximum(length, 1e-14), facing)
    rings = np.repeat(np.arange(len(centers)), sides)
    triangles = grid_triangles(len(centers), sides, closed=True)
    return Mesh(points.reshape(-1, 3), normals.reshape(-1, 3), triangles, rings=rings)


def rod(length_m: float, radius_m: float, sides: int, rounding_m: float = 0.0) -> Mesh:
    """Return a rod along x round the origin, its ends closed; their edges may be rounded."""
    half, turn = 0.5 * length_m, np.linspace(0.0, 0.5 * np.pi, 4)
    rounding = min(rounding_m, radius_m, half)
    if rounding > 0.0:
        x = -half + rounding * (1.0 - np.sin(turn))
        radius = radius_m - rounding + rounding * np.cos(turn)
        x, radius = np.r_[-half, x[::-1]], np.r_[1e-6, radius[::-1]]
    else:
        x, radius = np.array([-half, -half]), np.array([1e-6, radius_m])
        x = np.r_[x, -half]
        radius = np.r_[radius, radius_m]
    x, radius = np.r_[x, -x[::-1]], np.r_[radius, radius[::-1]]
    centers = np.column_stack([x, np.zeros_like(x), np.zeros_like(x)])
    mesh = tube(centers, radius, radius, sides)
    if rounding == 0.0:
        flat = np.zeros_like(mesh.normals)
        flat[:, 0] = np.sign(mesh.points[:, 0])
        radial = mesh.points * [0.0, 1.0, 1.0]
        radial /= np.maximum(np.linalg.norm(radial, axis=1, keepdims=True), 1e-12)
        caps = np.isin(mesh.rings, [0, 1, 4, 5])
        mesh.normals = np.where(caps[:, None], flat, radial)
    return mesh


def ball(radius_m: float, sides: int) -> Mesh:
    """Return a ball round the origin."""
    turn = np.linspace(0.0, np.pi, max(sides // 2, 4) + 1)
    x, radius = -radius_m * np.cos(turn), np.maximum(radius_m * np.sin(turn), 1e-7)
    mesh = tube(np.column_stack([x, 0 * x, 0 * x]), radius, radius, sides)
    mesh.normals = mesh.points / np.linalg.norm(mesh.points, axis=1, keepdims=True)
    return mesh
