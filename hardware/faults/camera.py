"""A camera that can fail; the words are those of :mod:`hardware.faults.injection`."""

from __future__ import annotations

import contextlib
import math
import zlib
from collections import deque
from dataclasses import replace

import numpy as np

from asterias.arrays import ImageArray
from asterias.errors import DeviceError, StaleFrameError
from hardware.cameras.driver import Camera, Frame
from hardware.cameras.health import CameraHealth, CameraHealthMonitor
from hardware.faults.injection import FaultInjection
from hardware.faults.words import HEALTHY, ActiveFault, Fault

# So many frames lost in a row, and a camera counts as one that does not deliver.
_MOST_LOST_FRAMES = 100
_CLOCK_TOLERANCE_S = 1e-9  # 3 x 0.1 s is not quite 0.3 s


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
        self._monitor: CameraHealthMonitor | None = None

    @property
    def fault(self) -> ActiveFault:
        """The present fault."""
        return self._faults[self.name]

    def health(self) -> CameraHealth | None:
        """Return how the pictures that come out are; None: the wrapped camera watches nothing."""
        inner = self.inner.health()
        if inner is None or self._monitor is None:
            return None
        health = self._monitor.health(self._clock())
        return replace(health, problem=inner.problem, reconnects=inner.reconnects)

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
        # Judging pictures takes time: only where somebody does so anyway.
        is_watched = self.inner.health() is not None
        rate_hz = self.description.rate_hz
        self._monitor = CameraHealthMonitor(rate_hz, self._clock()) if is_watched else None

    def _keep(self, frame: Frame) -> Frame:
        if self._monitor is not None and frame is not self._latest:
            self._monitor.accept(frame.image, frame.time_s, self._clock())
        return super()._keep(frame)

    def _close(self) -> None:
        self.inner.disconnect()

    # -- the three reads ------------------------------------------------------------------------

    def _capture(self) -> Frame:
        model, value = self.fault.model, self.fault.value
        is_lossy = model.loss_probability(value) is not None
        if model.is_off:
            raise DeviceError(f"Camera '{self.name}' does not answer; check its cable.")
        for _ in range(_MOST_LOST_FRAMES):
            self._offer(self.inner.read())
            if self._fresh() is not None or not is_lossy:
                break
        if self._arrived is None or (is_lossy and self._fresh() is None):
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
        """Return the newest picture, unless ``read`` or ``read_next`` has returned it before."""
        self._let_arrive()
        return None if self._arrived is self._latest else self._arrived

    # -- what happens to a frame ----------------------------------------------------------------

    def _offer(self, frame: Frame) -> None:
        if frame is self._seen:
            return
        self._seen = frame
        if self._is_lost(frame):
            self.counters.dropped += 1
        elif self.fault.model.delay_s(self.fault.value) is not None:
            self._late.append(frame)
        else:
            self._arrived = self._altered(frame)

    def _let_arrive(self) -> None:
        """Delayed frames whose time has come; one from the future is of an earlier clock."""
        now = self._clock()
        delay_s = self.fault.model.delay_s(self.fault.value) or 0.0
        while self._late:
            age_s = now - self._late[0].time_s
            if 0.0 <= age_s < delay_s - _CLOCK_TOLERANCE_S:
                return
            frame = self._late.popleft()
            if age_s >= 0.0:
                self._arrived = frame

    def _is_lost(self, frame: Frame) -> bool:
        model, value = self.fault.model, self.fault.value
        chance, fraction = model.loss_probability(value), model.speed_fraction(value)
        if chance is not None and self._rng(frame).random() < chance:
            return True
        if fraction is not None:
            period_s = 1.0 / (fraction * self.description.rate_hz)
            if 0.0 <= frame.time_s - self._passed_s < period_s - _CLOCK_TOLERANCE_S:
                return True
            self._passed_s = frame.time_s
        return model.is_off

    def _altered(self, frame: Frame) -> Frame:
        model = self.fault.model
        if model.freezes:
            if self._frozen is None:
                self._frozen = (self._arrived or frame).image
            return replace(frame, image=np.array(self._frozen))
        if self.fault.word == Fault.OK:
            return frame
        image = model.image(frame.image, self._rng(frame))
        return frame if image is frame.image else replace(frame, image=image)

    def _rng(self, frame: Frame) -> np.random.Generator:
        return np.random.default_rng((*self._seed, frame.sequence))
