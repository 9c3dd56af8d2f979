"""Draw camera tiles with names and outlined tags, and sheets of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from asterias.arrays import ImageArray
from hardware.perception.apriltag import Detection

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
    """Return ``(size + 22, size, 3)``: enlarged camera image, outlined tags, label below."""
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
    """Return a contact sheet ``(H, W, 3)`` RGB: one titled row of tiles per entry."""
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


def save_png(path: str, image: ImageArray) -> None:
    """Write an RGB picture.

    Raises:
        OSError: the picture cannot be encoded, or the file cannot be written.
    """
    done, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not done:
        raise OSError(f"{path}: the picture could not be encoded as PNG.")
    with open(path, "wb") as file:  # noqa: PTH123 (a plain name from the command line)
        file.write(data.tobytes())
