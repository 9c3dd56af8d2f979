"""Floor and sky behind the rendered bodies, computed ray by ray.

A floor drawn as triangles costs TinyRenderer five times as much as all bodies together, and its
clipping bends the texture. The floor is a plane, so each pixel's ray meets it in closed form.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from asterias.arrays import FloatArray, ImageArray

FLOOR_REACH_M = 2.5
# Rows: light and dark tiles of the floor, sky at the horizon and overhead; RGB.
COLORS = np.array(
    [
        [172.0, 176.0, 182.0],
        [140.0, 145.0, 152.0],
        [226.0, 232.0, 238.0],
        [176.0, 200.0, 226.0],
    ]
)
# Edge of a tile, and where a corner of one lies, in m.
TILING = np.array([0.25, 0.0, 0.0])
# A window: horizontal direction towards it, and by what share its side of the room is brighter.
WINDOW = np.array([0.3, 0.95, 0.35])
_FALLOFF_M = 0.5


@njit(cache=True)
def paint_backdrop(
    image: ImageArray,
    depth: npt.NDArray[np.float32],
    rotation: FloatArray,
    position: FloatArray,
    focal_px: float,
    colors: FloatArray,
    tiling: FloatArray,
    window: FloatArray,
    out: ImageArray,
) -> None:
    """Copy the bodies of ``image`` ``(H, W, 3 or 4)`` to ``out`` ``(H, W, 3)``, backdrop elsewhere.

    Bodies are where ``depth`` ``(H, W)`` is below 1. ``rotation`` and ``position`` are the
    camera's pose in the world, looking along +x, z up; ``colors`` ``(4, 3)`` is as ``COLORS``,
    ``tiling`` ``(3,)`` as ``TILING``, ``window`` ``(3,)`` as ``WINDOW``.
    """
    height, width = depth.shape
    per_tile, per_reach = 1.0 / tiling[0], 1.0 / (FLOOR_REACH_M * FLOOR_REACH_M)
    for row in range(height):
        down = (row - 0.5 * (height - 1)) / focal_px
        for column in range(width):
            if depth[row, column] < 1.0:
                for channel in range(3):
                    out[row, column, channel] = image[row, column, channel]
                continue
            right = (column - 0.5 * (width - 1)) / focal_px
            z = rotation[2, 0] - right * rotation[2, 1] - down * rotation[2, 2]
            floor_share, sky_height, lit = 0.0, 0.0, 1.0
            x = rotation[0, 0] - right * rotation[0, 1] - down * rotation[0, 2]
            y = rotation[1, 0] - right * rotation[1, 1] - down * rotation[1, 2]
            aside = (x * window[0] + y * window[1]) / max(np.sqrt(x * x + y * y), 1e-6)
            lit += 0.5 * window[2] * aside
            light = True
            if z < -1e-6:
                reach = -position[2] / z
                x, y = position[0] + reach * x, position[1] + reach * y
                # The floor fades into the haze instead of ending at an edge.
                floor_share = max(1.0 - (x * x + y * y) * per_reach, 0.0)
                if floor_share > 0.0:
                    near = (x * window[0] + y * window[1]) / _FALLOFF_M
                    near /= 1.0 + abs(near)
                    lit += floor_share * (1.0 + window[2] * near - lit)
                    across = int(np.floor((x - tiling[1]) * per_tile))
                    along = int(np.floor((y - tiling[2]) * per_tile))
                    light = (across + along) % 2 == 0
            elif z > 0.0:
                sky_height = z / np.sqrt(1.0 + right * right + down * down)
                # Overhead there is no side towards the window: without this the zenith is a dimple.
                lit = 1.0 + (lit - 1.0) * np.sqrt(max(1.0 - sky_height * sky_height, 0.0))
            for channel in range(3):
                floor = colors[0, channel] if light else colors[1, channel]
                low, high = colors[2, channel], colors[3, channel]
                sky = low + (high - low) * sky_height
                value = lit * (sky + floor_share * (floor - sky))
                out[row, column, channel] = np.uint8(min(value, 255.0))
