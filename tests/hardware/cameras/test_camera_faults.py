"""The eight failure words on a camera: what each does to the three reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asterias.errors import DeviceError, FaultError, HardwareError, StaleFrameError
from hardware.cameras.driver import Frame
from hardware.cameras.health import CameraHealth, CameraState
from hardware.faults.camera import FaultyCamera
from hardware.faults.words import HEALTHY, Fault, checked_fault

if TYPE_CHECKING:
    from tests.hardware.conftest import ArrayCamera, FakeClock

REPEATABLE = settings(
    derandomize=True,
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
SILENT = [Fault.STUCK, Fault.GARBAGE, Fault.WRONG]


@pytest.fixture
def camera(array_camera: ArrayCamera) -> FaultyCamera:
    """A wrapped 10 Hz camera, disconnected."""
    return FaultyCamera(array_camera, seed=7)


def take(camera: FaultyCamera, count: int, timeout_s: float = 0.1) -> list[Frame]:
    """What ``count`` waits of one frame period each bring."""
    frames = []
    for _ in range(count):
        try:
            frames.append(camera.read_next(timeout_s + 1e-9))
        except StaleFrameError:
            continue
    return frames


@pytest.mark.parametrize("word", SILENT)
def test_bad_pictures_come_with_good_stamps(
    camera: FaultyCamera, clock: FakeClock, word: Fault
) -> None:
    with camera:
        take(camera, 3)
        camera.inject("tip", word)
        frames = take(camera, 5)
        assert [frame.sequence for frame in frames] == [3, 4, 5, 6, 7]
        np.testing.assert_allclose([f.time_s for f in frames], [0.4, 0.5, 0.6, 0.7, 0.8])
        assert camera.read_latest(0.0) is frames[-1]
        clock.advance(0.1)
        assert camera.read().sequence == 8


def test_stuck_camera_repeats_the_last_good_picture(camera: FaultyCamera) -> None:
    with camera:
        good = take(camera, 2)[-1]
        camera.inject("tip", "stuck")
        for frame in take(camera, 3):
            np.testing.assert_array_equal(frame.image, good.image)
        camera.clear()
        assert (camera.read().image != good.image).any()


def test_camera_stuck_from_the_start_repeats_its_first_picture(camera: FaultyCamera) -> None:
    camera.inject("tip", "stuck")
    with camera:
        first, second = take(camera, 2)
    np.testing.assert_array_equal(first.image, second.image)


def test_garbage_is_noise_that_changes(camera: FaultyCamera) -> None:
    with camera:
        camera.inject("tip", "garbage")
        first, second = take(camera, 2)
    assert (first.image != second.image).mean() > 0.9
    assert first.image.dtype == np.uint8


def test_wrong_camera_is_mirrored(camera: FaultyCamera, array_camera: ArrayCamera) -> None:
    with camera:
        camera.inject("tip", "wrong")
        wrong = camera.read()
        truth = array_camera.read_latest()
    np.testing.assert_array_equal(wrong.image, truth.image[:, ::-1])
    assert wrong.image.flags.c_contiguous


def test_camera_that_is_off_delivers_nothing(camera: FaultyCamera, clock: FakeClock) -> None:
    with camera:
        take(camera, 1)
        camera.inject("tip", "off")
        with pytest.raises(DeviceError, match="does not answer"):
            camera.read()
        camera.read_latest(0.5)  # what came before is still young
        with pytest.raises(StaleFrameError):
            camera.read_next(0.6)
        with pytest.raises(StaleFrameError):
            camera.read_latest(0.5)
        assert camera.is_connected
        camera.clear()
        assert camera.read().time_s == clock.now_s


def test_slow_camera_delivers_at_a_share_of_its_rate(camera: FaultyCamera) -> None:
    with camera:
        camera.inject("tip", "slow", 0.25)
        frames = take(camera, 40)
        np.testing.assert_allclose(np.diff([frame.time_s for frame in frames]), 0.4)
        assert len(frames) == 10
        assert camera.counters.dropped == 30
        assert camera.read().sequence in (frames[-1].sequence, frames[-1].sequence + 4)


def test_slow_camera_keeps_a_long_wait_waiting(camera: FaultyCamera) -> None:
    with camera:
        camera.inject("tip", "slow", 0.1)
        camera.read()
        assert camera.read_next(1.5).time_s == pytest.approx(1.0)


def test_delayed_frames_come_late_with_their_true_stamps(
    camera: FaultyCamera, clock: FakeClock
) -> None:
    with camera:
        camera.inject("tip", "delayed", 0.3)
        ages = []
        for _ in range(3):
            with pytest.raises(StaleFrameError):
                camera.read_next(0.1 + 1e-9)
        for _ in range(10):
            frame = camera.read_next(0.1 + 1e-9)
            ages.append(clock.now_s - frame.time_s)
            assert camera.read_latest(0.31) is frame
            with pytest.raises(StaleFrameError):
                camera.read_latest(0.2)
        np.testing.assert_allclose(ages, 0.3)


def test_delayed_read_gives_the_newest_that_has_arrived(
    camera: FaultyCamera, clock: FakeClock
) -> None:
    with camera:
        camera.inject("tip", "delayed", 0.25)
        with pytest.raises(DeviceError, match="delivers no picture"):
            camera.read()
        stamps = []
        for _ in range(6):
            clock.advance(0.1)
            if clock.now_s > 0.25:
                stamps.append(clock.now_s - camera.read().time_s)
            else:
                with pytest.raises(DeviceError):
                    camera.read()
        np.testing.assert_allclose(stamps, 0.3)


def test_intermittent_camera_loses_some_frames(camera: FaultyCamera) -> None:
    with camera:
        camera.inject("tip", "intermittent", 0.3)
        frames = take(camera, 200)
        assert 110 < len(frames) < 170
        assert camera.counters.dropped == 200 - len(frames)
        before = camera.counters.captured
        assert camera.read().sequence >= before  # a lost picture is taken again


def test_camera_that_loses_everything_does_not_hang(camera: FaultyCamera) -> None:
    with camera:
        camera.inject("tip", "intermittent", 1.0)
        with pytest.raises(DeviceError, match="delivers no picture"):
            camera.read()
        with pytest.raises(StaleFrameError):
            camera.read_next(0.5)


def test_same_seed_same_faults(array_camera: ArrayCamera) -> None:
    def picture(seed: int, *, skip: int) -> Frame:
        with FaultyCamera(array_camera, seed=seed) as camera:
            camera.inject("tip", "garbage")
            return take(camera, skip + 1)[-1]

    np.testing.assert_array_equal(picture(1, skip=2).image, picture(1, skip=2).image)
    assert (picture(1, skip=2).image != picture(2, skip=2).image).any()


def test_faults_are_settable_at_any_time(camera: FaultyCamera) -> None:
    assert camera.components == ("tip",)
    camera.inject("tip", Fault.SLOW)
    assert (camera.fault.word, camera.fault.value) == (Fault.SLOW, 0.25)
    camera.clear("tip")
    assert camera.faults == {"tip": HEALTHY}
    with pytest.raises(FaultError, match="did you mean 'tip'"):
        camera.inject("tpi", "off")


@REPEATABLE
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(Fault),
            st.sampled_from(["read", "read_next", "read_latest"]),
            st.floats(-0.5, 0.5),
        ),
        max_size=30,
    )
)
def test_any_sequence_of_faults_keeps_the_contract(
    camera: FaultyCamera, clock: FakeClock, steps: list[tuple[Fault, str, float]]
) -> None:
    with camera:
        for word, read, wait_s in steps:
            camera.inject("tip", word)
            clock.advance(wait_s)
            try:
                frame: Frame = getattr(camera, read)()
            except HardwareError:
                continue
            assert frame.image.shape == (6, 8, 3)
            assert frame.image.dtype == np.uint8
            if read == "read_latest":
                assert abs(clock.now_s - frame.time_s) <= 0.5


@pytest.mark.parametrize("word", ["off", False, "False", "false"])
def test_yamls_reading_of_off_is_off(word: str | bool) -> None:
    assert checked_fault(word, None).word is Fault.OFF


def test_a_watched_camera_is_judged_by_the_pictures_that_come_out(
    array_camera: ArrayCamera, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = CameraHealth(CameraState.OK, 10.0, 0.0, 0.0, "it was off", 2)
    monkeypatch.setattr(array_camera, "health", lambda: inner)
    with FaultyCamera(array_camera, seed=7) as camera:
        take(camera, 20)
        health = camera.health()
        assert health is not None and health.state is CameraState.OK
        assert (health.problem, health.reconnects) == ("it was off", 2)
        camera.inject("tip", "garbage")
        take(camera, 20)
        health = camera.health()
        assert health is not None and health.state is CameraState.CORRUPT


def test_a_camera_that_does_not_watch_itself_tells_no_health(camera: FaultyCamera) -> None:
    with camera:
        take(camera, 3)
        assert camera.health() is None
