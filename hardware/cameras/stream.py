"""Cameras that send by themselves: a thread takes what comes, and connects again when it stops."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np

from asterias.arrays import ImageArray
from asterias.errors import DeviceError
from asterias.images.decode import ImageError
from asterias.images.jpeg import prepare
from hardware.cameras.driver import Camera, Frame
from hardware.cameras.health import CameraHealth, CameraHealthMonitor
from hardware.description.limb import CameraDescription
from hardware.limbs.driver import Clock

GRAB_S = 0.1  # so long a source may block; a camera stops within this time
FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 3.0
CLOCK_DRIFT = 1e-4  # of a camera's own clock against ours
LONGEST_DELAY_S = 10.0


@dataclass(frozen=True)
class Grab:
    """A picture as it came.

    Attributes:
        image: ``(H, W, 3)`` uint8, RGB.
        stamp_s: when it was taken on the camera's own clock; None where the camera has none.
    """

    image: ImageArray
    stamp_s: float | None = None


class FrameSource(ABC):
    """Where pictures come from; used by one thread only."""

    @abstractmethod
    def open(self) -> None:
        """Connect; raises DeviceError or OSError."""

    @abstractmethod
    def grab(self, timeout_s: float) -> Grab | None:
        """Return the next picture, or None after about ``timeout_s``.

        Raises:
            ImageError: a picture came that cannot be used; the stream goes on.
            DeviceError, OSError: the stream has ended.
        """

    @abstractmethod
    def close(self) -> None:
        """Hang up; harmless when not open."""


class StreamCamera(Camera):
    """A camera over a :class:`FrameSource`.

    ``connect`` does not wait for the device: one camera that is not there must not keep a robot
    from starting. It is tried again and again, ever less often, and :meth:`health` says why.

    Args:
        description: size, rate and name.
        source: closed.
        flip: turn pictures by 180 degrees.
        silence_s: without a picture for so long, the source is opened anew.
    """

    def __init__(
        self,
        description: CameraDescription,
        source: FrameSource,
        *,
        flip: bool = False,
        silence_s: float = 2.0,
        clock: Clock = time.monotonic,
    ) -> None:
        super().__init__(description, clock=clock)
        prepare()
        self.source = source
        self.silence_s = silence_s
        self._reconnects = 0
        self._flip = flip
        self._arrival = threading.Condition()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._reset()

    def health(self) -> CameraHealth:
        """Return how the camera is now; any thread may ask."""
        with self._arrival:
            health = self._watch.health(self._clock())
        return replace(health, problem=self._problem, reconnects=self._reconnects)

    # -- the contract ---------------------------------------------------------------------------

    def _reset(self) -> None:
        self._newest: Frame | None = None
        self._sequence = 0
        self._offset_s = math.inf
        self._problem = "it has not sent a picture yet"
        self._watch = CameraHealthMonitor(self.description.rate_hz, self._clock())

    def _open(self) -> None:
        self._reset()
        self._closing.clear()
        self._thread = threading.Thread(target=self._run, name=f"camera {self.name}", daemon=True)
        self._thread.start()

    def _close(self) -> None:
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _capture(self) -> Frame:
        with self._arrival:
            before = self._sequence
            frame = self._wait(before - 1, self.silence_s)
        if frame is None:
            raise DeviceError(f"Camera '{self.name}' does not deliver: {self._problem}.")
        return frame

    def _next(self, timeout_s: float) -> Frame | None:
        with self._arrival:
            return self._wait(-1 if self._latest is None else self._latest.sequence, timeout_s)

    def _peek(self) -> Frame | None:
        return self._newest

    def _wait(self, sequence: int, timeout_s: float) -> Frame | None:
        """Return the newest picture once newer than ``sequence``; called with the lock held."""

        def is_newer() -> bool:
            return self._newest is not None and self._newest.sequence > sequence

        return self._newest if self._arrival.wait_for(is_newer, timeout_s) else None

    # -- the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        backoff_s = FIRST_BACKOFF_S
        while not self._closing.is_set():
            before = self._sequence
            try:
                self.source.open()
                self._pump()
            except (DeviceError, OSError) as error:
                self._problem = " ".join(str(error).split()).rstrip(".")
            except Exception as error:  # whatever a device sends must not end the camera for good
                reason = " ".join(str(error).split()).rstrip(".")
                self._problem = f"its pictures cannot be read ({type(error).__name__}: {reason})"
            finally:
                self._close_source()
            if self._sequence > before:
                backoff_s = FIRST_BACKOFF_S
            self._reconnects += 1
            self._closing.wait(backoff_s)
            backoff_s = min(2.0 * backoff_s, LONGEST_BACKOFF_S)

    def _close_source(self) -> None:
        with contextlib.suppress(Exception):  # it is broken already, and opened anew
            self.source.close()

    def _pump(self) -> None:
        """Take pictures until the source fails or falls silent.

        Raises:
            DeviceError: no picture came for ``silence_s``.
        """
        heard_s = time.monotonic()
        while not self._closing.is_set():
            try:
                grab = self.source.grab(GRAB_S)
            except ImageError as error:
                self._drop(str(error))
                heard_s = time.monotonic()
                continue
            if grab is not None:
                self._accept(grab)
                heard_s = time.monotonic()
            elif time.monotonic() - heard_s > self.silence_s:
                raise DeviceError(f"no picture for {self.silence_s:g} s")

    def _drop(self, reason: str) -> None:
        with self._arrival:
            self._problem = f"it sent {reason}"
            self._sequence += 1
            self.counters.dropped += 1
            self._watch.drop(self._clock())

    def _accept(self, grab: Grab) -> None:
        about = self.description
        if grab.image.shape != (about.height_px, about.width_px, 3):
            height, width = grab.image.shape[:2]
            self._drop(
                f"a picture of {width} x {height} instead of {about.width_px} x {about.height_px} "
                "pixels; correct width_px and height_px in the robot description"
            )
            return
        image = np.ascontiguousarray(grab.image[::-1, ::-1]) if self._flip else grab.image
        now = self._clock()
        with self._arrival:
            frame = Frame(self._taken_s(grab.stamp_s, now), self._sequence, image)
            self._sequence += 1
            self._newest = frame
            self._problem = ""
            self.counters.captured += 1
            self._watch.accept(frame.image, frame.time_s, now)
            self._arrival.notify_all()

    def _taken_s(self, stamp_s: float | None, now: float) -> float:
        """Return when a picture was taken, on our clock: the quickest shows how clocks differ."""
        if stamp_s is None:
            return now
        age_s = 0.0 if self._newest is None else now - self._newest.time_s
        offset_s = now - stamp_s
        drifted_s = self._offset_s + CLOCK_DRIFT * max(age_s, 0.0)
        # A stamp that jumps back is that of a camera which has started again.
        is_restarted = offset_s - drifted_s > LONGEST_DELAY_S
        self._offset_s = offset_s if is_restarted else min(drifted_s, offset_s)
        return stamp_s + self._offset_s
