"""The contract of a camera: three kinds of read, each with a clear promise about age."""

from __future__ import annotations

import time
from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from asterias.arrays import ImageArray
from asterias.context import ConnectedDevice
from asterias.errors import DeviceError, StaleFrameError
from hardware.cameras.health import CameraHealth
from hardware.description.limb import CameraDescription
from hardware.limbs.driver import Clock


@dataclass(frozen=True)
class Frame:
    """One picture.

    Attributes:
        time_s: when the picture was taken, on the camera's clock.
        sequence: counts the camera's pictures from 0; a gap means lost frames.
        image: ``(H, W, 3)`` uint8, RGB.
    """

    time_s: float
    sequence: int
    image: ImageArray


@dataclass
class FrameCounters:
    """What happened to the pictures so far; kept by the device's class, for diagnostics."""

    captured: int = 0
    dropped: int = 0


class Camera(ConnectedDevice):
    """A source of RGB pictures of a fixed size and a nominal rate.

    Args:
        description: name, size, field of view and rate; readable while disconnected.
        clock: seconds, monotonic; the simulation passes its own time.
    """

    def __init__(self, description: CameraDescription, *, clock: Clock = time.monotonic) -> None:
        super().__init__()
        self.description = description
        self.counters = FrameCounters()
        self._clock = clock
        self._latest: Frame | None = None

    @property
    def name(self) -> str:
        """The camera's name, as in the description."""
        return self.description.name

    @property
    def title(self) -> str:
        """Kind and name, as messages begin."""
        return f"Camera '{self.name}'"

    def disconnect(self) -> None:
        """Stop and close the device; harmless when already closed."""
        self._latest = None
        super().disconnect()

    def health(self) -> CameraHealth | None:
        """Return how the camera is now; None: it does not watch itself."""
        return None

    def read(self) -> Frame:
        """Return a picture taken now, and wait for it.

        NotConnectedError comes before ``connect()``, and DeviceError when the camera does not
        deliver, or not the size it was described with.
        """
        self._require_connected()
        return self._keep(self._capture())

    def read_next(self, timeout_s: float = 0.2) -> Frame:
        """Return the next picture that has not been returned before, and wait for it.

        NotConnectedError comes before ``connect()``, and DeviceError when the picture is not of the
        size it was described with.

        Raises:
            StaleFrameError: none came within ``timeout_s``.
        """
        self._require_connected()
        frame = self._next(timeout_s)
        if frame is None:
            raise StaleFrameError(
                f"Camera '{self.name}' delivered no new frame within {timeout_s:.3g} s; "
                "check its cable and its rate."
            )
        return self._keep(frame)

    def poll(self) -> Frame | None:
        """Return the next picture that has not been returned before, or None; never wait.

        NotConnectedError comes before ``connect()``, and DeviceError when the picture is not of the
        size it was described with.
        """
        self._require_connected()
        frame = self._next(0.0)
        return None if frame is None else self._keep(frame)

    def read_latest(self, max_age_s: float = 0.5) -> Frame:
        """Return the newest picture without waiting.

        NotConnectedError comes before ``connect()``.

        Raises:
            StaleFrameError: there is none, or it is older than ``max_age_s``, or its stamp lies as
                far in the future (the clock was set back).
        """
        self._require_connected()
        frame = self._peek()
        if frame is None:
            raise StaleFrameError(
                f"Camera '{self.name}' has not delivered a frame yet; wait for one."
            )
        age_s = self._clock() - frame.time_s
        if not abs(age_s) <= max_age_s:
            relation = "old" if age_s > 0 else "ahead of the clock"
            raise StaleFrameError(
                f"The newest frame of camera '{self.name}' is {abs(age_s):.3f} s {relation}, more "
                f"than the {max_age_s:.3g} s allowed; check that the camera still runs."
            )
        return frame

    @abstractmethod
    def _capture(self) -> Frame:
        """Take one picture and wait for it."""

    @abstractmethod
    def _next(self, timeout_s: float) -> Frame | None:
        """Wait for a picture newer than the last one returned; None after ``timeout_s``."""

    def _peek(self) -> Frame | None:
        """Return the newest picture there is, without waiting."""
        return self._latest

    def _keep(self, frame: Frame) -> Frame:
        expected = (self.description.height_px, self.description.width_px, 3)
        if frame.image.shape != expected or frame.image.dtype != np.uint8:
            raise DeviceError(
                f"Camera '{self.name}' delivered a {frame.image.dtype} picture of shape "
                f"{frame.image.shape}, expected uint8 of shape {expected}; "
                "correct width_px and height_px in the robot description."
            )
        self._latest = frame
        return frame
