"""Mazes and maps from files: pictures of mazes, ROS maps (YAML beside a PGM or PNG), and .npz."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from asterias.arrays import Cell
from planners.mazes.datasets import MazeSet
from planners.mazes.grid_from_image import GridReading, read_cells
from planners.mazes.grid_map import GridMap

# What map_server writes for occupied, unknown and free.
_ROS_GREYS = frozenset({0, 205, 254})
# Share of the variance between dark and light: mazes have 0.95 and more, photos 0.5 to 0.85.
_TWO_TONES = 0.9
_CONTRAST = 64


class NoMazeError(ValueError):
    """A file that can be read but shows no maze, or cannot be read at all."""


@dataclass(frozen=True)
class MapFile:
    """A maze or map from a file."""

    grid: GridMap
    cell_px: float
    """Side of a cell in pixels of the picture."""
    note: str
    """How the file was read, in one sentence."""
    goal: Cell | None = None
    """The goal that the file names; only .npz files do."""


def read_map(
    path: Path, *, cell_px: int = 0, unknown_is_free: bool = False, index: int = 0
) -> MapFile:
    """Return the maze in a file.

    ``cell_px``: pixels per cell of a picture, 0 finds it. ``unknown_is_free``: what unknown cells
    of a ROS map count as. ``index``: which maze of an ``.npz``.

    Raises :class:`NoMazeError`, which names the file and the cure.
    """
    if not path.is_file():
        raise NoMazeError(f"{path} does not exist: give a picture, a ROS map (.yaml) or an .npz.")
    if path.suffix == ".npz":
        return _from_npz(path, index)
    if path.suffix in (".yaml", ".yml"):
        return _from_yaml(path, unknown_is_free)
    image = _pixels(path)
    # The brightest channel: coloured marks on the ground are no walls.
    grey = image if image.ndim == 2 else np.asarray(image.max(axis=2))
    if 205 in grey and set(np.unique(grey).tolist()) <= _ROS_GREYS:
        free = (grey == 254) | (unknown_is_free & (grey == 205))
        note = "read as a ROS map with one pixel per cell, in the greys of map_server."
        return MapFile(GridMap(_checked(free.astype(np.uint8), path)), 1, _size(free) + note)
    if image.ndim == 3 and int(grey.max()) - int(grey.min()) < _CONTRAST:
        grey = _luminance(image)  # walls of a pure colour
    return _from_picture(grey, path, cell_px)


def _from_picture(grey: NDArray[np.uint8], path: Path, cell_px: int) -> MapFile:
    """Read walls that are darker than the ground; refuse a picture that shows none."""
    if int(grey.max()) - int(grey.min()) < _CONTRAST:
        tone = "free" if grey.mean() >= 128 else "walls"
        raise NoMazeError(f"{path} is no maze: all its pixels are {tone}, of nearly one grey.")
    threshold, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    dark = np.asarray(grey <= threshold)
    reading = read_cells(dark, cell_px)
    if not (cell_px > 1 or reading.is_exact or _has_two_tones(grey, dark)):
        raise NoMazeError(
            f"{path} is no maze: it has too many greys for dark walls on light ground, as photos "
            "and soft enlargements have; give a picture in two tones, or --cell-px."
        )
    return MapFile(GridMap(_checked(reading.free, path)), reading.cell_px, _note(reading, cell_px))


def _has_two_tones(grey: NDArray[np.uint8], dark: NDArray[np.bool_]) -> bool:
    share = float(dark.mean())
    apart = float(grey[~dark].mean()) - float(grey[dark].mean())
    return share * (1 - share) * apart**2 >= _TWO_TONES * float(grey.var())


def _from_npz(path: Path, index: int) -> MapFile:
    try:
        mazes = MazeSet.load(path)
    except ValueError as error:
        raise NoMazeError(str(error)) from error
    if not 0 <= index < len(mazes):
        raise NoMazeError(f"{path} holds {len(mazes)} mazes, counted from 0; there is no {index}.")
    goal = (int(mazes.goals[index, 0]), int(mazes.goals[index, 1]))
    grid = GridMap(np.asarray(mazes.mazes[index]))
    return MapFile(grid, 1, _size(grid.free) + f"maze {index} of {len(mazes)} in {path}.", goal)


def _from_yaml(path: Path, unknown_is_free: bool) -> MapFile:
    """Read map_server's format: image, resolution, origin, negate, thresholds, mode."""
    try:
        about: dict[str, Any] = yaml.safe_load(path.read_text())
        image = path.parent / str(about["image"])
        origin = [float(number) for number in about.get("origin", [0, 0, 0])]
        grey = _luminance(_pixels(image))
        if about.get("mode", "trinary") == "raw":
            occupied, unknown = (grey >= 50) & (grey <= 100), grey > 100
        else:
            dark = grey / 255 if about.get("negate") else 1 - grey / 255
            occupied = dark > float(about.get("occupied_thresh", 0.65))
            unknown = ~occupied & (dark >= float(about.get("free_thresh", 0.25)))
        free = ~occupied & (unknown_is_free | ~unknown)
        grid = GridMap(
            _checked(free.astype(np.uint8), image),
            float(about["resolution"]),
            (origin[0], origin[1], origin[2]),
        )
    except NoMazeError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise NoMazeError(
            f"{path} is no ROS map: it needs image, resolution and origin [x, y, yaw] ({error!r})."
        ) from error
    return MapFile(grid, 1, _size(free) + f"read as a ROS map of {grid.resolution_m:g} m per cell.")


def _pixels(path: Path) -> NDArray[np.uint8]:
    """Return a picture ``(H, W)`` or ``(H, W, 3)``; what is transparent becomes white."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if path.is_file() else None
    if image is None:
        raise NoMazeError(f"{path} is no readable picture: give a PNG, PGM or JPEG of a maze.")
    if image.dtype == np.uint16:
        image = (image // 257).astype(np.uint8)
    if image.ndim == 3 and image.shape[2] == 4:
        opacity = image[..., 3:] / 255.0
        image = (image[..., :3] * opacity + 255 * (1 - opacity)).round().astype(np.uint8)
    return np.asarray(image, np.uint8)


def _luminance(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if image.ndim == 3 else image
    return np.asarray(grey, np.uint8)


def _checked(free: NDArray[np.uint8], path: Path) -> NDArray[np.uint8]:
    if free.min() == free.max():
        tone = "free" if free.max() else "walls"
        raise NoMazeError(f"{path} is no maze: all its cells are {tone}.")
    return free


def _size(free: NDArray[Any]) -> str:
    return f"{free.shape[0]} x {free.shape[1]} cells, "


def _note(reading: GridReading, cell_px: int) -> str:
    pixels = f"{reading.cell_px:.4g}".rstrip()
    told = "as asked" if cell_px else "found in the picture; --cell-px overrides it"
    if math.isclose(reading.cell_px, 1):
        return _size(reading.free) + f"one pixel each ({told})."
    text = f"{pixels} pixels each ({told})"
    if any(reading.margin_px):
        text += f", without a margin of {reading.margin_px[0]} rows and {reading.margin_px[1]}"
        text += " columns before the first"
    return _size(reading.free) + text + "."
