"""A simulated camera behind the contract of :class:`hardware.cameras.driver.Camera`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from asterias.arrays import ImageArray
from asterias.errors import DeviceError
from hardware.cameras.driver import Camera, Frame
from hardware.description.limb import CameraDescription


class World(Protocol):
    """What a camera needs of the world it stands in."""

    @property
    def time_s(self) -> float:
        """Simulated time."""

    def advance(self, duration_s: float) -> None:
        """Let simulated time pass."""

    def advance_to(self, time_s: float) -> None:
        """Let simulated time pass until it is ``time_s`` or the first instant after it."""


class SimCamera(Camera):
    """A pinhole camera with optional vignetting, pixel noise and JPEG losses.

    Waiting happens in simulated time: ``read_next`` advances the world to the next frame instant.

    Args:
        description: size, field of view, rate and flaws.
        world: gives the time, and lets it pass.
        draw: renders the flawless ``(H, W, 3)`` picture as of now.
        seed: of the pixel noise.

    Attributes:
        kind: what cameras that can be drawn in one call have in common: size, view and depth.
    """

    def __init__(
        self,
        description: CameraDescription,
        world: World,
        draw: Callable[[], ImageArray],
        seed: int,
    ) -> None:
        super().__init__(description, clock=lambda: world.time_s)
        self._world = world
        self._draw = draw
        self._rng = np.random.default_rng(seed)
        self._period_s = 1.0 / description.rate_hz
        self._sequence = 0
        self._due_s = 0.0
        self.kind = (
            *(description.width_px, description.height_px),
            *(description.fov_rad, description.near_m, description.far_m),
        )
        self._drawn: tuple[float, ImageArray] | None = None
        self._shade = _vignette(description) if description.vignetting > 0 else None

    @property
    def next_frame_s(self) -> float:
        """Simulated time of the next regular frame: multiples of the frame period."""
        return self._due_s

    @property
    def is_due(self) -> bool:
        """Whether a regular frame instant has come since the last frame."""
        return self._world.time_s >= self.next_frame_s - 1e-9

    def offer(self, image: ImageArray) -> None:
        """Take the flawless picture of this instant, drawn with others, for the next frame."""
        self._drawn = self._world.time_s, image

    def reseed(self, seed: int) -> None:
        """Start over: noise from ``seed``, no frame taken yet, numbers from 0."""
        self._rng = np.random.default_rng(seed)
        self._latest, self._drawn = None, None
        self._sequence, self._due_s = 0, 0.0

    def _open(self) -> None:
        self._sequence = 0

    def _close(self) -> None:
        self._due_s = 0.0

    def _capture(self) -> Frame:
        drawn, self._drawn = self._drawn, None
        is_now = drawn is not None and drawn[0] == self._world.time_s
        image = self._with_flaws(drawn[1] if drawn is not None and is_now else self._draw())
        frame = Frame(self._world.time_s, self._sequence, image)
        self._due_s = self._period_s * (
            math.floor(frame.time_s * self.description.rate_hz + 1e-6) + 1
        )
        self._sequence += 1
        self.counters.captured += 1
        return frame

    def _next(self, timeout_s: float) -> Frame | None:
        if not self.is_due:
            if self.next_frame_s > self._world.time_s + timeout_s + 1e-9:
                self._world.advance(timeout_s)
                return None
            self._world.advance_to(self.next_frame_s)
        return self._capture()

    def _with_flaws(self, image: ImageArray) -> ImageArray:
        about = self.description
        if self._shade is not None or about.noise_std > 0:
            level = image.astype(np.float32)
            if self._shade is not None:
                level *= self._shade[..., None]
            if about.noise_std > 0:
                level += self._rng.normal(0.0, about.noise_std, image.shape).astype(np.float32)
            image = np.clip(level + 0.5, 0, 255).astype(np.uint8)
        return image if about.jpeg_quality is None else _through_jpeg(image, about.jpeg_quality)


def _vignette(about: CameraDescription) -> npt.NDArray[np.float32]:
    """Return ``(H, W)`` share of light, falling with the square of the radius to the corners."""
    y, x = np.mgrid[-1 : 1 : about.height_px * 1j, -1 : 1 : about.width_px * 1j]
    shade: npt.NDArray[np.float64] = 1.0 - about.vignetting * (x * x + y * y) / 2.0
    return shade.astype(np.float32)


def _through_jpeg(image: ImageArray, quality: int) -> ImageArray:
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    if not done:
        raise DeviceError("OpenCV could not encode a picture as JPEG; check jpeg_quality.")
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if decoded is None:
        raise DeviceError("OpenCV could not decode its own JPEG; reinstall the pinned OpenCV.")
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB).astype(np.uint8)
