"""What is wrong with a camera, in one word, from its last second of pictures."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

import cv2
import numpy as np

from asterias.arrays import ImageArray

WINDOW_S = 1.0
EARLY_S = 0.5
SILENT_PERIODS = 4.0
LATE_S = 0.2
SLOW_SHARE = 0.5
STEADY_SHARE = 0.85
# Mean step between neighbouring pixels, of 255: random ones have 85, pictures hardly more than 20.
NOISE_LEVEL = 50.0
DARK_LEVEL = 10.0  # mean level, of 255, of a picture that shows nothing
BLANK_CONTRAST = 4.0  # standard deviation of the levels of a picture that shows nothing


class CameraState(str, Enum):
    """A camera's state; the worst one that applies."""

    OK = "ok"
    SILENT = "silent"
    CORRUPT = "corrupt"
    DARK = "dark"
    FROZEN = "frozen"
    LATE = "late"
    SLOW = "slow"
    UNSTEADY = "unsteady"


ADVICE = {
    CameraState.OK: "",
    CameraState.SILENT: "check its power, cable and address",
    CameraState.CORRUPT: "its pictures arrive damaged: check cable, signal strength and size",
    CameraState.DARK: "its pictures are black: take off the lens cap, or switch on the light",
    CameraState.FROZEN: "it repeats one picture: switch it off and on, unless nothing moves",
    CameraState.LATE: "its pictures come late: lower the size, or get it a better network",
    CameraState.SLOW: "it takes fewer pictures than described: more light, or a lower rate_hz",
    CameraState.UNSTEADY: "it loses pictures: check cable, USB bandwidth or signal strength",
}


@dataclass(frozen=True)
class CameraHealth:
    """How a camera is.

    Attributes:
        state: the worst that applies.
        rate_hz: good pictures a second.
        age_s: time since the newest picture came; infinite before the first.
        delay_s: time from when it was taken to when it came.
        problem: the last thing that went wrong; empty while all is well.
        reconnects: times that the device was opened anew.
    """

    state: CameraState
    rate_hz: float
    age_s: float
    delay_s: float
    problem: str = ""
    reconnects: int = 0


def is_blank(image: ImageArray) -> bool:
    """Return whether a picture shows nothing that could move, such as a wall."""
    return bool(image.std() < BLANK_CONTRAST)


def is_noise(image: ImageArray) -> bool:
    """Return whether neighbouring pixels are unrelated, as no lens can show it."""
    rows = image[::4].astype(np.int16)
    return bool(np.abs(np.diff(rows, axis=1)).mean() > NOISE_LEVEL)


@dataclass(frozen=True)
class PictureSigns:
    """What a picture shows of its camera's health.

    Attributes:
        time_s: when it was taken.
        brightness, contrast: mean and standard deviation of its levels, 0 to 255.
        is_noise: see :func:`is_noise`.
        unchanged_s: for so long the camera has sent this very picture.
    """

    time_s: float
    brightness: float
    contrast: float
    is_noise: bool
    unchanged_s: float


def picture_state(signs: PictureSigns) -> CameraState:
    """Return what one picture shows of its camera: OK, DARK or CORRUPT."""
    if signs.brightness < DARK_LEVEL and signs.contrast < BLANK_CONTRAST:
        return CameraState.DARK
    return CameraState.CORRUPT if signs.is_noise else CameraState.OK


def compared_state(before: ImageArray | None, after: ImageArray | None) -> CameraState:
    """Return what two pictures show of a camera that has moved between them.

    Args:
        before: ``(H, W, 3)``; None: none came.
        after: the same, from after the movement.
    """
    if before is None or after is None:
        return CameraState.SILENT
    watch = PictureWatch()
    watch.see(before, 0.0)
    signs = watch.see(after, 1.0)
    state = picture_state(signs)
    if state is not CameraState.OK:
        return state
    is_frozen = signs.unchanged_s > 0.0 and signs.contrast >= BLANK_CONTRAST
    return CameraState.FROZEN if is_frozen else CameraState.OK


class PictureWatch:
    """Reads the signs of one camera's pictures, which come in order."""

    def __init__(self) -> None:
        self._last: ImageArray | None = None
        self._since_s = 0.0

    def see(self, image: ImageArray, time_s: float) -> PictureSigns:
        """Return the signs of the next picture, ``(H, W)`` or ``(H, W, 3)``."""
        if self._last is None or not np.array_equal(image, self._last):
            self._last, self._since_s = image, time_s
        mean, deviation = cv2.meanStdDev(image.reshape(-1, 1))
        return PictureSigns(
            time_s=time_s,
            brightness=float(mean[0, 0]),
            contrast=float(deviation[0, 0]),
            is_noise=is_noise(image),
            unchanged_s=max(time_s - self._since_s, 0.0),
        )


class CameraHealthMonitor:
    """Listens to a camera's pictures; not safe against calls from several threads at once.

    Args:
        rate_hz: nominal rate.
        start_s: when the camera was opened.
    """

    def __init__(self, rate_hz: float, start_s: float) -> None:
        self._nominal_hz = rate_hz
        self._start_s = start_s
        self._good: deque[float] = deque()
        self._broken: deque[float] = deque()
        self._watch = PictureWatch()
        self._signs: PictureSigns | None = None
        self._last_s = -np.inf
        self._delay_s = 0.0

    def accept(self, image: ImageArray, taken_s: float, now_s: float) -> None:
        """Judge a picture that has come.

        Args:
            image: ``(H, W, 3)`` uint8.
            taken_s: when it was taken.
            now_s: when it came, on the same clock.
        """
        self._signs = self._watch.see(image, now_s)
        is_broken = picture_state(self._signs) is CameraState.CORRUPT
        (self._broken if is_broken else self._good).append(now_s)
        self._delay_s = now_s - taken_s
        self._last_s = now_s
        self._forget(now_s)

    def drop(self, now_s: float) -> None:
        """Note that a picture has come that could not be used."""
        self._broken.append(now_s)
        self._forget(now_s)

    def health(self, now_s: float) -> CameraHealth:
        """Return how the camera is now."""
        self._forget(now_s)
        span_s = min(max(now_s - self._start_s, 1e-9), WINDOW_S)
        rate_hz = len(self._good) / span_s
        age_s = now_s - self._last_s
        return CameraHealth(self._state(rate_hz, now_s), rate_hz, age_s, self._delay_s)

    def _state(self, rate_hz: float, now_s: float) -> CameraState:
        silent_s = max(SILENT_PERIODS / self._nominal_hz, 0.3)
        if len(self._broken) > len(self._good):
            return CameraState.CORRUPT
        if now_s - max(self._last_s, self._start_s) > silent_s:
            return CameraState.SILENT
        if now_s - self._start_s < EARLY_S:
            return CameraState.OK  # too early to tell
        signs = self._signs
        if signs is not None and picture_state(signs) is CameraState.DARK:
            return CameraState.DARK
        unchanged_s = 0.0 if signs is None else signs.unchanged_s
        if unchanged_s > max(6.0 / self._nominal_hz, 0.5):
            return CameraState.FROZEN
        if self._delay_s > LATE_S:
            return CameraState.LATE
        if rate_hz < SLOW_SHARE * self._nominal_hz:
            return CameraState.SLOW
        steady = rate_hz >= STEADY_SHARE * self._nominal_hz
        return CameraState.OK if steady else CameraState.UNSTEADY

    def _forget(self, now_s: float) -> None:
        for times in (self._good, self._broken):
            while times and now_s - times[0] > WINDOW_S:
                times.popleft()
