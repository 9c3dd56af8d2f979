"""Floor and sky behind the rendered bodies, computed ray by ray.

A floor drawn as triangles costs TinyRenderer five times as much as all bodies together, and its
clipping bends the texture. The floor is a plane, so each pixel's ray meets it in closed form.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

FloatArray = npt.NDArray[np.float64]
ImageArray = npt.NDArray[np.uint8]

TILE_M = 0.25
FLOOR_REACH_M = 2.5
_LIGHT = (172.0, 176.0, 182.0)
_DARK = (140.0, 145.0, 152.0)
_SKY_LOW = (226.0, 232.0, 238.0)
_SKY_HIGH = (176.0, 200.0, 226.0)


@njit(cache=True)
def paint_backdrop(
    image: ImageArray,
    depth: npt.NDArray[np.float32],
    rotation: FloatArray,
    position: FloatArray,
    focal_px: float,
) -> None:
    """Fill the pixels of ``image`` ``(H, W, 3)`` that no body covers (``depth`` 1), in place.

    ``rotation`` and ``position`` are the camera's pose in the world, looking along +x, z up.
    """
    height, width = depth.shape
    for row in range(height):
        for column in range(width):
            if depth[row, column] < 1.0:
                continue
            right = (column - 0.5 * (width - 1)) / focal_px
            down = (row - 0.5 * (height - 1)) / focal_px
            x = rotation[0, 0] - right * rotation[0, 1] - down * rotation[0, 2]
            y = rotation[1, 0] - right * rotation[1, 1] - down * rotation[1, 2]
            z = rotation[2, 0] - right * rotation[2, 1] - down * rotation[2, 2]
            steepness = z / np.sqrt(x * x + y * y + z * z)
            height_share = min(max(steepness, 0.0), 1.0)
            shade = 0.0
            light = True
            if z < -1e-9:
                reach = -position[2] / z
                at_x, at_y = position[0] + reach * x, position[1] + reach * y
                away = np.sqrt(at_x * at_x + at_y * at_y) / FLOOR_REACH_M
                # The floor fades into the haze instead of ending at an edge.
                shade = min(max(1.0 - away * away, 0.0), 1.0)
                light = (np.floor(at_x / TILE_M) + np.floor(at_y / TILE_M)) % 2 == 0
            for channel in range(3):
                floor = _LIGHT[channel] if light else _DARK[channel]
                low, high = _SKY_LOW[channel], _SKY_HIGH[channel]
                sky = low + (high - low) * height_share
                image[row, column, channel] = np.uint8(shade * floor + (1.0 - shade) * sky)
