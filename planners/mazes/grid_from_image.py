"""How large a maze's cells are in a picture, and the maze that the picture shows.

People's maze pictures have several pixels per cell, a margin, thin walls, or have been scaled by a
fraction. Two rulers are laid on the edges between dark and light. If all runs of equal pixels are
multiples of one number, that is the cell. Otherwise the coarsest even grid wins whose lines most
edges follow and whose cells are each of one tone. If there is none, each pixel is a cell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asterias.arrays import BoolArray
from asterias.errors import UserError

# What a grid that is not exact must explain; soft edges and corners are left out of account.
_CORES = 0.97  # of the cells' inner halves are of one tone
_AGREEMENT = 0.75  # of the dark, and of the light, pixels are in cells of their tone
_ON_LINES = 0.75  # of the edges are on its lines
_SCORE = _AGREEMENT * _ON_LINES
_NEAR_BEST = 0.97  # half a cell explains as much as the cell: the coarsest of the best wins
_SMALLEST_CELL_PX = 3.5  # below, a grid that is not exact proves nothing
_BORDER = 0.5  # share of dark pixels that makes a line a maze's border


@dataclass(frozen=True)
class GridReading:
    """What a picture was read as: cells ``(H, W)`` uint8, 1 = free, and how large they were."""

    free: NDArray[np.uint8]
    cell_px: float
    margin_px: tuple[int, int] = (0, 0)
    """Light rows above and columns left of the maze's border that were cut off."""
    is_exact: bool = False
    """Whether all edges lie on the grid to the pixel."""


def read_cells(dark: BoolArray, cell_px: int = 0) -> GridReading:
    """Return the maze in a picture ``(H, W)``, True = wall; ``cell_px`` 0 finds the cell size.

    Raises:
        UserError: the picture is smaller than one cell.
    """
    if cell_px == 1:
        return GridReading((~dark).astype(np.uint8), 1)
    maze, margin = _without_margin(dark)
    size, offset = _exact_grid(maze)
    size, offset = (cell_px, (0, 0)) if cell_px else (size, offset)
    if size > min(maze.shape):
        raise UserError(f"a cell of {size} pixels is larger than the picture's maze {maze.shape}.")
    if size > 1:
        inner = maze[offset[0] :, offset[1] :]
        shape = inner.shape[0] // size, inner.shape[1] // size
        free = _majority(inner[: shape[0] * size, : shape[1] * size], shape)
        return GridReading(free, size, (margin[0] + offset[0], margin[1] + offset[1]), not cell_px)
    readings = [(_majority(maze, shape), score) for shape, score in _grids(maze)]
    scores = [score * _agreement(maze, free) for free, score in readings]
    for (free, _), score in zip(readings, scores, strict=True):
        if score >= max(_SCORE, _NEAR_BEST * max(scores)):
            return GridReading(free, maze.shape[0] / free.shape[0], margin)
    return GridReading((~dark).astype(np.uint8), 1)


def _without_margin(dark: BoolArray) -> tuple[BoolArray, tuple[int, int]]:
    """Cut off what lies outside a dark border, if there is one all round.

    Returns:
        What is left, and the rows and columns cut off before it.
    """
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    if not rows.size:
        return dark, (0, 0)
    box = dark[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    sides = (box[0], box[-1], box[:, 0], box[:, -1])
    if box.shape == dark.shape or min(side.mean() for side in sides) < _BORDER:
        return dark, (0, 0)
    return box, (int(rows[0]), int(columns[0]))


def _edges(dark: BoolArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many edges lie at each row and at each column, the outer ones left out."""
    across = (dark[1:] != dark[:-1]).sum(axis=1)
    along = (dark[:, 1:] != dark[:, :-1]).sum(axis=0)
    return np.append(0, across), np.append(0, along)


def _exact_grid(dark: BoolArray) -> tuple[int, tuple[int, int]]:
    """Return the number whose multiples all runs between edges are, and where its grid begins."""
    places = []
    for axis, count in enumerate(_edges(dark)):
        # A dark border is a run like any other; a light one may be a margin of any width.
        lines = np.append(count > 0, False)
        lines[0], lines[-1] = (dark.take(k, axis).mean() >= _BORDER for k in (0, -1))
        places.append(np.flatnonzero(lines))
    if min(len(line) for line in places) < 2:
        return 1, (0, 0)
    size = int(np.gcd.reduce(np.concatenate([np.diff(line) for line in places])))
    return size, (int(places[0][0]) % size, int(places[1][0]) % size)


def _grids(dark: BoolArray) -> list[tuple[tuple[int, int], float]]:
    """Return the grids whose lines the edges follow, the coarsest first.

    Each is (rows, columns) with the fraction of the edges that do.
    """
    height, width = dark.shape
    across, along = _edges(dark)
    found = []
    for rows in range(3, int(height / _SMALLEST_CELL_PX) + 1):
        cell = height / rows
        columns = round(width / cell)
        if columns and abs(width - columns * cell) <= max(1.0, cell / 4):
            on_lines = min(_share_on_lines(across, rows), _share_on_lines(along, columns))
            if on_lines >= _ON_LINES:
                found.append(((rows, columns), on_lines))
    return found


def _share_on_lines(edges: NDArray[np.int64], cells: int) -> float:
    """Return the share of the edges that lie on the lines of ``cells`` even cells."""
    size = len(edges) / cells
    place = np.arange(len(edges)) / size
    off_px = np.abs(place - np.round(place)) * size
    near = off_px <= np.clip(size / 6, 1.0, 2.0)  # scaling by a fraction moves edges by a pixel
    return float(edges[near].sum() / max(1, edges.sum()))


def _majority(dark: BoolArray, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Return which cells of an even grid are mostly light."""
    rows, columns = (
        np.round(np.arange(n) * dark.shape[k] / n).astype(int) for k, n in enumerate(shape)
    )
    counts = np.add.reduceat(np.add.reduceat(dark, rows, axis=0, dtype=int), columns, axis=1)
    heights, widths = np.diff(rows, append=dark.shape[0]), np.diff(columns, append=dark.shape[1])
    return np.asarray(2 * counts < heights[:, None] * widths, np.uint8)


def _agreement(dark: BoolArray, free: NDArray[np.uint8]) -> float:
    """Return the share of the pixels, dark or light, that are in cells of their tone.

    0 where cells are not of one tone at heart.
    """
    cells, cores = [], []
    for axis, count in enumerate(free.shape):
        place = (np.arange(dark.shape[axis]) + 0.5) * count / dark.shape[axis]
        cell = np.minimum(place, count - 1).astype(int)
        cells.append(cell)
        cores.append(np.abs(place - cell - 0.5) <= 0.25)
    wall = free[cells[0][:, None], cells[1]] == 0
    if (wall == dark)[np.ix_(*cores)].mean() < _CORES:
        return 0.0
    return float(min(wall[dark].mean(), (~wall)[~dark].mean()))
