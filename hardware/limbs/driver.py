"""The contract of a limb: positions in, what was really sent out, limits and a time-out always on.

A subclass supplies four private methods (open, close, read, write). Everything that keeps a limb
safe is here, once, so that a simulated limb and a servo bus cannot differ in it.
"""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from asterias.arrays import BoolArray, FloatArray
from asterias.context import ConnectedDevice
from asterias.errors import CommandError, DeviceError, NotActiveError
from hardware.buses.bus import ServoHealth
from hardware.description.limb import JointDescription

Clock = Callable[[], float]


@dataclass(frozen=True)
class LimbState:
    """One reading of a limb.

    Attributes:
        time_s: when it was read, on the driver's clock.
        position_rad: ``(n,)`` measured joint positions, description order.
        velocity_rad_s: ``(n,)`` measured joint velocities.
        effort_nm: ``(n,)`` joint torques; NaN where the device does not measure them.
    """

    time_s: float
    position_rad: FloatArray
    velocity_rad_s: FloatArray
    effort_nm: FloatArray


@dataclass
class CommandCounters:
    """Counters of accepted, limited and rejected commands; published in diagnostics."""

    accepted: int = 0
    limited: int = 0
    rejected: int = 0
    timeouts: int = 0


@dataclass(frozen=True)
class LimbHealth:
    """What a limb knows of the devices below it without asking them.

    Attributes:
        rejected: ``(n,)`` readings so far that no joint can have had.
        doubted: ``(n,)`` joints whose last reading was one of these: they do answer.
        counts: requests by what became of them, for diagnostics; empty without a bus.
        lost: requests that were repeated or had no answer.
        watchdog_s: silence after which the servos stop by themselves; infinite: never.
    """

    rejected: npt.NDArray[np.int64]
    doubted: BoolArray
    counts: Mapping[str, int] = field(default_factory=dict)
    lost: int = 0
    watchdog_s: float = math.inf


class LimbDriver(ConnectedDevice):
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
        super().__init__()
        self.name = name
        self.joints = tuple(joints)
        self.command_timeout_s = command_timeout_s
        self.max_step_period_s = max_step_period_s
        self.counters = CommandCounters()
        self._clock = clock
        self._lower = np.array([j.limits_rad[0] for j in self.joints])
        self._upper = np.array([j.limits_rad[1] for j in self.joints])
        self._speed = np.array([j.velocity_limit_rad_s for j in self.joints])
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
    def title(self) -> str:
        """Kind and name, as messages begin."""
        return f"Limb '{self.name}'"

    @property
    def is_active(self) -> bool:
        """Whether commands are accepted."""
        return self._active

    @property
    def is_holding(self) -> bool:
        """Whether the limb holds because no commands arrive."""
        return self._holding

    @property
    def last_sent_rad(self) -> FloatArray:
        """``(n,)`` the last positions sent to the device, after all limits."""
        return np.array(self._last_sent)

    @property
    def command_age_s(self) -> float:
        """Seconds since the last accepted command; infinite before the first."""
        return self._clock() - self._last_command_s

    # -- life cycle -----------------------------------------------------------------------------

    def connect(self) -> None:
        """Open the device; harmless when already open."""
        if not self._connected:
            super().connect()
            self._holding = True
            self._hold_goal = None

    def activate(self) -> None:
        """Accept commands from now on; the first command sent equals the measured position.

        Harmless when already active; then the limb restarts from its present position, for instance
        after a simulation was reset.

        NotConnectedError is raised before ``connect()``; DeviceError where the position cannot be
        measured, and the limb then stays inactive.
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
        """Switch the torque off where the device can; inactive afterwards, still connected."""
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
            self._hold_goal = None
            super().disconnect()

    def _begin(self) -> None:
        self.activate()

    # -- data -----------------------------------------------------------------------------------

    def read(self) -> LimbState:
        """Return a measurement of all joints now.

        NotConnectedError is raised before ``connect()``, DeviceError where the device does not
        answer.
        """
        self._require_connected()
        return self._read()

    def request(self) -> None:
        """Ask for the state that the next :meth:`read` returns, so that several buses work at once.

        NotConnectedError is raised before ``connect()``.
        """
        self._require_connected()

    def health(self) -> LimbHealth:
        """Return what is known of the devices below."""
        count = len(self.joints)
        return LimbHealth(np.zeros(count, np.int64), np.zeros(count, np.bool_))

    def read_health(self, number: int) -> ServoHealth | None:
        """Return the health of the servo of joint ``number``; None: it reports none.

        NotConnectedError is raised before ``connect()``.
        """
        self._require_connected()
        return None

    def check(self, position_rad: npt.ArrayLike) -> FloatArray:
        """Return ``(n,)`` positions that may be sent now, not limited yet; count a refusal.

        NotConnectedError or NotActiveError is raised when the limb cannot move now, CommandError
        for a wrong length or values that are not finite.
        """
        try:
            self._require_active()
            return self._checked(position_rad)
        except Exception:
            self.counters.rejected += 1
            raise

    def send(self, position_rad: npt.ArrayLike) -> FloatArray:
        """Command ``(n,)`` positions in rad.

        NotConnectedError or NotActiveError is raised when the limb cannot move now, CommandError
        for a wrong length or values that are not finite. Nothing is sent in these cases.

        Returns:
            The ``(n,)`` positions sent to the device after all limits.
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
        """Stop at the present position and stay there.

        That is the measured position. Only where it is more than one step away from the last one
        sent (a blocked joint, an outlier), it is approached by a step now and by each :meth:`tick`.
        A position outside the range is brought back into it in the same way.

        A limb that holds already goes on holding the same position: a joint under load stands a
        little below it, and would sink by as much with each further call.

        NotConnectedError is raised before ``connect()``, DeviceError where the position cannot be
        measured.

        Returns:
            The ``(n,)`` position sent.
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
        """Hold when commands have stopped; call at the control rate.

        Returns:
            Whether the limb holds.
        """
        if self._active and not self._holding and self._is_silent():
            self.hold()
            self.counters.timeouts += 1
        elif self._connected and self._hold_goal is not None:
            self._approach(self._hold_goal, dt_s=self._clock() - self._last_sent_s)
        return self._holding

    def _is_silent(self) -> bool:
        """Return whether the last command is too old; so it is after a clock was set back."""
        return not 0.0 <= self.command_age_s < self.command_timeout_s

    def _measured(self) -> FloatArray:
        """Return ``(n,)`` measured positions; while active, the last sent one where unreadable.

        Raises:
            DeviceError: a joint cannot be measured while the limb is inactive.
        """
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
        """Return the ``(n,)`` positions written to the device after limits; every write is here."""
        sent = self._limited(target, dt_s)
        self._write(sent)
        self._last_sent = sent
        self._last_sent_s = now
        return sent

    # -- for subclasses -------------------------------------------------------------------------

    def _clear_faults(self) -> None:
        """Clear what an earlier fault left behind, before a first command."""

    def _disable_torque(self) -> None:
        """Switch the torque off; devices that cannot do that hold."""
        self.hold()

    @abstractmethod
    def _read(self) -> LimbState:
        """Return a measurement of all joints."""

    @abstractmethod
    def _write(self, position_rad: FloatArray) -> None:
        """Send goal positions, already limited."""

    # -- checks ---------------------------------------------------------------------------------

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
