"""Pictures of mazes and maps as numbers from 0 to 1, whatever their file's format and depth."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from asterias.errors import UserError
from asterias.files import read_bytes
from asterias.images.decode import LIMIT_PX, ImageError, image_size

Shades = NDArray[np.float32]
"""Shares of the greatest value, 0 = black to 1 = white: ``(H, W)``, or ``(H, W, 3)`` as RGB."""

# Formats that Pillow decodes by itself; others start programs or read several files.
_FORMATS = ("PNG", "JPEG", "PPM", "BMP", "GIF", "TIFF", "WEBP")
_MOST_BYTES = 256 * 2**20  # of a file: six bytes for each pixel that is taken

# A colour is vivid if its channels differ by so much: JPEG's fringes on grey stay below it.
_VIVID = 0.25
# White takes at least this fraction of a picture whose ground is white.
_LEAST_GROUND = 0.1
_LIGHT = 0.75  # of a ground's darkest channel
# Standard deviation of a channel up to which a hue is one colour, and no photograph.
_ONE_COLOUR = 0.16
_MOST_MARKS = 2  # of one colour: start and goal
_MARK_CELLS = 1.5  # rows and columns of cells that a mark covers at most
_SPECK = 0.1  # of a cell: smaller blobs are noise of the compression


def read_picture(path: Path) -> tuple[Shades, NDArray[np.float32] | None]:
    """Return a picture as viewers show it, and its opacity ``(H, W)``, 0 to 1, or None.

    Raises:
        UserError: the file is missing, too large, damaged, or no picture.
    """
    content = read_bytes(path, _MOST_BYTES)
    try:
        width, height = image_size(content)
    except ImageError as error:
        raise UserError(
            f"{path} is no readable picture ({error}): give a PNG, PGM or JPEG of a maze."
        ) from error
    if width * height > LIMIT_PX:
        raise UserError(
            f"{path} has {width} x {height} pixels: at most {LIMIT_PX:,} are read; scale it down."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # our own limit judges sizes
            image = Image.open(io.BytesIO(content), formats=_FORMATS)
            return _as_shades(ImageOps.exif_transpose(image))
    except Exception as error:  # Pillow's decoders raise whatever broken data make them
        raise UserError(
            f"{path} is no readable picture (damaged, or of an unknown kind): give a PNG, PGM or "
            "JPEG of a maze."
        ) from error


def _as_shades(image: Image.Image) -> tuple[Shades, NDArray[np.float32] | None]:
    opacity: NDArray[np.float32] | None = None
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        opacity = np.asarray(image.getchannel("A"), np.float32) / np.float32(255)
        image = image.convert("RGB")
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        # Floats have no greatest value of their own; Pillow scales deep whole numbers to 65535.
        scales = (1.0, 255.0, 65535.0) if image.mode == "F" else (65535.0,)
        return _deep(np.asarray(image, np.float32), scales), opacity
    if image.mode not in ("L", "RGB"):
        image = image.convert("L" if image.mode in ("1", "LA") else "RGB")
    shades = np.asarray(image, np.uint8)
    if shades.ndim == 3 and (shades == shades[..., :1]).all():
        shades = shades[..., 0]
    return shades.astype(np.float32) / np.float32(255), opacity


def _deep(values: NDArray[np.float32], scales: Sequence[float]) -> Shades:
    """Return greys of more than eight bits as shares of the first scale that covers them.

    Raises:
        ValueError: there are numbers below 0, or that are not finite.
    """
    if not np.isfinite(values).all() or float(values.min()) < 0:
        raise ValueError("greys are numbers from 0 on")
    top = float(values.max())
    greatest = next((scale for scale in scales if top <= scale), top)
    return np.asarray(values / np.float32(greatest))


def over_white(shades: Shades, opacity: NDArray[np.float32] | None) -> Shades:
    """Return what a viewer with a white background shows."""
    if opacity is None:
        return shades
    opaque = opacity if shades.ndim == 2 else opacity[..., None]
    return np.asarray(1 - opaque * (1 - shades), np.float32)


def paint_walls(shades: Shades, cell_px: float, colours: str) -> NDArray[np.uint8] | None:
    """Return greys ``(H, W)`` of a picture whose ground is white and that has vivid colours.

    A colour is a mark, and light, where it covers a cell or two and something else is the wall;
    black likewise. All other colours are walls, and black.

    Args:
        shades: the picture ``(H, W, 3)``.
        cell_px: pixels of a cell's side, as far as they are known.
        colours: auto; wall or free say what all vivid colours are.

    Returns:
        The greys; None where the picture has no white ground or colours, or is a photograph.
    """
    top, low = shades.max(axis=2), shades.min(axis=2)
    vivid = top - low >= _VIVID
    if not vivid.any() or float((low >= _LIGHT).mean()) < _LEAST_GROUND:
        return None
    greys = np.where(vivid, 255, np.round(255 * top)).astype(np.uint8)
    if colours == "free":
        return greys
    walls: list[NDArray[np.bool_]] = []
    hue = cv2.cvtColor(np.ascontiguousarray(shades), cv2.COLOR_RGB2HSV)[..., 0]
    sixth = np.round(hue / 60).astype(int) % 6
    for number in range(6):
        of_hue = vivid & (sixth == number)
        if not of_hue.any():
            continue
        if float(shades[of_hue].std(axis=0).max()) > _ONE_COLOUR and of_hue.mean() > 0.01:
            return None
        walls.append(of_hue)
    if colours == "auto":
        black = ~vivid & (greys < 128)
        kinds = [*walls, black]
        marks = [_is_mark(kind, kinds, cell_px) for kind in kinds]
        if marks[-1]:
            greys[black] = 255
        walls = [wall for wall, mark in zip(walls, marks, strict=False) if not mark]
    for wall in walls:
        greys[wall] = 0
    return greys


def _is_mark(kind: NDArray[np.bool_], kinds: list[NDArray[np.bool_]], cell_px: float) -> bool:
    """Return whether a colour marks a cell or two of a maze that others are the walls of."""
    area = int(kind.sum())
    if not area or max(int(other.sum()) for other in kinds) < 4 * area:
        return False
    count, _, stats, _ = cv2.connectedComponentsWithStats(kind.astype(np.uint8), connectivity=8)
    blobs = [row for row in stats[1:count] if row[cv2.CC_STAT_AREA] > _SPECK * cell_px**2]
    side = _MARK_CELLS * max(cell_px, 1.0)
    sizes = [max(row[cv2.CC_STAT_WIDTH], row[cv2.CC_STAT_HEIGHT]) for row in blobs]
    return len(blobs) <= _MOST_MARKS and all(size <= side for size in sizes)
