"""What every camera promises, whatever is behind it; the list of cameras is in ``conftest.py``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from asterias.errors import DeviceError, NotConnectedError, StaleFrameError
from hardware.cameras.driver import Camera, Frame

if TYPE_CHECKING:
    from tests.hardware.conftest import CameraCase


def period_s(camera: Camera) -> float:
    """Nominal time between two frames."""
    return 1.0 / camera.description.rate_hz


def check_picture(camera: Camera, frame: Frame) -> None:
    """Size and type are those of the description."""
    about = camera.description
    assert frame.image.shape == (about.height_px, about.width_px, 3)
    assert frame.image.dtype == np.uint8


def test_features_are_readable_while_disconnected(camera_case: CameraCase) -> None:
    camera = camera_case.camera
    assert camera.name == camera.description.name
    assert camera.description.width_px > 0
    assert not camera.is_connected


def test_no_picture_before_connect(camera_case: CameraCase) -> None:
    camera = camera_case.camera
    reads: list[Callable[[], Frame]] = [camera.read, camera.read_next, camera.read_latest]
    for read in reads:
        with pytest.raises(NotConnectedError, match=r"call connect\(\) first"):
            read()


def test_connect_and_disconnect_are_harmless_when_repeated(camera_case: CameraCase) -> None:
    camera = camera_case.camera
    for _ in range(2):
        camera.connect()
        camera.connect()
        assert camera.is_connected
        camera.disconnect()
        camera.disconnect()
        assert not camera.is_connected


def test_context_manager_closes_after_an_error(camera_case: CameraCase) -> None:
    camera = camera_case.camera
    with pytest.raises(ZeroDivisionError), camera as entered:
        assert entered is camera
        assert camera.is_connected
        raise ZeroDivisionError
    assert not camera.is_connected


def test_read_takes_a_picture_now(camera_case: CameraCase) -> None:
    with camera_case.camera as camera:
        first = camera.read()
        check_picture(camera, first)
        camera_case.advance(0.5)
        second = camera.read()
        check_picture(camera, second)
    tolerance_s = period_s(camera) + camera_case.jitter_s
    assert second.time_s - first.time_s == pytest.approx(0.5, abs=tolerance_s)
    assert second.sequence > first.sequence


def test_sequence_counts_from_zero_without_gaps(camera_case: CameraCase) -> None:
    with camera_case.camera as camera:
        frames = [camera.read_next(2 * period_s(camera)) for _ in range(5)]
    assert [frame.sequence for frame in frames] == [0, 1, 2, 3, 4]
    times = [frame.time_s for frame in frames]
    np.testing.assert_allclose(
        np.diff(times), period_s(camera), rtol=1e-6, atol=camera_case.jitter_s
    )
    for frame in frames:
        check_picture(camera, frame)


def test_read_next_never_returns_a_picture_twice(camera_case: CameraCase) -> None:
    with camera_case.camera as camera:
        read = camera.read()
        following = camera.read_next(2 * period_s(camera))
        assert following.sequence > read.sequence


def test_read_next_raises_after_its_time_out(camera_case: CameraCase) -> None:
    with camera_case.camera as camera:
        camera.read_next(2 * period_s(camera))
        with pytest.raises(StaleFrameError, match=f"'{camera.name}' delivered no new frame"):
            camera.read_next(0.1 * period_s(camera))


def test_read_latest_gives_the_same_picture_until_it_is_stale(camera_case: CameraCase) -> None:
    if not camera_case.can_pause:
        pytest.skip("a file cannot be stopped")
    with camera_case.camera as camera:
        camera.read()
        camera_case.pause()
        newest = camera.read_latest()
        assert camera.read_latest() is newest
        camera_case.advance(0.4)
        assert camera.read_latest(max_age_s=0.5).sequence == newest.sequence
        with pytest.raises(StaleFrameError, match=f"newest frame of camera '{camera.name}'"):
            camera.read_latest(max_age_s=0.3)
        camera_case.advance(0.2)
        with pytest.raises(StaleFrameError, match=r"more than the 0\.5 s allowed"):
            camera.read_latest()
        camera_case.resume()
        camera.read()
        camera.read_latest()


def test_read_latest_raises_when_there_is_none(camera_case: CameraCase) -> None:
    if not camera_case.can_pause:
        pytest.skip("a file cannot be stopped")
    camera_case.pause()
    with (
        camera_case.camera as camera,
        pytest.raises(StaleFrameError, match="has not delivered a frame yet"),
    ):
        camera.read_latest()


def test_reconnected_camera_starts_afresh(camera_case: CameraCase) -> None:
    camera = camera_case.camera
    with camera:
        camera.read()
        seen = camera.read().sequence
        while not camera_case.can_pause and seen < 10:
            seen = camera.read().sequence
    camera_case.pause()
    with camera:
        if not camera_case.can_pause:  # it plays on: the first pictures may have passed already
            assert camera.read().sequence < seen
            return
        with pytest.raises(StaleFrameError):
            camera.read_latest()
        camera_case.resume()
        assert camera.read().sequence == 0


def test_picture_of_another_size_is_an_error(
    camera_case: CameraCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    with camera_case.camera as camera:
        capture = camera._capture

        def crop() -> Frame:
            frame = capture()
            return replace(frame, image=frame.image[:, 1:])

        monkeypatch.setattr(camera, "_capture", crop)
        with pytest.raises(DeviceError, match=r"correct width_px and height_px"):
            camera.read()


def test_picture_from_the_future_is_stale(
    camera_case: CameraCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    with camera_case.camera as camera:
        frame = camera.read()
        ahead = replace(frame, time_s=frame.time_s + 60.0)
        monkeypatch.setattr(camera, "_peek", lambda: ahead)
        with pytest.raises(StaleFrameError, match="ahead of the clock"):
            camera.read_latest()
