"""Picture of a belief: bearings from the limb as a map, bright where the target may be."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray, ImageArray
from learning.inference.sphere import DirectionFit
from learning.target_finding.belief.target_belief import TargetBelief

# Degrees of azimuth and elevation per pixel; the edges leave room for words.
WIDTH_PX, HEIGHT_PX = 480, 240
_LEFT_PX, _TOP_PX, _BOTTOM_PX = 40, 28, 44
_TEXT, _GRID, _Q, _LOOK = (225, 232, 240), (70, 84, 100), (110, 220, 255), (255, 110, 110)
_FONT, _SIZE = cv2.FONT_HERSHEY_SIMPLEX, 0.5


def draw_belief(
    belief: TargetBelief, fit: DirectionFit | None, axes: FloatArray, words: str
) -> ImageArray:
    """Return ``(312, 520, 3)`` RGB: azimuth to the left of straight ahead, elevation upwards.

    Args:
        belief: where the target may be.
        fit: what was fitted to it, drawn as a ring of one deviation; None: nothing.
        axes: ``(k, 3)`` unit vectors along which cameras look next, drawn as crosses.
        words: that stand above.
    """
    canvas = np.full(
        (_TOP_PX + HEIGHT_PX + _BOTTOM_PX, _LEFT_PX + WIDTH_PX, 3), (18, 24, 32), np.uint8
    )
    chart = _heat(belief)
    _draw_grid(chart)
    if fit is not None and fit.concentration > 0.0:
        _ring(chart, fit.mean, math.sqrt(1.0 / fit.concentration))
    for axis in axes:
        cv2.drawMarker(chart, _pixel(axis), _LOOK, cv2.MARKER_CROSS, 12, 2)
    canvas[_TOP_PX : _TOP_PX + HEIGHT_PX, _LEFT_PX:] = chart
    _label(canvas, words, fit is not None)
    return canvas


def _heat(belief: TargetBelief) -> ImageArray:
    """Return ``(H, W, 3)`` colours of the probability per solid angle."""
    table = belief.table
    turn = np.deg2rad(180.0 - (np.arange(WIDTH_PX) + 0.5) * 360.0 / WIDTH_PX)
    lift = np.deg2rad(90.0 - (np.arange(HEIGHT_PX) + 0.5) * 180.0 / HEIGHT_PX)
    turn, lift = np.meshgrid(turn, lift)
    ways = np.stack([np.cos(lift) * np.cos(turn), np.cos(lift) * np.sin(turn), np.sin(lift)], -1)
    nearest = (ways.reshape(-1, 3) @ table.grid.directions.T).argmax(1)
    share = belief.bearings()
    level = np.sqrt(share / max(float(share.max()), 1e-12))  # so that small shares show, too
    grey = (255.0 * level[nearest]).astype(np.uint8).reshape(HEIGHT_PX, WIDTH_PX)
    colored = cv2.cvtColor(cv2.applyColorMap(grey, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
    return np.asarray(colored, np.uint8)


def _draw_grid(chart: npt.NDArray[Any]) -> None:
    for degrees in (-90, 0, 90):
        x = round((180 - degrees) * WIDTH_PX / 360)
        cv2.line(chart, (x, 0), (x, HEIGHT_PX), _GRID, 1)
    for degrees in (-45, 0, 45):
        y = round((90 - degrees) * HEIGHT_PX / 180)
        cv2.line(chart, (0, y), (WIDTH_PX, y), _GRID, 1)


def _pixel(direction: FloatArray) -> tuple[int, int]:
    turn = math.degrees(math.atan2(direction[1], direction[0]))
    lift = math.degrees(math.asin(min(max(float(direction[2]), -1.0), 1.0)))
    return round((180.0 - turn) * WIDTH_PX / 360.0), round((90.0 - lift) * HEIGHT_PX / 180.0)


def _ring(chart: npt.NDArray[Any], mean: FloatArray, radius_rad: float) -> None:
    """Draw the circle of directions so far from the mean, and the mean."""
    across = np.cross(mean, [0.0, 0.0, 1.0] if abs(mean[2]) < 0.9 else [1.0, 0.0, 0.0])
    across = across / np.linalg.norm(across)
    up, radius = np.cross(across, mean), min(radius_rad, 0.5 * math.pi)
    for angle in np.linspace(0.0, 2.0 * math.pi, 90):
        round_it = math.cos(angle) * across + math.sin(angle) * up
        cv2.circle(chart, _pixel(math.cos(radius) * mean + math.sin(radius) * round_it), 1, _Q, -1)
    cv2.circle(chart, _pixel(mean), 4, _Q, -1)


def _label(canvas: npt.NDArray[Any], words: str, has_fit: bool) -> None:
    _write(canvas, words, (6, 19))
    for degrees in (90, 0, -90):
        x = _LEFT_PX + round((180 - degrees) * WIDTH_PX / 360)
        name = {90: "left", 0: "ahead", -90: "right"}[degrees]
        _write(canvas, name, (x - 4 * len(name), _TOP_PX + HEIGHT_PX + 16))
    for degrees in (45, 0, -45):
        y = _TOP_PX + round((90 - degrees) * HEIGHT_PX / 180)
        _write(canvas, f"{degrees:+d}" if degrees else "0", (4, y + 5))
    legend = "bright: target may be there   + next look" + ("   ring: fitted q" if has_fit else "")
    _write(canvas, legend, (6, _TOP_PX + HEIGHT_PX + 36))


def _write(canvas: npt.NDArray[Any], words: str, at: tuple[int, int]) -> None:
    cv2.putText(canvas, words, at, _FONT, _SIZE, _TEXT, 1, cv2.LINE_AA)
