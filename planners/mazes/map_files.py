"""Mazes and maps from files: pictures, ROS maps (YAML beside a PGM or PNG), .npz, MovingAI."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from asterias.arrays import Cell
from asterias.errors import UserError
from planners.mazes.datasets import MazeSet
from planners.mazes.grid_from_image import GridReading, read_cells
from planners.mazes.grid_map import GridMap
from planners.mazes.moving_ai import read_moving_ai_map, read_scenarios
from planners.mazes.pictures import Shades, over_white, paint_walls, read_picture
from planners.mazes.ros_maps import RosMap, free_cells, read_ros_map
from planners.mazes.wall_tone import wall_tone

# What map_server writes for occupied, unknown and free.
_ROS_GREYS = frozenset({0, 205, 254})
# Fraction of the variance between dark and light: mazes have 0.95 and more, photos 0.5 to 0.85.
_TWO_TONES = 0.9
_CONTRAST = 64  # of 255, between walls and ground
# Bytes of a stranger's .npz when unpacked: 25,000 mazes of 100 x 100.
_MOST_NPZ_BYTES = 256 * 2**20

Colours = Literal["auto", "wall", "free"]
Walls = Literal["auto", "dark", "light"]


_WALLS_ARE_LIGHT = "Its walls are light, as its frame shows; --walls dark overrides that."
_WALLS_ARE_GUESSED = (
    "Dark is taken for wall, since no frame shows which tone is; --walls light overrides that."
)


class NoMazeError(UserError):
    """A file that can be read but shows no maze, or cannot be read at all."""


@dataclass(frozen=True)
class ReadOptions:
    """How a file is read."""

    cell_px: int = 0
    """Pixels per cell of a picture; 0 finds it."""
    unknown_is_free: bool = False
    """What unknown cells of a ROS map count as."""
    index: int = 0
    """Which maze of an ``.npz``."""
    walls: Walls = "auto"
    """Tone of a picture's walls; auto finds it by the frame of the maze, or takes dark."""
    colours: Colours = "auto"
    """What vivid colours on white ground are; auto takes a cell or two for marks, more for walls.
    """


@dataclass(frozen=True)
class MapFile:
    """A maze or map from a file."""

    grid: GridMap
    cell_px: float
    """Side of a cell in pixels of the picture."""
    note: str
    """How the file was read, in one sentence."""
    goal: Cell | None = None
    """The goal that the file names; .npz and .scen files do."""
    start: Cell | None = None
    """The start that the file names; .scen files do."""
    is_metric: bool = False
    """Whether the file says where it lies in metres; only ROS maps do."""


def is_ros_map(path: Path) -> bool:
    """Return whether a file is a ROS map, by its suffix."""
    return path.suffix.lower() in (".yaml", ".yml")


def read_map(path: Path, options: ReadOptions | None = None) -> MapFile:
    """Return the maze in a file.

    Raises:
        NoMazeError: it cannot be read or shows no maze; the message names the file and the cure.
        UserError: an option makes no sense.
    """
    options = options or ReadOptions()
    if options.cell_px < 0:
        raise UserError(f"cell_px is {options.cell_px}: give pixels, or 0 to find them.")
    if not path.is_file():
        raise NoMazeError(f"{path} does not exist: give a picture, a ROS map (.yaml) or an .npz.")
    try:
        if path.suffix.lower() == ".npz":
            return _from_npz(path, options.index)
        if path.suffix.lower() in (".map", ".scen"):
            return _from_moving_ai(path, options.index)
        if is_ros_map(path):
            return _from_yaml(path, options.unknown_is_free)
        shades, opacity = read_picture(path)
    except NoMazeError:
        raise
    except UserError as error:
        raise NoMazeError(str(error)) from error
    return _from_picture(over_white(shades, opacity), path, options)


def _from_picture(shades: Shades, path: Path, options: ReadOptions) -> MapFile:
    """Read walls that are darker or lighter than the ground, or of vivid colours on white.

    Returns:
        The maze.
    """
    if options.walls == "light":
        return _from_greys(_grey_picture(1 - shades, options), path, options)
    # The brightest channel: coloured marks on the ground are no walls.
    grey = _greys(shades if shades.ndim == 2 else shades.max(axis=2))
    if 205 in grey and set(np.unique(grey).tolist()) <= _ROS_GREYS:
        free = (grey == 254) | (options.unknown_is_free & (grey == 205))
        note = "read as a ROS map with one pixel per cell, in the greys of map_server."
        return MapFile(GridMap(_checked(free.astype(np.uint8), path)), 1, _size(free) + note)
    grey = _grey_picture(shades, options)
    if options.walls == "dark" or not _has_contrast(grey):
        return _from_greys(grey, path, options)
    tone = wall_tone(_dark(grey))
    if tone == "light":
        file = _from_picture(shades, path, replace(options, walls="light"))
        return replace(file, note=f"{file.note} {_WALLS_ARE_LIGHT}")
    file = _from_greys(grey, path, options)
    return file if tone == "dark" else replace(file, note=f"{file.note} {_WALLS_ARE_GUESSED}")


def _grey_picture(shades: Shades, options: ReadOptions) -> NDArray[np.uint8]:
    """Return greys in which walls are dark and the ground is light."""
    if shades.ndim == 2:
        return _greys(shades)
    return _coloured_greys(shades, _greys(shades.max(axis=2)), options)


def _has_contrast(grey: NDArray[np.uint8]) -> bool:
    return int(grey.max()) - int(grey.min()) >= _CONTRAST


def _dark(grey: NDArray[np.uint8]) -> NDArray[np.bool_]:
    threshold, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return np.asarray(grey <= threshold)


def _coloured_greys(
    shades: Shades, brightest: NDArray[np.uint8], options: ReadOptions
) -> NDArray[np.uint8]:
    """Return greys in which walls of vivid colours are dark and marks are light."""
    luminance = _greys(shades @ np.array([0.299, 0.587, 0.114], np.float32))  # of ITU-R BT.601
    vivid_walls = paint_walls(shades, 1, "wall")
    if vivid_walls is not None:
        dark = vivid_walls < 128
        cell_px = options.cell_px or read_cells(dark, 0).cell_px
        painted = paint_walls(shades, cell_px, options.colours)
        if painted is not None and _has_contrast(painted):
            return painted
    if not _has_contrast(brightest):
        return luminance  # walls of a pure colour, and nothing black
    return brightest


def _from_greys(grey: NDArray[np.uint8], path: Path, options: ReadOptions) -> MapFile:
    """Read walls that are darker than the ground; refuse a picture that shows none.

    Returns:
        The maze.

    Raises:
        NoMazeError: it shows no walls, or too many greys.
    """
    cell_px = options.cell_px
    if not _has_contrast(grey):
        tone = "free" if grey.mean() >= 128 else "walls"
        raise NoMazeError(f"{path} is no maze: all its pixels are {tone}, of nearly one grey.")
    dark = _dark(grey)
    reading = read_cells(dark, cell_px)
    if not (cell_px > 1 or reading.is_exact or _has_two_tones(grey, dark)):
        raise NoMazeError(
            f"{path} is no maze: it has too many greys for dark walls on light ground, as photos "
            "and soft enlargements have; give a picture in two tones, or --cell-px."
        )
    return MapFile(GridMap(_checked(reading.free, path)), reading.cell_px, _note(reading, cell_px))


def _has_two_tones(grey: NDArray[np.uint8], dark: NDArray[np.bool_]) -> bool:
    fraction = float(dark.mean())
    apart = float(grey[~dark].mean()) - float(grey[dark].mean())
    return fraction * (1 - fraction) * apart**2 >= _TWO_TONES * float(grey.var())


def _from_npz(path: Path, index: int) -> MapFile:
    mazes = MazeSet.load(path, _MOST_NPZ_BYTES)
    if not 0 <= index < len(mazes):
        raise NoMazeError(f"{path} holds {len(mazes)} mazes, counted from 0; there is no {index}.")
    goal = (int(mazes.goals[index, 0]), int(mazes.goals[index, 1]))
    grid = GridMap(np.asarray(mazes.mazes[index]))
    return MapFile(grid, 1, _size(grid.free) + f"maze {index} of {len(mazes)} in {path}.", goal)


def _from_moving_ai(path: Path, index: int) -> MapFile:
    """Read a map of MovingAI, or the map and the ends of one problem of a scenario file.

    Returns:
        The map.

    Raises:
        NoMazeError: there is no such problem.
    """
    if path.suffix.lower() == ".map":
        free = _checked(read_moving_ai_map(path), path)
        return MapFile(GridMap(free), 1, _size(free) + "read as a map of MovingAI.")
    problems = read_scenarios(path)
    if not 0 <= index < len(problems):
        raise NoMazeError(
            f"{path} holds {len(problems)} problems, counted from 0; there is no {index}."
        )
    problem = problems[index]
    # The map lies beside the file, whatever folder the benchmark names.
    free = _checked(read_moving_ai_map(path.parent / Path(problem.map).name), path)
    note = (
        f"problem {index} of {len(problems)} of MovingAI; {problem.octile_length:g} is its length "
        "with diagonal steps, which are not taken here."
    )
    return MapFile(GridMap(free), 1, _size(free) + note, problem.goal, problem.start)


def _from_yaml(path: Path, unknown_is_free: bool) -> MapFile:
    about: RosMap = read_ros_map(path)
    shades, opacity = read_picture(about.image)
    free = free_cells(about, shades, opacity, unknown_is_free)
    grid = GridMap(_checked(free, about.image), about.resolution_m, about.origin)
    note = f"read as a ROS map of {grid.resolution_m:g} m per cell, mode {about.mode}."
    return MapFile(grid, 1, _size(free) + note, is_metric=True)


def _greys(shades: Shades) -> NDArray[np.uint8]:
    return np.round(255 * shades).astype(np.uint8)


def _checked(free: NDArray[np.uint8], path: Path) -> NDArray[np.uint8]:
    if free.min() == free.max():
        tone = "free" if free.max() else "walls"
        raise NoMazeError(f"{path} is no maze: all its cells are {tone}.")
    return free


def _size(free: NDArray[np.generic]) -> str:
    return f"{free.shape[0]} x {free.shape[1]} cells, "


def _note(reading: GridReading, cell_px: int) -> str:
    pixels = f"{reading.cell_px:.4g}".rstrip()
    how = "as asked" if cell_px else "found in the picture; --cell-px overrides it"
    if math.isclose(reading.cell_px, 1):
        return _size(reading.free) + f"one pixel each ({how})."
    text = f"{pixels} pixels each ({how})"
    if any(reading.margin_px):
        text += f", without a margin of {reading.margin_px[0]} rows and {reading.margin_px[1]}"
        text += " columns before the first"
    return _size(reading.free) + text + "."
