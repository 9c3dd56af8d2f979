"""Motors of emulated servos: an ideal motor, or one with one of the eight faults."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from typing import NamedTuple, Protocol

from hardware.faults.words import HEALTHY, Fault, checked_fault
from hardware.limbs.driver import Clock


class ShaftState(NamedTuple):
    """Shaft angle in rad, speed in rad/s and torque in N m."""

    position_rad: float
    velocity_rad_s: float
    effort_nm: float


class Motor(Protocol):
    """Drives a shaft towards a goal."""

    def drive(self, goal_rad: float | None, speed_limit_rad_s: float) -> None:
        """Turn towards a shaft angle; None takes the torque off."""

    def motion(self) -> ShaftState:
        """Return the present motion of the shaft."""


class IdealMotor:
    """Turns to its goal at its speed, without inertia or load.

    Args:
        clock: seconds; motion is computed when it is read.
        speed_rad_s: no-load speed.
        position_rad: shaft angle at the start.
    """

    def __init__(
        self, clock: Clock = time.monotonic, speed_rad_s: float = 5.5, position_rad: float = 0.0
    ) -> None:
        self.speed_rad_s = speed_rad_s
        self._clock = clock
        self._position = position_rad
        self._goal: float | None = None
        self._limit = speed_rad_s
        self._time_s = clock()
        self._lock = threading.Lock()

    def drive(self, goal_rad: float | None, speed_limit_rad_s: float) -> None:
        """Turn towards a shaft angle; None takes the torque off."""
        with self._lock:
            self._run()
            self._goal = goal_rad
            self._limit = min(self.speed_rad_s, speed_limit_rad_s)

    def motion(self) -> ShaftState:
        """Return the present motion of the shaft."""
        with self._lock:
            velocity = self._run()
            return ShaftState(self._position, velocity, 0.0)

    def turn_to(self, position_rad: float) -> None:
        """Turn the shaft by hand."""
        with self._lock:
            self._run()
            self._position = position_rad

    def _run(self) -> float:
        """Return the speed in rad/s, after moving the shaft up to the present time."""
        now = self._clock()
        dt_s, self._time_s = max(now - self._time_s, 0.0), now
        if self._goal is None:
            return 0.0
        displacement = self._goal - self._position
        step = min(abs(displacement), self._limit * dt_s)
        self._position += step if displacement > 0 else -step
        is_there = abs(displacement) <= step
        return 0.0 if is_there else (self._limit if displacement > 0 else -self._limit)


class FailingMotor:
    """A motor that can fail; words and values as in :mod:`hardware.faults.injection`.

    ``off`` has no torque, ``stuck`` does not move, ``slow`` turns at a fraction of its speed,
    ``delayed`` follows late; ``garbage`` and ``wrong`` are failures of its encoder,
    ``intermittent`` of its wiring: :meth:`is_silent` reports that one.
    """

    def __init__(self, inner: Motor, clock: Clock = time.monotonic, seed: int = 0) -> None:
        self.inner = inner
        self._clock = clock
        self._random = random.Random(seed)
        self.fault = HEALTHY
        self._late: deque[tuple[float, float | None, float]] = deque()

    def inject(self, word: Fault | str, value: float | None = None) -> None:
        """Inject a fault; ``ok`` ends it."""
        self._late.clear()
        self.fault = checked_fault(word, value)

    def is_silent(self) -> bool:
        """Return whether the servo fails to answer this time."""
        model = self.fault.model
        chance = model.loss_probability(self.fault.value) or 0.0
        return model.is_off or self._random.random() < chance

    def drive(self, goal_rad: float | None, speed_limit_rad_s: float) -> None:
        """Turn towards a shaft angle, as far as the fault allows."""
        model, value = self.fault.model, self.fault.value
        delay_s, fraction = model.delay_s(value), model.speed_fraction(value)
        speed_limit_rad_s *= 1.0 if fraction is None else fraction
        if model.jams:
            self.inner.drive(self.inner.motion().position_rad, speed_limit_rad_s)
        elif model.is_off:
            self.inner.drive(None, speed_limit_rad_s)
        elif delay_s is not None:
            self._late.append((self._clock() + delay_s, goal_rad, speed_limit_rad_s))
        else:
            self.inner.drive(goal_rad, speed_limit_rad_s)

    def motion(self) -> ShaftState:
        """Return the motion of the shaft as the encoder reports it."""
        while self._late and self._late[0][0] <= self._clock():
            self.inner.drive(*self._late.popleft()[1:])
        motion = self.inner.motion()
        fault = self.fault
        position = fault.model.encoder_rad(motion.position_rad, fault.value, self._random)
        return motion._replace(position_rad=position)
