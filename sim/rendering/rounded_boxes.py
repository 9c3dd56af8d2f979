"""Boxes with rounded edges, as Wavefront OBJ text."""

from __future__ import annotations

import numpy as np

from asterias.arrays import FloatArray

# Each side of the box is a grid of so many cells along an edge.
CELLS_PER_EDGE = 8
# The six sides: the axis that the side faces along, its sign, and the axes of its grid.
_SIDES = [(axis, sign) for axis in range(3) for sign in (-1.0, 1.0)]


def rounded_box(size_m: tuple[float, float, float], radius_m: float) -> str:
    """Return a box around the origin whose edges are rounded with a radius.

    A point of the box goes to the nearest point of the box that is smaller by the radius on each
    side, and from there outwards by the radius: the surface of a box that a ball has been rolled
    around.

    Args:
        size_m: edges along x, y and z.
        radius_m: of the rounding; at most half of the shortest edge is used.

    Returns:
        Vertices, normals and triangles.
    """
    half = 0.5 * np.asarray(size_m)
    radius = min(radius_m, float(half.min()))
    points, normals = _surface(half, radius)
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in points]
    lines += [f"vn {x:.4f} {y:.4f} {z:.4f}" for x, y, z in normals]
    lines += [f"f {a}//{a} {b}//{b} {c}//{c}" for a, b, c in _triangles() + 1]
    return "\n".join(lines) + "\n"


def _surface(half: FloatArray, radius: float) -> tuple[FloatArray, FloatArray]:
    """Return points and outward normals of all grid corners, both ``(6 (cells + 1)^2, 3)``."""
    steps = np.linspace(-1.0, 1.0, CELLS_PER_EDGE + 1)
    # More corners of the grid lie where the surface is round.
    steps = np.sign(steps) * np.abs(steps) ** 0.5
    first, second = (grid.ravel() for grid in np.meshgrid(steps, steps, indexing="ij"))
    corners = []
    for axis, sign in _SIDES:
        side = np.empty((first.size, 3))
        side[:, axis] = sign
        side[:, (axis + 1) % 3], side[:, (axis + 2) % 3] = first, second
        corners.append(side * half)
    box = np.vstack(corners)
    core = np.clip(box, -(half - radius), half - radius)
    outward = box - core
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    return core + radius * outward, outward


def _triangles() -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Return the corners of all triangles, ``(n, 3)``, counter-clockwise from outside."""
    edge = CELLS_PER_EDGE + 1
    row, column = (part.ravel() for part in np.indices((CELLS_PER_EDGE, CELLS_PER_EDGE)))
    a = row * edge + column
    b, c, d = a + edge, a + edge + 1, a + 1
    outside = np.vstack([np.column_stack([a, b, c]), np.column_stack([a, c, d])])
    sides = []
    for number, (_, sign) in enumerate(_SIDES):
        faces = outside if sign > 0 else outside[:, ::-1]
        sides.append(faces + number * edge * edge)
    return np.vstack(sides)
