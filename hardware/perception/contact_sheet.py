"""A contact sheet of finds: for each episode a strip of the camera images at that moment."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from asterias.arrays import ImageArray
from hardware.perception.images import Tile, sheet

_PAPER = 250
LEGEND = "green: the tag that a camera sees    red cross: a camera that fails"


def contact_sheet(
    rows: Sequence[Sequence[Tile]], titles: Sequence[str], heading: str, *, columns: int = 2
) -> ImageArray:
    """Return ``(H, W, 3)``: strips of tiles under their titles, ``columns`` strips side by side."""
    strips = [sheet([row], [title], size_px=112) for row, title in zip(rows, titles, strict=True)]
    if not strips:
        strips = [sheet([[]], ["nothing was found"], size_px=112)]
    height = max(strip.shape[0] for strip in strips)
    width = max(strip.shape[1] for strip in strips)
    lines = []
    for first in range(0, len(strips), columns):
        line = np.full((height, columns * width, 3), _PAPER, np.uint8)
        for place, strip in enumerate(strips[first : first + columns]):
            line[: strip.shape[0], place * width : place * width + strip.shape[1]] = strip
        lines.append(line)
    top = np.full((64, columns * width, 3), _PAPER, np.uint8)
    _write(top, heading, (10, 30), 0.65)
    _write(top, LEGEND, (10, 52), 0.42)
    return np.vstack([top, *lines])


def _write(picture: ImageArray, text: str, place: tuple[int, int], scale: float) -> None:
    ink = (40, 44, 52)
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, 1, cv2.LINE_AA)
