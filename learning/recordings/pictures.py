"""Decode picture messages: the one place where pixels of a recording are made.

Colour pictures become ``(H, W, 3)`` uint8 RGB. Depth pictures become ``(H, W)`` uint16 in
millimetres, 0 where nothing was measured, whether they were recorded in millimetres (``16UC1``), in
metres (``32FC1``) or as ``compressedDepth``.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from asterias.arrays import ImageArray
from asterias.errors import UserError
from asterias.images.decode import ImageError, decode_image
from learning.recordings.bags.bag_writer import PICTURE_TYPES
from learning.recordings.bags.cdr import ImageFields, image_fields
from learning.recordings.reading import Decoder, Raw

# Depth (H, W) uint16 mm, or colour (H, W, 3) uint8.
Pixels = npt.NDArray[Any]
Convert = Callable[[ImageFields], Pixels]

DEPTH_UNIT_M = 0.001
LONGEST_DEPTH = np.iinfo(np.uint16).max
# Farther things are shown as bright as this; the numbers of a data set are not touched.
SHOWN_DEPTH_M = 5.0
# A compressedDepth begins with its kind and two parameters of the quantisation.
DEPTH_HEAD = struct.Struct("<iff")
IMAGE, COMPRESSED = PICTURE_TYPES


class PictureError(UserError):
    """A picture message cannot be decoded; the message says why.

    Attributes:
        encoding: named where no picture of that encoding can be decoded; else empty.
    """

    def __init__(self, reason: str, encoding: str = "") -> None:
        super().__init__(reason)
        self.encoding = encoding


@dataclass(frozen=True)
class PictureForm:
    """What all pictures of a camera should have in common.

    Attributes:
        width_px, height_px: size.
        is_depth: whether it is a depth picture.
    """

    width_px: int
    height_px: int
    is_depth: bool


class PictureChecker:
    """Tells whether pictures can be decoded, with as little work as that takes.

    Raw pictures have their sizes checked, and the first of a kind is decoded; compressed ones are
    decoded all, since nothing else shows damage.
    """

    def __init__(self) -> None:
        self._decode = Decoder()
        self._known: dict[tuple[str, int, int, int], PictureForm] = {}

    def __call__(self, raw: Raw) -> PictureForm:
        """Return the form of a picture that can be decoded.

        Raises:
            PictureError: the data do not fit the size.
        """
        fields = image_fields(raw.data) if raw.topic.type_name == IMAGE else None
        if fields is None:
            return _form(decode_picture(raw, self._decode))
        key = (fields.encoding, fields.height, fields.width, fields.step)
        if key not in self._known:
            self._known[key] = _form(decode_picture(raw, self._decode))
        if len(fields.data) != fields.step * fields.height:
            raise PictureError("the data do not fit the size")
        return self._known[key]


def decode_picture(raw: Raw, decode: Decoder) -> Pixels:
    """Return the pixels of a picture message: colour or depth.

    Args:
        raw: the message.
        decode: for messages with compressed pictures.

    Returns:
        ``(H, W, 3)`` uint8 RGB, or ``(H, W)`` uint16 depth in mm.

    Raises:
        PictureError: it cannot be decoded.
    """
    fields = image_fields(raw.data) if raw.topic.type_name == IMAGE else None
    content: Any = decode(raw) if raw.topic.type_name == COMPRESSED else None
    if fields is None and content is None:
        raise PictureError("damaged message")
    reason, encoding = "damaged picture", ""
    try:
        if fields is not None:
            return _raw_pixels(fields)
        return _compressed_pixels(str(content.format), bytes(content.data))
    except PictureError as error:
        reason, encoding, cause = str(error), error.encoding, error.__cause__
    except ImageError as error:
        reason, cause = str(error), error
    except (ValueError, cv2.error, MemoryError, struct.error) as error:
        cause = error
    raise PictureError(reason, encoding) from cause


def to_rgb(pixels: Pixels) -> ImageArray:
    """Return a picture for the eye: colour as it is, depth in grey, brighter farther away."""
    if pixels.ndim == 3:
        return np.asarray(pixels, np.uint8)
    shown = pixels * (DEPTH_UNIT_M * 255 / SHOWN_DEPTH_M)
    return np.repeat(np.minimum(shown, 255).astype(np.uint8)[..., None], 3, axis=2)


def _form(pixels: Pixels) -> PictureForm:
    return PictureForm(pixels.shape[1], pixels.shape[0], pixels.ndim == 2)


def _raw_pixels(fields: ImageFields) -> Pixels:
    convert = CONVERSIONS.get(fields.encoding)
    if convert is None:
        name = fields.encoding[:40]
        raise PictureError(f"encoding {name!r} cannot be decoded", encoding=name)
    return convert(fields)


def _colour(channels: int, code: int | None, kind: npt.DTypeLike = np.uint8) -> Convert:
    """Return the conversion of interleaved channels; 16 bits become their upper 8."""

    def convert(fields: ImageFields) -> Pixels:
        pixels = fields.rows(channels, kind)
        if pixels.dtype == np.uint16:
            pixels = (pixels >> 8).astype(np.uint8)
        return pixels if code is None else np.asarray(cv2.cvtColor(pixels, code))

    return convert


def _yuv420(code: int) -> Convert:
    """Return the conversion of a plane of brightness above a half plane of colours."""

    def convert(fields: ImageFields) -> Pixels:
        rows = fields.height * 3 // 2
        if fields.height % 2 or fields.width % 2 or len(fields.data) != rows * fields.step:
            raise ValueError("the data do not fit the size")
        planes = np.frombuffer(fields.data, np.uint8).reshape(rows, fields.step)
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(planes[:, : fields.width]), code))

    return convert


def _millimetres(fields: ImageFields) -> Pixels:
    return fields.rows(1, np.uint16)


def _metres(fields: ImageFields) -> Pixels:
    return _from_metres(fields.rows(1, np.float32))


def _from_metres(depth_m: npt.NDArray[np.float32]) -> Pixels:
    """Return mm; 0 for what is no number, negative, or beyond the range of 16 bits."""
    depth = depth_m.astype(np.float64) / DEPTH_UNIT_M
    known = np.isfinite(depth) & (depth > 0) & (depth < LONGEST_DEPTH)
    return np.where(known, np.rint(np.where(known, depth, 0)), 0).astype(np.uint16)


def _conversions() -> dict[str, Convert]:
    """Return how raw pictures become pixels, by the words of sensor_msgs/image_encodings."""
    found: dict[str, Convert] = {
        "rgb8": _colour(3, None),
        "bgr8": _colour(3, cv2.COLOR_BGR2RGB),
        "rgba8": _colour(4, cv2.COLOR_RGBA2RGB),
        "bgra8": _colour(4, cv2.COLOR_BGRA2RGB),
        "mono8": _colour(1, cv2.COLOR_GRAY2RGB),
        "8UC1": _colour(1, cv2.COLOR_GRAY2RGB),
        "8UC3": _colour(3, cv2.COLOR_BGR2RGB),
        "8UC4": _colour(4, cv2.COLOR_BGRA2RGB),
        "rgb16": _colour(3, None, np.uint16),
        "bgr16": _colour(3, cv2.COLOR_BGR2RGB, np.uint16),
        "rgba16": _colour(4, cv2.COLOR_RGBA2RGB, np.uint16),
        "bgra16": _colour(4, cv2.COLOR_BGRA2RGB, np.uint16),
        "mono16": _colour(1, cv2.COLOR_GRAY2RGB, np.uint16),
        "16UC1": _millimetres,
        "32FC1": _metres,
    }
    for name in ("yuv422", "uyvy"):
        found[name] = _colour(2, cv2.COLOR_YUV2RGB_UYVY)
    for name in ("yuv422_yuy2", "yuyv"):
        found[name] = _colour(2, cv2.COLOR_YUV2RGB_YUY2)
    found["nv12"] = _yuv420(cv2.COLOR_YUV2RGB_NV12)
    found["nv21"] = _yuv420(cv2.COLOR_YUV2RGB_NV21)
    # OpenCV names a pattern by its second row and column; ROS by its first.
    patterns = {
        "rggb": cv2.COLOR_BayerBG2RGB,
        "bggr": cv2.COLOR_BayerRG2RGB,
        "gbrg": cv2.COLOR_BayerGR2RGB,
        "grbg": cv2.COLOR_BayerGB2RGB,
    }
    for name, code in patterns.items():
        found[f"bayer_{name}8"] = _colour(1, code)
        found[f"bayer_{name}16"] = _colour(1, code, np.uint16)
    return found


CONVERSIONS = _conversions()


# -- compressed -----------------------------------------------------------------------------------

NOT_DECODED = re.compile(r"\b(h26[45]|hevc|vp[89]|av1|theora|ffmpeg|rvl|draco)\b", re.IGNORECASE)


def _compressed_pixels(form: str, data: bytes) -> Pixels:
    if match := NOT_DECODED.search(form):
        raise PictureError(f"format {form[:40]!r} cannot be decoded", encoding=match[0])
    if "compressedDepth" in form:
        return _compressed_depth(form, data)
    if form.startswith(("16UC1", "32FC1")):
        return _depth_plane(data)
    return decode_image(data)


def _compressed_depth(form: str, data: bytes) -> Pixels:
    """Return depth: a PNG behind the parameters of its quantisation.

    Depth in metres is stored as ``a / depth + b``, as in compressed_depth_image_transport.

    Raises:
        PictureError: it is damaged, or not compressed as PNG.
    """
    if len(data) <= DEPTH_HEAD.size:
        raise PictureError("damaged picture")
    _, a, b = DEPTH_HEAD.unpack_from(data)
    content = data[DEPTH_HEAD.size :]
    plane = _depth_plane(content)
    if not form.startswith("32FC1"):
        return plane
    with np.errstate(all="ignore"):
        depth_m = np.where(plane > 0, a / (plane.astype(np.float64) - b), 0)
    return _from_metres(depth_m.astype(np.float32))


def _depth_plane(data: bytes) -> Pixels:
    pixels = decode_image(data, flags=cv2.IMREAD_UNCHANGED)
    if pixels.dtype != np.uint16 or pixels.ndim != 2:
        raise PictureError("a depth picture without 16 bits")
    return pixels
