"""USB cameras: V4L2 through OpenCV."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
from pydantic import Field

from asterias.errors import DescriptionError, DeviceError
from asterias.images.decode import ImageError
from hardware.cameras.jpeg import decode_jpeg
from hardware.cameras.settings import CameraSettings
from hardware.cameras.stream import FrameSource, Grab
from hardware.description.buses import BusSettings
from hardware.description.fields import Finite
from hardware.description.limb import CameraDescription

_PREFIX = "CAP_PROP_"
# Set from the description itself, or not by a person.
_RESERVED = {"FRAME_WIDTH", "FRAME_HEIGHT", "FPS", "FOURCC", "POS_MSEC", "FORMAT", "MODE"}


def control_names() -> list[str]:
    """Return the names of the controls that OpenCV knows; only a camera can tell which it has."""
    known = (name.removeprefix(_PREFIX) for name in dir(cv2) if name.startswith(_PREFIX))
    return sorted(name.lower() for name in known if name not in _RESERVED)


def control_number(name: str) -> int:
    """Return OpenCV's number of a control such as ``brightness``.

    Raises:
        DescriptionError: there is no such control.
    """
    if name not in control_names():
        raise DescriptionError(
            f"There is no camera control '{name}'; known are brightness, contrast, exposure, gain "
            "and what else OpenCV calls CAP_PROP_..., in small letters."
        )
    return int(getattr(cv2, _PREFIX + name.upper()))


class UsbSource(FrameSource):
    """One device.

    Args:
        description: size and rate that are asked for.
        device: ``/dev/video0`` or a link to it.
        controls: values by name.
    """

    def __init__(
        self, description: CameraDescription, device: str, controls: Mapping[str, float]
    ) -> None:
        self.device = device
        self._about = description
        self._controls = {control_number(name): value for name, value in controls.items()}
        self._capture: cv2.VideoCapture | None = None
        self._is_jpeg = False

    def open(self) -> None:
        """Open the device and set size, rate and controls.

        Raises:
            DeviceError: there is no such device, or it cannot be opened.
        """
        if not Path(self.device).exists():
            raise DeviceError(f"there is no {self.device}; plug the camera in")
        about, motion_jpeg = self._about, cv2.VideoWriter.fourcc(*"MJPG")
        capture = self._capture = cv2.VideoCapture(self.device, cv2.CAP_V4L2)
        if not capture.isOpened():
            raise DeviceError(
                f"{self.device} cannot be opened; another program uses it, or you are not in the "
                "group video"
            )
        wanted = {
            cv2.CAP_PROP_FOURCC: motion_jpeg,
            cv2.CAP_PROP_FRAME_WIDTH: about.width_px,
            cv2.CAP_PROP_FRAME_HEIGHT: about.height_px,
            cv2.CAP_PROP_FPS: about.rate_hz,
            # One picture of buffer: an old picture is worse than a lost one.
            cv2.CAP_PROP_BUFFERSIZE: 1,
            **self._controls,
        }
        for number, value in wanted.items():
            capture.set(number, value)
        # OpenCV would show the last picture again instead of a damaged one.
        self._is_jpeg = round(capture.get(cv2.CAP_PROP_FOURCC)) == motion_jpeg
        capture.set(cv2.CAP_PROP_CONVERT_RGB, 0.0 if self._is_jpeg else 1.0)

    def grab(self, timeout_s: float) -> Grab | None:
        """Return the next picture, or None after ``timeout_s``; block for as long as OpenCV does.

        Raises:
            DeviceError: the device is not open, or has stopped.
            ImageError: the picture is empty.
        """
        if self._capture is None:
            raise DeviceError(f"{self.device} is not open")
        started_s = time.monotonic()
        done, image = self._capture.read()
        if not done:
            if time.monotonic() - started_s > timeout_s:
                return None
            raise DeviceError(f"{self.device} has stopped; check its cable")
        if image is None or image.size == 0:
            raise ImageError("an empty picture")
        if self._is_jpeg:
            return Grab(decode_jpeg(image.tobytes(), self._about.width_px, self._about.height_px))
        return Grab(cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False))

    def close(self) -> None:
        """Release the device."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None


class UsbSettings(CameraSettings):
    """A USB camera (V4L2).

    Attributes:
        device: ``/dev/video0``, or better a link below ``/dev/v4l/by-id``.
        controls: values by name, for example ``{brightness: 0.5, auto_exposure: 1}``.
    """

    type: Literal["usb"] = "usb"
    device: Annotated[str, Field(min_length=1)]
    controls: dict[str, Finite] = Field(default_factory=dict)

    def open(self, description: CameraDescription, bus: BusSettings) -> FrameSource:
        """Return the source of the pictures, closed."""
        return UsbSource(description, self.device, self.controls)
