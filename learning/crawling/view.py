"""The crawling robot from outside: pictures, films and sheets of them."""

from __future__ import annotations

import math

import cv2
import numpy as np

from asterias.arrays import ImageArray
from hardware.description.limb import CameraDescription, Limb, Pose
from hardware.description.robot import Target
from learning.crawling.crawler import Crawler
from sim.physics.rotations import rotation_from_rpy, rpy_from_rotation
from sim.rendering.film_view import studio
from sim.rendering.raster.limb_shapes import PEOPLE
from sim.rendering.raster.scene import RasterScene
from sim.rendering.scene import look_at

WIDTH_PX, HEIGHT_PX = 640, 360
# From the place that is looked at towards the eye, m: from above and from the side.
_EYE_M = (-0.35, -1.25, 1.05)
# The target is not drawn: deep below the robot, it shows its back. Elsewhere it would draw the
# shadow's map away from the robot.
_DEEP_M, _DOWN_RPY = -5.0, (0.0, 0.5 * math.pi, 0.0)


def draw_crawler(
    crawler: Crawler,
    look_at_m: tuple[float, float] | None = None,
    width_px: int = WIDTH_PX,
    height_px: int = HEIGHT_PX,
    closer: float = 1.0,
) -> ImageArray:
    """Return the robot on the ground, ``(H, W, 3)`` RGB.

    Args:
        crawler: the robot, as it lies now.
        look_at_m: place on the ground that is looked at; None: where the robot is.
        width_px: of the picture.
        height_px: of the picture.
        closer: distance of the eye as a share of the usual one.
    """
    x, y = crawler.position_m if look_at_m is None else look_at_m
    limbs = [_moved(crawler, number) for number in range(crawler.limbs)]
    own_x, own_y = crawler.position_m.tolist()
    hidden = Target(pose=Pose(xyz=(own_x, own_y, _DEEP_M), rpy=_DOWN_RPY))
    robot = crawler.robot.model_copy(
        update={"limbs": tuple(limbs), "scenery": (), "target": hidden}
    )
    scene = RasterScene(robot, detail=PEOPLE, supersampling=2, shadow_cells=320)
    scene.appearance = studio()
    for number, where in enumerate(crawler.world.coordinates):
        scene.place_limb(number, crawler.world.state.q[where[: _hinges(limbs[number])]])
    camera = CameraDescription(
        name="outside", link="world", width_px=width_px, height_px=height_px, far_m=20.0
    )
    middle = [float(x), float(y), 0.03]
    eye = [at + closer * away for at, away in zip(middle, _EYE_M, strict=True)]
    rotation, position = look_at(eye, middle)
    return scene.render(camera, rotation, position)


def _hinges(limb: Limb) -> int:
    return len(limb.body.hinges)


def _moved(crawler: Crawler, number: int) -> Limb:
    """Return a limb's description with its base where it is now."""
    limb = crawler.world.limbs[number]
    rotation, place = crawler.world.rotation(), crawler.world.position_m()
    base = rotation @ np.array(limb.base.xyz) + place
    x, y, z = base.tolist()
    turned = rpy_from_rotation(rotation @ rotation_from_rpy(limb.base.rpy))
    return limb.model_copy(update={"base": Pose(xyz=(x, y, z), rpy=turned)})


def sheet(pictures: list[ImageArray], times_s: list[float], columns: int = 3) -> ImageArray:
    """Return pictures in rows, each with its time written in a corner; ``(H, W, 3)`` RGB."""
    tiles = []
    for picture, time_s in zip(pictures, times_s, strict=True):
        tile = np.ascontiguousarray(picture)
        font = cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(tile, f"{time_s:.1f} s", (10, 24), font, 0.6, (40, 40, 40), 1, cv2.LINE_AA)
        tiles.append(tile)
    while len(tiles) % columns:
        tiles.append(np.full_like(tiles[0], 255))
    rows = [np.hstack(tiles[k : k + columns]) for k in range(0, len(tiles), columns)]
    return np.vstack(rows)
