"""Pictures for people: the map with plan, way and player on it, beside what the player sees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from asterias.arrays import CellPoint, ImageArray

FREE, WALL, UNKNOWN = 0, 100, -1
_COLOURS = {FREE: (237, 237, 237), WALL: (33, 33, 33), UNKNOWN: (168, 176, 190)}
_PLAN, _WAY, _PLAYER, _GOAL, _PAPER = (
    (230, 25, 75),
    (40, 110, 220),
    (44, 160, 44),
    (255, 176, 0),
    (250, 250, 250),
)
_INK = (40, 44, 52)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
# What the map's colours mean; below each picture, so in films and on sheets.
_LEGEND = (
    ("plan", _PLAN),
    ("way", _WAY),
    ("robot", _PLAYER),
    ("goal", _GOAL),
    ("unknown", _COLOURS[UNKNOWN]),
)
_WORD_PX = 66
_SUPER = 4  # sub-pixel bits of OpenCV's lines


@dataclass(frozen=True)
class MapPicture:
    """What a map shows. Places are (row, column) with fractions, (0.5, 0.5) in the first cell."""

    occupancy: NDArray[np.int8]
    """Cells ``(H, W)``: 0 free, 100 wall, -1 unknown; between them grey."""
    goal: CellPoint | None = None
    player: CellPoint | None = None
    yaw_rad: float = 0.0
    """Where the player looks, counter-clockwise from east."""
    plan: Sequence[CellPoint] = field(default_factory=tuple)
    way: Sequence[CellPoint] = field(default_factory=tuple)
    """Where the player has been."""


def draw_map(shown: MapPicture, height_px: int) -> ImageArray:
    """Return the map as a picture ``(height_px, about height_px, 3)``."""
    rows, columns = shown.occupancy.shape
    scale = height_px / rows
    values = shown.occupancy.astype(int)
    free, wall = np.array(_COLOURS[FREE], float), np.array(_COLOURS[WALL], float)
    colours = free + (np.clip(values, 0, 100) / 100)[..., None] * (wall - free)
    colours[values < 0] = _COLOURS[UNKNOWN]
    size = (round(columns * scale), height_px)
    picture = cv2.resize(colours.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    thick = max(1, round(scale / 7))
    for places, colour, width in ((shown.way, _WAY, thick), (shown.plan, _PLAN, 2 * thick)):
        if len(places) > 1:
            points = np.round(np.array(places)[:, ::-1] * scale * 2**_SUPER).astype(np.int32)
            cv2.polylines(picture, [points], False, colour, width, cv2.LINE_AA, _SUPER)
    if shown.goal is not None:
        cv2.drawMarker(
            picture, _pixel(shown.goal, scale), _GOAL, cv2.MARKER_STAR, round(scale), 2 * thick
        )
    if shown.player is not None:
        _arrow(picture, shown.player, shown.yaw_rad, scale)
    return np.asarray(picture, np.uint8)


def beside(view: ImageArray, shown: MapPicture, text: str = "", height_px: int = 240) -> ImageArray:
    """Return the view, the map to its right and a line of text below: ``(height_px + 24, W, 3)``.

    The height is even, as video encoders want it, and so is the width.
    """
    width_px = round(view.shape[1] * height_px / view.shape[0])
    big = cv2.resize(view, (width_px, height_px), interpolation=cv2.INTER_NEAREST)
    both = np.hstack(
        [big, np.full((height_px, 8, 3), _PAPER, np.uint8), draw_map(shown, height_px)]
    )
    foot = np.full((24, both.shape[1], 3), _PAPER, np.uint8)
    cv2.putText(foot, text, (6, 17), _FONT, 0.42, _INK, 1, cv2.LINE_AA)
    _add_legend(foot)
    whole = np.vstack([both, foot])
    return whole[: whole.shape[0] // 2 * 2, : whole.shape[1] // 2 * 2]


def _add_legend(foot: ImageArray) -> None:
    """Say at the right end of a line what the map's colours mean, where there is room for it."""
    left = foot.shape[1] - _WORD_PX * len(_LEGEND)
    for number, (word, colour) in enumerate(_LEGEND if left > 3 * _WORD_PX else ()):
        x = left + number * _WORD_PX
        cv2.rectangle(foot, (x, 8), (x + 8, 16), colour, cv2.FILLED)
        cv2.putText(foot, word, (x + 12, 16), _FONT, 0.38, _INK, 1, cv2.LINE_AA)


def _pixel(place: CellPoint, scale: float) -> tuple[int, int]:
    return round(place[1] * scale), round(place[0] * scale)


def _arrow(picture: ImageArray, place: CellPoint, yaw_rad: float, scale: float) -> None:
    """Draw the player as a triangle that points where it looks."""
    radius = max(4.0, 0.42 * scale)
    corners = [
        (
            place[1] * scale + radius * size * math.cos(yaw_rad + angle),
            place[0] * scale - radius * size * math.sin(yaw_rad + angle),
        )
        for angle, size in ((0.0, 1.2), (2.5, 1.0), (math.pi, 0.4), (-2.5, 1.0))
    ]
    cv2.fillPoly(picture, [np.round(corners).astype(np.int32)], _PLAYER, cv2.LINE_AA)


def sheet_of(pictures: Sequence[ImageArray], columns: int, title: str = "") -> ImageArray:
    """Return pictures of one size below a title, in rows of ``columns``; the last may be short."""
    height, width = pictures[0].shape[:2]
    rows = -(-len(pictures) // columns)
    sheet = np.full((rows * (height + 6), columns * (width + 6), 3), _PAPER, np.uint8)
    for number, picture in enumerate(pictures):
        top, left = number // columns * (height + 6) + 3, number % columns * (width + 6) + 3
        sheet[top : top + height, left : left + width] = picture
    if not title:
        return sheet
    head = np.full((32, sheet.shape[1], 3), _PAPER, np.uint8)
    cv2.putText(head, title, (8, 22), _FONT, 0.55, _INK, 1, cv2.LINE_AA)
    return np.vstack([head, sheet])
