"""What is wrong with a limb, how bad that is, and what is done: warn, hold, return to rest, let go.

Several findings at once: the more severe wins. A warning ends by itself; from ``HOLD`` on, the limb
stays so until a person activates it again, and then its first command is the measured position.

====================  ==========================================================  ===============
finding               seen when                                                   severity
====================  ==========================================================  ===============
``lost_answers``      servos had to be asked again too often in the last second   warn
``lags``              a joint follows, but later than ``follow_s``                warn
``hot``, ``voltage``  a servo says so                                             warn
``control_gap``       this program was silent for longer than the servos' own     warn, and armed
                      watchdog allows; more than five times a minute: hold        again where it is
``no_answer``         a joint was not measured for ``silence_s``                  hold
``implausible``       a joint's readings jump as no joint can                     hold
``does_not_follow``   a joint is not where it was sent, and is not on its way     hold
``servo_error``       a servo reports an error and has shut down                  hold
``stopped``           a servo's own watchdog has stopped it, nobody knows why     hold
``too_hot``           a servo is above ``too_hot_c``                              rest, then let go
``bus_silent``        no joint was measured for twice ``silence_s``               let go
====================  ==========================================================  ===============

The order of severity is PX4's (docs/en/config/safety.md), cut down to a limb.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from asterias.arrays import BoolArray, FloatArray
from asterias.errors import HardwareError
from hardware.buses.bus import ServoHealth
from hardware.description.devices import SafetySettings
from hardware.limbs.driver import Clock, LimbDriver, LimbState
from hardware.limbs.outlier_filter import OutlierFilter
from hardware.limbs.trajectory import TrajectoryController

TIMEOUT_S = 0.2  # a joint may be off its way for so long
WARN_S = 1.0  # a warning stays for so long after its last cause
LOST_PER_SECOND = 5
IMPLAUSIBLE_PER_SECOND = 5
MINUTE_S = 60.0
GAPS_PER_MINUTE = 5
MOVING_SHARE = 0.02  # of the velocity limit: slower counts as standing


class Severity(IntEnum):
    """Levels of severity, in rising order."""

    OK = 0
    WARN = 1
    HOLD = 2
    REST = 3
    DISABLE_TORQUE = 4


@dataclass(frozen=True)
class Finding:
    """A fault that was found: its severity, its name in the table above, and a sentence."""

    severity: Severity
    name: str
    text: str


class RateWindow:
    """Counts events of the last second."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def add(self, now_s: float, count: int = 1) -> None:
        """Add ``count`` events at ``now_s``."""
        self._times.extend([now_s] * count)

    def count(self, now_s: float) -> int:
        """Return the number of events in the last second."""
        while self._times and not 0.0 <= now_s - self._times[0] <= 1.0:
            self._times.popleft()
        return len(self._times)


class TrackingErrorMonitor:
    """Checks that joints are where they were sent lately, or move towards it.

    Args:
        driver: the limb.
        settings: tolerance and time.
    """

    def __init__(self, driver: LimbDriver, settings: SafetySettings) -> None:
        self._settings = settings
        self._speed = np.array([joint.velocity_limit_rad_s for joint in driver.joints])
        self.restart()

    def restart(self) -> None:
        """Forget the positions sent so far."""
        self._sent: deque[tuple[float, FloatArray]] = deque()
        self._measured: deque[tuple[float, FloatArray]] = deque()
        self._off_since_s = np.full(len(self._speed), np.inf)

    def check(
        self, now_s: float, sent: FloatArray, position: FloatArray
    ) -> tuple[BoolArray, BoolArray]:
        """Return which joints ``(n,)`` do not follow, and which ``(n,)`` only lag."""
        self._remember(self._sent, now_s, sent, self._settings.follow_s)
        self._remember(self._measured, now_s, position, TIMEOUT_S)
        goals = np.array([goal for _, goal in self._sent])
        tolerance = self._settings.follow_tolerance_rad
        low, high = goals.min(axis=0) - tolerance, goals.max(axis=0) + tolerance
        is_off = (position < low) | (position > high)  # unknown joints are not off
        self._off_since_s = np.where(is_off, np.minimum(self._off_since_s, now_s), np.inf)
        late = is_off & (now_s - self._off_since_s >= TIMEOUT_S)
        since_s, earlier = self._measured[0]
        moved = (position - earlier) * np.sign(goals[-1] - position)
        moves = moved > MOVING_SHARE * self._speed * max(now_s - since_s, 1e-3)
        return late & ~moves, late & moves

    @staticmethod
    def _remember(
        memory: deque[tuple[float, FloatArray]], now_s: float, value: FloatArray, window_s: float
    ) -> None:
        memory.append((now_s, np.array(value)))
        while not 0.0 <= now_s - memory[0][0] <= window_s:
            memory.popleft()


class SafetyMonitor:
    """Watches one limb and raises its severity; tick it once per control period, before the motion.

    Args:
        driver: the limb; the health of its servos is read as well.
        motion: controller that moves the limb.
        settings: thresholds.
        clock: the driver's clock.
    """

    def __init__(
        self,
        driver: LimbDriver,
        motion: TrajectoryController,
        settings: SafetySettings,
        clock: Clock,
    ) -> None:
        self.driver = driver
        self.motion = motion
        self.health: list[ServoHealth | None] = [None] * len(driver.joints)
        self._settings = settings
        self._clock = clock
        self._outlier_filter = OutlierFilter(
            np.array([joint.velocity_limit_rad_s for joint in driver.joints])
        )
        self._follow = TrackingErrorMonitor(driver, settings)
        self.restart()

    @property
    def severity(self) -> Severity:
        """Severity of the worst finding, which is what the limb acts on."""
        return max((f.severity for f in self.findings), default=Severity.OK)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Present findings, the worst first."""
        return tuple(sorted(self._findings.values(), key=lambda f: -f.severity))

    def restart(self) -> None:
        """Clear all findings, after a person has activated the limb."""
        now = self._clock()
        self._findings: dict[str, Finding] = {}
        self._seen_s: dict[str, float] = {}
        self._answered_s = np.full(len(self.driver.joints), now)
        self._lost, self._wild = RateWindow(), RateWindow()
        self._counted = self.driver.health().lost
        self._rejected = 0
        self._next_health = 0
        self._health_s = now
        self._done = Severity.OK
        self._ticked_s = now
        self._gaps_s: list[float] = []
        self._outlier_filter.restart()
        self._follow.restart()
        self.motion.refuse("")

    # -- what is seen ---------------------------------------------------------------------------

    def observe(self, state: LimbState | None) -> None:
        """Judge the reading of this period; None where there was none."""
        now = self._clock()
        if not self.driver.is_active:
            return
        position = np.full(len(self.driver.joints), np.nan)
        if state is not None:
            position = self._outlier_filter.filtered(state.position_rad, now)
            has_answered = np.isfinite(state.position_rad) | self.driver.health().doubted
            self._answered_s = np.where(has_answered, now, self._answered_s)
        self._judge_answers(now, state is None)
        self._judge_motion(now, position)
        self._read_health(now)
        self._forget_warnings(now)

    def _judge_answers(self, now: float, is_lost: bool) -> None:
        lost = self.driver.health().lost
        self._lost.add(now, lost - self._counted + is_lost)
        self._counted = lost
        if self._lost.count(now) >= LOST_PER_SECOND:
            self._find(Severity.WARN, "lost_answers", "servos have to be asked again; check cables")
        silent = now - self._answered_s > self._settings.silence_s
        if silent.any():
            text = f"{self._joints(silent)}: no answer; check power and cable"
            self._find(Severity.HOLD, "no_answer", text)
        if (now - self._answered_s > 2.0 * self._settings.silence_s).all():
            self._find(
                Severity.DISABLE_TORQUE, "bus_silent", "no servo answers; check power and cable"
            )

    def _judge_motion(self, now: float, position: FloatArray) -> None:
        rejected = self._outlier_filter.rejected + self.driver.health().rejected
        if self._rejected:
            self._wild.add(now, int(rejected.sum()) - self._rejected)
        self._rejected = max(int(rejected.sum()), 1)
        if self._wild.count(now) >= IMPLAUSIBLE_PER_SECOND:
            self._find(
                Severity.HOLD, "implausible", "readings jump as no joint can; check the encoder"
            )
        stuck, late = self._follow.check(now, self.driver.last_sent_rad, position)
        if stuck.any():
            text = f"{self._joints(stuck)}: not where it was sent; blocked, or wrongly calibrated"
            self._find(Severity.HOLD, "does_not_follow", text)
        if late.any():
            self._find(Severity.WARN, "lags", f"{self._joints(late)}: follows late")

    def _read_health(self, now: float) -> None:
        """Read the health of one servo per call, of each once a second."""
        count = len(self.health)
        if now - self._health_s < 1.0 / count:
            return
        number, self._health_s = self._next_health, now
        self._next_health = (number + 1) % count
        try:
            self.health[number] = self.driver.read_health(number)
        except HardwareError:
            self.health[number] = None
        for finding in self._of_health(self.driver.joints[number].name, self.health[number]):
            self._find(finding.severity, finding.name, finding.text)

    def _of_health(self, joint: str, health: ServoHealth | None) -> Iterator[Finding]:
        if health is None:
            return
        limits = self._settings
        if health.errors:
            text = f"{joint}: {' and '.join(health.errors)}"
            yield Finding(Severity.HOLD, "servo_error", text)
        if health.is_stopped:
            text = f"{joint}: its own watchdog stopped it, for nothing was sent on the bus"
            yield Finding(Severity.HOLD, "stopped", text)
        if health.temperature_c > limits.too_hot_c:
            text = f"{joint}: {health.temperature_c:g} degrees C; let it cool down"
            yield Finding(Severity.REST, "too_hot", text)
        elif health.temperature_c > limits.hot_c:
            yield Finding(Severity.WARN, "hot", f"{joint}: {health.temperature_c:g} degrees C")
        is_low = health.voltage_v < limits.low_v
        if is_low or 0.0 < limits.high_v < health.voltage_v:
            text = f"{joint}: {health.voltage_v:g} V; check the supply"
            yield Finding(Severity.WARN, "voltage", text)

    def _joints(self, which: BoolArray) -> str:
        return ", ".join(j.name for j, hit in zip(self.driver.joints, which, strict=True) if hit)

    def _find(self, severity: Severity, name: str, text: str) -> None:
        self._seen_s[name] = self._clock()
        known = self._findings.get(name)
        if known is None or severity > known.severity:
            self._findings[name] = Finding(severity, name, text)

    def _forget_warnings(self, now: float) -> None:
        for name, finding in list(self._findings.items()):
            is_over = not 0.0 <= now - self._seen_s[name] <= WARN_S
            if finding.severity <= Severity.WARN and is_over:
                del self._findings[name]

    # -- what is done ---------------------------------------------------------------------------

    def tick(self) -> None:
        """Carry out the action of the present severity; raise nothing, retry where that failed."""
        self._rearm_after_gap()
        severity = self.severity
        if self._done is Severity.REST and severity is Severity.REST and not self.motion.is_moving:
            severity = Severity.DISABLE_TORQUE  # it has come to rest
        if severity <= max(self._done, Severity.WARN) or not self.driver.is_active:
            return
        worst = self.findings[0]
        self.motion.refuse(
            f"Limb '{self.driver.name}' does not move: {worst.name} ({worst.text}). "
            "Cure that, then activate it again."
        )
        try:
            if severity is Severity.HOLD:
                self.motion.abandon()
            elif severity is Severity.REST:
                self.motion.return_to_rest(self._settings.rest_speed)
            else:
                self.driver.disable_torque()
        except HardwareError:
            return
        self._done = severity

    def _rearm_after_gap(self) -> None:
        """Arm servos again, where the limb is now, after a gap of this program stopped them."""
        now = self._clock()
        gap_s, self._ticked_s = now - self._ticked_s, now
        if not self.driver.is_active or self.severity > Severity.WARN:
            return
        if gap_s <= self.driver.health().watchdog_s:
            return
        self._gaps_s = [at for at in self._gaps_s if now - at < MINUTE_S] + [now]
        if len(self._gaps_s) > GAPS_PER_MINUTE:
            text = "this program comes too late again and again; give it priority (see README)"
            self._find(Severity.HOLD, "control_gap", text)
            return
        self._find(Severity.WARN, "control_gap", f"this program was silent for {gap_s:.2f} s")
        try:
            self.driver.activate()
        except HardwareError:
            self._ticked_s = -np.inf  # once more
        self._answered_s[:] = now
        self._follow.restart()
