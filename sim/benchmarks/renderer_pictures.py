"""The same moment drawn by two renderers, side by side: from outside, and by the cameras."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from asterias.arrays import ImageArray
from hardware.perception.apriltag import detect_tags
from hardware.perception.images import Tile, sheet
from sim.rendering.outside_view import outside_view
from sim.world import SimWorld

ROBOTS = ("limb_p1", "starfish")
_OUTSIDE_PX, _TILE_PX, _TILES = (400, 300), 96, 8
_SECONDS = 1.5


def side_by_side(renderers: Sequence[str]) -> ImageArray:
    """Return a picture ``(H, W, 3)``: a column of outside views and tiles per renderer."""
    return np.hstack([_column(name) for name in renderers])


def _column(renderer: str) -> ImageArray:
    parts = []
    for robot in ROBOTS:
        with SimWorld(robot, renderer=renderer) as world:
            _bend(world)
            parts.append(outside_view(world, *_OUTSIDE_PX))
            tiles = _tiles(world)
        rows = [tiles[:4], tiles[4:]] if len(tiles) > 4 else [tiles]
        titles = [f"{robot}, cameras, {renderer}", ""][: len(rows)]
        parts.append(sheet(rows, titles, _TILE_PX))
    width = max(part.shape[1] for part in parts)
    return np.vstack([_padded(part, width) for part in parts])


def _bend(world: SimWorld) -> None:
    """Bend all limbs as far as people would recognise them by."""
    for number, body in enumerate(world.bodies):
        joints = world.robot.limbs[number].joints
        wave = 0.32 * np.sin(number + 0.8 * np.arange(len(joints)))
        body.set_goal(wave if len(world.bodies) > 1 else [0.12, -0.12, 0.0, 0.6][: len(joints)])
    world.advance(_SECONDS)


def _tiles(world: SimWorld) -> list[Tile]:
    """Return what the first cameras see, those of each limb in turn."""
    tiles = []
    for number, limb in enumerate(world.robot.limbs):
        for camera in limb.live_cameras:
            image = world.draw(number, camera)
            found = tuple(detect_tags(image, [world.robot.target.id]))
            tiles.append(Tile(image, camera.name, found))
    return tiles[:_TILES]


def _padded(part: ImageArray, width: int) -> ImageArray:
    aside = width - part.shape[1]
    return np.pad(part, ((0, 0), (0, aside), (0, 0)), constant_values=255)
