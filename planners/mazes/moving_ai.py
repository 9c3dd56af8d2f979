"""Maps and scenarios of the MovingAI benchmarks (Sturtevant, IEEE TCIAIG 2012).

A ``.map`` has four lines of head and one character a cell: ``.`` and ``G`` are ground, ``S`` is
swamp, which can be crossed, ``W`` is water, which can't be entered from ground, ``@``, ``O`` and
``T`` are outside, walls and trees. A ``.scen`` names one problem a line: bucket, map, its width and
height, x and y of start and goal, and the length of the shortest path with diagonal steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asterias.arrays import Cell
from asterias.errors import UserError
from asterias.files import read_text

_MOST_BYTES = 64 * 2**20  # the largest public maps have 4 MB
_MOST_SIDE = 20_000
_GROUND, _BLOCKED = ".GS", "@OTW"


@dataclass(frozen=True)
class Scenario:
    """One problem of a ``.scen``."""

    map: str
    """File name of the map."""
    start: Cell
    goal: Cell
    octile_length: float
    """Length of the shortest path whose diagonal steps cost the square root of two."""


def read_moving_ai_map(path: Path) -> NDArray[np.uint8]:
    """Return the free cells ``(H, W)`` of a ``.map``, 1 = free.

    Raises:
        UserError: it is no such file, or its size and its rows do not fit together.
    """
    lines = read_text(path, _MOST_BYTES).splitlines()
    head = dict(line.split(maxsplit=1) for line in lines[:3] if len(line.split(maxsplit=1)) == 2)
    if "type" not in head or lines[3:4] != ["map"]:
        raise UserError(
            f"{path} is no map of MovingAI: it begins with the lines type, height, width and map."
        )
    height, width = (_whole(path, name, head.get(name, "")) for name in ("height", "width"))
    rows = [line for line in lines[4:] if line]
    if len(rows) != height or any(len(row) != width for row in rows):
        raise UserError(
            f"{path} says {height} rows of {width} cells, but has {len(rows)} rows of "
            f"{min(map(len, rows), default=0)} to {max(map(len, rows), default=0)}."
        )
    cells = np.array([list(row) for row in rows])
    strange = sorted(set(np.unique(cells).tolist()) - set(_GROUND + _BLOCKED))
    if strange:
        raise UserError(
            f"{path} has cells of kind {strange[0]!r}: known are {_GROUND} (ground) and {_BLOCKED}."
        )
    return np.isin(cells, list(_GROUND)).astype(np.uint8)


def read_scenarios(path: Path) -> list[Scenario]:
    """Return the problems of a ``.scen``, in its order.

    Raises:
        UserError: it is no such file.
    """
    lines = [line for line in read_text(path, _MOST_BYTES).splitlines() if line.strip()]
    if not lines or not lines[0].startswith("version"):
        raise UserError(f"{path} is no scenario file of MovingAI: its first line is the version.")
    return [_scenario(path, number, line) for number, line in enumerate(lines[1:], start=2)]


def _scenario(path: Path, number: int, line: str) -> Scenario:
    fields = line.split("\t") if "\t" in line else line.split()
    try:
        _, name, *numbers = fields
        _, _, x, y, goal_x, goal_y = (int(word) for word in numbers[:6])
        length = float(numbers[6])
    except (ValueError, IndexError):
        raise UserError(
            f"{path}, line {number}: expected bucket, map, width, height, start x and y, goal x "
            "and y, and a length."
        ) from None
    if not name.isprintable() or not Path(name).name:
        raise UserError(f"{path}, line {number}: {name[:40]!r} is no name of a map.")
    if not math.isfinite(length):
        raise UserError(f"{path}, line {number}: the length is {numbers[6]}.")
    return Scenario(name, (y, x), (goal_y, goal_x), length)


def _whole(path: Path, name: str, text: str) -> int:
    if not text.isdecimal() or not 0 < int(text[:9]) <= _MOST_SIDE:
        raise UserError(f"{path}: {name} is {text[:20]!r}; give a whole number up to {_MOST_SIDE}.")
    return int(text)
