"""Faults on purpose: the eight failure words of PX4, for any limb and any camera.

``FaultyLimb`` and ``FaultyCamera`` wrap a driver, keep its contract, and do nothing until
``inject`` is called. A fault is as silent as the real one: no log line, no exception where the
device itself would not give one, and ``send`` still returns what the limits let through. The same
seed and the same calls give the same faults.

========================  =====================================  =================================
word                      joint                                  camera
========================  =====================================  =================================
``ok``                    works                                  works
``off``                   yields: no command has effect, the     no frame arrives; ``read`` raises
                          goal follows the measured position     ``DeviceError``
``stuck``                 jammed: stays where it was             frozen picture with new stamps
``garbage``               random readings, of half width         random pixels
                          *value* rad (default: whole range)
``wrong``                 reads *value* rad too much (0.2)       picture mirrored left to right
``slow``                  moves at *value* of its speed (0.25)   *value* of its rate (0.25)
``delayed``               commands come *value* s late (0.3)     frames come *value* s late (0.3),
                                                                 with their true stamps
``intermittent``          loses a command or raises              loses a frame with probability
                          ``DeviceError`` on a reading with      *value* (0.3)
                          probability *value* (0.3)
========================  =====================================  =================================

A camera that has nothing new for ``read`` (slow, delayed) gives its last picture again; it raises
``DeviceError`` if there is none.

Source of the words: PX4's failure injection (docs/en/debug/failure_injection.md).
"""

from __future__ import annotations

import contextlib
import difflib
import math
import zlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray, ImageArray
from asterias.errors import DeviceError, FaultError, StaleFrameError
from hardware.cameras.driver import Camera, Frame
from hardware.limbs.driver import LimbDriver, LimbState

BoolArray = npt.NDArray[np.bool_]


class Fault(str, Enum):
    """The failure words; a member equals its word, so both are accepted everywhere."""

    OK = "ok"
    OFF = "off"
    STUCK = "stuck"
    GARBAGE = "garbage"
    WRONG = "wrong"
    SLOW = "slow"
    DELAYED = "delayed"
    INTERMITTENT = "intermittent"


@dataclass(frozen=True)
class ActiveFault:
    """A fault and its value, in the unit of the table above; NaN where it has none."""

    word: Fault
    value: float


HEALTHY = ActiveFault(Fault.OK, math.nan)

_DEFAULTS = {
    Fault.GARBAGE: math.inf,
    Fault.WRONG: 0.2,
    Fault.SLOW: 0.25,
    Fault.DELAYED: 0.3,
    Fault.INTERMITTENT: 0.3,
}
# Lowest and highest value, and the words for them.
_RANGES = {
    Fault.GARBAGE: (0.0, math.inf, "an amplitude of at least 0 rad"),
    Fault.WRONG: (-math.inf, math.inf, "an offset in rad"),
    Fault.SLOW: (0.01, 1.0, "a share of the full speed from 0.01 to 1"),
    Fault.DELAYED: (0.0, 60.0, "a delay from 0 to 60 s"),
    Fault.INTERMITTENT: (0.0, 1.0, "a probability from 0 to 1"),
}
# So many frames lost in a row, and a camera counts as one that does not deliver.
_MOST_LOST_FRAMES = 100
_CLOCK_TOLERANCE_S = 1e-9  # 3 x 0.1 s is not quite 0.3 s


def _closest(word: str, choices: list[str]) -> str:
    close = difflib.get_close_matches(word, choices, n=1)
    return f"did you mean '{close[0]}'?" if close else f"choose one of: {', '.join(choices)}."


def checked_fault(fault: Fault | str | bool, value: float | None) -> ActiveFault:
    """A fault with its value; None takes the word's default.

    Raises:
        FaultError: there is no such word, or the value is out of range.
    """
    # YAML reads a bare `off` as false, and hands it on as that or as the text of it.
    named = "off" if str(fault).lower() == "false" else fault
    try:
        word = Fault(named)
    except ValueError as error:
        words = [f.value for f in Fault]
        raise FaultError(f"There is no fault '{fault}'; {_closest(str(fault), words)}") from error
    if word not in _RANGES:
        return ActiveFault(word, math.nan)  # no value belongs to it, so any is ignored
    amount = _DEFAULTS[word] if value is None else float(value)
    low, high, meaning = _RANGES[word]
    is_allowed = low <= amount <= high and (value is None or math.isfinite(amount))
    if not is_allowed:
        raise FaultError(f"The fault '{word.value}' takes {meaning}, not {amount:g}.")
    return ActiveFault(word, amount)


class FaultInjection(ABC):
    """What the fault wrappers have in common: set and clear faults by component name.

    Not safe against calls from several threads at once, as little as the drivers are.
    """

    _faults: dict[str, ActiveFault]

    @property
    def components(self) -> tuple[str, ...]:
        """Names that can fail: the joints of a limb, or the camera."""
        return tuple(self._faults)

    @property
    def faults(self) -> dict[str, ActiveFault]:
        """The present fault of each component; a copy."""
        return dict(self._faults)

    def inject(self, component: str, fault: Fault | str, value: float | None = None) -> None:
        """Let a component fail from now on; replaces its earlier fault, ``ok`` heals it.

        Args:
            component: one of ``components``, or the device's own name for all of them.
            fault: one of the eight words; YAML's false is ``off``.
            value: strength, in the unit of the module's table; None takes the default.

        Raises:
            FaultError: unknown word or component, or a value out of range. Nothing changes then.
        """
        active = checked_fault(fault, value)
        for name in self._named(component):
            self._faults[name] = active
            self._reset_fault(name)

    def clear(self, component: str | None = None) -> None:
        """Heal one component, or all."""
        for name in self.components if component is None else self._named(component):
            self.inject(name, Fault.OK)

    def _named(self, component: str) -> tuple[str, ...]:
        if component == self._device_name():
            return self.components
        if component not in self._faults:
            names = [*self.components, self._device_name()]
            raise FaultError(
                f"'{self._device_name()}' has no component '{component}'; "
                f"{_closest(component, names)}"
            )
        return (component,)

    @abstractmethod
    def _device_name(self) -> str:
        """The name that stands for all components."""

    @abstractmethod
    def _reset_fault(self, component: str) -> None:
        """Forget what an earlier fault of this component left behind."""


# -- limbs ----------------------------------------------------------------------------------------


class FaultyLimb(LimbDriver, FaultInjection):
    """A limb whose joints can fail, one by one or all.

    It stands between the limits and the device: the limits of ``LimbDriver`` apply here, once, and
    the wrapped limb is only opened, read, written and closed. A joint that fails, or has not
    caught up since, is led to its goal at its velocity limit, so that lost, late or invented
    goals never make it jump.

    Args:
        inner: the limb to wrap; use it through the wrapper only.
        seed: of all random faults; each joint draws from a row of its own.
    """

    def __init__(self, inner: LimbDriver, *, seed: int = 0) -> None:
        super().__init__(
            inner.name,
            inner.joints,
            command_timeout_s=inner.command_timeout_s,
            clock=inner._clock,
            max_step_period_s=inner.max_step_period_s,
        )
        self.inner = inner
        self._seed = seed
        self._faults = {name: HEALTHY for name in inner.joint_names}
        self._number = {name: i for i, name in enumerate(inner.joint_names)}
        self._rng = [np.random.default_rng((seed, i)) for i in range(len(inner.joints))]
        self._jammed_at_rad: dict[str, float] = {}
        self._late: dict[str, deque[tuple[float, float]]] = {}  # due time, goal
        self._asked = self.last_sent_rad  # what the limits let through
        self._goal = self.last_sent_rad  # what the faults make of it
        self._delivered: FloatArray | None = None  # what the device got; None before the first
        self._delivered_s = -math.inf

    def tick(self) -> bool:
        """As for any limb; delayed and slow joints move on as well."""
        holding = super().tick()
        if self._connected and self._delivered is not None:
            self._deliver(self._clean(), repeat=False)
        return holding

    def _device_name(self) -> str:
        return self.name

    def _reset_fault(self, component: str) -> None:
        i = self._number[component]
        self._rng[i] = np.random.default_rng((self._seed, i))
        self._jammed_at_rad.pop(component, None)
        self._late[component] = deque()

    def _open(self) -> None:
        self.inner.connect()
        self._delivered = None
        for name in self.components:
            self._reset_fault(name)

    def _close(self) -> None:
        self.inner.disconnect()

    def _clear_faults(self) -> None:
        self.inner._clear_faults()

    def _disable_torque(self) -> None:
        self.inner._disable_torque()

    def _failing(self, *words: Fault) -> Iterator[tuple[str, int, float]]:
        """Name, number and value of the joints with one of these faults."""
        for name, fault in self._faults.items():
            if fault.word in words:
                yield name, self._number[name], fault.value

    # -- readings -------------------------------------------------------------------------------

    def _read(self) -> LimbState:
        for name, i, chance in self._failing(Fault.INTERMITTENT):
            if self._rng[i].random() < chance:
                raise DeviceError(
                    f"Limb '{self.name}' got no answer from joint '{name}'; check its wiring."
                )
        state = self.inner.read()
        position = np.array(state.position_rad)
        velocity = np.array(state.velocity_rad_s)
        for _, i, offset in self._failing(Fault.WRONG):
            position[i] += offset
        for _, i, width in self._failing(Fault.GARBAGE):
            position[i] = self._noise(i, position[i], width)
            velocity[i] = self._rng[i].uniform(-self._speed[i], self._speed[i])
        return replace(state, position_rad=position, velocity_rad_s=velocity)

    def _noise(self, i: int, center_rad: float, width_rad: float) -> float:
        if math.isinf(width_rad):
            return float(self._rng[i].uniform(self._lower[i], self._upper[i]))
        return float(center_rad + self._rng[i].uniform(-width_rad, width_rad))

    # -- commands -------------------------------------------------------------------------------

    def _write(self, position_rad: FloatArray) -> None:
        if self._delivered is None:
            self._start()
        is_clean = self._clean()
        self._asked = np.array(position_rad)
        goal = np.array(position_rad)
        for _, i, _ in self._failing(Fault.OFF, Fault.STUCK, Fault.DELAYED):
            goal[i] = self._goal[i]
        for _, i, chance in self._failing(Fault.INTERMITTENT):
            if self._rng[i].random() < chance:
                goal[i] = self._goal[i]
        for name, i, delay_s in self._failing(Fault.DELAYED):
            self._late[name].append((self._clock() + delay_s, float(position_rad[i])))
        self._goal = goal
        self._deliver(is_clean, repeat=True)

    def _start(self) -> None:
        """Before the first command the device's goal is unknown: it stands where it is."""
        measured = self._true_position(unknown=self._last_sent)
        self._delivered = self._goal = self._asked = measured
        self._delivered_s = self._clock()

    def _clean(self) -> BoolArray:
        """Joints that work and whose device has what was asked of it: goals pass unchanged."""
        healthy = np.array([fault.word is Fault.OK for fault in self._faults.values()])
        is_clean: BoolArray = healthy & (self._delivered == self._asked)
        return is_clean

    def _deliver(self, is_clean: BoolArray, *, repeat: bool) -> None:
        """Lead the device towards the goals; ``repeat`` writes even what it has already."""
        assert self._delivered is not None
        now = self._clock()
        self._goal = self._present_goal(now)
        step = self._speed * min(max(now - self._delivered_s, 0.0), self.max_step_period_s)
        for _, i, share in self._failing(Fault.SLOW):
            step[i] *= share
        led = np.clip(self._goal, self._delivered - step, self._delivered + step)
        for _, i, _ in self._failing(Fault.OFF):
            led[i] = self._goal[i]  # it is there already
        sent = np.where(is_clean, self._goal, led)
        if repeat or not np.array_equal(sent, self._delivered):
            self.inner._write(sent)
            self._delivered = sent
            self._delivered_s = now

    def _present_goal(self, now: float) -> FloatArray:
        """What the faults that depend on time or on the position make of the goals."""
        goal = np.array(self._goal)
        for name, i, delay_s in self._failing(Fault.DELAYED):
            late = self._late[name]
            # A due time beyond the delay comes from a clock that was set back since.
            while late and not 0.0 < late[0][0] - now <= delay_s:
                goal[i] = late.popleft()[1]
        blocked = tuple(self._failing(Fault.OFF, Fault.STUCK))
        if blocked:
            position = self._true_position(unknown=goal)
            for name, i, _ in blocked:
                is_off = self._faults[name].word is Fault.OFF
                goal[i] = (
                    position[i]
                    if is_off
                    else self._jammed_at_rad.setdefault(name, float(position[i]))
                )
        return goal

    def _true_position(self, unknown: FloatArray) -> FloatArray:
        """Where the joints really are, within their range; ``unknown`` where they cannot tell."""
        position = np.asarray(self.inner.read().position_rad)
        known = np.where(np.isfinite(position), position, unknown)
        return np.clip(known, self._lower, self._upper)


# -- cameras --------------------------------------------------------------------------------------


class FaultyCamera(Camera, FaultInjection):
    """A camera that can fail.

    Counters are those of the wrapped camera; frames that a fault loses count as dropped.

    Args:
        inner: the camera to wrap; use it through the wrapper only.
        seed: of all random faults; what happens to a frame depends on the seed, the camera's name
            and the frame's number only.
    """

    def __init__(self, inner: Camera, *, seed: int = 0) -> None:
        super().__init__(inner.description, clock=inner._clock)
        self.inner = inner
        self.counters = inner.counters
        self._seed = (seed, zlib.crc32(inner.name.encode()))
        self._faults = {inner.name: HEALTHY}
        self._seen: Frame | None = None  # the last frame that the inner camera gave
        self._arrived: Frame | None = None  # the last one that came through
        self._late: deque[Frame] = deque()
        self._frozen: ImageArray | None = None
        self._passed_s = -math.inf

    @property
    def fault(self) -> ActiveFault:
        """The present fault."""
        return self._faults[self.name]

    def _device_name(self) -> str:
        return self.name

    def _reset_fault(self, component: str) -> None:
        self.counters.dropped += len(self._late)
        self._late.clear()
        self._frozen = None
        self._passed_s = -math.inf

    def _open(self) -> None:
        self.inner.connect()
        self._seen = self._arrived = None
        self._reset_fault(self.name)

    def _close(self) -> None:
        self.inner.disconnect()

    # -- the three reads ------------------------------------------------------------------------

    def _capture(self) -> Frame:
        word = self.fault.word
        if word is Fault.OFF:
            raise DeviceError(f"Camera '{self.name}' does not answer; check its cable.")
        for _ in range(_MOST_LOST_FRAMES):
            self._offer(self.inner.read())
            if self._fresh() is not None or word is not Fault.INTERMITTENT:
                break
        if self._arrived is None or (word is Fault.INTERMITTENT and self._fresh() is None):
            raise DeviceError(f"Camera '{self.name}' delivers no picture; check its cable.")
        return self._arrived

    def _next(self, timeout_s: float) -> Frame | None:
        deadline_s = self._clock() + timeout_s
        # A camera may deliver without time passing; then the wait has to end all the same.
        for _ in range(int(timeout_s * self.description.rate_hz) + _MOST_LOST_FRAMES):
            if self._fresh() is not None:
                break
            try:
                self._offer(self.inner.read_next(max(deadline_s - self._clock(), 0.0)))
            except StaleFrameError:
                self._let_arrive()
                break
        return self._fresh()

    def _peek(self) -> Frame | None:
        with contextlib.suppress(StaleFrameError):
            self._offer(self.inner.read_latest(max_age_s=math.inf))
        self._let_arrive()
        return self._arrived

    def _fresh(self) -> Frame | None:
        """The newest picture, unless ``read`` or ``read_next`` has returned it before."""
        self._let_arrive()
        return None if self._arrived is self._latest else self._arrived

    # -- what happens to a frame ----------------------------------------------------------------

    def _offer(self, frame: Frame) -> None:
        if frame is self._seen:
            return
        self._seen = frame
        if self._is_lost(frame):
            self.counters.dropped += 1
        elif self.fault.word is Fault.DELAYED:
            self._late.append(frame)
        else:
            self._arrived = self._altered(frame)

    def _let_arrive(self) -> None:
        """Delayed frames whose time has come; one from the future is of an earlier clock."""
        now = self._clock()
        while self._late:
            age_s = now - self._late[0].time_s
            if 0.0 <= age_s < self.fault.value - _CLOCK_TOLERANCE_S:
                return
            frame = self._late.popleft()
            if age_s >= 0.0:
                self._arrived = frame

    def _is_lost(self, frame: Frame) -> bool:
        word, value = self.fault.word, self.fault.value
        if word is Fault.INTERMITTENT:
            return bool(self._rng(frame).random() < value)
        if word is Fault.SLOW:
            period_s = 1.0 / (value * self.description.rate_hz)
            if 0.0 <= frame.time_s - self._passed_s < period_s - _CLOCK_TOLERANCE_S:
                return True
            self._passed_s = frame.time_s
        return word is Fault.OFF

    def _altered(self, frame: Frame) -> Frame:
        word = self.fault.word
        if word is Fault.STUCK:
            if self._frozen is None:
                self._frozen = (self._arrived or frame).image
            return replace(frame, image=np.array(self._frozen))
        if word is Fault.GARBAGE:
            noise = self._rng(frame).integers(0, 256, frame.image.shape, dtype=np.uint8)
            return replace(frame, image=noise)
        if word is Fault.WRONG:
            return replace(frame, image=np.ascontiguousarray(frame.image[:, ::-1]))
        return frame

    def _rng(self, frame: Frame) -> np.random.Generator:
        return np.random.default_rng((*self._seed, frame.sequence))
