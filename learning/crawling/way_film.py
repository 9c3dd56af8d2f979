"""A film of a crawl: the body from outside with its path, the way from above, and all cameras."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from asterias.arrays import FloatArray, ImageArray
from hardware.description.limb import CameraDescription
from hardware.description.robot import RobotDescription
from hardware.perception.apriltag import Detection, detect_tags
from sim.rendering.film_view import studio
from sim.rendering.raster.limb_shapes import PEOPLE
from sim.rendering.raster.scene import RasterScene
from sim.rendering.scene import look_at

# Edges in pixels: the picture from outside, the panel beside it, a camera's tile.
_OUTSIDE_PX, _PANEL_PX, _TILE_PX, _GAP_PX = (640, 480), 344, 38, 2
_PANEL, _INK, _MUTED = (15, 23, 42), (241, 245, 249), (148, 163, 184)
_FOUND, _WAY, _ROBOT = (34, 197, 94), (37, 99, 235), (249, 115, 22)
# From the middle of the way towards the eye, in lengths of what is to be seen.
_TOWARDS_EYE = (-0.62, -1.05, 0.78)
# The robot reaches so far beyond its middle.
_REACH_M = 0.45


@dataclass(frozen=True)
class Moment:
    """What is known of the robot at one instant.

    Attributes:
        time_s: of the robot's clock.
        rotation: ``(3, 3)`` of ``base_link`` in the map.
        position_m: ``(3,)``.
        hinges_rad: ``(h,)`` of each limb.
        tiles: ``(limbs, cameras, H, W, 3)`` RGB, what the cameras see.
    """

    time_s: float
    rotation: FloatArray
    position_m: FloatArray
    hinges_rad: tuple[FloatArray, ...]
    tiles: ImageArray


class WayFilm:
    """Draws moments of one crawl.

    Args:
        robot: the description, with the target where it stands.
        goal_m: ``(2,)`` where the crawl goes to.
        moments: all of the crawl: the eye stands still and sees the whole way.
        title: what is crawled with.
    """

    def __init__(
        self, robot: RobotDescription, goal_m: FloatArray, moments: Sequence[Moment], title: str
    ) -> None:
        self.moments, self.goal_m, self.title = moments, goal_m, title
        self._tag = robot.target.id
        self._middle_m = np.mean([limb.base.xyz for limb in robot.limbs], axis=0)
        self._way = np.array([self._middle(moment) for moment in moments])
        still = robot.model_copy(update={"scenery": ()})
        self._scene = RasterScene(still, detail=PEOPLE, supersampling=2, shadow_cells=320)
        self._scene.appearance = studio()
        width, height = _OUTSIDE_PX
        self._camera = CameraDescription(
            name="outside", link="world", width_px=width, height_px=height, fov_rad=0.9, far_m=30.0
        )
        points = np.vstack([self._way, goal_m[None], np.array(robot.target.pose.xyz[:2])[None]])
        self._low, self._high = points.min(axis=0) - _REACH_M, points.max(axis=0) + _REACH_M
        middle = np.array([*(0.5 * (self._low + self._high)), 0.06])
        away = 0.80 * float(np.linalg.norm(self._high - self._low)) * np.array(_TOWARDS_EYE)
        self._rotation, self._position = look_at((middle + away).tolist(), middle.tolist())

    def _middle(self, moment: Moment) -> FloatArray:
        place: FloatArray = (moment.rotation @ self._middle_m + moment.position_m)[:2]
        return place

    def frame(self, number: int) -> ImageArray:
        """Return picture ``number`` of the film, ``(H, W, 3)`` RGB."""
        moment = self.moments[number]
        width, height = _OUTSIDE_PX
        page = Image.new("RGB", (width + _PANEL_PX, height), _PANEL)
        page.paste(Image.fromarray(self._outside(number)), (0, 0))
        pen = ImageDraw.Draw(page, "RGBA")
        seeing = self._draw_tiles(page, pen, moment)
        self._draw_map(pen, number)
        left = width + 14
        pen.text((left, 10), "what its cameras see", _INK, _font(17))
        pen.text((left, 300), "its way, from above", _INK, _font(17))
        pen.text((left, height - 22), self.title, _MUTED, _font(13))
        to_go_m = float(np.linalg.norm(self._way[number] - self.goal_m))
        began_s = self.moments[0].time_s
        dark, right = (15, 23, 42), width - 18
        pen.text((right, 14), f"{to_go_m:.2f} m to go", dark, _font(22), anchor="ra")
        pen.text((right, 42), f"{moment.time_s - began_s:.1f} s", (71, 85, 105), _font(16), "ra")
        if seeing:
            words = f"seen by {seeing} camera{'s' if seeing > 1 else ''}"
            pen.text((right, 64), words, (22, 163, 74), _font(16), anchor="ra")
        return np.asarray(page, dtype=np.uint8)

    # -- parts ----------------------------------------------------------------------------------

    def _outside(self, number: int) -> ImageArray:
        """Return the robot from outside, with the way that it has come on the floor."""
        moment = self.moments[number]
        self._scene.place_robot(moment.rotation, moment.position_m)
        for limb, hinges in enumerate(moment.hinges_rad):
            self._scene.place_limb(limb, hinges)
        picture = self._scene.render(self._camera, self._rotation, self._position)
        marked = picture.copy()
        ring = [(math.cos(a), math.sin(a)) for a in np.linspace(0.0, 2.0 * math.pi, 40)]
        self._line(marked, self.goal_m + 0.08 * np.array(ring), _FOUND)
        self._line(marked, self._way[: number + 1], _WAY)
        # On the floor alone, which is light and grey: the robot lies over its way.
        high, low = picture.max(axis=2).astype(int), picture.min(axis=2).astype(int)
        floor = ((high - low < 40) & (low > 120))[..., None]
        blended = cv2.addWeighted(marked, 0.8, picture, 0.2, 0.0)
        return np.where(floor, blended, picture).astype(np.uint8)

    def _line(self, picture: ImageArray, points_m: FloatArray, color: tuple[int, int, int]) -> None:
        """Draw a line ``(n, 2)`` on the ground."""
        if len(points_m) < 2:
            return
        ground = np.column_stack([points_m, np.zeros(len(points_m))])
        seen = (ground - self._position) @ self._rotation
        about = self._camera
        across = 0.5 * (about.width_px - 1) - about.focal_px * seen[:, 1] / seen[:, 0]
        down = 0.5 * (about.height_px - 1) - about.focal_px * seen[:, 2] / seen[:, 0]
        ends = np.round(np.column_stack([across, down])).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(picture, [ends], False, color, 4, cv2.LINE_AA)

    def _draw_tiles(self, page: Image.Image, pen: ImageDraw.ImageDraw, moment: Moment) -> int:
        """Paste all tiles, a row for each limb.

        Returns:
            How many cameras see the target.
        """
        seeing, pitch = 0, _TILE_PX + _GAP_PX
        for row, tiles in enumerate(moment.tiles):
            top = 42 + row * pitch
            pen.text((_OUTSIDE_PX[0] + 6, top + 10), str(row), _MUTED, _font(13))
            for column, tile in enumerate(tiles):
                left = _OUTSIDE_PX[0] + 20 + column * pitch
                small = Image.fromarray(tile).resize((_TILE_PX, _TILE_PX), Image.Resampling.BOX)
                page.paste(small, (left, top))
                if self._sees(tile):
                    seeing += 1
                    box = (left - 1, top - 1, left + _TILE_PX, top + _TILE_PX)
                    pen.rectangle(box, outline=_FOUND, width=3)
        return seeing

    def _sees(self, tile: ImageArray) -> list[Detection]:
        return detect_tags(np.ascontiguousarray(tile), ids=[self._tag])

    def _draw_map(self, pen: ImageDraw.ImageDraw, number: int) -> None:
        """Draw way, robot and goal from above, x to the right."""
        left, top, width, height = _OUTSIDE_PX[0] + 14, 326, _PANEL_PX - 28, 126
        pen.rounded_rectangle((left, top, left + width, top + height), 8, fill=(30, 41, 59))
        size = self._high - self._low
        scale = min((width - 12) / size[0], (height - 12) / size[1])
        origin = np.array([left + 0.5 * width, top + 0.5 * height])
        middle = 0.5 * (self._low + self._high)

        def at(point: FloatArray) -> tuple[float, float]:
            x, y = (point - middle) * scale
            return float(origin[0] + x), float(origin[1] - y)

        if number:
            pen.line([at(point) for point in self._way[: number + 1]], (96, 165, 250), 2)
        x, y = at(self.goal_m)
        pen.ellipse((x - 5, y - 5, x + 5, y + 5), outline=_FOUND, width=2)
        moment, (x, y) = self.moments[number], at(self._way[number])
        for limb in range(len(moment.hinges_rad)):
            angle = 2.0 * math.pi * limb / len(moment.hinges_rad)
            ahead = moment.rotation @ np.array([math.cos(angle), math.sin(angle), 0.0])
            tip = at(self._way[number] + 0.36 * ahead[:2])
            pen.line([(x, y), tip], _ROBOT, 2)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's own font."""
    return ImageFont.load_default(size)


def save_film(path: Path, pictures: Sequence[ImageArray], rate_hz: float) -> None:
    """Write an endless film: .webp or .gif."""
    frames = [Image.fromarray(picture) for picture in pictures]
    options: dict[str, Any] = {"quality": 60, "method": 4} if path.suffix == ".webp" else {}
    frames[0].save(
        path,
        save_all=True,
        append_images=frames[1:],
        duration=round(1000 / rate_hz),
        loop=0,
        **options,
    )
