"""The player as a robot on a map in metres: velocities with a time-out, an emergency stop, looks.

The map's origin is the lower left corner of the maze, x runs east and y north. A game process that
dies is started again, and the robot put back where it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from asterias.arrays import Cell, ImageArray
from sim.doom.game import TICS_PER_S, GameDiedError, MazeGame, Pose
from sim.doom.maps import CELL_UNITS, MazeMap, cell_at, is_free
from sim.doom.views import CellViews, shrink, survey

T = TypeVar("T")
PERIOD_S = 1.0 / TICS_PER_S
_MAX_DEATHS = 3
# Share of the wanted way that is made freely; below it a wall is in the way.
_BLOCKED_SHARE = 0.25


@dataclass(frozen=True)
class DoomRobotLimits:
    """What the robot can do."""

    speed_m_s: float = 2.0
    turn_rad_s: float = math.tau
    command_timeout_s: float = 0.5
    """A command that is not repeated for so long ends."""


class DoomRobot:
    """A robot in a maze; times are those of the game, 35 tics to the second.

    Args:
        world: the maze, and where the robot begins.
        resolution_m: side of a cell.
        limits: what the robot can do.
        seed: of the engine.
    """

    def __init__(
        self,
        world: MazeMap,
        resolution_m: float = 0.5,
        limits: DoomRobotLimits | None = None,
        seed: int = 0,
    ) -> None:
        self.limits = limits or DoomRobotLimits()
        self.resolution_m = resolution_m
        self.stopped = False
        """Emergency stop: holds, and takes no command."""
        self.deaths = 0
        """Game processes that died and were replaced."""
        self._game = MazeGame([world], seed)
        self._begin()

    def place(self, world: MazeMap) -> None:
        """Put another maze in the place of this one, and the robot at its start."""
        self._alive(lambda: self._game.replace([world]))
        self._begin()

    def close(self) -> None:
        """End the game."""
        self._game.close()

    def _begin(self) -> None:
        self._command = (0.0, 0.0, 0.0)
        self._age_s = math.inf
        self._pose = self._game.pose
        self._blocked = False
        self.velocity = (0.0, 0.0, 0.0)
        """Forward and left in m/s, turn in rad/s, as driven in the last step."""

    # -- what is ----------------------------------------------------------------------------------

    @property
    def process_id(self) -> int | None:
        """The game's process."""
        return self._game.process_id

    @property
    def point(self) -> tuple[float, float]:
        """Position in m."""
        scale = self.resolution_m / CELL_UNITS
        return self._pose[0] * scale, self._pose[1] * scale

    @property
    def yaw_rad(self) -> float:
        """Direction of the robot's x axis, counter-clockwise from east, -pi to pi."""
        return math.remainder(self._pose[2], math.tau)

    @property
    def cell(self) -> Cell:
        """The cell that the robot is in."""
        return cell_at(self._pose[0], self._pose[1], len(self._game.world.maze))

    @property
    def touches(self) -> bool:
        """Whether a wall is in the robot's way."""
        return self._blocked

    @property
    def picture(self) -> ImageArray:
        """What the robot's camera sees: RGB ``(120, 160, 3)``."""
        return self._game.picture

    # -- what can be done -------------------------------------------------------------------------

    def command(self, forward_m_s: float, left_m_s: float, turn_rad_s: float) -> bool:
        """Take a velocity command, cut to the limits.

        Refused are commands during an emergency stop and commands that are no numbers.

        Returns:
            Whether it was taken.
        """
        if self.stopped or not all(map(math.isfinite, (forward_m_s, left_m_s, turn_rad_s))):
            return False
        limit = self.limits.turn_rad_s
        speed = math.hypot(forward_m_s, left_m_s)
        scale = min(1.0, self.limits.speed_m_s / speed) if speed > 0 else 0.0
        turn = max(-limit, min(limit, turn_rad_s))
        self._command, self._age_s = (scale * forward_m_s, scale * left_m_s, turn), 0.0
        return True

    def stop(self, engaged: bool) -> None:
        """Engage or release the emergency stop; the robot holds until the next command."""
        self.stopped = engaged
        self._age_s = math.inf

    def step(self, period_s: float = PERIOD_S) -> None:
        """Let a tic pass.

        Raises:
            ValueError: the period is not that of a tic.
        """
        if not math.isclose(period_s, PERIOD_S):
            raise ValueError(f"the game moves in steps of 1/{TICS_PER_S} s, not {period_s:g} s.")
        self._age_s += PERIOD_S
        valid = self._age_s <= self.limits.command_timeout_s + 1e-9
        forward, left, turn = self._command if valid else (0.0, 0.0, 0.0)
        units = CELL_UNITS / self.resolution_m * PERIOD_S
        before = self._pose
        self._alive(lambda: self._game.drive(forward * units, left * units, turn * PERIOD_S))
        self._pose = self._game.pose
        way = math.dist(before[:2], self._pose[:2]) / units
        wanted = math.hypot(forward, left)
        self._blocked = wanted > 0.1 and way < _BLOCKED_SHARE * wanted
        speed_x, speed_y = (v / units for v in self._game.velocity)
        cos, sin = math.cos(self._pose[2]), math.sin(self._pose[2])
        self.velocity = (cos * speed_x + sin * speed_y, cos * speed_y - sin * speed_x, turn)

    def look_around(self) -> NDArray[np.uint8]:
        """Brake, and return the views ``(4, 24, 32, 3)`` to the north, east, south and west.

        Returns:
            The pictures.
        """
        pictures = self._alive(self._game.look_around)
        self._pose = self._game.pose
        return np.stack([shrink(picture) for picture in pictures])

    def survey(self) -> CellViews:
        """Return the views of all free cells, taken while the robot's own time stands still."""
        pose = self._pose
        seen = self._alive(lambda: survey(self._game))
        self._alive(lambda: self._return_to(pose))
        return seen

    # -- deaths -----------------------------------------------------------------------------------

    def _alive(self, work: Callable[[], T]) -> T:
        """Return the result of a work that needs the game, repeated where the game dies in it."""
        for _ in range(_MAX_DEATHS):
            try:
                return work()
            except GameDiedError:
                self.deaths += 1
                self._game.restart()
                if hasattr(self, "_pose"):
                    self._return_to(self._pose)
        return work()

    def _return_to(self, pose: Pose) -> None:
        """Put the player where it was, if that is in the maze that is loaded."""
        world = self._game.world
        cell = cell_at(pose[0], pose[1], len(world.maze))
        if not is_free(world.maze, cell):
            return
        self._game.warp_to(pose)
