"""Pictures in serialized ROS 2 messages (CDR, little endian), without ROS and without a copy.

Both picture messages begin with the header: a stamp of two 32-bit numbers, then ``frame_id``. What
follows is aligned to its size, counted from the end of the four bytes that name the encoding.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

LITTLE_ENDIAN = b"\x00\x01\x00\x00"
ORIGIN = len(LITTLE_ENDIAN)
WORD = struct.Struct("<I")
SIZE = struct.Struct("<II")
# Channels, and what makes OpenCV's order of them.
ENCODINGS: dict[str, tuple[int, int | None]] = {
    "rgb8": (3, cv2.COLOR_RGB2BGR),
    "bgr8": (3, None),
    "rgba8": (4, cv2.COLOR_RGBA2BGR),
    "bgra8": (4, cv2.COLOR_BGRA2BGR),
    "mono8": (1, None),
}
JPEG_QUALITY = 90


@dataclass(frozen=True)
class RawPicture:
    """A ``sensor_msgs/msg/Image``.

    Attributes:
        header: the serialized header, stamp first.
        encoding: such as ``rgb8``.
        pixels: ``(H, W, C)`` or ``(H, W)`` uint8.
    """

    header: bytes
    encoding: str
    pixels: npt.NDArray[np.uint8]


def parse_image(data: bytes) -> RawPicture | None:
    """The picture in a serialized ``sensor_msgs/msg/Image``; None where 8-bit pixels are not it."""
    try:
        return _parse_image(memoryview(data))
    except (struct.error, ValueError, UnicodeDecodeError):
        return None


def _parse_image(data: memoryview) -> RawPicture | None:
    if data[:ORIGIN] != LITTLE_ENDIAN:
        return None
    _, header_end = _string(data, ORIGIN + SIZE.size)
    at = _aligned(header_end)
    height, width = SIZE.unpack_from(data, at)
    encoding, at = _string(data, at + SIZE.size)
    if encoding not in ENCODINGS:
        return None
    channels = ENCODINGS[encoding][0]
    step, count = SIZE.unpack_from(data, _aligned(at + 1))
    rows = np.frombuffer(data, np.uint8, count, _aligned(at + 1) + SIZE.size).reshape(height, step)
    pixels = rows[:, : width * channels].reshape(height, width, channels)
    header = bytes(data[ORIGIN:header_end])
    return RawPicture(header, encoding, pixels[..., 0] if channels == 1 else pixels)


def jpeg_of_image(data: bytes, quality: int = JPEG_QUALITY) -> bytes | None:
    """A serialized ``sensor_msgs/msg/CompressedImage`` of a serialized ``Image``.

    None where the picture has no 8-bit encoding, as depth pictures have not.
    """
    picture = parse_image(data)
    if picture is None or picture.pixels.size == 0:
        return None
    conversion = ENCODINGS[picture.encoding][1]
    pixels = picture.pixels if conversion is None else cv2.cvtColor(picture.pixels, conversion)
    done, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        return None
    return compressed_image(picture.header, "jpeg", jpeg)


def compressed_image(header: bytes, form: str, content: npt.NDArray[np.uint8]) -> bytes:
    """A serialized ``CompressedImage`` with a serialized header."""
    name = form.encode() + b"\x00"
    message = bytearray(LITTLE_ENDIAN + header)
    for part in (WORD.pack(len(name)) + name, WORD.pack(content.size)):
        message += bytes(-(len(message) - ORIGIN) % 4) + part
    return bytes(message) + content.tobytes()


def _string(data: memoryview, at: int) -> tuple[str, int]:
    """A string whose length lies at or after ``at``, and where it ends."""
    at = _aligned(at)
    (length,) = WORD.unpack_from(data, at)
    end = at + WORD.size + length
    if length < 1 or end > len(data):
        raise ValueError("a string leads beyond the message")
    return bytes(data[at + WORD.size : end - 1]).decode(), end


def _aligned(at: int) -> int:
    """The next position for a 32-bit number."""
    return at + -(at - ORIGIN) % 4
