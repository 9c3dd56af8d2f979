"""Triangles into pixels: projection, culling, near-plane clipping, z-buffer, colours, texture.

A vertex is projected once a picture, and only where the part of the robot that it belongs to may be
seen. Depths are kept as 1/z, which is linear on the screen: the buffer starts at 1/far, and greater
is nearer. Colours are linear on the screen as well, which small triangles allow; the texture's
coordinates are divided by z at the corners and multiplied again at each pixel, so that a tag seen
from the side is not bent.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sim.rendering.raster.background import Packed, Single, paint_background
from sim.rendering.raster.compiling import compiled

Index = npt.NDArray[np.int32]

_ZERO, _HALF, _ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)
_GREEN, _BLUE, _MOST = np.float32(256.0), np.float32(65536.0), np.float32(255.0)
# Pixel centres lie on edges by rounding alone; a triangle reaches a little beyond its own.
_EDGE = np.float32(1e-4)


@compiled
def _between(
    corner: Single, y: np.float32, left: np.float32, right: np.float32
) -> tuple[np.float32, np.float32]:
    """Return where a row enters and leaves a triangle, within ``left`` and ``right``."""
    for edge in range(3):
        after = (edge + 1) % 3
        x, rise = corner[edge, 0], corner[after, 1] - corner[edge, 1]
        if rise != _ZERO:
            cross = x + (y - corner[edge, 1]) * (corner[after, 0] - x) / rise
            # Counter-clockwise: down on the left, up on the right.
            if rise > _ZERO:
                left = max(left, cross)
            else:
                right = min(right, cross)
    return left, right


@compiled
def fill(
    corner: Single, textured: bool, texture: Single, tint: Single, picture: Packed, nearest: Single
) -> None:
    """Draw one triangle whose front faces the camera.

    Args:
        corner: ``(3, 6)`` per corner: column, row, 1/z, and red, green, blue from 0 to 255, or
            u / z and v / z of a texture.
        textured: whether it has a texture.
        texture: ``(t, t)`` grey levels, row 0 on top.
        tint: ``(3,)`` light on the texture.
        picture: ``(H, W)`` packed pixels.
        nearest: ``(H, W)`` 1/z of what was drawn so far.
    """
    x0, y0, x1, y1 = corner[0, 0], corner[0, 1], corner[1, 0], corner[1, 1]
    x2, y2 = corner[2, 0], corner[2, 1]
    # Rows go down, so what turns left in the world turns right on the screen.
    area = (x2 - x0) * (y1 - y0) - (x1 - x0) * (y2 - y0)
    if not area > np.float32(1e-9):
        return
    height, width = picture.shape
    low, high = min(y0, y1, y2), max(y0, y1, y2)
    if high < _ZERO or low > height - 1 or max(x0, x1, x2) < _ZERO or min(x0, x1, x2) > width - 1:
        return
    top, bottom = max(np.int64(np.ceil(low)), 0), min(np.int64(np.floor(high)), height - 1)
    # What is linear on the screen: value at the first corner, and change per column and row.
    scale = _ONE / area
    ax, ay, bx, by = (x1 - x0) * scale, (y1 - y0) * scale, (x2 - x0) * scale, (y2 - y0) * scale
    per_column, per_row = np.empty(4, np.float32), np.empty(4, np.float32)
    for i in range(4):
        one, two = corner[1, i + 2] - corner[0, i + 2], corner[2, i + 2] - corner[0, i + 2]
        per_column[i] = two * ay - one * by
        per_row[i] = one * bx - two * ax
    least, most = min(x0, x1, x2), max(x0, x1, x2)
    for row in range(top, bottom + 1):
        y = np.float32(row)
        left, right = _between(corner, y, least, most)
        first = max(np.int64(np.ceil(left - _EDGE)), 0)
        last = min(np.int64(np.floor(right + _EDGE)), width - 1)
        if first > last:
            continue
        dx, dy = np.float32(first) - x0, y - y0
        depth = corner[0, 2] + dx * per_column[0] + dy * per_row[0]
        one = corner[0, 3] + dx * per_column[1] + dy * per_row[1]
        two = corner[0, 4] + dx * per_column[2] + dy * per_row[2]
        three = corner[0, 5] + dx * per_column[3] + dy * per_row[3]
        line, depths = picture[row, first : last + 1], nearest[row, first : last + 1]
        if textured:
            fill_texture(line, depths, depth, one, two, per_column, texture, tint)
        else:
            fill_colors(line, depths, depth, one, two, three, per_column)


@compiled
def fill_colors(
    line: Packed,
    depths: Single,
    depth: np.float32,
    red: np.float32,
    green: np.float32,
    blue: np.float32,
    step: Single,
) -> None:
    """Fill a run of pixels ``(n,)`` with colours that change by ``step`` ``(4,)`` a pixel."""
    for k in range(line.size):
        if depth > depths[k]:
            depths[k] = depth
            line[k] = np.int32(
                np.floor(min(max(red, _ZERO), _MOST))
                + _GREEN * np.floor(min(max(green, _ZERO), _MOST))
                + _BLUE * np.floor(min(max(blue, _ZERO), _MOST))
            )
        depth += step[0]
        red += step[1]
        green += step[2]
        blue += step[3]


@compiled
def fill_texture(
    line: Packed,
    depths: Single,
    depth: np.float32,
    u: np.float32,
    v: np.float32,
    step: Single,
    texture: Single,
    tint: Single,
) -> None:
    """Fill a run of pixels ``(n,)`` from a texture; u and v come divided by z."""
    size = texture.shape[0]
    for k in range(line.size):
        if depth > depths[k]:
            depths[k] = depth
            column = min(max(np.int64(u / depth * size), 0), size - 1)
            row = min(max(np.int64(v / depth * size), 0), size - 1)
            grey = texture[row, column]
            line[k] = np.int32(
                np.floor(min(grey * tint[0], _MOST))
                + _GREEN * np.floor(min(grey * tint[1], _MOST))
                + _BLUE * np.floor(min(grey * tint[2], _MOST))
            )
        depth += step[0]
        u += step[1]
        v += step[2]


@compiled
def clip_and_fill(
    corner: Single,
    near: np.float32,
    lens: Single,
    textured: bool,
    texture: Single,
    tint: Single,
    picture: Packed,
    nearest: Single,
) -> None:
    """Cut a triangle at the near plane and draw what lies beyond.

    ``corner`` ``(3, 6)`` has ahead, left and up in m in the camera's frame, and what :func:`fill`
    takes from column 3 on, undivided; ``lens`` ``(3,)`` focal length and principal point.
    """
    cut, count = np.empty((4, 6), np.float32), 0
    for i in range(3):
        here, there = corner[i], corner[(i + 1) % 3]
        if here[0] >= near:
            for k in range(6):
                cut[count, k] = here[k]
            count += 1
        if (here[0] >= near) != (there[0] >= near):
            share = (near - here[0]) / (there[0] - here[0])
            for k in range(6):
                cut[count, k] = here[k] + share * (there[k] - here[k])
            cut[count, 0] = near
            count += 1
    for i in range(count):
        depth = _ONE / cut[i, 0]
        column, row = lens[1] - lens[0] * cut[i, 1] * depth, lens[2] - lens[0] * cut[i, 2] * depth
        cut[i, 0], cut[i, 1], cut[i, 2] = column, row, depth
        if textured:
            cut[i, 3] *= depth
            cut[i, 4] *= depth
    piece = np.empty((3, 6), np.float32)
    for i in range(1, count - 1):
        for k in range(6):
            piece[0, k], piece[1, k], piece[2, k] = cut[0, k], cut[i, k], cut[i + 1, k]
        fill(piece, textured, texture, tint, picture, nearest)


@compiled
def is_outside(
    sphere: Single, eye: Single, near: np.float32, far: np.float32, open_: Single
) -> bool:
    """Return whether a part's ``sphere`` ``(4,)`` lies outside what the camera sees.

    ``eye`` ``(4, 3)`` is the camera's rotation and position; ``open_`` ``(4,)`` sine and cosine of
    half the field of view, horizontal and vertical.
    """
    x, y, z = sphere[0] - eye[3, 0], sphere[1] - eye[3, 1], sphere[2] - eye[3, 2]
    radius = sphere[3]
    ahead = x * eye[0, 0] + y * eye[1, 0] + z * eye[2, 0]
    if ahead + radius < near or ahead - radius > far:
        return True
    left = abs(x * eye[0, 1] + y * eye[1, 1] + z * eye[2, 1])
    up = abs(x * eye[0, 2] + y * eye[1, 2] + z * eye[2, 2])
    return bool(
        left * open_[1] - ahead * open_[0] > radius or up * open_[3] - ahead * open_[2] > radius
    )


@compiled
def draw_part(
    part: Index,
    vertices: Single,
    colors: Single,
    triangles: Index,
    eye: Single,
    near: np.float32,
    lens: Single,
    texture: Single,
    tint: Single,
    seen: Single,
    picture: Packed,
    nearest: Single,
) -> None:
    """Draw one part: ``part`` ``(5,)`` first and end of its vertices and triangles, and texture.

    ``seen`` ``(n, 3)`` is a buffer for column, row and 1/z of all vertices; the rest is as
    :func:`draw` has it.
    """
    for i in range(part[0], part[1]):
        x, y = vertices[i, 0] - eye[3, 0], vertices[i, 1] - eye[3, 1]
        z = vertices[i, 2] - eye[3, 2]
        ahead = x * eye[0, 0] + y * eye[1, 0] + z * eye[2, 0]
        # The sign tells what lies before the near plane.
        depth = _ONE / ahead if ahead >= near else -_ONE
        scale = lens[0] * depth
        seen[i, 0] = lens[1] - scale * (x * eye[0, 1] + y * eye[1, 1] + z * eye[2, 1])
        seen[i, 1] = lens[2] - scale * (x * eye[0, 2] + y * eye[1, 2] + z * eye[2, 2])
        seen[i, 2] = depth
    corner = np.empty((3, 6), np.float32)
    textured = part[4] > 0
    for t in range(part[2], part[3]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        behind = (seen[a, 2] < _ZERO) + (seen[b, 2] < _ZERO) + (seen[c, 2] < _ZERO)
        if behind == 3:
            continue
        if behind == 0:
            area = (seen[c, 0] - seen[a, 0]) * (seen[b, 1] - seen[a, 1])
            if not area > (seen[b, 0] - seen[a, 0]) * (seen[c, 1] - seen[a, 1]):
                continue
            for k in range(3):
                i = triangles[t, k]
                share = seen[i, 2] if textured else _ONE
                for axis in range(3):
                    corner[k, axis] = seen[i, axis]
                    corner[k, axis + 3] = colors[i, axis] * share
            fill(corner, textured, texture, tint, picture, nearest)
            continue
        for k in range(3):
            i = triangles[t, k]
            x, y = vertices[i, 0] - eye[3, 0], vertices[i, 1] - eye[3, 1]
            z = vertices[i, 2] - eye[3, 2]
            for axis in range(3):
                corner[k, axis] = x * eye[0, axis] + y * eye[1, axis] + z * eye[2, axis]
                corner[k, axis + 3] = colors[i, axis]
        clip_and_fill(corner, near, lens, textured, texture, tint, picture, nearest)


@compiled
def _lens(focal: np.float32, width: int, height: int) -> tuple[Single, Single]:
    """Return focal length and principal point ``(3,)``, and each column's place per unit ahead."""
    lens, right = np.empty(3, np.float32), np.empty(width, np.float32)
    lens[0] = focal
    lens[1], lens[2] = _HALF * np.float32(width - 1), _HALF * np.float32(height - 1)
    for k in range(width):
        right[k] = (np.float32(k) - lens[1]) / focal
    return lens, right


@compiled
def _opening(focal: np.float32, width: int, height: int) -> Single:
    """Return ``(4,)`` sine and cosine of half the field of view, horizontal and vertical."""
    open_ = np.empty(4, np.float32)
    open_[0], open_[1] = _HALF * np.float32(width), focal
    open_[2], open_[3] = _HALF * np.float32(height), focal
    for k in (0, 2):
        length = np.sqrt(open_[k] * open_[k] + focal * focal)
        open_[k], open_[k + 1] = open_[k] / length, focal / length
    return open_


@compiled
def draw(
    eyes: Single,
    optics: Single,
    vertices: Single,
    colors: Single,
    triangles: Index,
    parts: Index,
    spheres: Single,
    texture: Single,
    tint: Single,
    room: Single,
    shade: Single,
    place: Single,
    pictures: Packed,
) -> None:
    """Draw what cameras see into ``pictures`` ``(c, H, W)``, packed pixels.

    Args:
        eyes: ``(c, 4, 3)`` rotation and position in the world of each camera, looking along +x.
        optics: ``(3,)`` focal length in px, near and far plane in m.
        vertices: ``(n, 3)`` in the world, m.
        colors: ``(n, 3)`` lit colours, 0 to 255; u and v of textured parts.
        triangles: ``(m, 3)`` vertices, counter-clockwise from outside.
        parts: ``(p, 5)``, see :func:`draw_part`.
        spheres: ``(p, 4)`` centre and radius round each part, m.
        texture: ``(t, t)`` grey levels of the tag.
        tint: ``(3,)`` light on it.
        room: ``(18,)``, see :func:`sim.rendering.raster.background.paint_background`.
        shade: ``(s, s)`` shadow on the floor.
        place: ``(7,)`` where it lies.
        pictures: written to.
    """
    count, height, width = pictures.shape
    focal, near, far = optics[0], optics[1], optics[2]
    lens, right = _lens(focal, width, height)
    open_ = _opening(focal, width, height)
    met = np.empty((3, width), np.float32)
    seen = np.empty((vertices.shape[0], 3), np.float32)
    nearest = np.empty((height, width), np.float32)
    for number in range(count):
        eye, picture = eyes[number], pictures[number]
        nearest[:] = _ONE / far
        paint_background(picture, eye[:3], eye[3], focal, right, room, shade, place, met)
        for p in range(parts.shape[0]):
            if not is_outside(spheres[p], eye, near, far, open_):
                draw_part(
                    parts[p],
                    vertices,
                    colors,
                    triangles,
                    eye,
                    near,
                    lens,
                    texture,
                    tint,
                    seen,
                    picture,
                    nearest,
                )
