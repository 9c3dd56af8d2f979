"""What moves with the robot, once an instant for all cameras: bones, lit vertices, the shadow.

A vertex belongs to one bone. The bones of rigid parts turn with their link; those along a flexible
link turn by a share of its hinge's angle about its pivot, each ring of the skin by its own, so that
the skin bends evenly and neither folds nor loses width.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sim.rendering.raster.background import Single
from sim.rendering.raster.compiling import compiled
from sim.rendering.raster.triangles import Index

Double = npt.NDArray[np.float64]

_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


@compiled
def turned(rotation: Double, axis: Double, angle: float, out: Double) -> None:
    """Write ``rotation`` ``(3, 3)`` times a turn about a unit ``axis`` ``(3,)`` to ``out``."""
    sine, less = np.sin(angle), 1.0 - np.cos(angle)
    x, y, z = axis
    turn = np.empty((3, 3))
    turn[0, 0], turn[1, 1], turn[2, 2] = (
        1.0 - less * (y * y + z * z),
        1.0 - less * (x * x + z * z),
        1.0 - less * (x * x + y * y),
    )
    turn[0, 1], turn[1, 0] = less * x * y - sine * z, less * x * y + sine * z
    turn[0, 2], turn[2, 0] = less * x * z + sine * y, less * x * z - sine * y
    turn[1, 2], turn[2, 1] = less * y * z - sine * x, less * y * z + sine * x
    for i in range(3):
        for j in range(3):
            value = 0.0
            for k in range(3):
                value += rotation[i, k] * turn[k, j]
            out[i, j] = value


@compiled
def place_bones(
    angles: Double,
    bases: Double,
    parents: Index,
    pivots: Double,
    axes: Double,
    bones: Index,
    shares: Double,
    frames: Double,
    placed: Single,
) -> None:
    """Place the bones of one limb.

    Args:
        angles: ``(h,)`` of the hinges.
        bases: ``(4, 3)`` rotation and position of the limb's common frame in the world.
        parents: ``(h,)`` hinge that carries each hinge's parent link; -1: the root.
        pivots: ``(h, 3)`` in the common frame, m.
        axes: ``(h, 3)`` unit axes.
        bones: ``(b,)`` hinge of each bone; -1: the root.
        shares: ``(b,)`` of the hinge's angle that the bone turns by.
        frames: ``(h + 1, 4, 3)`` buffer; links' rotations and shifts, the root first.
        placed: ``(b, 4, 3)`` becomes rotation and shift of each bone in the world.
    """
    _copy(bases, frames[0])
    for h in range(angles.size):
        parent = frames[parents[h] + 1]
        _about(parent, pivots[h], axes[h], angles[h], frames[h + 1])
    here = np.empty((4, 3))
    for b in range(bones.size):
        h = bones[b]
        if h < 0:
            _copy(bases, here)
        elif shares[b] == 1.0:
            _copy(frames[h + 1], here)
        else:
            parent = frames[parents[h] + 1]
            _about(parent, pivots[h], axes[h], shares[b] * angles[h], here)
        for i in range(4):
            for j in range(3):
                placed[b, i, j] = np.float32(here[i, j])


@compiled
def _copy(frame: Double, out: Double) -> None:
    """Copy a frame ``(4, 3)``; element by element, which compiles a hundred times as fast."""
    for i in range(4):
        for j in range(3):
            out[i, j] = frame[i, j]


@compiled
def _about(parent: Double, pivot: Double, axis: Double, angle: float, out: Double) -> None:
    """Write a frame ``(4, 3)`` turned about a pivot of its parent."""
    turned(parent[:3], axis, angle, out[:3])
    for i in range(3):
        at = parent[3, i]
        for k in range(3):
            at += (parent[i, k] - out[i, k]) * pivot[k]
        out[3, i] = at


@compiled
def light_vertices(
    points: Single,
    normals: Single,
    albedo: Single,
    bone: Index,
    placed: Single,
    light: Single,
    first: int,
    vertices: Single,
    colors: Single,
) -> None:
    """Place and light the vertices of bodies without a texture.

    Args:
        points: ``(n, 3)`` where they are while their bone is not moved, m.
        normals: ``(n, 3)`` outward.
        albedo: ``(n, 3)`` colours, 0 to 255, what corners and folds keep dark included.
        bone: ``(n,)``.
        placed: ``(b, 4, 3)``.
        light: ``(6,)`` unit vector towards the lamp, ambient and diffuse share, and by how much
            more of the ambient light comes from above than from below.
        first: vertex to begin with.
        vertices: ``(n, 3)`` become their places in the world.
        colors: ``(n, 3)`` become their lit colours.
    """
    for i in range(first, points.shape[0]):
        frame = placed[bone[i]]
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        u, v, w = normals[i, 0], normals[i, 1], normals[i, 2]
        for k in range(3):
            vertices[i, k] = frame[k, 0] * x + frame[k, 1] * y + frame[k, 2] * z + frame[3, k]
        outward_x = frame[0, 0] * u + frame[0, 1] * v + frame[0, 2] * w
        outward_y = frame[1, 0] * u + frame[1, 1] * v + frame[1, 2] * w
        outward_z = frame[2, 0] * u + frame[2, 1] * v + frame[2, 2] * w
        facing = outward_x * light[0] + outward_y * light[1] + outward_z * light[2]
        level = light[3] * (_ONE + light[5] * (outward_z - _ONE)) + light[4] * max(facing, _ZERO)
        for k in range(3):
            colors[i, k] = albedo[i, k] * level


@compiled
def bound_parts(parts: Index, vertices: Single, spheres: Single) -> None:
    """Write centre and radius of a sphere round each part to ``spheres`` ``(p, 4)``."""
    for p in range(parts.shape[0]):
        low, high = np.empty(3, np.float32), np.empty(3, np.float32)
        for k in range(3):
            low[k] = high[k] = vertices[parts[p, 0], k]
        for i in range(parts[p, 0], parts[p, 1]):
            for k in range(3):
                low[k] = min(low[k], vertices[i, k])
                high[k] = max(high[k], vertices[i, k])
        size = _ZERO
        for k in range(3):
            spheres[p, k] = np.float32(0.5) * (low[k] + high[k])
            size += (high[k] - low[k]) * (high[k] - low[k])
        spheres[p, 3] = np.float32(0.5) * np.sqrt(size)


@compiled
def cast_shadow(
    vertices: Single,
    triangles: Index,
    open_: int,
    light: Single,
    darkness: np.float32,
    blur: int,
    shade: Single,
    other: Single,
    place: Single,
) -> None:
    """Write the shadow that all triangles cast on the floor, blurred, to ``shade`` ``(s, s)``.

    The first ``open_`` triangles are those of sheets, which have no other side. ``other``
    ``(s, s)`` is a buffer; ``place`` ``(7,)``, of which the corner and the cells per m are given,
    becomes as :func:`sim.rendering.raster.background.shade_floor` takes it.
    """
    size = shade.shape[0]
    shade[:] = _ZERO
    reached = np.array([size, -1, size, -1])
    across, along = light[0] / light[2], light[1] / light[2]
    x, y = np.empty(3, np.float32), np.empty(3, np.float32)
    for t in range(triangles.shape[0]):
        for k in range(3):
            v = vertices[triangles[t, k]]
            height = max(v[2], _ZERO)
            x[k] = (v[0] - height * across - place[0]) * place[2]
            y[k] = (v[1] - height * along - place[1]) * place[2]
        area = (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])
        if area < _ZERO and t < open_:
            x[1], x[2], y[1], y[2] = x[2], x[1], y[2], y[1]
        # Of a closed surface, what faces the light casts all of the shadow.
        if area > _ZERO or (area < _ZERO and t < open_):
            _cover(x, y, darkness, shade, reached)
    reach = 2 * blur
    low_i, high_i = max(reached[0] - reach, blur), min(reached[1] + reach, size - 1 - blur)
    low_j, high_j = max(reached[2] - reach, blur), min(reached[3] + reach, size - 1 - blur)
    for _ in range(2):
        _blur_rows(shade, other, blur, low_i, low_j - blur, high_i, high_j + blur)
        _blur_rows(other.T, shade.T, blur, low_j, low_i, high_j, high_i)
    place[3], place[4] = place[0] + low_i / place[2], place[0] + high_i / place[2]
    place[5], place[6] = place[1] + low_j / place[2], place[1] + high_j / place[2]


@compiled
def _cover(
    x: Single, y: Single, darkness: np.float32, shade: Single, reached: npt.NDArray[np.int64]
) -> None:
    """Fill one triangle, corners ``(3,)`` counter-clockwise, and widen the box ``reached``."""
    most = shade.shape[0] - 1
    low, high = min(y[0], y[1], y[2]), max(y[0], y[1], y[2])
    first, last = max(np.int64(np.ceil(low)), 0), min(np.int64(np.floor(high)), most)
    for j in range(first, last + 1):
        left, right = min(x[0], x[1], x[2]), max(x[0], x[1], x[2])
        for e in range(3):
            f = (e + 1) % 3
            rise = y[f] - y[e]
            if rise != _ZERO:
                cross = x[e] + (np.float32(j) - y[e]) * (x[f] - x[e]) / rise
                if rise < _ZERO:
                    left = max(left, cross)
                else:
                    right = min(right, cross)
        begin, end = max(np.int64(np.ceil(left)), 0), min(np.int64(np.floor(right)), most)
        if begin <= end:
            for i in range(begin, end + 1):
                shade[j, i] = darkness
            reached[0], reached[1] = min(reached[0], begin), max(reached[1], end)
            reached[2], reached[3] = min(reached[2], j), max(reached[3], j)


@compiled
def _blur_rows(
    source: Single, out: Single, blur: int, low_i: int, low_j: int, high_i: int, high_j: int
) -> None:
    """Write running means over ``2 blur + 1`` cells of each row."""
    share = _ONE / np.float32(2 * blur + 1)
    for j in range(low_j, high_j + 1):
        total = _ZERO
        for i in range(low_i - blur, low_i + blur):
            total += source[j, i]
        for i in range(low_i, high_i + 1):
            total += source[j, i + blur]
            out[j, i] = total * share
            total -= source[j, i - blur]
