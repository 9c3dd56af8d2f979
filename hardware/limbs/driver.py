"""The contract of a limb: positions in, what was really sent out, limits and a time-out always on.

A subclass supplies four private methods (open, close, read, write). Everything that keeps a limb
safe is here, once, so that a simulated limb and a servo bus cannot differ in it.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray
from asterias.errors import CommandError, DeviceError, NotActiveError, NotConnectedError
from hardware.description.limb import JointDescription

Clock = Callable[[], float]
SelfLimb = TypeVar("SelfLimb", bound="LimbDriver")


@dataclass(frozen=True)
class LimbState:
    """One reading of a limb.

    Attributes:
        time_s: when it was read, on the driver's clock.
        position_rad: ``(n,)`` measured joint positions, description order.
        velocity_rad_s: ``(n,)`` measured joint velocities.
        effort_nm: ``(n,)`` joint torques; NaN where the device cannot tell.
    """

    time_s: float
    position_rad: FloatArray
    velocity_rad_s: FloatArray
    effort_nm: FloatArray


@dataclass
class CommandCounters:
    """What happened to the commands so far; published in diagnostics."""

    accepted: int = 0
    limited: int = 0
    rejected: int = 0
    timeouts: int = 0


class LimbDriver(ABC):
    """Position-controlled limb with limits and a command time-out.

    ``send`` moves towards a target, never past a limit: each position is clipped to its range, and
    each step to ``velocity limit x time since the last command`` (at most ``max_step_period_s`` of
    travel), so a caller streams commands and a single wild one moves the limb by one step only.
    Without a command for ``command_timeout_s`` the limb holds where it is (see :meth:`tick`).
    While active, a hold is limited to steps as well: a wild reading cannot make the limb jump.

    Args:
        name: the limb's name, as in the description.
        joints: the commanded joints, in command order.
        command_timeout_s: silence after which the limb holds its measured position.
        clock: seconds, monotonic; the simulation passes its own time.
        max_step_period_s: longest time span that a single command may travel.
    """

    def __init__(
        self,
        name: str,
        joints: Sequence[JointDescription],
        *,
        command_timeout_s: float = 0.5,
        clock: Clock = time.monotonic,
        max_step_period_s: float = 0.1,
    ) -> None:
        self.name = name
        self.joints = tuple(joints)
        self.command_timeout_s = command_timeout_s
        self.max_step_period_s = max_step_period_s
        self.counters = CommandCounters()
        self._clock = clock
        self._lower = np.array([j.limits_rad[0] for j in self.joints])
        self._upper = np.array([j.limits_rad[1] for j in self.joints])
        self._speed = np.array([j.velocity_limit_rad_s for j in self.joints])
        self._connected = False
        self._active = False
        self._holding = True
        self._last_command_s = -np.inf
        self._last_sent: FloatArray = np.array([j.home_rad for j in self.joints])
        self._last_sent_s = -np.inf
        self._hold_goal: FloatArray | None = None

    # -- readable at any time -------------------------------------------------------------------

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the commanded joints; readable while disconnected."""
        return tuple(j.name for j in self.joints)

    @property
    def device(self) -> LimbDriver:
        """Return the driver of the device itself, which a wrapper stands before."""
        return self

    @property
    def is_connected(self) -> bool:
        """Whether the device is open."""
        return self._connected

    @property
    def is_active(self) -> bool:
        """Whether commands are accepted."""
        return self._active

    @property
    def is_holding(self) -> bool:
        """Whether the limb holds because nobody commands it."""
        return self._holding

    @property
    def last_sent_rad(self) -> FloatArray:
        """``(n,)`` the last positions that really went to the device."""
        return np.array(self._last_sent)

    @property
    def command_age_s(self) -> float:
        """Seconds since the last accepted command; infinite before the first."""
        return self._clock() - self._last_command_s

    # -- life cycle -----------------------------------------------------------------------------

    def connect(self) -> None:
        """Open the device; harmless when already open."""
        if not self._connected:
            self._open()
            self._connected = True
            self._holding = True
            self._hold_goal = None

    def activate(self) -> None:
        """Accept commands from now on; the first command sent equals the measured position.

        Harmless when already active, and then the way to start afresh from where the limb is,
        for instance after a simulation was reset.

        Raises:
            NotConnectedError: before ``connect()``.
            DeviceError: the position cannot be measured. The limb then stays inactive.
        """
        self._active = False
        self._require_connected()
        self._clear_faults()
        self.hold()
        self._active = True

    def deactivate(self) -> None:
        """Hold, then accept no more commands; inactive afterwards even when holding fails."""
        if self._active:
            try:
                self.hold()
            finally:
                self._active = False

    def disable_torque(self) -> None:
        """Let go: no torque where the device can do that; inactive afterwards, still connected."""
        self._require_connected()
        self._active = False
        self._hold_goal = None
        self._disable_torque()

    def disconnect(self) -> None:
        """Hold, release and close the device; harmless when already closed.

        An error while holding is raised only after the device is safe and closed.
        """
        if not self._connected:
            return
        try:
            self.deactivate()
        finally:
            self._connected = False
            self._hold_goal = None
            self._close()

    def __enter__(self: SelfLimb) -> SelfLimb:
        self.connect()
        try:
            self.activate()
        except BaseException:
            self.disconnect()  # Python calls __exit__ only after a successful __enter__
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.disconnect()

    # -- data -----------------------------------------------------------------------------------

    def read(self) -> LimbState:
        """Measure all joints now.

        Raises:
            NotConnectedError: before ``connect()``.
            DeviceError: the device does not answer.
        """
        self._require_connected()
        return self._read()

    def check(self, position_rad: npt.ArrayLike) -> FloatArray:
        """Return ``(n,)`` positions that may be sent now, unlimited yet; counts a refusal.

        Raises:
            NotConnectedError, NotActiveError: the limb cannot move now.
            CommandError: wrong length, or not finite.
        """
        try:
            self._require_active()
            return self._checked(position_rad)
        except Exception:
            self.counters.rejected += 1
            raise

    def send(self, position_rad: npt.ArrayLike) -> FloatArray:
        """Command ``(n,)`` positions and return what was really sent after all limits.

        Raises:
            NotConnectedError, NotActiveError: the limb cannot move now.
            CommandError: wrong length, or not finite. Nothing is sent in these cases.
        """
        target = self.check(position_rad)
        now = self._clock()
        sent = self._transmit(target, now, dt_s=now - self._last_sent_s)
        self.counters.accepted += 1
        if not np.array_equal(sent, target):
            self.counters.limited += 1
        self._holding = False
        self._hold_goal = None
        self._last_command_s = now
        return np.array(sent)

    def hold(self) -> FloatArray:
        """Stop where the limb is now and stay there; return the position sent, ``(n,)``.

        That is the measured position. Only where it is more than one step away from the last one
        sent (a blocked joint, a wild reading), it is approached by a step now and by each
        :meth:`tick`. A position outside the range is brought back into it in the same way.

        A limb that holds already goes on holding the same position: a joint under load stands a
        little below it, and would sink by as much with each further call.

        Raises NotConnectedError before ``connect()``, and DeviceError where the position cannot
        be measured.
        """
        self._require_connected()
        measured = self._measured()
        if self._active and self._holding:
            return self.last_sent_rad
        if not self._active:
            self._last_sent = measured  # may have been moved by hand: start from where it is
        self._hold_goal = np.clip(measured, self._lower, self._upper)
        self._holding = True
        return np.array(self._approach(self._hold_goal, dt_s=self.max_step_period_s))

    def tick(self) -> bool:
        """Call at the control rate: holds when commands have stopped. True while holding."""
        if self._active and not self._holding and self._is_silent():
            self.hold()
            self.counters.timeouts += 1
        elif self._connected and self._hold_goal is not None:
            self._approach(self._hold_goal, dt_s=self._clock() - self._last_sent_s)
        return self._holding

    def _is_silent(self) -> bool:
        """No command for too long; a clock that was set back counts as too long."""
        return not 0.0 <= self.command_age_s < self.command_timeout_s

    def _measured(self) -> FloatArray:
        """Measured positions; while active, an unreadable joint stands where it was sent."""
        position = np.array(self._read().position_rad, dtype=np.float64)
        bad = ~np.isfinite(position)
        if bad.any() and not self._active:
            name = self.joints[int(np.argmax(bad))].name
            raise DeviceError(
                f"Limb '{self.name}' cannot measure joint '{name}'; check its wiring and its power."
            )
        position[bad] = self._last_sent[bad]
        return position

    def _approach(self, goal: FloatArray, dt_s: float) -> FloatArray:
        sent = self._transmit(goal, self._clock(), dt_s)
        if np.array_equal(sent, goal):
            self._hold_goal = None
        return sent

    def _transmit(self, target: FloatArray, now: float, dt_s: float) -> FloatArray:
        """The only way to the device: limit, write, remember."""
        sent = self._limited(target, dt_s)
        self._write(sent)
        self._last_sent = sent
        self._last_sent_s = now
        return sent

    # -- for subclasses -------------------------------------------------------------------------

    @abstractmethod
    def _open(self) -> None:
        """Open the device."""

    @abstractmethod
    def _close(self) -> None:
        """Make the device safe (no torque where that is safe) and close it."""

    def _clear_faults(self) -> None:  # noqa: B027 - most devices have nothing to do
        """Before a first command: the next write must undo what an earlier fault left behind."""

    def _disable_torque(self) -> None:
        """Take the torque off; devices that cannot do that hold."""
        self.hold()

    @abstractmethod
    def _read(self) -> LimbState:
        """Measure all joints."""

    @abstractmethod
    def _write(self, position_rad: FloatArray) -> None:
        """Send goal positions, already limited."""

    # -- checks ---------------------------------------------------------------------------------

    def _require_connected(self) -> None:
        if not self._connected:
            raise NotConnectedError(f"Limb '{self.name}' is not connected; call connect() first.")

    def _require_active(self) -> None:
        self._require_connected()
        if not self._active:
            raise NotActiveError(
                f"Limb '{self.name}' is connected but not active; call activate() first."
            )

    def _checked(self, position_rad: npt.ArrayLike) -> FloatArray:
        try:
            target = np.asarray(position_rad, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise CommandError(f"Limb '{self.name}' got positions that are not numbers.") from error
        if target.shape != (len(self.joints),):
            raise CommandError(
                f"Limb '{self.name}' takes {len(self.joints)} positions "
                f"({', '.join(self.joint_names)}), got an array of shape {target.shape}."
            )
        if not np.isfinite(target).all():
            bad = self.joints[int(np.argmin(np.isfinite(target)))].name
            raise CommandError(
                f"Limb '{self.name}' got a position for '{bad}' that is not a finite number."
            )
        return target

    def _limited(self, target: FloatArray, dt_s: float) -> FloatArray:
        clipped = np.clip(target, self._lower, self._upper)
        step = self._speed * min(max(dt_s, 0.0), self.max_step_period_s)
        return np.clip(clipped, self._last_sent - step, self._last_sent + step)
