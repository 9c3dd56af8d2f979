"""Decode images of strangers: the size is known and bounded before anything is allocated."""

from __future__ import annotations

import io
import warnings

import cv2
import numpy as np

from asterias.arrays import ImageArray
from asterias.images.jpeg import START_OF_IMAGE, ImageError, check_jpeg, jpeg_size

__all__ = ["LIMIT_PX", "RGB", "ImageError", "decode_image", "image_size"]

# An image of so many pixels takes 120 MB: far above every camera here, and above most maps.
LIMIT_PX = 40_000_000
# RGB at once, since OpenCV's own order would cost a copy; the camera's mounting is ours to know,
# so a file's own orientation is left out.
RGB = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION


def decode_image(
    data: bytes,
    limit_px: int = LIMIT_PX,
    *,
    flags: int = RGB,
    size_px: tuple[int, int] | None = None,
) -> ImageArray:
    """Return the pixels of an image file that is already in memory.

    Args:
        data: the file: JPEG, PNG, or another that OpenCV and Pillow know.
        limit_px: greatest number of pixels.
        flags: of ``cv2.imdecode``; by default ``(H, W, 3)`` uint8, RGB, as the file has it.
        size_px: width and height that it must have; None takes any.

    Returns:
        The pixels, of the shape and type that ``flags`` ask for.

    Raises:
        ImageError: it is no image, cut off, damaged, too large or of another size.
    """
    is_jpeg = START_OF_IMAGE in data[:64]
    width, height = image_size(data)
    if size_px is not None and (width, height) != size_px:
        raise ImageError(
            f"a picture of {width} x {height} instead of {size_px[0]} x {size_px[1]} pixels"
        )
    if width * height > limit_px:
        raise ImageError(f"a picture of {width} x {height} pixels, more than {limit_px:,} in all")
    if is_jpeg:
        header = check_jpeg(data)
        data = data[header.start : header.end]
    pixels = _decode(data, flags)
    if pixels.shape[:2] not in ((height, width), (width, height)):
        raise ImageError("a damaged image")
    return pixels


def image_size(data: bytes) -> tuple[int, int]:
    """Return width and height in px, from the file's head alone.

    Raises:
        ImageError: it is no image.
    """
    if START_OF_IMAGE in data[:64]:
        return jpeg_size(data)
    # Here, since most programs meet JPEG only, and never load Pillow.
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # Pillow warns of sizes that our own limit judges.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                width, height = image.size
    except UnidentifiedImageError as error:
        raise ImageError("no JPEG, PNG or other image" if data else "an empty picture") from error
    except Image.DecompressionBombError as error:
        raise ImageError("a picture of too many pixels") from error
    except Exception as error:  # Pillow's readers raise whatever a broken head makes them
        raise ImageError("a damaged image") from error
    if width < 1 or height < 1:
        raise ImageError("a damaged image")
    return width, height


def _decode(data: bytes, flags: int) -> ImageArray:
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except (cv2.error, MemoryError) as error:
        raise ImageError("a damaged image") from error
    if pixels is None:
        raise ImageError("a damaged image")
    return np.asarray(pixels)
