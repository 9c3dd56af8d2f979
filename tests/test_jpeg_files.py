"""JPEG files of strangers: seen as libjpeg sees them, bounded, and damaged ones told from sound."""

from __future__ import annotations

import contextlib
import io
import re

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from asterias.images.decode import ImageError, decode_image, image_size
from asterias.images.jpeg import check_jpeg, jpeg_size

REPEATABLE = settings(derandomize=True, deadline=None, max_examples=100)
KINDS = {
    "baseline": [],
    "coarse": [cv2.IMWRITE_JPEG_QUALITY, 25],
    "progressive": [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
    "own tables": [cv2.IMWRITE_JPEG_OPTIMIZE, 1],
    "restarts": [cv2.IMWRITE_JPEG_RST_INTERVAL, 5],
}


def scene() -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """A picture with something in every block, of a size that is no multiple of one."""
    rows, columns = np.mgrid[0:101, 0:131]
    waves = [127 + 100 * np.sin(rows / (5 + i) + columns / (9 - i)) for i in range(3)]
    return np.stack(waves, axis=-1).astype(np.uint8)


def jpeg(kind: str = "baseline") -> bytes:
    """The scene as a file."""
    return cv2.imencode(".jpg", scene()[..., ::-1], KINDS[kind])[1].tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_sound_files_of_every_kind_are_decoded(kind: str) -> None:
    image = decode_image(jpeg(kind))
    assert image.shape == (101, 131, 3) and image_size(jpeg(kind)) == (131, 101)
    assert np.abs(image.astype(int) - scene()).mean() < 12.0


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("place", [0.4, 0.6, 0.8])
def test_a_file_that_was_cut_but_ends_as_a_whole_one_is_damaged(kind: str, place: float) -> None:
    whole = jpeg(kind)
    with pytest.raises(ImageError, match="damaged"):
        decode_image(whole[: int(place * len(whole))] + b"\xff\xd9")


@pytest.mark.parametrize("subsampling", [0, 2])
@pytest.mark.parametrize("quality", [40, 100])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_progressive_files_are_whole_only_with_their_last_scan(
    mode: str, quality: int, subsampling: int
) -> None:
    buffer = io.BytesIO()
    options = {"quality": quality, "subsampling": subsampling, "restart_marker_blocks": 7}
    picture = Image.fromarray(scene()).convert(mode)
    picture.save(buffer, "JPEG", progressive=True, **options)  # type: ignore[arg-type]
    whole = buffer.getvalue()
    assert decode_image(whole).shape == (101, 131, 3)
    scans = [match.start() for match in re.finditer(rb"\xff\xda", whole)]
    assert len(scans) > 4
    for end in scans[1:]:
        with pytest.raises(ImageError, match="damaged"):
            decode_image(whole[:end] + b"\xff\xd9")


def test_a_file_with_zeroed_bytes_inside_is_damaged() -> None:
    whole = jpeg()
    for start in range(len(whole) // 2, len(whole) - 300, 150):
        with pytest.raises(ImageError, match="damaged"):
            decode_image(whole[:start] + bytes(200) + whole[start + 200 :])


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n" + jpeg(),
        jpeg() + b"\xff\xff\xff",
        jpeg() + bytes(40),
        jpeg()[:-2] + b"\xff\xff\xff\xd9",
        jpeg() + b"\r\nanything",
        jpeg()[:2] + b"\xff\xff\xff" + jpeg()[3:],
    ],
    ids=["line end before", "FF behind", "zeros behind", "FF before the end", "text", "FF fill"],
)
def test_bytes_around_a_sound_picture_do_no_harm(data: bytes) -> None:
    assert decode_image(data).shape == (101, 131, 3)


def lying(width: int, height: int) -> bytes:
    """A file whose true frame stands behind a marker without a length, before a false one."""
    sides = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    frame = b"\xff\xc0\x00\x0b\x08" + sides + b"\x01\x01\x11\x00"
    return jpeg()[:2] + b"\xff\x01" + frame + jpeg()[2:]


def test_the_size_is_the_one_that_the_decoder_will_see() -> None:
    assert jpeg_size(lying(65_500, 65_500)) == (65_500, 65_500)
    with pytest.raises(ImageError, match="65500 x 65500 pixels, more than"):
        decode_image(lying(65_500, 65_500))
    with pytest.raises(ImageError, match="20000 x 20000 pixels, more than"):
        decode_image(lying(20_000, 20_000))
    with pytest.raises(ImageError, match="damaged"):
        decode_image(lying(131, 101))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"<html>", "no JPEG"),
        (b"P5 60000 60000 255\n", "too many pixels|more than"),
        (b"\x89PNG\r\n\x1a\n\x00", "image"),
        (jpeg()[:1000], "half a JPEG"),
    ],
)
def test_what_is_no_image_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        decode_image(data)


@REPEATABLE
@given(data=st.data())
def test_no_mutation_makes_the_reader_fail_otherwise(data: st.DataObject) -> None:
    whole = bytearray(jpeg(data.draw(st.sampled_from(sorted(KINDS)))))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at] = data.draw(st.integers(0, 255))
    for function in (jpeg_size, check_jpeg, decode_image):
        with contextlib.suppress(ImageError):
            function(bytes(whole))
