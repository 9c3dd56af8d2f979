"""Images, stamps and camera models: exact round trips, and speed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sensor_msgs.msg import Image

from asterias_nodes.runtime.conversions import (
    from_compressed_msg,
    from_image_msg,
    to_camera_info_msg,
    to_compressed_msg,
    to_image_msg,
    to_seconds,
    to_time_msg,
)
from hardware.description.limb import CameraDescription

STAMP = Time(sec=12, nanosec=345)
SIDES = st.integers(1, 40)
SHAPES = st.one_of(st.tuples(SIDES, SIDES), st.tuples(SIDES, SIDES, st.just(3)))


@given(image=hnp.arrays(np.uint8, SHAPES))
def test_an_image_comes_back_as_it_was(image: npt.NDArray[np.uint8]) -> None:
    message = to_image_msg(image, STAMP, "camera")
    assert (message.height, message.width) == image.shape[:2]
    assert message.encoding == ("mono8" if image.ndim == 2 else "rgb8")
    assert message.header.stamp == STAMP and message.header.frame_id == "camera"
    np.testing.assert_array_equal(from_image_msg(message), image)


def test_an_image_view_comes_back_as_it_was() -> None:
    image = np.arange(60 * 80 * 3, dtype=np.uint8).reshape(60, 80, 3)[::-2, 1::3]
    np.testing.assert_array_equal(from_image_msg(to_image_msg(image, STAMP, "")), image)


@pytest.mark.parametrize(
    ("encoding", "pixel"),
    [("bgr8", (3, 2, 1)), ("rgba8", (1, 2, 3, 9)), ("bgra8", (3, 2, 1, 9)), ("rgb8", (1, 2, 3))],
)
def test_other_encodings_become_rgb(encoding: str, pixel: tuple[int, ...]) -> None:
    message = Image(height=1, width=2, encoding=encoding, step=2 * len(pixel), data=pixel * 2)
    np.testing.assert_array_equal(from_image_msg(message), [[(1, 2, 3), (1, 2, 3)]])


def test_padding_at_the_end_of_rows_is_left_out() -> None:
    message = Image(height=2, width=2, encoding="mono8", step=3, data=[1, 2, 0, 3, 4, 0])
    np.testing.assert_array_equal(from_image_msg(message), [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"encoding": "yuv422"}, "yuv422"),
        ({"step": 5}, "step 5"),
        ({"height": 3}, "cannot have 12 bytes"),
        ({"height": 0, "data": []}, "2x0"),
    ],
)
def test_an_unreadable_image_is_explained(changes: dict[str, object], told: str) -> None:
    fields = {"height": 2, "width": 2, "encoding": "rgb8", "step": 6, "data": [0] * 12}
    with pytest.raises(ValueError, match=told):
        from_image_msg(Image(**{**fields, **changes}))


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 3), dtype=np.float32),
        np.zeros((4, 4, 2), dtype=np.uint8),
        np.zeros((0, 4, 3), dtype=np.uint8),
        np.zeros(4, dtype=np.uint8),
    ],
)
def test_an_array_that_is_no_image_is_refused(image: npt.NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="An image must be"):
        to_image_msg(image, STAMP, "")


def test_an_image_message_is_made_without_a_copy_per_element() -> None:
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)

    def slow_way() -> None:
        Image(height=480, width=640, encoding="rgb8", step=1920).data = image.ravel()

    # Some thousand times faster when measured; 50 leaves room for a busy machine.
    assert best_s(slow_way, 3) > 50 * best_s(lambda: to_image_msg(image, STAMP, ""), 20)


def best_s(action: Callable[[], object], repeats: int) -> float:
    """Shortest time of several runs, in s."""
    times_s = []
    for _ in range(repeats):
        started_s = time.perf_counter()
        action()
        times_s.append(time.perf_counter() - started_s)
    return min(times_s)


def test_a_compressed_image_looks_the_same() -> None:
    y, x = np.mgrid[0:96, 0:96]
    image = np.stack([2 * x, 2 * y, 255 - x - y], axis=-1).astype(np.uint8)
    message = to_compressed_msg(image, STAMP, "camera", quality=95)
    assert message.format == "jpeg" and len(message.data) < image.size / 4
    difference = from_compressed_msg(message).astype(int) - image
    assert np.abs(difference).mean() < 3


def test_a_broken_compressed_image_is_explained() -> None:
    message = to_compressed_msg(np.zeros((8, 8), dtype=np.uint8), STAMP, "")
    message.data = message.data[:20]
    with pytest.raises(ValueError, match="cannot be decoded"):
        from_compressed_msg(message)


@given(nanoseconds=st.integers(0, 2**50))
def test_a_stamp_is_exact_to_the_nanosecond(nanoseconds: int) -> None:
    stamp = to_time_msg(nanoseconds / 1e9)
    assert 0 <= stamp.nanosec < 1_000_000_000
    # A float of some days holds a microsecond with ease, a nanosecond not.
    assert abs(stamp.sec * 1_000_000_000 + stamp.nanosec - nanoseconds) <= 128
    assert to_seconds(stamp) == pytest.approx(nanoseconds / 1e9, abs=1e-6)


def test_the_camera_model_projects_like_the_camera() -> None:
    camera = CameraDescription(name="eye", link="tip", width_px=96, height_px=64, fov_rad=1.2)
    message = to_camera_info_msg(camera, STAMP, "eye")
    projection = np.array(message.p).reshape(3, 4)
    np.testing.assert_array_equal(projection[:, :3], np.array(message.k).reshape(3, 3))
    # A point on the edge of the field of view lies on the edge of the picture, half a pixel
    # outside of the last pixel's centre.
    x, _, z = projection @ [math.tan(0.6), 0.0, 1.0, 1.0]
    assert x / z == pytest.approx(95.5)
    assert message.distortion_model == "plumb_bob" and list(message.d) == [0.0] * 5
