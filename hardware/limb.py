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

from hardware.description import JointDescription
from hardware.errors import CommandError, NotActiveError, NotConnectedError

FloatArray = npt.NDArray[np.float64]
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

    # -- readable at any time -------------------------------------------------------------------

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the commanded joints; readable while disconnected."""
        return tuple(j.name for j in self.joints)

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
        return self._last_sent.copy()

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

    def activate(self) -> None:
        """Accept commands from now on; the first command sent equals the measured position."""
        self._require_connected()
        self._active = True
        self.hold()

    def deactivate(self) -> None:
        """Hold, then accept no more commands."""
        if self._active:
            self.hold()
            self._active = False

    def disconnect(self) -> None:
        """Hold, release and close the device; harmless when already closed, never raises midway."""
        if not self._connected:
            return
        try:
            self.deactivate()
        finally:
            self._active = False
            self._connected = False
            self._close()

    def __enter__(self: SelfLimb) -> SelfLimb:
        self.connect()
        self.activate()
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

    def send(self, position_rad: npt.ArrayLike) -> FloatArray:
        """Command ``(n,)`` positions and return what was really sent after all limits.

        Raises:
            NotConnectedError, NotActiveError: the limb cannot move now.
            CommandError: wrong length, or not finite. Nothing is sent in these cases.
        """
        try:
            self._require_active()
            target = self._checked(position_rad)
        except Exception:
            self.counters.rejected += 1
            raise
        now = self._clock()
        sent = self._limited(target, now)
        self._write(sent)
        self.counters.accepted += 1
        if not np.array_equal(sent, target):
            self.counters.limited += 1
        self._holding = False
        self._last_command_s = now
        self._last_sent = sent
        return sent.copy()

    def hold(self) -> FloatArray:
        """Stop where the limb is now and stay there; returns the position held, ``(n,)``."""
        self._require_connected()
        measured = np.clip(self._read().position_rad, self._lower, self._upper)
        self._write(measured)
        self._last_sent = measured
        self._last_command_s = self._clock()
        self._holding = True
        return measured.copy()

    def tick(self) -> bool:
        """Call at the control rate: holds when commands have stopped. True while holding."""
        if self._active and not self._holding and self.command_age_s > self.command_timeout_s:
            self.counters.timeouts += 1
            self.hold()
        return self._holding

    # -- for subclasses -------------------------------------------------------------------------

    @abstractmethod
    def _open(self) -> None:
        """Open the device."""

    @abstractmethod
    def _close(self) -> None:
        """Make the device safe (no torque where that is safe) and close it."""

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
        target = np.asarray(position_rad, dtype=np.float64)
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

    def _limited(self, target: FloatArray, now: float) -> FloatArray:
        clipped = np.clip(target, self._lower, self._upper)
        span = min(max(now - self._last_command_s, 0.0), self.max_step_period_s)
        step = self._speed * span
        return np.clip(clipped, self._last_sent - step, self._last_sent + step)
