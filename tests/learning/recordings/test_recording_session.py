"""Episodes: begun, ended, marked, discarded, split, kept from the past, ended by a full disk."""

from __future__ import annotations

import json
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcap.reader import make_reader
from rosbags.rosbag2 import Reader

from asterias.errors import AsteriasError
from learning.recordings.bags.bag_recording import BagRecording, RecordedMessage
from learning.recordings.bags.bag_writer import Bag, Split, Topic
from learning.recordings.bags.cdr import jpeg_of_image, parse_image
from learning.recordings.bags.ring import Ring
from learning.recordings.episodes import EpisodeStore, episode_folders, load_card
from learning.recordings.session import RecordingSession, SingleFile, WriterOptions

LASTING = {"sec": 9223372036, "nsec": 854775807}
TRANSIENT = {
    "history": "keep_last",
    "depth": 1,
    "reliability": "reliable",
    "durability": "transient_local",
    "deadline": LASTING,
    "lifespan": LASTING,
    "liveliness": "automatic",
    "liveliness_lease_duration": LASTING,
    "avoid_ros_namespace_conventions": False,
}
JOINTS = Topic("/joints", "std_msgs/msg/Int64", "int64 data")
LATCHED = Topic("/map", "std_msgs/msg/Int64", "int64 data", qos_profiles=[TRANSIENT])
PICTURES = Topic("/camera", "sensor_msgs/msg/Image", "uint8[] data")
MS = 1_000_000


def message(topic: Topic, number: int, time_ms: int, size: int = 12) -> RecordedMessage:
    """A numbered message."""
    data = (b"\x00\x01\x00\x00" + number.to_bytes(8, "little")).ljust(size, b"\x00")
    return RecordedMessage(topic.name, data, time_ms * MS, time_ms * MS)


def read(path: Path) -> list[tuple[str, int]]:
    """Topics and numbers in a complete file, by the stock reader."""
    with path.open("rb") as file:
        found = make_reader(file).iter_messages(log_time_order=False)
        return [(c.topic, int.from_bytes(m.data[4:12], "little")) for _, c, m in found]


def session(root: Path, **options: object) -> RecordingSession:
    """A session that knows three topics."""
    ring = options.pop("ring", None)
    made = RecordingSession(EpisodeStore(root), WriterOptions(**options), ring)  # type: ignore[arg-type]
    for topic in (JOINTS, LATCHED, PICTURES):
        made.add_topic(topic)
    return made


def test_an_episode_holds_what_came_between_start_and_stop(tmp_path: Path) -> None:
    recorder = session(tmp_path / "demos")
    recorder.put(message(LATCHED, 7, 0))
    recorder.put(message(JOINTS, 1, 1))
    recorder.start("find the target", 5 * MS)
    recorder.put(message(JOINTS, 2, 10))
    recorder.put(message(PICTURES, 3, 20))
    card = recorder.stop()
    recorder.put(message(JOINTS, 4, 30))
    (folder,) = episode_folders(tmp_path / "demos")
    assert read(folder / "episode_000000.mcap") == [("/map", 7), ("/joints", 2), ("/camera", 3)]
    assert load_card(folder) == card
    assert (card.task, card.state, card.outcome) == ("find the target", "complete", "unknown")
    assert (card.messages, card.pictures, card.duration_s) == (3, 1, 0.015)
    assert card.bytes == (folder / "episode_000000.mcap").stat().st_size
    with Reader(folder) as bag:
        assert bag.message_count == 3


def test_marks_and_discards_mean_the_present_episode_or_the_last(tmp_path: Path) -> None:
    recorder = session(tmp_path)
    recorder.start("a", 0)
    assert recorder.mark("success").episode == 0
    recorder.stop()
    recorder.start("b", 0)
    recorder.stop()
    recorder.mark("failure")
    recorder.start("c", 0)
    assert recorder.discard().episode == 2
    assert [load_card(folder).outcome for folder in episode_folders(tmp_path)] == [
        "success",
        "failure",
    ]
    assert recorder.discard().task == "b"
    assert [folder.name for folder in episode_folders(tmp_path)] == ["episode_000000"]
    again = session(tmp_path)
    assert again.start("d", 0).episode == 1, "a folder is gone on with"
    again.close()


def test_what_cannot_be_done_is_told(tmp_path: Path) -> None:
    recorder = session(tmp_path / "demos")
    for action in (recorder.stop, recorder.discard, lambda: recorder.mark("success")):
        with pytest.raises(AsteriasError, match=r"start|no episode"):
            action()
    with pytest.raises(AsteriasError, match="mode:=ring"):
        recorder.snapshot("x")
    recorder.start("a", 0)
    with pytest.raises(AsteriasError, match="Episode 0 is being recorded; stop or discard"):
        recorder.start("b", 0)
    recorder.close()
    (tmp_path / "file").write_text("")
    with pytest.raises(AsteriasError, match="cannot be written"):
        session(tmp_path / "file" / "demos").start("a", 0)
    single = RecordingSession(SingleFile(tmp_path / "file"), WriterOptions())
    with pytest.raises(AsteriasError, match="never overwritten"):
        single.start("", 0)


@pytest.mark.parametrize("split", [Split(duration_s=0.1), Split(size_bytes=60_000)])
def test_a_long_episode_is_split_into_whole_files(tmp_path: Path, split: Split) -> None:
    recorder = session(tmp_path, split=split, compression="none", sync_period_s=0.01)
    recorder.start("long", 0)
    recorder.put(message(LATCHED, 9, 0))
    for number in range(40):
        recorder.put(message(JOINTS, number, 10 * number, 10_000))
        time.sleep(0.002)  # sizes are known after each sync
    card = recorder.stop()
    assert 3 <= len(card.files) <= 20
    files = [read(tmp_path / "episode_000000" / name) for name in card.files]
    assert [entry for file in files for entry in file if entry[0] == "/joints"] == [
        ("/joints", number) for number in range(40)
    ]
    assert all(("/map", 9) in file for file in files), "each file serves alone"
    with Reader(tmp_path / "episode_000000") as bag:
        assert bag.message_count == sum(map(len, files)) == card.messages
        assert len(list(bag.messages())) == bag.message_count


def test_a_snapshot_holds_the_last_seconds(tmp_path: Path) -> None:
    recorder = session(tmp_path, ring=Ring(0.1, 10**6))
    with pytest.raises(AsteriasError, match="nothing to keep"):
        recorder.snapshot("early")
    recorder.put(message(LATCHED, 7, 0))
    for number in range(100):
        recorder.put(message(JOINTS, number, 10 * number))
    recorder.snapshot("bump")
    recorder.put(message(JOINTS, 100, 1000))
    (card,) = recorder.close()
    assert card.task == "bump" and card.duration_s == 0.1
    assert read(tmp_path / "episode_000000" / "episode_000000.mcap") == [
        ("/map", 7),
        *(("/joints", number) for number in range(89, 100)),
    ]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(12, 400)), min_size=1, max_size=60))
def test_a_ring_keeps_the_youngest_within_its_limits(steps: list[tuple[int, int]]) -> None:
    ring, now, sent = Ring(0.1, 1000), 0, []
    for number, (step_ms, size) in enumerate(steps):
        now += step_ms
        sent.append(message(JOINTS, number, now, size))
        ring.add(sent[-1])
    kept = list(ring)
    assert kept == sent[len(sent) - len(kept) :] and kept, "the youngest, without gaps"
    assert sum(len(m.data) for m in kept) == ring.size_bytes <= 1000
    assert ring.duration_s <= 0.1
    if len(kept) < len(sent):
        older = sent[-len(kept) - 1]
        too_old = now - older.log_time_ns / MS > 100
        assert too_old or ring.size_bytes + len(older.data) > 1000


def test_a_nearly_full_disk_ends_an_episode_whole(tmp_path: Path) -> None:
    recorder = session(tmp_path, sync_period_s=0.01, min_free_bytes=2**62)
    recorder.start("a", 0)
    recorder.put(message(JOINTS, 1, 0))
    ended: list[object] = []
    while not ended:
        ended = list(recorder.poll())
        time.sleep(0.01)
    card = load_card(tmp_path / "episode_000000")
    assert card.state == "failed" and "free some space" in card.problem
    assert read(tmp_path / "episode_000000" / "episode_000000.mcap") == [("/joints", 1)]
    assert not recorder.is_recording
    card = recorder.start("again", 0)
    assert card.episode == 1
    recorder.close()


def test_a_card_that_is_none_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "episode_000000"
    folder.mkdir()
    (folder / "episode.json").write_text(json.dumps({"episode": 0, "outcome": "great"}))
    with pytest.raises(AsteriasError, match=r"episode\.json is no card"):
        EpisodeStore(tmp_path)


# -- pictures


def image_cdr(pixels: np.ndarray, encoding: str, frame_id: str, padding: int = 0) -> bytes:  # type: ignore[type-arg]
    """A serialized sensor_msgs/msg/Image, written field by field."""
    out = bytearray(b"\x00\x01\x00\x00")

    def put(content: bytes, alignment: int) -> None:
        out.extend(bytes(-(len(out) - 4) % alignment) + content)

    def text(word: str) -> None:
        put((len(word) + 1).to_bytes(4, "little"), 4)
        put(word.encode() + b"\x00", 1)

    put((11).to_bytes(4, "little") + (22).to_bytes(4, "little"), 4)
    text(frame_id)
    row_bytes = pixels[0].size + padding
    rows = pixels.reshape(len(pixels), -1)
    padded = np.pad(rows, ((0, 0), (0, padding))).tobytes()
    put(pixels.shape[0].to_bytes(4, "little") + pixels.shape[1].to_bytes(4, "little"), 4)
    text(encoding)
    put(b"\x00", 1)
    put(row_bytes.to_bytes(4, "little") + len(padded).to_bytes(4, "little"), 4)
    return bytes(out) + padded


@pytest.mark.parametrize("frame_id", ["", "a", "ab", "abc", "limb_0_camera_0_optical_frame"])
@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8", "mono8"])
def test_a_raw_picture_becomes_jpeg(frame_id: str, encoding: str) -> None:
    channels = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}[encoding]
    pixels = np.zeros((24, 32, channels), np.uint8)
    pixels[:, :, 0] = 200
    data = image_cdr(pixels, encoding, frame_id, padding=3)
    picture = parse_image(data)
    assert picture is not None and np.array_equal(np.atleast_3d(picture.pixels), pixels)
    jpeg = jpeg_of_image(data)
    assert jpeg is not None
    start = jpeg.index(b"\xff\xd8")
    assert jpeg[:4] + picture.header == data[: 4 + len(picture.header)], "the same header"
    shown = cv2.imdecode(np.frombuffer(jpeg[start:], np.uint8), cv2.IMREAD_UNCHANGED)
    first = 2 if encoding.startswith("rgb") else 0
    assert abs(int(np.atleast_3d(shown)[..., first].mean()) - 200) < 3


@given(st.binary(max_size=80))
def test_what_is_no_picture_stays_out(data: bytes) -> None:
    assert jpeg_of_image(b"\x00\x01\x00\x00" + data) is None


def test_a_picture_that_cannot_be_compressed_is_counted(tmp_path: Path) -> None:
    recording = BagRecording(Bag(tmp_path / "a.mcap"))
    recording.add_topic(PICTURES, jpeg_of_image)
    recording.put(message(PICTURES, 1, 0))
    recording.close()
    assert recording.dropped == {"/camera": 1}
