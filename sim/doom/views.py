"""Views per cell: what a camera in the middle of each free cell sees in four directions.

Shape ``(H, W, 4, 24, 32, 3)`` uint8, RGB, in the order north, east, south, west: the input of
DT-VIN's mapper (Wang et al., ICML 2025, Table 6). Where no camera can stand, in walls, there is no
view, and the mask ``given (H, W)`` says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from asterias.arrays import ImageArray
from sim.doom.game import HEIGHT_PX, WIDTH_PX, GameDiedError, MazeGame
from sim.doom.maps import MazeMap
from sim.doom.textures import choose_look

VIEW_HEIGHT_PX, VIEW_WIDTH_PX = 24, 32
_MAPS_PER_GAME = 32
_TRIES = 3


@dataclass(frozen=True)
class CellViews:
    """The views of one maze."""

    views: NDArray[np.uint8]
    """``(H, W, 4, 24, 32, 3)``; zero where there is none."""
    given: NDArray[np.bool_]
    """``(H, W)``: whether the cell has views."""


def shrink(picture: ImageArray) -> ImageArray:
    """Return a picture ``(120, 160, 3)`` as a view ``(24, 32, 3)``, by averaging."""
    if picture.shape[:2] != (HEIGHT_PX, WIDTH_PX):
        picture = np.asarray(cv2.resize(picture, (WIDTH_PX, HEIGHT_PX)), np.uint8)
    size = (VIEW_WIDTH_PX, VIEW_HEIGHT_PX)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def survey(game: MazeGame, off_centre_units: int = 0) -> CellViews:
    """Return the views of all free cells of the maze that a game has loaded.

    With ``off_centre_units`` each cell's camera stands that far from its middle at most, as a
    robot's does that has driven there.
    """
    maze, reach = game.world.maze, off_centre_units
    random = np.random.default_rng([0x0FF5E7, game.world.look.seed])
    shape = (*maze.shape, 4, VIEW_HEIGHT_PX, VIEW_WIDTH_PX, 3)
    views = np.zeros(shape, np.uint8)
    for row, column in np.argwhere(maze).tolist():
        east, north = random.integers(-reach, reach + 1, 2).tolist()
        game.warp((row, column), (east, north))
        for place, picture in enumerate(game.look_around(turn_back=False)):
            views[row, column, place] = shrink(picture)
    return CellViews(views, maze > 0)


def survey_mazes(
    mazes: NDArray[np.uint8],
    seeds: Sequence[int],
    textures: str = "training",
    light: int = -1,
    off_centre_units: int = 0,
) -> list[CellViews]:
    """Return the views of mazes ``(n, H, W)``; each seed draws a maze's textures and light.

    An engine that dies is started again. Raises ``GameDiedError`` if it dies again and again.
    """
    result: list[CellViews] = []
    edges = [*range(0, len(mazes), _MAPS_PER_GAME), len(mazes)]
    for first, last in pairwise(edges):
        worlds = []
        for maze, seed in zip(mazes[first:last], seeds[first:last], strict=True):
            row, column = np.argwhere(maze)[0].tolist()
            look = choose_look(textures, seed, light)
            worlds.append(MazeMap(maze, (row, column), look=look))
        with MazeGame(worlds) as game:
            result += [
                _survey_surely(game, index, off_centre_units) for index in range(len(worlds))
            ]
    return result


def _survey_surely(game: MazeGame, index: int, off_centre_units: int) -> CellViews:
    for _ in range(_TRIES - 1):
        try:
            game.load(index)
            return survey(game, off_centre_units)
        except GameDiedError:
            game.restart()
    game.load(index)
    return survey(game, off_centre_units)
