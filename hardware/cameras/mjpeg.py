"""MJPEG over HTTP: ESP32-CAM boards, IP cameras, and others that serve mixed-replace streams."""

from __future__ import annotations

import re
import time
from typing import Annotated, Literal

from pydantic import Field

from asterias.errors import DeviceError
from hardware.cameras.http_stream import HttpStream, without_password
from hardware.cameras.jpeg import decode_jpeg
from hardware.cameras.multipart import MultipartReader
from hardware.cameras.settings import CameraSettings
from hardware.cameras.stream import FrameSource, Grab
from hardware.description.buses import BusSettings
from hardware.description.fields import HTTP
from hardware.description.limb import CameraDescription

BOUNDARY = re.compile(r'boundary="?([^";,\s]+)', re.IGNORECASE)
# What surely is no stream of pictures; a type that says nothing, or is missing, may be one.
OTHER_TYPES = ("text/", "application/json", "image/", "video/", "audio/")


class MjpegSource(FrameSource):
    """One stream of JPEG pictures.

    Args:
        description: gives the size that pictures must have.
        url: of the stream.
    """

    def __init__(self, description: CameraDescription, url: str) -> None:
        self.url = without_password(url)
        self._address = url
        self._about = description
        self._stream: HttpStream | None = None
        self._reader = MultipartReader(b"")

    def open(self) -> None:
        """Ask for the stream.

        Raises:
            DeviceError: it does not answer, or serves something else.
        """
        self._stream = HttpStream(self._address)
        kind = self._stream.content_type
        if kind.lower().startswith(OTHER_TYPES):
            raise DeviceError(f"{self.url} serves {kind}, no MJPEG stream; check the path")
        found = BOUNDARY.search(kind)
        self._reader = MultipartReader(b"" if found is None else found[1].encode("latin-1"))

    def grab(self, timeout_s: float) -> Grab | None:
        """Return the next picture, or None after about ``timeout_s``.

        Raises:
            DeviceError: the stream is not open.
        """
        if self._stream is None:
            raise DeviceError(f"{self.url} is not open")
        deadline_s = time.monotonic() + timeout_s
        while True:
            part = self._reader.next()
            if part is not None:
                image = decode_jpeg(part.data, self._about.width_px, self._about.height_px)
                return Grab(image, part.stamp_s)
            wait_s = deadline_s - time.monotonic()
            if wait_s <= 0:
                return None
            self._reader.feed(self._stream.read(wait_s))

    def close(self) -> None:
        """Hang up."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None


class MjpegSettings(CameraSettings):
    """A stream of JPEG pictures over HTTP, as ESP32-CAM boards serve it.

    Attributes:
        url: of the stream, for an ESP32-CAM ``http://<address>:81/stream``.
    """

    type: Literal["mjpeg"] = "mjpeg"
    url: Annotated[str, Field(pattern=HTTP)]

    def open(self, description: CameraDescription, bus: BusSettings) -> FrameSource:
        """Return the source of the pictures, closed."""
        return MjpegSource(description, self.url)
