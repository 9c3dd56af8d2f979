"""A maze in the world: which cell a point in metres lies in, and where a cell's centre is.

The convention is that of ROS maps (``nav_msgs/OccupancyGrid``, map_server's YAML): the origin is
the pose of the map's lower left corner, x runs to the right and y up, while rows count from the
top.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asterias.arrays import Cell
from asterias.errors import UserError

Point = tuple[float, float]


@dataclass(frozen=True)
class GridMap:
    """Free cells ``(H, W)`` uint8, 1 = free, row 0 at the top, and where they lie."""

    free: NDArray[np.uint8]
    resolution_m: float = 1.0
    """Side of a cell."""
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Pose of the lower left corner: x and y in m, yaw in rad."""

    def __post_init__(self) -> None:
        if self.free.ndim != 2 or not self.free.size:
            raise UserError(f"a map has rows and columns, but this one is {self.free.shape}.")
        if not self.resolution_m > 0 or not math.isfinite(self.resolution_m):
            raise UserError(f"the map's resolution is {self.resolution_m} m: it must be above 0.")
        if not all(map(math.isfinite, self.origin)):
            raise UserError(f"the map's origin is {self.origin}: it must be finite.")

    def is_inside(self, cell: Cell) -> bool:
        """Return whether the map has this cell.

        Returns:
            True on the map.
        """
        rows, columns = self.free.shape
        return 0 <= cell[0] < int(rows) and 0 <= cell[1] < int(columns)

    def is_free(self, cell: Cell) -> bool:
        """Return whether the cell is on the map and no wall.

        Returns:
            True for free cells.
        """
        return self.is_inside(cell) and bool(self.free[cell])

    def to_grid(self, point: Point) -> Point:
        """Return a point's place as (row, column) with fractions.

        (0.5, 0.5) is the centre of the first cell.
        """
        x, y = point[0] - self.origin[0], point[1] - self.origin[1]
        cos, sin = math.cos(self.origin[2]), math.sin(self.origin[2])
        right, up = cos * x + sin * y, cos * y - sin * x
        return self.free.shape[0] - up / self.resolution_m, right / self.resolution_m

    def to_point(self, place: Point) -> Point:
        """Return the point in m of a (row, column) with fractions; inverse of :meth:`to_grid`."""
        up = (self.free.shape[0] - place[0]) * self.resolution_m
        right = place[1] * self.resolution_m
        cos, sin = math.cos(self.origin[2]), math.sin(self.origin[2])
        return self.origin[0] + cos * right - sin * up, self.origin[1] + sin * right + cos * up

    def cell_at(self, point: Point) -> Cell:
        """Return the cell that a point lies in; it may be outside the map."""
        row, column = self.to_grid(point)
        return math.floor(row), math.floor(column)

    def centre_of(self, cell: Cell) -> Point:
        """Return the centre of a cell in m."""
        return self.to_point((cell[0] + 0.5, cell[1] + 0.5))
