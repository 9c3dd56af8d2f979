"""Live cameras: bytes that lie, connections that break, failures by name, and files."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asterias.errors import DeviceError
from asterias.images.decode import ImageError
from asterias.images.jpeg import jpeg_size
from hardware.cameras.driver import Camera
from hardware.cameras.health import CameraHealthMonitor, CameraState
from hardware.cameras.http_stream import Dechunker
from hardware.cameras.jpeg import decode_jpeg
from hardware.cameras.mjpeg import MjpegSource
from hardware.cameras.multipart import MultipartReader
from hardware.cameras.replay import ReplaySource
from hardware.cameras.stream import StreamCamera
from hardware.cameras.udp_camera import UdpSource
from hardware.description.buses import UdpSettings
from hardware.description.limb import CameraDescription
from hardware.emulated.mjpeg_server import MjpegServer
from hardware.emulated.motor import FailingMotor, IdealMotor
from hardware.emulated.pictures import PatternCamera, PictureSource, encode_jpeg, pattern
from hardware.emulated.udp_boards import EmulatedBoard, EmulatedNetwork
from hardware.faults.camera import FaultyCamera
from hardware.faults.models import FAULT_MODELS
from hardware.faults.words import Fault
from sim.world import SimWorld

REPEATABLE = settings(derandomize=True, deadline=None, max_examples=200)
ABOUT = CameraDescription(name="tip", link="finger", width_px=64, height_px=48, rate_hz=30.0)
JPEG = encode_jpeg(pattern(64, 48, 3))


class Station:
    """A server with one stream, a board with one camera, and a camera on either of them."""

    def __init__(self, kind: str) -> None:
        self.source = PictureSource()
        self.pattern = PatternCamera([self.source], 64, 48, 30.0)
        self.server = MjpegServer({"tip": self.source})
        board = EmulatedBoard(1, FailingMotor(IdealMotor()), self.source)
        self.network = EmulatedNetwork([board])
        assert board.pictures is not None
        network = UdpSettings(port=self.network.port)
        self.pictures = board.pictures if kind == "udp" else self.server.streams["tip"]
        source = (
            UdpSource(ABOUT, network, 1)
            if kind == "udp"
            else MjpegSource(ABOUT, self.server.url("tip"))
        )
        self.camera = StreamCamera(ABOUT, source, silence_s=0.7)
        self.parts = (self.pattern, self.server, self.network)
        for part in self.parts:
            part.start()
        self.camera.connect()

    def close(self) -> None:
        """Take everything down."""
        self.camera.disconnect()
        for part in self.parts:
            part.close()


@pytest.fixture
def station(request: pytest.FixtureRequest) -> Iterator[Station]:
    """A running camera; ``mjpeg`` unless a test asks for another kind."""
    made = Station(getattr(request, "param", "mjpeg"))
    made.camera.read_next(5.0)
    yield made
    made.close()


def seconds_until(condition: Callable[[], bool], timeout_s: float = 5.0) -> float:
    """How long it takes until something is so."""
    start_s = time.monotonic()
    while not condition():
        assert time.monotonic() - start_s < timeout_s
        time.sleep(0.01)
    return time.monotonic() - start_s


# -- pictures that are none -----------------------------------------------------------------------


def test_a_sound_jpeg_is_decoded_to_rgb() -> None:
    image = decode_jpeg(JPEG + b"\x00\x00", 64, 48)
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - pattern(64, 48, 3)).mean() < 8.0


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no JPEG"),
        (b"<html>", "no JPEG"),
        (JPEG[: len(JPEG) // 2], "half a JPEG"),
        (encode_jpeg(pattern(32, 48, 0)), "32 x 48 instead of 64 x 48"),
        (b"\xff\xd8\xff\xd9", "damaged"),
    ],
)
def test_what_is_no_picture_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        decode_jpeg(data, 64, 48)


@REPEATABLE
@given(data=st.binary(max_size=300), whole=st.booleans())
def test_no_bytes_make_the_decoder_fail(data: bytes, whole: bool) -> None:
    framed = b"\xff\xd8" + data + b"\xff\xd9" if whole else data
    for function in (jpeg_size, lambda d: decode_jpeg(d, 64, 48)):
        with contextlib.suppress(ImageError):
            function(framed)


# -- streams --------------------------------------------------------------------------------------


def multipart(jpegs: list[bytes], lengths: list[int | None]) -> bytes:
    """A stream whose heads say these lengths, where they say any."""
    parts = []
    for jpeg, length in zip(jpegs, lengths, strict=True):
        head = "" if length is None else f"Content-Length: {length}\r\n"
        parts.append(f"--frame\r\n{head}X-Timestamp: 12.5\r\n\r\n".encode() + jpeg + b"\r\n")
    return b"".join(parts) + b"--frame\r\n"


def parts_of(stream: bytes, cuts: list[int]) -> list[bytes]:
    """What a reader takes out of a stream that comes in pieces."""
    reader, found = MultipartReader(b"frame"), []
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    for start, end in itertools.pairwise(edges):
        reader.feed(stream[start:end])
        while True:
            try:
                part = reader.next()
            except ImageError:
                continue
            if part is None:
                break
            found.append(part.data)
    return found


@REPEATABLE
@given(
    bodies=st.lists(st.binary(min_size=1, max_size=50).map(lambda b: b"J" + b + b"J"), max_size=5),
    with_length=st.booleans(),
    cuts=st.lists(st.integers(0, 10_000), max_size=8),
)
def test_parts_are_found_however_the_bytes_come(
    bodies: list[bytes], with_length: bool, cuts: list[int]
) -> None:
    bodies = [body.replace(b"--", b"-_") for body in bodies]
    lengths = [len(body) if with_length else None for body in bodies]
    assert parts_of(multipart(bodies, lengths), cuts) == bodies


def test_a_length_that_lies_costs_that_picture_only() -> None:
    too_long = parts_of(multipart([JPEG, JPEG, JPEG], [len(JPEG), 10 * len(JPEG), len(JPEG)]), [])
    assert too_long == [JPEG, JPEG]
    too_short = parts_of(multipart([JPEG, JPEG], [100, len(JPEG)]), [])
    assert too_short[-1] == JPEG and too_short[0] != JPEG


@REPEATABLE
@given(pieces=st.lists(st.binary(max_size=80), max_size=10))
def test_no_bytes_make_the_readers_fail(pieces: list[bytes]) -> None:
    parts_of(b"--frame\r\n".join(pieces), [7, 31])
    chunks = Dechunker()
    for piece in pieces:
        try:
            chunks.feed(piece)
        except DeviceError:
            return


@REPEATABLE
@given(
    chunks=st.lists(st.binary(min_size=1, max_size=60), max_size=6),
    cuts=st.lists(st.integers(0, 1000)),
)
def test_chunks_join_to_what_was_sent(chunks: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    reader = Dechunker()
    pieces = itertools.pairwise(edges)
    assert b"".join(reader.feed(stream[a:b]) for a, b in pieces) == b"".join(chunks)


# -- a camera that fails --------------------------------------------------------------------------

# An emulated camera that is wrong sends half a file instead of a mirrored picture.
EXPECTED = {word: FAULT_MODELS.get(word).shows_as for word in Fault} | {
    Fault.WRONG: CameraState.CORRUPT
}


@pytest.fixture(scope="module", params=["mjpeg", "udp"])
def naming_s(request: pytest.FixtureRequest) -> dict[Fault, float]:
    """Seconds until each failure has its name; measured once more where the machine was busy."""
    found = name_failures(request.param)
    is_good = len(found) == len(Fault) and max(found.values()) <= 1.0
    return found if is_good else name_failures(request.param)


def name_failures(kind: str) -> dict[Fault, float]:
    """Eight cameras fail at the same time, each in its way."""
    stations = {word: Station(kind) for word in Fault}
    for one in stations.values():
        one.camera.read_next(5.0)
    time.sleep(1.0)
    for word, one in stations.items():
        one.pictures.inject(word, 0.4 if word is Fault.INTERMITTENT else None)
    start_s, found = time.monotonic(), dict[Fault, float]()
    while time.monotonic() - start_s < 2.0:
        for word, one in stations.items():
            if one.camera.health().state is EXPECTED[word]:
                found.setdefault(word, time.monotonic() - start_s)
        time.sleep(0.01)
    for one in stations.values():
        one.close()
    return found


@pytest.mark.parametrize("word", list(Fault))
def test_each_failure_of_a_live_camera_gets_its_name_within_a_second(
    naming_s: dict[Fault, float], word: Fault
) -> None:
    assert naming_s[word] <= 1.0


@pytest.mark.parametrize("word", list(Fault))
def test_each_failure_of_a_simulated_camera_gets_its_name_within_a_second(word: Fault) -> None:
    expected = dict(EXPECTED)
    expected[Fault.WRONG] = CameraState.OK  # mirrored: only who knows the scene can tell
    with SimWorld("limb_p1") as world:
        camera = FaultyCamera(world.cameras[0][0], seed=2)
        camera.connect()
        watch = CameraHealthMonitor(camera.description.rate_hz, world.time_s)
        watched(world, camera, watch, 1.5)
        camera.inject(camera.name, word, 0.5 if word is Fault.INTERMITTENT else None)
        assert expected[word] in watched(world, camera, watch, 1.0)


def watched(
    world: SimWorld, camera: Camera, watch: CameraHealthMonitor, duration_s: float
) -> set[CameraState]:
    """The states that a camera goes through while the limb moves."""
    states = set()
    for step in range(round(duration_s / 0.02)):
        world.bodies[0].set_goal([0.5 * np.sin(0.2 * step), 0.3, 0.0, 0.2])
        world.advance(0.02)
        frame = camera.poll()
        if frame is not None:
            watch.accept(frame.image, frame.time_s, world.time_s)
        states.add(watch.health(world.time_s).state)
    return states


def test_half_pictures_are_dropped_and_counted(station: Station) -> None:
    station.server.inject("tip", "wrong")
    seconds_until(lambda: station.camera.counters.dropped >= 3)
    assert "half a JPEG" in station.camera.health().problem
    newest = station.camera.read_latest(10.0).sequence
    station.server.inject("tip", "ok")
    assert station.camera.read_next(2.0).sequence > newest + 2  # the gap tells of them


def test_a_camera_that_comes_back_is_connected_again(station: Station) -> None:
    station.server.inject("tip", "off")
    seconds_until(lambda: station.camera.health().state is CameraState.SILENT)
    with pytest.raises(DeviceError, match="does not deliver"):
        station.camera.read()
    station.server.inject("tip", "ok")
    assert seconds_until(lambda: station.camera.health().state is CameraState.OK) < 5.0
    assert station.camera.health().reconnects >= 1


def test_a_camera_of_another_size_says_which(station: Station) -> None:
    station.camera.disconnect()
    about = ABOUT.model_copy(update={"width_px": 96, "height_px": 96})
    camera = StreamCamera(about, MjpegSource(about, station.server.url("tip")), silence_s=0.5)
    with camera, pytest.raises(DeviceError, match="64 x 48 instead of 96 x 96 pixels; correct"):
        camera.read()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:9/stream", "does not answer"),
        ("{server}/elsewhere", "HTTP 404"),
    ],
)
def test_a_wrong_address_is_told_as_such(station: Station, url: str, reason: str) -> None:
    url = url.replace("{server}", station.server.url("").rstrip("/"))
    camera = StreamCamera(ABOUT, MjpegSource(ABOUT, url), silence_s=0.3)
    with camera, pytest.raises(DeviceError, match=reason):
        camera.read()


def test_a_picture_upside_down_is_turned(station: Station) -> None:
    station.pattern.pause()
    time.sleep(0.05)
    straight = station.camera.read_latest(10.0).image
    source = MjpegSource(ABOUT, station.server.url("tip"))
    with StreamCamera(ABOUT, source, flip=True) as camera:
        time.sleep(0.2)  # connected: the next picture is the one that is shown now
        station.source.show(station.source.latest().jpeg, time.monotonic())
        np.testing.assert_array_equal(camera.read_next(2.0).image, straight[::-1, ::-1])


# -- files ----------------------------------------------------------------------------------------


def film(path: Path, count: int = 12) -> Path:
    """A short video of the pattern, 20 pictures a second."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 20.0, (64, 48))
    for number in range(count):
        writer.write(cv2.cvtColor(pattern(64, 48, number), cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def test_a_video_is_played_at_its_pace_and_again(tmp_path: Path) -> None:
    source = ReplaySource(ABOUT, str(film(tmp_path / "film.avi")), "")
    with StreamCamera(ABOUT, source) as camera:
        first = camera.read_next(2.0)
        frames = [camera.read_next(2.0) for _ in range(15)]
        assert np.abs(first.image.astype(int) - pattern(64, 48, 0)).mean() < 8.0
    assert frames[-1].time_s - first.time_s == pytest.approx(15 / 20, abs=0.15)


def test_a_video_that_ends_leaves_its_last_picture(tmp_path: Path) -> None:
    source = ReplaySource(ABOUT, str(film(tmp_path / "film.avi", 4)), "", loop=False)
    with StreamCamera(ABOUT, source, silence_s=60.0) as camera:
        seconds_until(lambda: camera.counters.captured == 4)
        time.sleep(0.15)
        assert camera.counters.captured == 4
        assert camera.health().state is CameraState.OK or camera.read_latest(5.0).sequence == 3


def test_a_recording_that_was_cut_off_is_played_up_to_there(recording: Path) -> None:
    data = recording.read_bytes()
    cut = recording.with_name("cut.mcap")
    cut.write_bytes(data[: len(data) // 2])
    about = ABOUT.model_copy(update={"width_px": 96, "height_px": 96})
    with StreamCamera(about, ReplaySource(about, str(cut), "/camera")) as camera:
        seconds_until(lambda: camera.counters.captured >= 3)
    with pytest.raises(DeviceError, match="holds no picture on topic '/other'"):
        ReplaySource(about, str(recording), "/other").open()


def test_a_file_that_is_missing_or_empty_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="there is no file"):
        ReplaySource(ABOUT, str(tmp_path / "none.avi"), "").open()
    (tmp_path / "bad.avi").write_bytes(b"no video")
    with pytest.raises(DeviceError, match="no video"):
        ReplaySource(ABOUT, str(tmp_path / "bad.avi"), "").open()
    (tmp_path / "bad.mcap").write_bytes(b"no recording")
    with pytest.raises(DeviceError, match="no readable recording"):
        ReplaySource(ABOUT, str(tmp_path / "bad.mcap"), "/camera").open()
