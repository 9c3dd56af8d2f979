"""Pictures in serialized ROS 2 messages (CDR, little endian), without ROS and without a copy.

Both picture messages begin with the header: a stamp of two 32-bit numbers, then ``frame_id``. What
follows is aligned to its size, counted from the end of the four bytes that name the encoding.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

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
class ImageFields:
    """The fields of a serialized ``sensor_msgs/msg/Image``.

    Attributes:
        header: the serialized header, stamp first.
        height, width: px.
        encoding: such as ``rgb8``.
        is_bigendian: whether numbers of several bytes are so.
        step: bytes of a row.
        data: all rows.
    """

    header: bytes
    height: int
    width: int
    encoding: str
    is_bigendian: bool
    step: int
    data: memoryview

    def rows(self, channels: int, kind: npt.DTypeLike = np.uint8) -> npt.NDArray[Any]:
        """Return the pixels without what fills up the rows, ``(H, W)`` or ``(H, W, C)``.

        Raises:
            ValueError: rows or data are too short for the size.
        """
        dtype = np.dtype(kind)
        used = self.width * channels * dtype.itemsize
        if self.step < used or len(self.data) != self.step * self.height or not used:
            raise ValueError("the data do not fit the size")
        rows = np.frombuffer(self.data, np.uint8).reshape(self.height, self.step)[:, :used]
        stored = dtype.newbyteorder(">" if self.is_bigendian else "<")
        values: npt.NDArray[Any] = np.ascontiguousarray(rows).view(stored).astype(dtype)
        if channels == 1:
            return values
        return values.reshape(self.height, self.width, channels)


@dataclass(frozen=True)
class RawPicture:
    """A ``sensor_msgs/msg/Image`` of 8-bit pixels.

    Attributes:
        header: the serialized header, stamp first.
        encoding: such as ``rgb8``.
        pixels: ``(H, W, C)`` or ``(H, W)`` uint8.
    """

    header: bytes
    encoding: str
    pixels: npt.NDArray[np.uint8]


def parse_image(data: bytes) -> RawPicture | None:
    """Return the picture in a serialized ``Image``; None where it has no 8-bit colours."""
    fields = image_fields(data)
    if fields is None or fields.encoding not in ENCODINGS or data[:ORIGIN] != LITTLE_ENDIAN:
        return None
    try:
        pixels = fields.rows(ENCODINGS[fields.encoding][0])
    except ValueError:
        return None
    return RawPicture(fields.header, fields.encoding, pixels)


def image_fields(data: bytes) -> ImageFields | None:
    """Return the fields of a serialized ``Image``; None where the bytes are none."""
    try:
        return _image_fields(memoryview(data))
    except (struct.error, ValueError, IndexError, UnicodeDecodeError):
        return None


def _image_fields(data: memoryview) -> ImageFields:
    if data[0] != 0 or data[1] > 1:
        raise ValueError("no plain CDR")
    word, size = (WORD, SIZE) if data[1] else (struct.Struct(">I"), struct.Struct(">II"))
    _, header_end = _string(data, ORIGIN + SIZE.size, word)
    at = _aligned(header_end)
    height, width = size.unpack_from(data, at)
    encoding, at = _string(data, at + SIZE.size, word)
    is_bigendian = bool(data[at])
    step, count = size.unpack_from(data, _aligned(at + 1))
    start = _aligned(at + 1) + SIZE.size
    if start + count > len(data):
        raise ValueError("the data lead beyond the message")
    header = bytes(data[ORIGIN:header_end])
    pixels = data[start : start + count]
    return ImageFields(header, height, width, encoding, is_bigendian, step, pixels)


def jpeg_of_image(data: bytes, quality: int = JPEG_QUALITY) -> bytes | None:
    """Return a serialized ``sensor_msgs/msg/CompressedImage`` of a serialized ``Image``.

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
    """Return a serialized ``CompressedImage`` with a serialized header."""
    name = form.encode() + b"\x00"
    message = bytearray(LITTLE_ENDIAN + header)
    for part in (WORD.pack(len(name)) + name, WORD.pack(content.size)):
        message += bytes(-(len(message) - ORIGIN) % 4) + part
    return bytes(message) + content.tobytes()


def _string(data: memoryview, at: int, word: struct.Struct = WORD) -> tuple[str, int]:
    """Return a string whose length lies at or after ``at``, and where it ends.

    Raises:
        ValueError: it leads beyond the message.
    """
    at = _aligned(at)
    (length,) = word.unpack_from(data, at)
    end = at + WORD.size + length
    if length < 1 or end > len(data):
        raise ValueError("a string leads beyond the message")
    return bytes(data[at + WORD.size : end - 1]).decode(), end


def _aligned(at: int) -> int:
    """Return the next position for a 32-bit number."""
    return at + -(at - ORIGIN) % 4
