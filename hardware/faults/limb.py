"""A limb whose joints can fail; the words are those of :mod:`hardware.faults.injection`."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from asterias.arrays import BoolArray, FloatArray
from asterias.errors import DeviceError
from hardware.buses.bus import ServoHealth
from hardware.faults.injection import FaultInjection
from hardware.faults.models import FaultModel, JointRange, JointReading
from hardware.faults.words import HEALTHY, Fault
from hardware.limbs.driver import LimbDriver, LimbHealth, LimbState


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

    def health(self) -> LimbHealth:
        """Return the health of the wrapped limb."""
        return self.inner.health()

    def read_health(self, number: int) -> ServoHealth | None:
        """Return the health of a servo of the wrapped limb."""
        return self.inner.read_health(number)

    def request(self) -> None:
        """Ask the devices of the wrapped limb."""
        self.inner.request()

    def tick(self) -> bool:
        """Return the same as for any limb; delayed and slow joints move on as well."""
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

    def _failing(self) -> Iterator[tuple[str, int, float, FaultModel]]:
        """Yield name, number, value and model of the joints that fail."""
        for name, fault in self._faults.items():
            if fault.word != Fault.OK:
                yield name, self._number[name], fault.value, fault.model

    def _is_lost(self, i: int, chance: float | None) -> bool:
        return chance is not None and bool(self._rng[i].random() < chance)

    # -- readings -------------------------------------------------------------------------------

    def _read(self) -> LimbState:
        for name, i, value, model in self._failing():
            if self._is_lost(i, model.loss_probability(value)):
                raise DeviceError(
                    f"Limb '{self.name}' got no answer from joint '{name}'; check its wiring."
                )
        state = self.inner.read()
        position = np.array(state.position_rad)
        velocity = np.array(state.velocity_rad_s)
        for _, i, value, model in self._failing():
            reading = JointReading(float(position[i]), float(velocity[i]))
            joint = JointRange(float(self._lower[i]), float(self._upper[i]), float(self._speed[i]))
            position[i], velocity[i] = model.reading(reading, value, joint, self._rng[i])
        return replace(state, position_rad=position, velocity_rad_s=velocity)

    # -- commands -------------------------------------------------------------------------------

    def _write(self, position_rad: FloatArray) -> None:
        if self._delivered is None:
            self._start()
        is_clean = self._clean()
        self._asked = np.array(position_rad)
        goal = np.array(position_rad)
        for name, i, value, model in self._failing():
            delay_s = model.delay_s(value)
            is_lost = self._is_lost(i, model.loss_probability(value))
            if delay_s is not None and not is_lost:
                self._late[name].append((self._clock() + delay_s, float(position_rad[i])))
            if model.is_off or model.jams or is_lost or delay_s is not None:
                goal[i] = self._goal[i]
        self._goal = goal
        self._deliver(is_clean, repeat=True)

    def _start(self) -> None:
        """Before the first command the device's goal is unknown: it stands where it is."""
        measured = self._true_position(unknown=self._last_sent)
        self._delivered = self._goal = self._asked = measured
        self._delivered_s = self._clock()

    def _clean(self) -> BoolArray:
        """Return which joints work and have what was asked of them: their goals pass unchanged."""
        healthy = np.array([fault.word == Fault.OK for fault in self._faults.values()])
        is_clean: BoolArray = healthy & (self._delivered == self._asked)
        return is_clean

    def _deliver(self, is_clean: BoolArray, *, repeat: bool) -> None:
        """Lead the device towards the goals; ``repeat`` writes even what it has already."""
        assert self._delivered is not None
        now = self._clock()
        self._goal = self._present_goal(now)
        step = self._speed * min(max(now - self._delivered_s, 0.0), self.max_step_period_s)
        for _, i, value, model in self._failing():
            fraction = model.speed_fraction(value)
            step[i] *= 1.0 if fraction is None else fraction
        led = np.clip(self._goal, self._delivered - step, self._delivered + step)
        for _, i, _, model in self._failing():
            if model.is_off:
                led[i] = self._goal[i]  # it is there already
        sent = np.where(is_clean, self._goal, led)
        if repeat or not np.array_equal(sent, self._delivered):
            self.inner._write(sent)
            self._delivered = sent
            self._delivered_s = now

    def _present_goal(self, now: float) -> FloatArray:
        """Return what the faults that depend on time or on the position make of the goals."""
        goal = np.array(self._goal)
        for name, i, value, model in self._failing():
            late, delay_s = self._late[name], model.delay_s(value) or 0.0
            # A due time beyond the delay comes from a clock that was set back since.
            while late and not 0.0 < late[0][0] - now <= delay_s:
                goal[i] = late.popleft()[1]
        blocked = [
            (name, i, model.is_off)
            for name, i, _, model in self._failing()
            if model.is_off or model.jams
        ]
        if blocked:
            position = self._true_position(unknown=goal)
            for name, i, is_off in blocked:
                goal[i] = (
                    position[i]
                    if is_off
                    else self._jammed_at_rad.setdefault(name, float(position[i]))
                )
        return goal

    def _true_position(self, unknown: FloatArray) -> FloatArray:
        """Return where the joints are, within their range; ``unknown`` where they cannot tell."""
        position = np.asarray(self.inner.read().position_rad)
        known = np.where(np.isfinite(position), position, unknown)
        return np.clip(known, self._lower, self._upper)
