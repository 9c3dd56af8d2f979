"""Floor and sky per pixel, row by row in vector registers.

The same room as :mod:`sim.rendering.backdrop` paints behind PyBullet's bodies, in single precision:
the floor's rays meet the plane z = 0 in closed form, and the horizon cuts each row once, so that
floor and sky are loops without a branch. A pixel is one 32-bit number: red + 256 green +
65536 blue, which single precision holds exactly.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sim.rendering.backdrop import FLOOR_REACH_M
from sim.rendering.raster.compiling import compiled

Single = npt.NDArray[np.float32]
Packed = npt.NDArray[np.int32]

_PER_REACH = np.float32(1.0 / FLOOR_REACH_M**2)
_ZERO, _HALF, _ONE, _TWO = np.float32(0.0), np.float32(0.5), np.float32(1.0), np.float32(2.0)
_GREEN, _BLUE, _MOST = np.float32(256.0), np.float32(65536.0), np.float32(255.0)
_TINY = np.float32(1e-6)


@compiled
def paint_sky(
    row: Packed, right: Single, ahead: Single, step: Single, room: Single, down: np.float32
) -> None:
    """Paint pixels ``(n,)`` whose rays go up.

    ``right`` ``(n,)`` are the pixels' places to the right per unit ahead, ``down`` the row's; a ray
    is ``ahead - right * step``, both ``(3,)``; ``room`` is as :func:`paint_background` takes it.
    """
    red, green, blue = room[6], room[7], room[8]
    more_red, more_green, more_blue = room[9] - red, room[10] - green, room[11] - blue
    to_x, to_y, window = room[15], room[16], _HALF * room[17]
    ahead_x, ahead_y, ahead_z = ahead[0], ahead[1], ahead[2]
    step_x, step_y, step_z = step[0], step[1], step[2]
    for k in range(row.size):
        aside = right[k]
        x, y = ahead_x - aside * step_x, ahead_y - aside * step_y
        z = max(ahead_z - aside * step_z, _ZERO)
        height = z / np.sqrt(_ONE + aside * aside + down * down)
        light = (x * to_x + y * to_y) / max(np.sqrt(x * x + y * y), _TINY)
        # Overhead there is no side towards the window: without this the zenith is a dimple.
        lit = _ONE + window * light * np.sqrt(max(_ONE - height * height, _ZERO))
        row[k] = np.int32(
            np.floor(min(lit * (red + height * more_red), _MOST))
            + _GREEN * np.floor(min(lit * (green + height * more_green), _MOST))
            + _BLUE * np.floor(min(lit * (blue + height * more_blue), _MOST))
        )


@compiled
def meet_floor(right: Single, ahead: Single, step: Single, position: Single, met: Single) -> None:
    """Write to ``met`` ``(3, n)`` x and y where rays that go down meet the floor."""
    ahead_x, ahead_y, ahead_z = ahead[0], ahead[1], ahead[2]
    step_x, step_y, step_z = step[0], step[1], step[2]
    eye_x, eye_y, eye_z = position[0], position[1], position[2]
    met_x, met_y = met[0], met[1]
    for k in range(right.size):
        aside = right[k]
        reach = -eye_z / min(ahead_z - aside * step_z, -_TINY)
        met_x[k] = eye_x + reach * (ahead_x - aside * step_x)
        met_y[k] = eye_y + reach * (ahead_y - aside * step_y)


@compiled
def shade_floor(count: int, met: Single, shade: Single, place: Single) -> None:
    """Write to the third row of ``met`` ``(3, n)`` the light that the shadow leaves of ``count``.

    It is looked up at every fourth pixel: a shadow's edges are wider than that. ``shade``
    ``(s, s)`` is 0 along its edges. ``place`` is ``(7,)``: x and y of the map's corner
    in m, cells per m, and the least and greatest x and y between which there is any shade.
    """
    light = met[2, :count]
    light[:] = _ONE
    # A row of pixels meets the floor along a line: its ends tell whether it can meet the shade.
    if (
        max(met[0, 0], met[0, count - 1]) < place[3]
        or min(met[0, 0], met[0, count - 1]) > place[4]
        or max(met[1, 0], met[1, count - 1]) < place[5]
        or min(met[1, 0], met[1, count - 1]) > place[6]
    ):
        return
    last = count - 1
    before = _light_left(met[0, 0], met[1, 0], shade, place)
    for first in range(0, last - 3, 4):
        after = _light_left(met[0, first + 4], met[1, first + 4], shade, place)
        slope = np.float32(0.25) * (after - before)
        light[first] = before
        light[first + 1] = before + slope
        light[first + 2] = before + slope + slope
        light[first + 3] = after - slope
        before = after
    for k in range(last - last % 4, count):
        light[k] = _light_left(met[0, k], met[1, k], shade, place)


@compiled
def _light_left(x: np.float32, y: np.float32, shade: Single, place: Single) -> np.float32:
    """Return the light that the shadow leaves at a point of the floor, between four cells."""
    most = np.float32(shade.shape[0] - 2)
    x = min(max((x - place[0]) * place[2], _ZERO), most)
    y = min(max((y - place[1]) * place[2], _ZERO), most)
    i, j = np.int64(x), np.int64(y)
    x, y = x - np.float32(i), y - np.float32(j)
    low = shade[j, i] + x * (shade[j, i + 1] - shade[j, i])
    high = shade[j + 1, i] + x * (shade[j + 1, i + 1] - shade[j + 1, i])
    left: np.float32 = np.float32(_ONE - (low + y * (high - low)))
    return left


@compiled
def paint_floor(
    row: Packed, right: Single, ahead: Single, step: Single, room: Single, met: Single
) -> None:
    """Paint pixels ``(n,)`` whose rays go down.

    ``met`` ``(3, n)``: x and y where on the floor, and the light that a shadow leaves there.
    """
    per_tile, from_x, from_y = _ONE / room[12], room[13], room[14]
    to_x, to_y, window = room[15], room[16], room[17]
    ahead_x, ahead_y = ahead[0], ahead[1]
    step_x, step_y = step[0], step[1]
    light_red, light_green, light_blue = room[0], room[1], room[2]
    more_red, more_green, more_blue = room[3] - room[0], room[4] - room[1], room[5] - room[2]
    haze_red, haze_green, haze_blue = room[6], room[7], room[8]
    met_x, met_y, left = met[0], met[1], met[2]
    for k in range(row.size):
        aside = right[k]
        x, y = ahead_x - aside * step_x, ahead_y - aside * step_y
        lit = _ONE + _HALF * window * (x * to_x + y * to_y) / max(np.sqrt(x * x + y * y), _TINY)
        x, y = met_x[k], met_y[k]
        # The floor fades into the haze instead of ending at an edge.
        share = max(_ONE - (x * x + y * y) * _PER_REACH, _ZERO)
        near = _TWO * (x * to_x + y * to_y)
        near = near / (_ONE + abs(near))
        lit = (lit + share * (_ONE + window * near - lit)) * left[k]
        tile = np.floor((x - from_x) * per_tile) + np.floor((y - from_y) * per_tile)
        dark = tile - _TWO * np.floor(tile * _HALF)
        red = haze_red + share * (light_red + dark * more_red - haze_red)
        green = haze_green + share * (light_green + dark * more_green - haze_green)
        blue = haze_blue + share * (light_blue + dark * more_blue - haze_blue)
        row[k] = np.int32(
            np.floor(min(lit * red, _MOST))
            + _GREEN * np.floor(min(lit * green, _MOST))
            + _BLUE * np.floor(min(lit * blue, _MOST))
        )


@compiled
def paint_background(
    picture: Packed,
    rotation: Single,
    position: Single,
    focal_px: np.float32,
    right: Single,
    room: Single,
    shade: Single,
    place: Single,
    met: Single,
) -> None:
    """Fill ``picture`` ``(H, W)`` with floor and sky.

    Args:
        picture: packed pixels.
        rotation: ``(3, 3)`` of the camera, looking along +x, z up.
        position: ``(3,)`` of the camera in the world, m.
        focal_px: focal length.
        right: ``(W,)`` the columns' places to the right per unit ahead.
        room: ``(18,)`` four colours, the tiling and the window, as
            :mod:`sim.rendering.backdrop` has them.
        shade: ``(s, s)`` share of light that the floor lacks.
        place: ``(7,)`` where the shade lies, see :func:`shade_floor`.
        met: ``(3, W)`` buffer.
    """
    height, width = picture.shape
    step, ahead = np.empty(3, np.float32), np.empty(3, np.float32)
    for k in range(3):
        step[k] = rotation[k, 1]
    for row in range(height):
        down = (np.float32(row) - _HALF * np.float32(height - 1)) / focal_px
        for k in range(3):
            ahead[k] = rotation[k, 0] - down * rotation[k, 2]
        # The ray's z is linear in the column: the floor begins or ends at one place of the row.
        first, last = 0, width
        if abs(step[2]) > np.float32(1e-7):
            cut = ahead[2] / step[2] * focal_px + _HALF * np.float32(width - 1)
            cut = min(max(cut, -_ONE), np.float32(width))
            if step[2] > _ZERO:
                first = min(max(np.int64(np.floor(cut)) + 1, 0), width)
            else:
                last = min(max(np.int64(np.ceil(cut)), 0), width)
        elif ahead[2] >= _ZERO:
            last = 0
        line = picture[row]
        paint_sky(line[:first], right[:first], ahead, step, room, down)
        paint_sky(line[last:], right[last:], ahead, step, room, down)
        if first < last:
            aside = right[first:last]
            meet_floor(aside, ahead, step, position, met)
            shade_floor(last - first, met, shade, place)
            paint_floor(line[first:last], aside, ahead, step, room, met)
