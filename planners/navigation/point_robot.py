"""A point robot in a grid of walls: velocities in its own frame, a time-out, and contact."""

from __future__ import annotations

import math
from dataclasses import dataclass

from asterias.arrays import Cell
from asterias.errors import UserError
from planners.mazes.grid_map import GridMap, Point

# How far from a wall a robot stands that touches it, in cells.
_GAP = 1e-6
# Cells per sub-step: less than one, so that no wall is jumped over.
_STRIDE = 0.25


@dataclass(frozen=True)
class PointRobotLimits:
    """What the robot can do."""

    speed_m_s: float = 1.0
    """Greatest speed in any direction."""
    turn_rad_s: float = 3.0
    """Greatest rate of turn."""
    command_timeout_s: float = 0.5
    """A command that is not repeated for so long ends."""


class PointRobot:
    """Pose and velocity of a point that drives in any direction and cannot enter walls.

    It slides along a wall that it drives against. ``yaw_rad`` is the direction of its x axis in the
    frame of the map, counter-clockwise.
    """

    def __init__(self, grid: GridMap, cell: Cell, limits: PointRobotLimits | None = None) -> None:
        self.limits = limits or PointRobotLimits()
        self.contacts = 0
        """Times that the robot came to touch a wall."""
        self.stopped = False
        """Emergency stop: holds, and takes no command."""
        self.place(grid, cell)

    def place(self, grid: GridMap, cell: Cell) -> None:
        """Put the robot at rest in the middle of a free cell of a map.

        Raises:
            UserError: the cell is not free.
        """
        if not grid.is_free(cell):
            raise UserError(f"the robot cannot stand in {cell[0]},{cell[1]}: it is no free cell.")
        self.grid = grid
        self._row, self._column = cell[0] + 0.5, cell[1] + 0.5
        self.yaw_rad = grid.origin[2]
        self.velocity = (0.0, 0.0, 0.0)
        """Forward and left in m/s, turn in rad/s, as driven in the last step."""
        self._command = (0.0, 0.0, 0.0)
        self._age_s = math.inf
        self._touches = False
        self.contacts = 0

    @property
    def point(self) -> Point:
        """Position in m in the frame of the map."""
        return self.grid.to_point((self._row, self._column))

    @property
    def cell(self) -> Cell:
        """The cell that the robot is in."""
        return math.floor(self._row), math.floor(self._column)

    @property
    def touches(self) -> bool:
        """Whether a wall is in the robot's way."""
        return self._touches

    def command(self, forward_m_s: float, left_m_s: float, turn_rad_s: float) -> bool:
        """Take a velocity command, cut to the limits; returns whether it was taken.

        Refused are commands during an emergency stop and commands that are no numbers.

        Returns:
            Whether it was taken.
        """
        if self.stopped or not all(map(math.isfinite, (forward_m_s, left_m_s, turn_rad_s))):
            return False
        speed, turn = math.hypot(forward_m_s, left_m_s), self.limits.turn_rad_s
        scale = min(1.0, self.limits.speed_m_s / speed) if speed > 0 else 0.0
        turn_rad_s = max(-turn, min(turn, turn_rad_s))
        self._command = (scale * forward_m_s, scale * left_m_s, turn_rad_s)
        self._age_s = 0.0
        return True

    def stop(self, engaged: bool) -> None:
        """Engage or release the emergency stop; the robot holds until the next command."""
        self.stopped = engaged
        self._age_s = math.inf

    def step(self, period_s: float) -> None:
        """Let time pass."""
        self._age_s += period_s
        valid = self._age_s <= self.limits.command_timeout_s + 1e-9
        self.velocity = self._command if valid else (0.0, 0.0, 0.0)
        forward, left, turn = self.velocity
        # Rows count downwards and the map itself may be turned.
        angle = self.yaw_rad - self.grid.origin[2]
        cos, sin = math.cos(angle), math.sin(angle)
        columns = (cos * forward - sin * left) * period_s / self.grid.resolution_m
        rows = -(sin * forward + cos * left) * period_s / self.grid.resolution_m
        count = max(1, math.ceil(max(abs(rows), abs(columns)) / _STRIDE))
        touched = False
        for _ in range(count):
            touched |= self._slide(rows / count, columns / count)
        self.contacts += touched and not self._touches
        self._touches = touched
        self.yaw_rad = math.remainder(self.yaw_rad + turn * period_s, math.tau)

    def _slide(self, rows: float, columns: float) -> bool:
        """Move by less than a cell, one direction after the other.

        Returns whether a wall stopped it.

        Returns:
            Whether a wall stopped it.
        """
        row, column = self._row + rows, self._column + columns
        touched = False
        if not self.grid.is_free((math.floor(row), math.floor(self._column))):
            row, touched = _at_edge(self._row, rows), True
        self._row = row
        if not self.grid.is_free((math.floor(self._row), math.floor(column))):
            column, touched = _at_edge(self._column, columns), True
        self._column = column
        return touched


def _at_edge(place: float, step: float) -> float:
    """Return the end of the cell that ``place`` is in, in the direction of ``step``."""
    cell = math.floor(place)
    return cell + 1 - _GAP if step > 0 else cell + _GAP
