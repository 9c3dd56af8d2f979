"""From single commands and timed moves to the steady stream of small steps a driver takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray
from asterias.errors import CommandError, NotActiveError
from hardware.limbs.driver import Clock, LimbDriver

# Points of a timed move: a hundred seconds at the rate of control, and read within one period.
MOST_POINTS = 5000
# Longest timed move: nobody else may command the limb meanwhile, and its sender may be gone.
MOST_MOVE_S = 600.0


@dataclass(frozen=True)
class Waypoint:
    """A point of a timed move: ``(n,)`` positions, reached ``time_s`` after its start."""

    time_s: float
    position_rad: FloatArray


@dataclass(frozen=True)
class _Path:
    """A timed move, ready to be followed: rising times ``(k,)`` and positions ``(k, n)``."""

    times_s: FloatArray
    positions_rad: FloatArray

    def at(self, elapsed_s: float) -> FloatArray:
        """Return ``(n,)`` positions, linear between the points; found by bisection."""
        after = int(np.searchsorted(self.times_s, elapsed_s, side="right"))
        if after == 0:
            return np.array(self.positions_rad[0])
        if after == len(self.times_s):
            return np.array(self.positions_rad[-1])
        start_s, end_s = self.times_s[after - 1 : after + 1]
        start, end = self.positions_rad[after - 1 : after + 1]
        return np.asarray(start + (end - start) * ((elapsed_s - start_s) / (end_s - start_s)))


class TrajectoryController:
    """Feeds a limb driver at the control rate from the last command or the running timed move.

    A position command counts for ``command_timeout_s``, then the limb holds; a timed move carries
    its own duration and then stays at its last point, as ros2_control's trajectories do. The newest
    request wins. While stopped (the emergency stop), everything is refused and the limb holds.

    Args:
        driver: a connected limb.
        clock: the driver's clock.
        stream_timeout_s: commands that follow each other within half this time are a stream, and
            silence of this length ends it; None: a stream ends as a single command does.

    Attributes:
        changes: how often the motion was changed: by commands, timed moves, holds and stops.
    """

    def __init__(
        self, driver: LimbDriver, clock: Clock, stream_timeout_s: float | None = None
    ) -> None:
        self.driver = driver
        self.changes = 0
        self._clock = clock
        self._stream_timeout_s = stream_timeout_s
        self._timeout_s = driver.command_timeout_s
        self._refusal = ""
        self._goal: FloatArray | None = None
        self._goal_s = -np.inf
        self._path: _Path | None = None
        self._parked: FloatArray | None = None
        self._start_s = 0.0
        self._stopped = False

    @property
    def is_stopped(self) -> bool:
        """Whether the emergency stop is engaged."""
        return self._stopped

    @property
    def is_moving(self) -> bool:
        """Whether a command or a timed move is still being followed."""
        return self._goal is not None or self._path is not None

    def target(self, elapsed_s: float) -> FloatArray | None:
        """Return ``(n,)`` where the timed move is after ``elapsed_s``; None when none is running.

        A move that has ended stays at its last point.
        """
        return self._parked if self._path is None else self._path.at(elapsed_s)

    def command(self, position_rad: npt.ArrayLike) -> None:
        """Move to ``(n,)`` positions from now on.

        CommandError is raised for a wrong length or values that are not finite, and the present
        motion goes on; NotActiveError when the limb is not active, or stopped.
        """
        goal = self._admitted(position_rad)
        self.changes += 1
        self._path, self._parked = None, None
        now = self._clock()
        self._timeout_s = self.driver.command_timeout_s
        stream_s = self._stream_timeout_s
        if stream_s is not None and self._goal is not None and now - self._goal_s < 0.5 * stream_s:
            self._timeout_s = min(self._timeout_s, stream_s)
        self._goal, self._goal_s = goal, now

    def follow(self, points: Sequence[Waypoint]) -> None:
        """Follow a timed move from the last sent position, linearly between its points.

        Raises:
            CommandError: no points or too many, times not rising or too long, or positions that
                cannot be commanded.
        """
        if not points:
            raise CommandError("A trajectory needs at least one point.")
        if len(points) > MOST_POINTS:
            raise CommandError(
                f"A trajectory of {len(points)} points is too long; "
                f"at most {MOST_POINTS} are taken."
            )
        times = np.array([point.time_s for point in points], dtype=np.float64)
        if not np.isfinite(times).all() or times[0] < 0 or (np.diff(times) <= 0).any():
            raise CommandError("A trajectory's times must rise from zero, each above the last.")
        if times[-1] > MOST_MOVE_S:
            raise CommandError(
                f"A timed move of {times[-1]:.0f} s is too long; at most {MOST_MOVE_S:.0f} s are "
                "taken."
            )
        positions = np.array([self._admitted(point.position_rad) for point in points])
        if times[0] > 0:
            times = np.concatenate([[0.0], times])
            positions = np.vstack([self.driver.last_sent_rad, positions])
        self._start_path(times, positions)

    def stop(self, engaged: bool) -> None:
        """Engage or release the emergency stop; releasing does not resume any motion."""
        self._stopped = engaged
        self.abandon()

    def refuse(self, reason: str) -> None:
        """Refuse every request with this sentence; an empty one accepts requests again."""
        self._refusal = reason

    def return_to_rest(self, speed_share: float) -> None:
        """Move to the joints' home at a fraction of their velocity limits, also while refusing."""
        home = np.array([joint.home_rad for joint in self.driver.joints])
        speed = np.array([joint.velocity_limit_rad_s for joint in self.driver.joints])
        start = self.driver.last_sent_rad
        duration_s = float(np.max(np.abs(home - start) / (speed_share * speed)))
        self._start_path(np.array([0.0, max(duration_s, 1e-3)]), np.array([start, home]))

    def abandon(self) -> None:
        """Drop the present motion and hold."""
        self.changes += 1
        self._forget()
        if self.driver.is_active:
            self.driver.hold()

    def tick(self) -> None:
        """Send this control period's step; call at the control rate."""
        if not self.driver.is_active:
            self._forget()
            return
        now = self._clock()
        if self._path is not None:
            self._follow_path(self._path, now - self._start_s)
        elif self._goal is not None:
            # A clock that was set back counts as too long a silence.
            if not 0.0 <= now - self._goal_s <= self._timeout_s:
                self.driver.counters.timeouts += 1
                self.abandon()
            else:
                self.driver.send(self._goal)
        elif self._parked is not None:
            self.driver.send(self._parked)
        self.driver.tick()

    def _forget(self) -> None:
        self._goal, self._path, self._parked = None, None, None

    def _start_path(self, times_s: FloatArray, positions_rad: FloatArray) -> None:
        self.changes += 1
        self._goal, self._parked = None, None
        self._path, self._start_s = _Path(times_s, positions_rad), self._clock()

    def _follow_path(self, path: _Path, elapsed_s: float) -> None:
        sent = self.driver.send(path.at(elapsed_s))
        # The limits may have slowed the limb down: the move ends when its last point was sent.
        end_s = path.times_s[-1]
        late = elapsed_s > end_s + self.driver.command_timeout_s
        if elapsed_s >= end_s and (late or np.allclose(sent, path.positions_rad[-1], atol=1e-9)):
            self._path, self._parked = None, sent

    def _admitted(self, position_rad: npt.ArrayLike) -> FloatArray:
        if self._stopped:
            self.driver.counters.rejected += 1
            raise NotActiveError(
                f"Limb '{self.driver.name}' does not move: the emergency stop is engaged; "
                "release it first."
            )
        if self._refusal:
            self.driver.counters.rejected += 1
            raise NotActiveError(self._refusal)
        return self.driver.check(position_rad)
