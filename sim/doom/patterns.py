"""Textures drawn by a seed: bricks, tiles, planks, stripes, spots, veins and clouds of any colours.

A mapper that is trained on the textures of one game learns their looks; among thousands that were
drawn at random, those of another game are one more kind (domain randomisation, Tobin et al., 2017).
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from asterias.arrays import ImageArray
from asterias.registry import Registry

SIZE_PX = 64
"""Rows and columns of a pattern; one pixel is one map unit, so that it fills a cell's wall."""

_Heights = NDArray[np.float64]
_Draw = Callable[[np.random.Generator], _Heights]
KINDS: Registry[_Draw] = Registry("kind of pattern")
_TURNED, _LAYERED, _FITTED, _ALIKE = 0.5, 0.35, 0.5, 0.6
"""Shares of patterns that are turned by a quarter, that lie over a second one, and that have lamps,
signs or skirting boards; and of sets in which walls, floor and ceiling have nearly the same colour,
as in caves and ruins."""


def pattern_set(seed: int, count: int) -> list[ImageArray]:
    """Return textures that a seed draws to go together, ``(64, 64, 3)`` uint8 each, RGB."""
    random = np.random.default_rng([0x7E47, seed])
    tone = random.uniform(0, 160, 3)
    tone = tone.mean() + random.uniform(0, 1) * (tone - tone.mean())
    share = random.uniform(0.6, 1) if random.random() < _ALIKE else 0.0
    return [pattern(random, tone, share) for _ in range(count)]


def pattern(
    random: np.random.Generator, tone: NDArray[np.float64], share: float = 0.0
) -> ImageArray:
    """Return a texture ``(64, 64, 3)`` uint8, RGB.

    Args:
        random: draws it.
        tone: RGB, 0 to 255.
        share: how far its colours are drawn to the tone, 0 to 1.
    """
    heights = _heights(random)
    if random.random() < _LAYERED:
        share = random.uniform(0.2, 0.6)
        heights = (1 - share) * heights + share * _heights(random)
    dark, bright = _two_colours(random)
    toned = tone * random.uniform(0.7, 1.3)
    dark, bright = (
        share * toned * level + (1 - share) * colour
        for colour, level in ((dark, random.uniform(0.3, 1)), (bright, random.uniform(0.8, 1.7)))
    )
    picture = np.ascontiguousarray(dark + heights[..., None] * (bright - dark))
    if random.random() < _FITTED:
        _fit(picture, random)
    picture += random.uniform(0, 18) * random.standard_normal((SIZE_PX, SIZE_PX, 1))
    picture += random.uniform(0, 25) * (_clouds(random)[..., None] - 0.5)
    return np.asarray(np.clip(picture, 0, 255), np.uint8)


def _fit(picture: NDArray[np.float64], random: np.random.Generator) -> None:
    """Put lamps, signs, doors and boards on a wall, each in its own colour, at times framed.

    Seen from near, they must not be taken for what is far away through an opening.
    """
    for _ in range(int(random.integers(1, 5))):
        top, high = int(random.integers(-8, 60)), int(random.choice([3, 6, 12, 24, 48]))
        left, wide = int(random.integers(-8, 56)), int(random.choice([6, 16, 32, 48]))
        if random.random() < 0.5:  # from edge to edge, as lamps and boards of a whole wall are
            left, wide = 0, SIZE_PX
        colour = random.uniform(0, 255, 3)
        if random.random() < 0.5:  # a lamp, or a hole
            colour = random.choice([0.1, 1.0]) * (255 - 0.5 * colour)
        first, last = (left, top), (left + wide - 1, top + high - 1)
        cv2.rectangle(picture, first, last, colour.tolist(), -1)
        if random.random() < 0.5:
            cv2.rectangle(picture, first, last, random.uniform(0, 255, 3).tolist(), 2)


def _heights(random: np.random.Generator) -> _Heights:
    """Return a pattern ``(64, 64)`` from 0 to 1."""
    names = KINDS.names()
    heights = KINDS.get(names[int(random.integers(len(names)))])(random)
    return heights.T if random.random() < _TURNED else heights


def _two_colours(random: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return two colours, near each other or not, of which half of the time one is nearly grey."""
    first = random.uniform(0, 255, 3)
    if random.random() < 0.5:
        first = first.mean() + 0.2 * (first - first.mean())
    # Walls of games differ in light more than in hue.
    second = first * random.uniform(0.2, 1.8) + random.uniform(-40, 40, 3)
    if random.random() < 0.2:
        second = random.uniform(0, 255, 3)
    return np.clip(first, 0, 255), np.clip(second, 0, 255)


@KINDS.register("clouds")
def _clouds(random: np.random.Generator) -> _Heights:
    """Return noise of several sizes."""
    total = np.zeros((SIZE_PX, SIZE_PX))
    roughness = random.uniform(0.3, 0.9)
    for octave in range(1, 6):
        total += roughness**octave * _smooth(random, 2**octave)
    return np.asarray((total - total.min()) / max(float(np.ptp(total)), 1e-9))


def _smooth(random: np.random.Generator, cells: int) -> _Heights:
    """Return random numbers on a grid, smooth between, that continue over the edges."""
    grid = np.pad(random.uniform(0, 1, (cells, cells)), 2, mode="wrap")
    unit = SIZE_PX // cells
    side = (cells + 4) * unit
    large = cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.asarray(large[2 * unit : -2 * unit, 2 * unit : -2 * unit])


@KINDS.register("bricks")
def _bricks(random: np.random.Generator) -> _Heights:
    """Return rows of bricks with mortar; each brick has its own light."""
    high, wide = int(random.choice([8, 16, 32])), int(random.choice([8, 16, 32, 64]))
    rows, columns = np.mgrid[:SIZE_PX, :SIZE_PX]
    course = rows // high
    shifted = columns + course * int(random.choice([0, wide // 2]))
    light = random.uniform(0, random.uniform(0, 0.6), (SIZE_PX, SIZE_PX))
    heights = 1 - light[course, (shifted % SIZE_PX) // wide]
    gap = int(random.integers(1, 3))
    heights[(rows % high < gap) | (shifted % wide < gap)] = 0.0
    return np.asarray(heights)


@KINDS.register("tiles")
def _tiles(random: np.random.Generator) -> _Heights:
    """Return plates with a bright and a dark edge, and rivets at times."""
    side = int(random.choice([16, 32, 64]))
    rows, columns = np.mgrid[:SIZE_PX, :SIZE_PX] % side
    edge = int(random.integers(1, 5))
    heights = np.full((SIZE_PX, SIZE_PX), random.uniform(0.3, 0.7))
    heights[(rows < edge) | (columns < edge)] = 1.0
    heights[(rows >= side - edge) | (columns >= side - edge)] = 0.0
    if random.random() < 0.5:
        near = np.minimum(rows, side - 1 - rows) ** 2 + np.minimum(columns, side - 1 - columns) ** 2
        heights[np.abs(np.sqrt(near) - edge - 3) < 1.5] = 0.9
    return heights


@KINDS.register("checks")
def _checks(random: np.random.Generator) -> _Heights:
    """Return squares, bright and dark by turns."""
    side = int(random.choice([4, 8, 16, 32]))
    rows, columns = np.mgrid[:SIZE_PX, :SIZE_PX] // side
    return np.asarray((rows + columns) % 2, np.float64)


@KINDS.register("stripes")
def _stripes(random: np.random.Generator) -> _Heights:
    """Return waves in one direction, sharp or soft."""
    down, right = random.integers(-4, 5, 2) if random.random() < 0.4 else (random.integers(1, 9), 0)
    rows, columns = np.mgrid[:SIZE_PX, :SIZE_PX] / SIZE_PX
    wave = np.sin(2 * np.pi * (down * rows + right * columns) + random.uniform(0, 2 * np.pi))
    return np.asarray(0.5 + 0.5 * np.tanh(random.uniform(0.5, 8) * wave))


@KINDS.register("planks")
def _planks(random: np.random.Generator) -> _Heights:
    """Return boards with grain and gaps between."""
    wide = int(random.choice([8, 16, 32]))
    grain = np.repeat(random.uniform(0, 1, (1, SIZE_PX)), SIZE_PX, axis=0)
    board = np.repeat(random.uniform(0.3, 1, SIZE_PX // wide), wide)
    heights = 0.7 * board[None] + 0.3 * (0.6 * grain + 0.4 * _clouds(random))
    heights[:, ::wide] = 0.0
    return np.asarray(heights)


@KINDS.register("veins")
def _veins(random: np.random.Generator) -> _Heights:
    """Return marble: thin lines where noise crosses a level."""
    crossing = np.abs(np.sin(random.uniform(2, 12) * _clouds(random)))
    return np.asarray(crossing ** random.uniform(0.2, 1.5))


@KINDS.register("spots")
def _spots(random: np.random.Generator) -> _Heights:
    """Return discs, windows and lamps on a plain wall."""
    heights = np.full((SIZE_PX, SIZE_PX), random.uniform(0.2, 0.8))
    for _ in range(int(random.integers(1, 14))):
        row, column = random.integers(0, SIZE_PX, 2).tolist()
        level, half = float(random.uniform(0, 1)), int(random.integers(2, 16))
        if random.random() < 0.5:
            cv2.circle(heights, (column, row), half, level, -1)
        else:
            end = (column + half, row + int(random.integers(2, 32)))
            cv2.rectangle(heights, (column, row), end, level, -1)
    return heights


@KINDS.register("plain")
def _plain(random: np.random.Generator) -> _Heights:
    """Return one level, or one that changes from top to bottom."""
    change = random.uniform(-0.5, 0.5) if random.random() < 0.5 else 0.0
    levels = 0.5 + change * np.linspace(-1, 1, SIZE_PX)
    return np.repeat(levels[:, None], SIZE_PX, axis=1)
