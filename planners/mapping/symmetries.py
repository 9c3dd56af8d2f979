"""The eight symmetries of a maze and of the views from its cells.

A maze that is turned by a quarter, clockwise, shows the same pictures in other directions; one that
is mirrored, left for right, shows mirrored pictures.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

MIRRORED = (0, 3, 2, 1)
"""The direction that each of north, east, south, west shows after mirroring left for right."""
_QUARTERS = 4
SYMMETRIES = 2 * _QUARTERS


def mirror_views(views: Tensor) -> Tensor:
    """Return the views ``(..., 4, rows, columns, 3)`` from a cell of the mirrored maze."""
    return views.flip(-2)[..., MIRRORED, :, :, :]


def turn_directions(views: Tensor, quarters: int, axis: int) -> Tensor:
    """Return what belongs to four directions along an axis, in a maze turned clockwise."""
    return views.roll(quarters, axis)


def turn_map(cells: Tensor, quarters: int) -> Tensor:
    """Return maps ``(..., H, W)`` turned clockwise by so many quarters."""
    return torch.rot90(cells, -quarters, (-2, -1))


def turned_features(features: Tensor, mirrored: Tensor) -> Iterator[tuple[Tensor, int, bool]]:
    """Yield the features of a maze in each of its eight symmetries.

    Args:
        features: of each cell's four views ``(B, 4, C, H, W)``.
        mirrored: of the same views, mirrored, in the directions of the mirrored maze; each still
            at its cell of the maze as it is.

    Yields:
        The features ``(B, 4, C, H, W)``, the quarters by which the maze is turned, and whether it
        is mirrored before.
    """
    for seen, is_mirrored in ((features, False), (mirrored.flip(-1), True)):
        for quarters in range(_QUARTERS):
            turned = turn_map(turn_directions(seen, quarters, 1), quarters)
            yield turned, quarters, is_mirrored


def turn_back(cells: Tensor, quarters: int, is_mirrored: bool) -> Tensor:
    """Return maps ``(..., H, W)`` of a turned, mirrored maze as they lie in the maze itself."""
    straight = turn_map(cells, -quarters)
    return straight.flip(-1) if is_mirrored else straight
