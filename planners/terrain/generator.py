"""Pictures of terrain seen from above: slopes and craters in low light, 18 x 18 pixels a cell.

In the place of the orthomosaic of the Moon that DT-VIN's paper plans on (Sec. 4.3), which is not
at hand: heights are drawn here, and the planner sees the picture alone. A cell is an obstacle where
its ground is steeper than 10 degrees on average, as there. Heights are sums of waves from one to
twenty cells long, and craters with a bowl and a rim, whose numbers fall with the square of their
diameter. The picture is the light of a low sun (Lambert's law) on ground of uneven tone, with the
noise of a camera: slopes towards and from the light are bright and dark, those across it are seen
badly, and what is dark may be a shadowed slope or dark ground.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asterias.errors import UserError
from planners.mazes.datasets import MazeSet
from planners.mazes.distances import distances

PIXELS = 18
"""Rows and columns of pixels of a cell."""
STEEPEST_RAD = np.deg2rad(10.0)
"""Slope from which on ground is an obstacle (Sec. 4.3 of DT-VIN)."""
_SUN_ELEVATION_RAD = np.deg2rad(30.0)
_SUN_AZIMUTH_RAD = np.deg2rad(45.0)
_TONE_SPREAD = 0.05  # of the ground, over some cells, in parts of full brightness
_CAMERA_NOISE = 0.04  # of each pixel, in parts of full brightness
_FEWEST_FREE = 0.3  # of the cells connected with the goal; maps with less are drawn again


@dataclass(frozen=True)
class TerrainSet:
    """Pictures uint8 ``(n, 18 M, 18 M)`` beside their maps and goals."""

    pictures: NDArray[np.uint8]
    maps: MazeSet

    def __len__(self) -> int:
        return len(self.maps)


def draw_terrain(size: int, count: int, seed: int) -> TerrainSet:
    """Draw terrain whose goals can be reached from at least a third of the cells.

    Args:
        size: rows and columns of cells.
        count: maps.
        seed: of all that is drawn.

    Returns:
        Pictures, maps and goals.

    Raises:
        UserError: size or count make no sense.
    """
    if size < 4 or count < 1:
        raise UserError(f"terrain of {size} cells, {count} times: give 4 or more, and 1 or more.")
    random = np.random.default_rng([seed, size])
    pictures = np.empty((count, size * PIXELS, size * PIXELS), np.uint8)
    mazes, goals = np.empty((count, size, size), np.uint8), np.empty((count, 2), np.int64)
    done = 0
    while done < count:
        heights = _heights(size, random)
        down, right = (np.asarray(part) for part in np.gradient(heights))
        slope = np.arctan(np.hypot(down, right))
        cells = slope.reshape(size, PIXELS, size, PIXELS).mean(axis=(1, 3))
        maze = (cells < STEEPEST_RAD).astype(np.uint8)
        free = np.argwhere(maze)
        if not len(free):
            continue
        goal = free[random.integers(len(free))]
        reached = (distances(maze[None], goal[None]) >= 0).mean()
        if reached < _FEWEST_FREE:
            continue
        pictures[done], mazes[done], goals[done] = _light(down, right, random), maze, goal
        done += 1
    return TerrainSet(pictures, MazeSet(mazes, goals))


def _heights(size: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return heights ``(18 M, 18 M)`` in pixels' lengths."""
    side = size * PIXELS
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]) * PIXELS
    # A cell's waves: between one and twenty cells long, falling as the ground's do, by f^-2.
    inside = (frequency > 1 / 20) & (frequency < 1)
    strength = np.where(inside, np.maximum(frequency, 1 / 20) ** -2.0, 0)
    shape = strength.shape
    waves = strength * (random.normal(size=shape) + 1j * random.normal(size=shape))
    heights = np.fft.irfft2(waves, s=(side, side))
    steepness = np.hypot(*np.gradient(heights)).mean()
    # Half the ground's cells or fewer are then steep, before craters.
    heights *= np.tan(STEEPEST_RAD) * random.uniform(0.45, 0.75) / steepness
    for _ in range(random.poisson(size * size / 25)):
        radius = PIXELS * min(0.7 * random.random() ** -0.5, 4.0)  # numbers fall by diameter^-2
        _dig(heights, random.uniform(0, side, 2), radius)
    return heights


def _dig(heights: NDArray[np.float64], centre: NDArray[np.float64], radius: float) -> None:
    """Add a crater: a bowl a fifth of its diameter deep at most, and a rim that fades outwards."""
    low = np.maximum(np.floor(centre - 2 * radius).astype(int), 0)
    high = np.minimum(np.ceil(centre + 2 * radius).astype(int), heights.shape[0])
    rows, columns = np.ogrid[low[0] : high[0], low[1] : high[1]]
    away = np.hypot(rows - centre[0], columns - centre[1]) / radius
    depth = 0.2 * radius
    bowl = depth * (1.25 * away**2 - 1)
    rim = 0.25 * depth * np.maximum(2 - away, 0) ** 2
    heights[low[0] : high[0], low[1] : high[1]] += np.where(away < 1, bowl, rim)


def _light(
    down: NDArray[np.float64], right: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.uint8]:
    """Return the picture of ground with these gradients under a low sun in the north-west."""
    sun = np.cos(_SUN_ELEVATION_RAD) * np.array(
        [np.cos(_SUN_AZIMUTH_RAD), np.sin(_SUN_AZIMUTH_RAD)]
    )
    facing = np.sin(_SUN_ELEVATION_RAD) + sun[0] * down + sun[1] * right
    light = np.maximum(facing, 0) / np.sqrt(1 + down**2 + right**2)
    coarse = random.normal(size=(down.shape[0] // (3 * PIXELS) + 2,) * 2)
    tone = 1 + _TONE_SPREAD / 0.5 * _spread(coarse, down.shape[0])
    seen = light * tone + _CAMERA_NOISE * random.normal(size=light.shape)
    picture: NDArray[np.uint8] = np.clip(np.rint(255 * seen), 0, 255).astype(np.uint8)
    return picture


def _spread(coarse: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Return numbers of a coarse grid, three cells apart, between which is linear."""
    at = np.arange(side) / (3 * PIXELS)
    first = at.astype(int)
    part = at - first
    rows = coarse[first] * (1 - part)[:, None] + coarse[first + 1] * part[:, None]
    result: NDArray[np.float64] = rows[:, first] * (1 - part) + rows[:, first + 1] * part
    return result
