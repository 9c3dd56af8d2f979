"""Pictures for people: camera tiles with names and outlined tags, and the limb from outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from hardware.camera import ImageArray
from hardware.description import CameraDescription
from sim.rotations import rotation_from_rpy
from sim.scene import look_at
from sim.tag import Detection
from sim.world import SimWorld

_PAPER = 250
_INK = (40, 44, 52)
_FOUND = (20, 170, 60)
_DEAD = (190, 40, 40)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True)
class Tile:
    """One camera picture and what to write under it.

    Attributes:
        image: ``(H, W, 3)`` RGB.
        label: short text under the picture.
        detections: tags to outline.
        dead: drawn crossed out, as a camera that was switched off.
    """

    image: ImageArray
    label: str
    detections: tuple[Detection, ...] = ()
    dead: bool = False


def draw_tile(tile: Tile, size_px: int = 192) -> ImageArray:
    """``(size + 22, size, 3)`` picture: enlarged camera image, outlined tags, label below."""
    height, width = tile.image.shape[:2]
    scale = size_px / max(height, width)
    shape = (round(width * scale), round(height * scale))
    big = cv2.resize(tile.image, shape, interpolation=cv2.INTER_NEAREST)
    canvas = np.full((size_px + 22, size_px, 3), _PAPER, np.uint8)
    canvas[: shape[1], : shape[0]] = big
    for found in tile.detections:
        # Pixel centres sit at whole numbers, so the enlarged corner is half a pixel further.
        corners = np.round((found.corners_px + 0.5) * scale).astype(np.int32)
        cv2.polylines(canvas, [corners.reshape(-1, 1, 2)], True, _FOUND, 2, cv2.LINE_AA)
    if tile.dead:
        cv2.line(canvas, (0, 0), (size_px - 1, size_px - 1), _DEAD, 2, cv2.LINE_AA)
        cv2.line(canvas, (0, size_px - 1), (size_px - 1, 0), _DEAD, 2, cv2.LINE_AA)
    color = _FOUND if tile.detections else _DEAD if tile.dead else _INK
    cv2.putText(canvas, tile.label, (4, size_px + 15), _FONT, 0.42, color, 1, cv2.LINE_AA)
    return canvas


def sheet(rows: Sequence[Sequence[Tile]], titles: Sequence[str], size_px: int = 192) -> ImageArray:
    """A contact sheet: one titled row of tiles per entry; ``(H, W, 3)`` RGB."""
    strips = []
    columns = max((len(row) for row in rows), default=1)
    width = 12 + columns * (size_px + 8)
    for title, row in zip(titles, rows, strict=True):
        strip = np.full((size_px + 22 + 30, width, 3), _PAPER, np.uint8)
        cv2.putText(strip, title, (10, 20), _FONT, 0.5, _INK, 1, cv2.LINE_AA)
        for number, tile in enumerate(row):
            left = 10 + number * (size_px + 8)
            strip[28 : 28 + size_px + 22, left : left + size_px] = draw_tile(tile, size_px)
        strips.append(strip)
    return np.vstack(strips) if strips else np.full((60, width, 3), _PAPER, np.uint8)


def outside_view(world: SimWorld, width_px: int = 640, height_px: int = 480) -> ImageArray:
    """The whole robot and its target from the side, ``(H, W, 3)`` RGB."""
    if world.scene is None:
        raise RuntimeError("This world was made without pictures; pass pictures=True.")
    for number, body in enumerate(world.bodies):
        world.scene.place_limb(number, body.hinge_rad)
    camera = CameraDescription(
        name="outside", link="world", width_px=width_px, height_px=height_px, far_m=20.0
    )
    corners = _extent(world)
    middle = corners.mean(axis=0)
    away = 1.35 * float(np.linalg.norm(corners[1] - corners[0]))
    rotation, position = look_at(middle + away * np.array([-0.22, -0.83, 0.44]), middle)
    # Drawn twice as large and reduced: the software renderer has no anti-aliasing.
    double = camera.model_copy(update={"width_px": 2 * width_px, "height_px": 2 * height_px})
    picture = world.scene.render(double, rotation, position)
    return cv2.resize(picture, (width_px, height_px), interpolation=cv2.INTER_AREA).astype(np.uint8)


def _extent(world: SimWorld) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """``(2, 3)`` lowest and highest coordinates of all links and the target, in the world."""
    points = [np.asarray(world.target_pose.xyz, dtype=np.float64)]
    for limb, body in zip(world.robot.limbs, world.bodies, strict=True):
        base = rotation_from_rpy(limb.base.rpy)
        for link in limb.body.links:
            rotation, shift = body.link_pose(link.name)
            points.append(base @ (rotation @ link.center_m + shift) + limb.base.xyz)
    return np.array([np.min(points, axis=0), np.max(points, axis=0)])


def save_png(path: str, image: ImageArray) -> None:
    """Write an RGB picture; raises OSError when the file cannot be written."""
    done, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not done:
        raise OSError(f"{path}: the picture could not be encoded as PNG.")
    with open(path, "wb") as file:  # noqa: PTH123 (a plain name from the command line)
        file.write(data.tobytes())
