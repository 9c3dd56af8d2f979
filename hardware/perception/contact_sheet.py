"""A contact sheet of finds: for each episode a strip of the camera images at that moment."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from asterias.arrays import ImageArray
from hardware.perception.images import Tile, sheet

_PAPER = 250


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
    top = np.full((44, columns * width, 3), _PAPER, np.uint8)
    cv2.putText(
        top, heading, (10, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.65, (40, 44, 52), 1, cv2.LINE_AA
    )
    return np.vstack([top, *lines])
