"""Following a path with a robot that drives in any direction.

Straight to the next corner, slower before it, then to the one after.

Between two points of the path the robot keeps to the straight line, so a path that is free from
point to point stays free. Heading follows the direction of travel for the eye alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asterias.errors import UserError
from planners.mazes.grid_map import Point


@dataclass(frozen=True)
class FollowerOptions:
    """How a path is followed."""

    speed_m_s: float = 1.0
    """On the straight."""
    approach_per_s: float = 4.0
    """Speed before a corner, per m of distance from it. With this value and a lag of 0.1 s from
    measurement to motion no corner is overshot; more lag needs less.
    """
    corner_m: float = 0.1
    """Distance at which a corner counts as passed; at most a fifth of the shortest step counts."""
    goal_m: float = 0.05
    """Distance at which the goal counts as reached; at most a tenth of the shortest step counts."""
    turn_per_s: float = 0.5
    """Rate of turn, per rad off the direction of travel; slow, as a turn during the lag drives the
    robot off its line.
    """


@dataclass(frozen=True)
class VelocityCommand:
    """Velocity in the robot's frame, and whether the goal is reached."""

    forward_m_s: float = 0.0
    left_m_s: float = 0.0
    turn_rad_s: float = 0.0
    is_done: bool = False


class PathFollower:
    """Follows points ``(N, 2)`` in m, N at least 1."""

    def __init__(self, points: Sequence[Point], options: FollowerOptions | None = None) -> None:
        path = np.asarray(points, dtype=float).reshape(-1, 2)
        if not len(path) or not np.isfinite(path).all():
            raise UserError("the path is empty or holds places that are no numbers.")
        self.options = options or FollowerOptions()
        steps = np.hypot(*np.diff(path, axis=0).T)
        shortest = float(steps[steps > 1e-9].min(initial=np.inf))
        self._corner_m = min(self.options.corner_m, shortest / 5)
        self._goal_m = min(self.options.goal_m, shortest / 10)
        self._corners = corners(path)
        lengths = np.hypot(*np.diff(self._corners, axis=0).T)
        # What is left of the path from each corner on.
        self._left_m = np.append(np.cumsum(lengths[::-1])[::-1], 0.0)
        self._next = min(1, len(self._corners) - 1)

    def distance_to_go_m(self, point: Point) -> float:
        """Return the way from a point to the goal, along the path."""
        corner = self._corners[self._next]
        return float(math.dist(point, corner) + self._left_m[self._next])

    def distance_to_path_m(self, point: Point) -> float:
        """Return how far a point is from the path's first stretch."""
        first, second = self._corners[0], self._corners[min(1, len(self._corners) - 1)]
        along = second - first
        share = np.dot(np.subtract(point, first), along) / max(float(along @ along), 1e-12)
        return float(math.dist(point, first + np.clip(share, 0, 1) * along))

    def command(self, point: Point, yaw_rad: float) -> VelocityCommand:
        """Return what to do at a pose."""
        last = len(self._corners) - 1
        while self._next < last and math.dist(point, self._corners[self._next]) <= self._corner_m:
            self._next += 1
        x, y = self._corners[self._next] - point
        distance_m = math.hypot(x, y)
        if self._next == last and distance_m <= self._goal_m:
            return VelocityCommand(is_done=True)
        speed = min(self.options.speed_m_s, self.options.approach_per_s * distance_m)
        angle = math.remainder(math.atan2(y, x) - yaw_rad, math.tau)
        turn = self.options.turn_per_s * angle
        return VelocityCommand(speed * math.cos(angle), speed * math.sin(angle), turn)


def corners(path: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the path ``(N, 2)`` without the points that lie on a straight line between others."""
    steps = np.diff(path, axis=0)
    path = np.asarray(path[np.append(True, np.hypot(*steps.T) > 1e-9)])
    if len(path) < 3:
        return path
    before, after = np.diff(path[:-1], axis=0), np.diff(path[1:], axis=0)
    bends = np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]) > 1e-9
    bends |= (before * after).sum(axis=1) < 0
    return np.asarray(path[np.concatenate([[True], bends, [True]])])
