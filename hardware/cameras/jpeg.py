"""JPEG files from cameras: checked before they are decoded, for they may be half or lie."""

from __future__ import annotations

import cv2
import numpy as np

from asterias.arrays import ImageArray

BEGIN = b"\xff\xd8"
END = b"\xff\xd9"
# Start of frame: baseline, extended and progressive.
FRAME_MARKERS = (0xC0, 0xC1, 0xC2)
MOST_BYTES = 4 << 20


class PictureError(ValueError):
    """One picture cannot be used; the message says why."""


def decode_jpeg(data: bytes, width_px: int, height_px: int) -> ImageArray:
    """The ``(H, W, 3)`` RGB picture in a JPEG file.

    Raises:
        PictureError: it is cut off, no JPEG, of another size, or cannot be decoded.
    """
    whole = data.rstrip(b"\x00")  # the OV2640 pads its buffers
    if not whole.startswith(BEGIN):
        raise PictureError("no JPEG")
    if not whole.endswith(END):
        raise PictureError("half a JPEG")
    size = jpeg_size(whole)
    if size != (width_px, height_px):
        raise PictureError(
            f"a picture of {size[0]} x {size[1]} instead of {width_px} x {height_px} pixels; "
            "correct width_px and height_px in the robot description"
        )
    # To RGB at once: OpenCV's own order would cost a copy.
    image = cv2.imdecode(np.frombuffer(whole, np.uint8), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise PictureError("a damaged JPEG")
    return image.astype(np.uint8, copy=False)


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Width and height in px, read from the file's head without decoding it.

    Raises:
        PictureError: there is no such head.
    """
    at = len(BEGIN)
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            break
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in FRAME_MARKERS:
            height, width = data[at + 5 : at + 7], data[at + 7 : at + 9]
            return int.from_bytes(width, "big"), int.from_bytes(height, "big")
        at += 2 + length
    raise PictureError("a damaged JPEG")
