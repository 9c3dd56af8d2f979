"""A data set is true or is not written: silent cameras, NaN, clocks that jump, odd pictures."""

from __future__ import annotations

import csv
import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Header

from asterias.errors import UserError
from asterias_nodes.runtime.conversions import to_time_msg
from asterias_nodes.runtime.message_definitions import message_definition
from learning.recordings.__main__ import Check, Export, Info
from learning.recordings.bags.bag_writer import Bag, Topic
from learning.recordings.datasets import load_episodes
from learning.recordings.health import examine
from learning.recordings.pictures import PictureError, decode_picture, to_rgb
from learning.recordings.reading import Decoder, Raw, find_recordings
from learning.recordings.sampling import sample_parts
from learning.recordings.timing.sampling_options import SamplingOptions

SECOND = 1_000_000_000
START_S = 1000.0
JOINTS = "/limb_0/joint_states"
CAMERA_0, CAMERA_1 = "/limb_0/camera_0/image_raw", "/limb_0/camera_1/image_raw"
JPEG = "/limb_0/camera_0/image_raw/compressed"


def topic(name: str, kind: str) -> Topic:
    return Topic(name, f"sensor_msgs/msg/{kind}", message_definition(f"sensor_msgs/msg/{kind}"))


class Writer:
    """Writes messages of a robot whose pictures tell their own time: its tenths are their level."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._bag = Bag(path)
        for name, kind in (
            (JOINTS, "JointState"),
            (CAMERA_0, "Image"),
            (CAMERA_1, "Image"),
            (JPEG, "CompressedImage"),
        ):
            self._bag.add_topic(topic(name, kind))

    def write(self, name: str, message: Any, time_s: float) -> None:
        time_ns = round((START_S + time_s) * SECOND)
        self._bag.write(name, serialize_message(message), time_ns, time_ns)

    def joints(self, time_s: float, position: float | None = None) -> None:
        header = Header(stamp=to_time_msg(START_S + time_s))
        value = time_s if position is None else position
        self.write(JOINTS, JointState(header=header, name=["a"], position=[value]), time_s)

    def picture(self, name: str, time_s: float, stamp_s: float | None = None) -> None:
        stamp = to_time_msg(START_S + (time_s if stamp_s is None else stamp_s))
        level = round((time_s if stamp_s is None else stamp_s) * 10) % 200
        message = image("rgb8", np.full((4, 6, 3), level, np.uint8))
        message.header.stamp = stamp
        self.write(name, message, time_s)

    def jpeg(self, time_s: float, data: bytes) -> None:
        header = Header(stamp=to_time_msg(START_S + time_s))
        self.write(JPEG, CompressedImage(header=header, format="jpeg", data=data), time_s)

    def close(self) -> Path:
        self._bag.close()
        return self.path


def image(encoding: str, pixels: np.ndarray[Any, Any], **about: Any) -> Image:
    height, width = about.pop("size", pixels.shape[:2])
    step = len(pixels[0].tobytes())
    return Image(
        encoding=encoding, height=height, width=width, step=step, data=pixels.tobytes(), **about
    )


def record(path: Path, each: Callable[[Writer, float], None], seconds: float = 4.0) -> Path:
    """Write joint states at 20 Hz, and whatever ``each`` adds ten times a second."""
    writer = Writer(path / "a.mcap")
    for tick in range(round(seconds * 20)):
        time_s = tick / 20
        writer.joints(time_s)
        if tick % 2 == 0:
            each(writer, time_s)
    return writer.close()


def losses(path: Path, **options: Any) -> tuple[list[Any], str]:
    sampled = sample_parts(find_recordings(path)[0], SamplingOptions(**options))
    return list(sampled.episodes), " ".join(sampled.losses)


def ages_s(path: Path) -> list[float]:
    """Return how old each frame's pictures of the first camera are, by what they show."""
    found = []
    for part in losses(path)[0]:
        for name, frame, pixels in part.frames():
            if name == CAMERA_0:
                found.append(part.state[frame, 0] - pixels[0, 0, 0] / 10)
    return found


# -- silent cameras


@pytest.mark.parametrize(
    ("alive", "words"),
    [
        (lambda t: t < 1.5, "silent from 1.40 s to the end, about 26 messages missing"),
        (lambda t: t >= 1.5, "silent from the beginning to 1.50 s, about 15 messages missing"),
        (lambda t: not 1.0 < t < 2.9, "1 gaps, about 18 messages missing"),
    ],
)
def test_a_camera_silent_at_any_time_is_named_and_its_frames_left_out(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    alive: Callable[[float], bool],
    words: str,
) -> None:
    def each(writer: Writer, time_s: float) -> None:
        writer.picture(CAMERA_0, time_s)
        if alive(time_s):
            writer.picture(CAMERA_1, time_s)

    path = record(tmp_path, each)
    assert Check(path).run() == 1
    assert f"{CAMERA_1}: {words}" in capsys.readouterr().out
    parts, said = losses(path)
    assert "frames left out" in said and CAMERA_1 in said and CAMERA_0 not in said
    for part in parts:
        times = part.times_s[:, None] - np.arange(0, 4, 0.1)[None]
        known = np.array([alive(t) for t in np.arange(0, 4, 0.1)])
        age = np.where((times >= -1e-6) & known, times, np.inf).min(axis=1)
        assert age.max() <= 0.25 + 1e-6, "never older than 2.5 periods"
    assert len(losses(path, without=("*camera_1*",))[0][0].times_s) == 40
    with pytest.raises(UserError, match="--strict"):
        Export(path, tmp_path / "out", strict=True).run()
    assert not (tmp_path / "out").exists()


def test_a_success_belongs_to_the_part_that_holds_the_end(tmp_path: Path) -> None:
    def each(writer: Writer, time_s: float) -> None:
        if not 1.0 < time_s < 2.0:
            writer.picture(CAMERA_0, time_s)

    folder = tmp_path / "episode_000000"
    folder.mkdir()
    record(folder, each)
    card = {"episode": 0, "outcome": "success", "state": "complete", "files": ["a.mcap"]}
    (folder / "episode.json").write_text(json.dumps(card))
    parts, _ = losses(tmp_path)
    assert [part.success for part in parts] == [None, True]


def test_a_rate_below_the_declared_one_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = record(tmp_path, lambda writer, time_s: writer.picture(CAMERA_0, time_s))
    assert Check(path).run() == 0
    assert Check(path, rates={"*camera_0*": 30.0}).run() == 1
    assert "10.0 Hz instead of 30.0 Hz" in capsys.readouterr().out


def test_rates_are_counts_over_spans_and_nothing_is_cut_in_a_pipe(tmp_path: Path) -> None:
    def each(writer: Writer, time_s: float) -> None:
        for _ in range(4):  # in bursts
            writer.picture(CAMERA_0, time_s)

    path = record(tmp_path, each)
    health = examine(find_recordings(path)[0])
    assert health.topics[CAMERA_0].rate_hz == pytest.approx(159 / 3.9)
    command = [sys.executable, "-m", "learning.recordings", "info", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "sensor_msgs/msg/JointState" in done.stdout and CAMERA_0 in done.stdout
    assert "…" not in done.stdout


# -- numbers


def test_no_nan_goes_into_a_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    writer = Writer(tmp_path / "a.mcap")
    for tick in range(80):
        odd = {10: np.nan, 20: np.inf, 30: -np.inf}
        writer.joints(tick / 20, odd.get(tick, np.nan if 40 <= tick < 60 else 0.1))
        if tick % 2 == 0:
            writer.picture(CAMERA_0, tick / 20)
    path = writer.close()
    assert Check(path).run() == 1
    assert "23 messages hold positions that are no finite number" in capsys.readouterr().out
    assert Export(path, tmp_path / "out").run() == 0
    text = (tmp_path / "out" / "meta" / "stats.json").read_text()
    json.loads(text, parse_constant=lambda word: pytest.fail(word))
    episodes = load_episodes(tmp_path / "out")
    assert len(episodes) == 2, "a second without a state is a hole"
    assert all(np.isfinite(episode.states).all() for episode in episodes)
    assert all(np.isfinite(episode.actions).all() for episode in episodes)


# -- clocks


@pytest.mark.parametrize("jump_s", [3600.0, 86400.0 * 365, -1.0, -0.3, -1000.0])
def test_a_clock_that_jumps_parts_the_recording(tmp_path: Path, jump_s: float) -> None:
    writer = Writer(tmp_path / "a.mcap")
    for tick in range(80):
        time_s = tick / 20 + (jump_s if tick >= 40 else 0.0)
        time_s += 1000 if jump_s == -1000.0 else 0
        writer.joints(time_s)
        if tick % 2 == 0:
            writer.picture(CAMERA_0, time_s)
    path = writer.close()
    assert Check(path).run() == 1
    parts, said = losses(path)
    assert len(parts) == 2 and "clock" in said
    assert 40 <= sum(len(part.times_s) for part in parts) <= 42
    for part in parts:
        assert np.abs(np.diff(part.state[:, 0])).max() < 0.16, "no state of another second"


def test_pictures_are_sorted_by_stamp_and_none_is_from_the_future(tmp_path: Path) -> None:
    def each(writer: Writer, time_s: float) -> None:
        # Pairs come in the wrong order.
        tenth = round(time_s * 10)
        stamp = (tenth + 1 - 2 * (tenth % 2)) / 10
        writer.picture(CAMERA_0, time_s, stamp)

    path = record(tmp_path, each)
    ages = ages_s(path)
    assert len(ages) >= 38
    assert min(ages) > -1e-6 and max(ages) < 0.05 + 1e-6


def test_topic_after_topic_in_a_file_is_one_clock(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "a.mcap")
    for tick in range(80):
        writer.joints(tick / 20)
    for tick in range(40):
        writer.picture(CAMERA_0, tick / 10)
    path = writer.close()
    parts, said = losses(path)
    assert len(parts) == 1 and not said and len(parts[0].times_s) == 40
    assert max(np.abs(ages_s(path))) < 1e-6


# -- pictures


def raw_of(message: Any) -> Raw:
    kind = type(message).__name__
    return Raw(topic("/camera", kind), serialize_message(message), 0, 0)


GREY = np.full((4, 6), 100, np.uint8)
COLOURS = {
    "rgb8": np.full((4, 6, 3), (200, 100, 50), np.uint8),
    "bgr8": np.full((4, 6, 3), (50, 100, 200), np.uint8),
    "rgba8": np.full((4, 6, 4), (200, 100, 50, 9), np.uint8),
    "bgra8": np.full((4, 6, 4), (50, 100, 200, 9), np.uint8),
    "rgb16": np.full((4, 6, 3), (200 << 8, 100 << 8, 50 << 8), np.uint16),
    "mono8": GREY,
    "8UC1": GREY,
    "mono16": np.full((4, 6), 100 << 8, np.uint16),
    "bayer_rggb8": np.array([[200, 100] * 3, [100, 50] * 3] * 2, np.uint8),
    "bayer_bggr8": np.array([[50, 100] * 3, [100, 200] * 3] * 2, np.uint8),
    "bayer_gbrg8": np.array([[100, 50] * 3, [200, 100] * 3] * 2, np.uint8),
    "bayer_grbg8": np.array([[100, 200] * 3, [50, 100] * 3] * 2, np.uint8),
    "yuv422": np.full((4, 6, 2), (128, 100), np.uint8),
    "yuv422_yuy2": np.full((4, 6, 2), (100, 128), np.uint8),
}


@pytest.mark.parametrize("encoding", sorted(COLOURS))
def test_every_colour_encoding_is_decoded(encoding: str) -> None:
    pixels = decode_picture(raw_of(image(encoding, COLOURS[encoding])), Decoder())
    assert pixels.shape == (4, 6, 3) and pixels.dtype == np.uint8
    is_grey = (COLOURS[encoding].ndim == 2 and "bayer" not in encoding) or "yuv" in encoding
    expected = (100, 100, 100) if is_grey else (200, 100, 50)
    assert np.abs(pixels[1, 2].astype(int) - expected).max() <= 20


def test_depth_is_millimetres_of_16_bits() -> None:
    decode = Decoder()
    mm = np.array([[0, 1500], [65535, 7]], np.uint16)
    assert (decode_picture(raw_of(image("16UC1", mm)), decode) == mm).all()
    big = image("16UC1", mm.astype(">u2"), is_bigendian=1)
    assert (decode_picture(raw_of(big), decode) == mm).all()
    metres = np.array([[np.nan, 1.5], [np.inf, -2.0], [100.0, 0.007]], np.float32)
    found = decode_picture(raw_of(image("32FC1", metres)), decode)
    assert found.tolist() == [[0, 1500], [0, 0], [0, 7]]
    png = cv2.imencode(".png", mm)[1].tobytes()
    form = "16UC1; compressedDepth png"
    packed = CompressedImage(format=form, data=struct.pack("<iff", 0, 0, 0) + png)
    assert (decode_picture(raw_of(packed), decode) == mm).all()
    assert to_rgb(mm).shape == (2, 2, 3)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (image("64FC4", np.zeros((4, 6), np.uint8)), "64FC4"),
        (image("rgb8", np.zeros((4, 6), np.uint8)), "do not fit|damaged"),
        (CompressedImage(format="h264", data=b"xx"), "h264"),
        (CompressedImage(format="16UC1; compressedDepth rvl", data=b"x" * 50), "rvl"),
        (CompressedImage(format="jpeg", data=b""), "empty"),
        (CompressedImage(format="jpeg", data=b"\xff\xd8broken\xff\xd9"), "JPEG"),
    ],
)
def test_what_cannot_be_decoded_is_named(message: Any, words: str) -> None:
    with pytest.raises(PictureError, match=words):
        decode_picture(raw_of(message), Decoder())


def test_cameras_that_cannot_be_decoded_are_left_out_and_named(tmp_path: Path) -> None:
    def each(writer: Writer, time_s: float) -> None:
        writer.picture(CAMERA_0, time_s)
        message = image("64FC4", np.zeros((4, 6), np.uint8))
        message.header.stamp = to_time_msg(START_S + time_s)
        writer.write(CAMERA_1, message, time_s)

    path = record(tmp_path, each)
    (part,), said = losses(path)
    assert list(part.pictures) == [CAMERA_0]
    assert f"{CAMERA_1} is left out: encoding '64FC4' cannot be decoded" in said
    assert Check(path).run() == 1
    with pytest.raises(UserError, match="has no camera topic"):
        losses(path, topics=("/nothing",))


def test_one_damaged_picture_is_left_out_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = cv2.imencode(".jpg", np.full((16, 16, 3), 90, np.uint8))[1].tobytes()
    bad = b"\xff\xd8broken\xff\xd9"
    path = record(tmp_path, lambda w, t: w.jpeg(t, bad if t == 1.7 else good))
    assert Check(path).run() == 1
    assert "1 of 40 pictures cannot be decoded" in capsys.readouterr().out
    assert Export(path, tmp_path / "out").run() == 0
    assert "1 of 40 pictures left out" in capsys.readouterr().err
    assert len(load_episodes(tmp_path / "out")[0].states) == 40


def test_depth_goes_into_a_folder_as_16_bits_and_not_into_videos(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def each(writer: Writer, time_s: float) -> None:
        writer.picture(CAMERA_0, time_s)
        message = image("16UC1", np.full((4, 6), 1234, np.uint16))
        message.header.stamp = to_time_msg(START_S + time_s)
        writer.write(CAMERA_1, message, time_s)

    path = record(tmp_path, each)
    assert Export(path, tmp_path / "lerobot").run() == 0
    assert "depth pictures do not go into this format" in capsys.readouterr().err
    assert Export(path, tmp_path / "folder", format="folder").run() == 0
    (episode,) = load_episodes(tmp_path / "folder")
    pixels = episode.picture("limb_0_camera_1", 3)
    assert pixels.dtype == np.uint16 and (pixels == 1234).all()


# -- true reasons


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fps": -5}, "--fps must be from 1 to 1000"),
        ({"fps": 10**9}, "--fps must be from 1 to 1000"),
        ({"max_age": -1.0}, "--max-age"),
        ({"only": "success"}, "none of 1 goes with --only success"),
        ({"without": ("*",)}, "--without leaves no joint states"),
        ({"format": "lerobott"}, "did you mean lerobot"),
    ],
)
def test_a_mistake_in_the_options_has_its_own_reason(
    tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    path = record(tmp_path, lambda writer, time_s: writer.picture(CAMERA_0, time_s))
    with pytest.raises(UserError, match=words):
        Export(path, tmp_path / "out", **options).run()
    assert not (tmp_path / "out").exists()


def test_a_recording_shorter_than_a_frame_is_called_too_short(tmp_path: Path) -> None:
    path = record(tmp_path, lambda writer, time_s: writer.picture(CAMERA_0, time_s), seconds=0.05)
    with pytest.raises(UserError, match="is too short"):
        Export(path, tmp_path / "out").run()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("truth")
    path = record(folder, lambda writer, time_s: writer.picture(CAMERA_0, time_s))
    assert Export(path, folder / "set").run() == 0
    assert Export(path, folder / "plain", format="folder").run() == 0
    return folder


@pytest.mark.parametrize(
    "part",
    ["data/chunk-000/file-000.parquet", "meta/episodes", "meta/info.json"],
)
def test_incomplete_data_sets_are_refused_in_one_sentence(
    exported: Path, tmp_path: Path, part: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(exported / "set", copy)
    target = copy / part
    if target.is_dir():
        shutil.rmtree(target)
    elif target.suffix == ".json":
        target.write_text('{"codebase_version": "v3.0"}')
    else:
        target.write_bytes(target.read_bytes()[:100])
    with pytest.raises(UserError, match=r"not complete|damaged"):
        load_episodes(copy)


def test_a_missing_video_is_named_when_it_is_wanted(exported: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(exported / "set", copy)
    next(copy.rglob("*.mp4")).unlink()
    (episode,) = load_episodes(copy)
    with pytest.raises(UserError, match=r"mp4 is missing"):
        episode.picture("limb_0_camera_0", 0)


def test_cut_folders_are_refused(exported: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(exported / "plain", copy)
    table = copy / "episode_000000" / "frames.csv"
    with table.open() as file:
        rows = list(csv.reader(file))
    with table.open("w") as file:
        csv.writer(file).writerows(rows[:10])
    with pytest.raises(UserError, match="has 9 rows instead of 40"):
        load_episodes(copy)


def test_pictures_in_the_table_itself_are_read(exported: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(exported / "set", copy)
    info = json.loads((copy / "meta" / "info.json").read_text())
    key = "observation.images.limb_0_camera_0"
    info["features"][key] = {"dtype": "image", "shape": [4, 6, 3], "names": None}
    (copy / "meta" / "info.json").write_text(json.dumps(info))
    path = copy / "data" / "chunk-000" / "file-000.parquet"
    table = pq.read_table(path)
    png = cv2.imencode(".png", np.full((4, 6, 3), 77, np.uint8))[1].tobytes()
    rows = [{"bytes": png, "path": "x.png"}] * table.num_rows
    pq.write_table(table.append_column(key, pa.array(rows)), path)
    (episode,) = load_episodes(copy)
    assert (episode.picture("limb_0_camera_0", 5) == 77).all()


def test_foreign_encodings_are_named_with_the_cure(tmp_path: Path) -> None:
    from mcap.writer import Writer as McapWriter

    with (tmp_path / "a.mcap").open("wb") as file:
        writer = McapWriter(file)
        writer.start(profile="ros1", library="test")
        schema = writer.register_schema("sensor_msgs/JointState", "ros1msg", b"float64[] position")
        channel = writer.register_channel(JOINTS, "ros1", schema, {})
        for number in range(20):
            writer.add_message(channel, number * 50_000_000, b"xxxx", 0, number)
        writer.finish()
    path = tmp_path / "a.mcap"
    health = examine(find_recordings(path)[0])
    assert not health.is_sound and "rosbags-convert" in " ".join(health.problems)
    assert Info(path).run() == 0
    with pytest.raises(UserError, match="rosbags-convert"):
        Export(path, tmp_path / "out").run()
