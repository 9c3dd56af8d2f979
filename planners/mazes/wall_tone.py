"""Whether the walls of a maze's picture are dark or light.

From outside to inside, a picture has a margin (or none), the frame that closes the maze, and what
that encloses. A closed ring is the frame if all that is free inside it hangs together: walls do so
only outside, through the frame. Where rings of both tones could be the frame, the thinner lines are
the walls. A picture without a frame (an open field with obstacles, a round maze) does not say.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import cv2
import numpy as np

from asterias.arrays import BoolArray

Tone = Literal["dark", "light"]

_MOST_RINGS = 6  # picture's edge, margin, border, frame; more are a labyrinth of rings
_CLOSED = 0.7  # of each side of a frame is wall: exits of small mazes take a fifth
_SURELY_CLOSED = 0.85  # of each side of a frame whose lines are as wide as the ground between them
_CONNECTED = 0.9  # of what is free is in one piece; the rest are enclosed pockets
_THINNER = 0.7  # widths of lines that differ by less are equal
_ONE_CELL = 0.25  # a ring of dark cells may differ so much from a cell's width


class _Box(NamedTuple):
    top: int
    bottom: int
    left: int
    right: int

    def of(self, mask: BoolArray) -> BoolArray:
        """Return what lies inside."""
        return mask[self.top : self.bottom, self.left : self.right]


class _Ring(NamedTuple):
    """A closed ring of one tone: its width, the share of its worst side, and the box inside it."""

    is_dark: bool
    width_px: float
    closed: float
    inner: _Box


def wall_tone(dark: BoolArray) -> Tone | None:
    """Return the tone of the walls in a picture ``(H, W)``, True = dark; None: it does not say."""
    frames = list(_frames(dark))
    if not frames:
        return None
    tones = {frame.is_dark for frame in frames}
    light_px, dark_px = _line_widths(frames[0].inner.of(dark))
    if not light_px or not dark_px:
        return None  # a block, no maze
    if light_px <= _THINNER * dark_px:
        return "light" if False in tones else None
    if dark_px <= _THINNER * light_px or frames[-1].is_dark:
        return "dark" if True in tones else None
    # Light corridors that go all round a small maze look like a frame, in a margin of one cell.
    margins_px = [frame.width_px for frame in frames if frame.is_dark]
    is_margin = all(abs(px / min(light_px, dark_px) - 1) > _ONE_CELL for px in margins_px)
    return "light" if is_margin and frames[-1].closed >= _SURELY_CLOSED else None


def _frames(dark: BoolArray) -> Iterator[_Ring]:
    """Yield the rings that can be the frame, from outside to inside."""
    box = _Box(0, dark.shape[0], 0, dark.shape[1])
    for _ in range(_MOST_RINGS):
        if min(box.bottom - box.top, box.right - box.left) < 3:
            return
        inside = box.of(dark)
        sides = (inside[0], inside[-1], inside[:, 0], inside[:, -1])
        is_dark = float(np.mean([side.mean() for side in sides])) >= 0.5
        closed = float(min((side == is_dark).mean() for side in sides))
        if closed < _CLOSED:
            return
        inner = _peeled(dark == is_dark, box)
        width_px = (box.bottom - box.top - inner.bottom + inner.top) / 2
        if min(inner.bottom - inner.top, inner.right - inner.left) < 3:
            return
        if _share_in_one_piece(inner.of(dark) != is_dark) >= _CONNECTED:
            yield _Ring(is_dark, width_px, closed, inner)
        box = inner


def _peeled(mask: BoolArray, box: _Box) -> _Box:
    """Return the box without the lines at its sides that are True but for openings."""
    top, bottom, left, right = box
    rows = mask[:, left:right].mean(axis=1) >= _CLOSED
    columns = mask[top:bottom].mean(axis=0) >= _CLOSED
    while top < bottom and rows[top]:
        top += 1
    while top < bottom and rows[bottom - 1]:
        bottom -= 1
    while left < right and columns[left]:
        left += 1
    while left < right and columns[right - 1]:
        right -= 1
    return _Box(top, bottom, left, right)


def _share_in_one_piece(free: BoolArray) -> float:
    _, _, stats, _ = cv2.connectedComponentsWithStats(free.astype(np.uint8), connectivity=4)
    areas = stats[1:, cv2.CC_STAT_AREA]
    return float(areas.max() / areas.sum()) if len(areas) else 0.0


def _line_widths(dark: BoolArray) -> tuple[float, float]:
    """Return how wide light and dark lines are, in px: the median of their runs."""
    widths = []
    for mask in (~dark, dark):
        lines = [np.pad(one, ((0, 0), (1, 1))).astype(np.int8).ravel() for one in (mask, mask.T)]
        runs = [
            np.flatnonzero(np.diff(line) < 0) - np.flatnonzero(np.diff(line) > 0) for line in lines
        ]
        whole = np.concatenate(runs)
        widths.append(float(np.median(whole)) if len(whole) else 0.0)
    return widths[0], widths[1]
