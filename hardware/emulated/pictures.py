"""Pictures of emulated cameras: a source that is filled from outside, or draws a moving pattern."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from typing import NamedTuple

import cv2
import numpy as np

from asterias.arrays import ImageArray
from hardware.faults.words import HEALTHY, Fault, checked_fault
from hardware.limbs.driver import Clock


class Shot(NamedTuple):
    """Number, time and JPEG file of a picture."""

    number: int
    time_s: float
    jpeg: bytes


class PictureSource:
    """Holds the newest picture; servers wait for the next one."""

    def __init__(self) -> None:
        self._shot = Shot(-1, 0.0, b"")
        self._changed = threading.Condition()

    def show(self, jpeg: bytes, time_s: float) -> None:
        """Publish a picture as the newest one."""
        with self._changed:
            self._shot = Shot(self._shot.number + 1, time_s, jpeg)
            self._changed.notify_all()

    def latest(self) -> Shot:
        """Return the newest picture; number -1 before the first."""
        return self._shot

    def after(self, number: int, timeout_s: float) -> Shot | None:
        """Return the newest picture once it is newer than ``number``; None after ``timeout_s``."""
        with self._changed:
            self._changed.wait_for(lambda: self._shot.number > number, timeout_s)
            return self._shot if self._shot.number > number else None


class FailingPictures:
    """Pictures of a source with one of the eight faults applied.

    ``off`` gives none; ``stuck`` repeats one; ``garbage`` gives bytes that are no JPEG; ``wrong``
    cuts pictures in half; ``slow`` gives a fraction of them; ``delayed`` gives them late, with
    their true time; ``intermittent`` loses some.
    """

    def __init__(self, source: PictureSource, seed: int = 0) -> None:
        self.source = source
        self.fault = HEALTHY
        self._random = random.Random(seed)
        self._late: deque[tuple[float, Shot]] = deque()
        self._frozen = b""
        self._passed = 0.0

    @property
    def is_off(self) -> bool:
        """Whether no pictures come at all."""
        return self.fault.model.is_off

    def inject(self, word: Fault | str, value: float | None = None) -> None:
        """Inject a fault; ``ok`` ends it."""
        self._late.clear()
        self.fault, self._frozen = checked_fault(word, value), b""

    def take(self, number: int, timeout_s: float) -> tuple[int, Shot | None]:
        """Wait for a picture newer than ``number``.

        Returns:
            The number of the newest picture seen, and the picture after the fault, if any.
        """
        shot = self.source.after(number, timeout_s)
        if shot is not None:
            number = shot.number
            if not self._is_lost():
                late_s = self.fault.model.delay_s(self.fault.value) or 0.0
                self._late.append((shot.time_s + late_s, shot))
        if self._late and self._late[0][0] <= time.monotonic():
            shot = self._late.popleft()[1]
            return number, shot._replace(jpeg=self._content(shot.jpeg))
        return number, None

    def _is_lost(self) -> bool:
        model, value = self.fault.model, self.fault.value
        chance, fraction = model.loss_probability(value) or 0.0, model.speed_fraction(value)
        if fraction is not None:
            self._passed += fraction
            is_lost = self._passed < 1.0
            self._passed -= 0.0 if is_lost else 1.0
            if is_lost:
                return True
        return model.is_off or self._random.random() < chance

    def _content(self, jpeg: bytes) -> bytes:
        model = self.fault.model
        if model.freezes:
            self._frozen = self._frozen or jpeg
            return self._frozen
        return model.jpeg(jpeg, self._random)


class PatternCamera:
    """Fills sources with a moving pattern at a rate, in one thread.

    Args:
        sources: all get the same pictures.
        width_px, height_px: of the pictures.
        rate_hz: pictures per second.
    """

    def __init__(
        self,
        sources: list[PictureSource],
        width_px: int,
        height_px: int,
        rate_hz: float,
        clock: Clock = time.monotonic,
    ) -> None:
        self.rate_hz = rate_hz
        self._is_paused = False
        self._showing = threading.Lock()
        self._sources = sources
        self._size = (width_px, height_px)
        self._clock = clock
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pattern camera", daemon=True)

    def start(self) -> None:
        """Take pictures from now on."""
        self._thread.start()

    def pause(self, is_paused: bool = True) -> None:
        """Stop taking pictures, or go on; after the return, no further one is shown."""
        with self._showing:
            self._is_paused = is_paused

    def close(self) -> None:
        """Take no more."""
        self._is_closing.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        count, due_s = 0, time.monotonic()
        while not self._is_closing.is_set():
            jpeg = encode_jpeg(pattern(*self._size, count))
            with self._showing:
                for source in self._sources if not self._is_paused else ():
                    source.show(jpeg, self._clock())
            count, due_s = count + 1, due_s + 1.0 / self.rate_hz
            self._is_closing.wait(max(due_s - time.monotonic(), 0.0))


def pattern(width_px: int, height_px: int, count: int) -> ImageArray:
    """Return ``(H, W, 3)`` RGB: soft colours with a bright bar that moves with ``count``."""
    y, x = np.mgrid[0:height_px, 0:width_px]
    image = np.stack([x * 200 // width_px, y * 200 // height_px, (x + y) * 0 + 60], axis=-1)
    start = (count * 4) % width_px
    image[:, start : start + max(width_px // 8, 1)] = 230
    return image.astype(np.uint8)


def encode_jpeg(image: ImageArray, quality: int = 85) -> bytes:
    """Return a JPEG file of an ``(H, W, 3)`` RGB picture."""
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    assert done
    return data.tobytes()
