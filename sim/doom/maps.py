"""Mazes as Doom maps: a WAD with UDMF text, written in pure Python.

One sector holds all free cells, 64 x 64 map units each; one-sided lines run around them, their
front to the right, as the format wants it. The engine builds the nodes itself. Format: "Universal
Doom Map Format" 1.1 and its ZDoom extensions; WAD: a directory of named lumps.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from asterias.arrays import Cell, ImageArray, MazeArray
from sim.doom.textures import MazeAppearance

CELL_UNITS = 64
"""Side of a cell in map units."""
MAX_CELLS_PER_SIDE = 511
"""Map units are 16-bit numbers."""
_HEIGHT = 64
_PLAYER, _CANDLE = 1, 34  # editor numbers; candles do not block


@dataclass(frozen=True)
class MazeMap:
    """A maze, where its player starts, and what it looks like."""

    maze: MazeArray
    """Cells ``(H, W)``, 1 = free, row 0 in the north."""
    start: Cell
    goal: Cell | None = None
    """Cell with a candle in it; None for none."""
    look: MazeAppearance = field(default_factory=MazeAppearance)
    yaw_deg: int = 90
    """Where the player looks at first: 0 east, 90 north."""

    def __post_init__(self) -> None:
        if self.maze.ndim != 2 or max(self.maze.shape) > MAX_CELLS_PER_SIDE:
            raise ValueError(
                f"the maze is {self.maze.shape}: give rows and columns of cells, "
                f"{MAX_CELLS_PER_SIDE} each at most."
            )
        for name, cell in (("start", self.start), ("goal", self.goal)):
            if cell is not None and not is_free(self.maze, cell):
                raise ValueError(f"the {name} {cell[0]},{cell[1]} is no free cell of the maze.")


def is_free(maze: MazeArray, cell: Cell) -> bool:
    """Return whether a cell is in the maze and no wall."""
    rows, columns = maze.shape
    return 0 <= cell[0] < int(rows) and 0 <= cell[1] < int(columns) and bool(maze[cell])


def centre_of(cell: Cell, rows: int) -> tuple[int, int]:
    """Return x and y of a cell's centre in map units; y points north."""
    half = CELL_UNITS // 2
    return cell[1] * CELL_UNITS + half, (rows - cell[0]) * CELL_UNITS - half


def cell_at(x: float, y: float, rows: int) -> Cell:
    """Return the cell that a point in map units lies in."""
    return int(np.floor(rows - y / CELL_UNITS)), int(np.floor(x / CELL_UNITS))


def text_map(world: MazeMap) -> str:
    """Return the map as UDMF text (the lump ``TEXTMAP``)."""
    maze, look = world.maze > 0, world.look
    rows = len(maze)
    lines = _lines(maze)
    corners = sorted({corner for line in lines for corner in line})
    numbers = {corner: number for number, corner in enumerate(corners)}
    walls = look.texture_set.walls
    faces = np.random.default_rng([0xFACE, look.seed]).integers(len(walls), size=len(lines))
    text = ['namespace="zdoom";']
    for row, column in corners:
        text.append(f"vertex{{x={column * CELL_UNITS};y={(rows - row) * CELL_UNITS};}}")
    for number, (first, second) in enumerate(lines):
        text.append(
            f"linedef{{v1={numbers[first]};v2={numbers[second]};sidefront={number};blocking=true;}}"
        )
        text.append(f'sidedef{{sector=0;texturemiddle="{walls[faces[number]]}";}}')
    text.append(
        f'sector{{heightfloor=0;heightceiling={_HEIGHT};texturefloor="{look.texture_set.floor}";'
        f'textureceiling="{look.texture_set.ceiling}";lightlevel={look.light};}}'
    )
    text.append(_thing(_PLAYER, world.start, rows, world.yaw_deg))
    if world.goal is not None:
        text.append(_thing(_CANDLE, world.goal, rows, 0))
    return "\n".join(text)


def write_wad(worlds: Sequence[MazeMap]) -> bytes:
    """Return a WAD with the maps ``MAP01``, ``MAP02`` and so on, 99 at most.

    Raises:
        ValueError: there is no maze, or there are more.
    """
    if not 0 < len(worlds) <= 99:
        raise ValueError(f"a WAD takes 1 to 99 mazes, not {len(worlds)}.")
    lumps: list[tuple[str, bytes]] = []
    textures: dict[str, ImageArray] = {}
    for number, world in enumerate(worlds, start=1):
        text = text_map(world).encode("ascii")
        lumps += [(map_name(number), b""), ("TEXTMAP", text), ("ENDMAP", b"")]
        textures |= world.look.generated()
    if textures:  # the engine takes pictures of this section for walls, floors and ceilings
        pictures = [(name, _png(picture)) for name, picture in textures.items()]
        lumps += [("TX_START", b""), *pictures, ("TX_END", b"")]
    directory, place = b"", 12
    for name, content in lumps:
        directory += struct.pack("<ii8s", place, len(content), name.encode("ascii"))
        place += len(content)
    body = b"".join(content for _, content in lumps)
    return struct.pack("<4sii", b"PWAD", len(lumps), place) + body + directory


def _png(picture: ImageArray) -> bytes:
    _, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return data.tobytes()


def map_name(number: int) -> str:
    """Return the name of the map with a number from 1 on."""
    return f"MAP{number:02d}"


def _lines(maze: NDArray[np.bool_]) -> list[tuple[Cell, Cell]]:
    """Return the lines around the free cells as corner pairs, free space on their right."""
    padded = np.pad(maze, 1)
    lines = []
    for row, column in np.argwhere(maze).tolist():
        north_west, north_east = (row, column), (row, column + 1)
        south_west, south_east = (row + 1, column), (row + 1, column + 1)
        for is_open, line in (
            (padded[row, column + 1], (north_west, north_east)),
            (padded[row + 1, column + 2], (north_east, south_east)),
            (padded[row + 2, column + 1], (south_east, south_west)),
            (padded[row + 1, column], (south_west, north_west)),
        ):
            if not is_open:
                lines.append(line)
    return lines


def _thing(number: int, cell: Cell, rows: int, yaw_deg: int) -> str:
    x, y = centre_of(cell, rows)
    skills = "".join(f"skill{level}=true;" for level in range(1, 6))
    return f"thing{{x={x};y={y};angle={yaw_deg};type={number};{skills}single=true;}}"
