"""Recordings: what is written is read back by stock readers, and what is cut is recovered."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from mcap.stream_reader import StreamReader
from rosbags.rosbag2 import Reader

from asterias.errors import AsteriasError
from asterias_nodes.runtime.message_definitions import message_definition
from learning.recordings.bags.bag_recording import BagRecording
from learning.recordings.bags.bag_recovery import recover
from learning.recordings.bags.bag_writer import COMPRESSIONS, BagWriter, Topic

QOS = {
    "history": "keep_last",
    "depth": 10,
    "reliability": "reliable",
    "durability": "volatile",
    "deadline": {"sec": 9223372036, "nsec": 854775807},
    "lifespan": {"sec": 9223372036, "nsec": 854775807},
    "liveliness": "automatic",
    "liveliness_lease_duration": {"sec": 9223372036, "nsec": 854775807},
    "avoid_ros_namespace_conventions": False,
}
NUMBERS = "/numbers"
SYNCED_EVERY = 25


def topic(name: str = NUMBERS) -> Topic:
    """A topic of whole numbers."""
    kind = "std_msgs/msg/Int64"
    return Topic(name, kind, message_definition(kind), "RIHS01_0", [QOS])


def number_bytes(number: int) -> bytes:
    """A serialized Int64, with a tail so that it does not compress to nothing."""
    return b"\x00\x01\x00\x00" + number.to_bytes(8, "little")


def write_numbers(path: Path, count: int, compression: str = "lz4") -> None:
    """A recording of 0, 1, 2, …; one message per ms; synced every 25 messages, closed."""
    writer = BagWriter(path, compression)
    writer.add_topic(topic())
    for number in range(count):
        writer.write(NUMBERS, number_bytes(number), number * 1_000_000, number * 1_000_000)
        if number % SYNCED_EVERY == SYNCED_EVERY - 1:
            writer.sync()
    writer.close()


def numbers(path: Path) -> list[int]:
    """What a complete file holds, by the stock reader."""
    with path.open("rb") as file:
        messages = make_reader(file).iter_messages()
        return [int.from_bytes(message.data[4:12], "little") for _, _, message in messages]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_recording_is_read_by_mcap(tmp_path: Path, compression: str) -> None:
    path = tmp_path / "deep" / "folder" / "a.mcap"
    write_numbers(path, 100, compression)
    assert numbers(path) == list(range(100))
    with path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        assert reader.get_header().profile == "ros2"
        summary = reader.get_summary()
        assert summary is not None and summary.statistics is not None
        assert summary.statistics.message_count == 100
        (channel,) = summary.channels.values()
        assert yaml.safe_load(channel.metadata["offered_qos_profiles"]) == [QOS]
        (metadata,) = reader.iter_metadata()
    assert metadata.name == "rosbag2"
    assert yaml.safe_load(metadata.metadata["serialized_metadata"])["message_count"] == 100


@pytest.mark.parametrize("as_folder", [True, False])
def test_a_recording_is_a_bag(tmp_path: Path, as_folder: bool) -> None:
    path = tmp_path / "bag" / "a.mcap"
    write_numbers(path, 30)
    with Reader(path.parent if as_folder else path) as reader:
        assert reader.message_count == 30
        assert reader.topics[NUMBERS].msgtype == "std_msgs/msg/Int64"
        assert reader.duration == 29_000_001
        assert [stamp for _, stamp, _ in reader.messages()] == [i * 1_000_000 for i in range(30)]


def test_two_recordings_in_one_folder_keep_the_first_metadata(tmp_path: Path) -> None:
    write_numbers(tmp_path / "a.mcap", 3)
    write_numbers(tmp_path / "b.mcap", 4)
    with Reader(tmp_path) as reader:
        assert reader.message_count == 3
    assert numbers(tmp_path / "b.mcap") == list(range(4))


def test_an_empty_recording_can_be_read(tmp_path: Path) -> None:
    BagWriter(tmp_path / "a.mcap").close()
    assert numbers(tmp_path / "a.mcap") == []
    with Reader(tmp_path) as reader:
        assert reader.message_count == 0


def test_a_recording_is_never_overwritten(tmp_path: Path) -> None:
    write_numbers(tmp_path / "a.mcap", 3)
    with pytest.raises(FileExistsError):
        BagWriter(tmp_path / "a.mcap")
    assert numbers(tmp_path / "a.mcap") == [0, 1, 2]


def test_an_unknown_compression_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'gzip'"):
        BagWriter(tmp_path / "a.mcap", "gzip")
    assert not (tmp_path / "a.mcap").exists()


def test_what_is_synced_can_be_read_while_recording_goes_on(tmp_path: Path) -> None:
    writer = BagWriter(tmp_path / "a.mcap")
    writer.add_topic(topic())
    writer.add_topic(topic())
    writer.write(NUMBERS, number_bytes(7), 1, 1)
    writer.sync()
    with (tmp_path / "a.mcap").open("rb") as file:
        assert number_bytes(7) in [getattr(r, "data", b"") for r in records_until_cut(file)]
    writer.close()


def records_until_cut(file: object) -> Iterator[object]:
    """What the stock stream reader gives before it meets the end of a cut file."""
    records = StreamReader(file).records  # type: ignore[arg-type]
    while True:
        try:
            yield next(records)
        except Exception:
            return


# -- recovery


@dataclass(frozen=True)
class Recorded:
    """The bytes of a complete recording of 200 numbers."""

    data: bytes = field(repr=False)


@pytest.fixture(scope="module", params=COMPRESSIONS)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A recording in each compression."""
    path = tmp_path_factory.mktemp("whole") / "a.mcap"
    write_numbers(path, 200, request.param)
    return Recorded(path.read_bytes())


@settings(deadline=None, max_examples=40)
@given(share=st.floats(0.0, 1.0))
def test_a_cut_recording_keeps_all_before_the_cut(whole: Recorded, share: float) -> None:
    cut = whole.data[: max(8, round(share * len(whole.data)))]
    with tempfile.TemporaryDirectory() as folder:
        source, clean = Path(folder) / "cut.mcap", Path(folder) / "clean.mcap"
        source.write_bytes(cut)
        recovery = recover(source, clean)
        found = numbers(clean)
    assert found == list(range(len(found))), "a prefix, without gaps"
    assert len(found) == recovery.message_count
    # Nothing that a sync had put before the cut is missing.
    synced = sum(1 for end in chunk_ends(whole.data) if end <= len(cut)) * SYNCED_EVERY
    assert len(found) >= synced
    assert recovery.was_complete == (cut == whole.data)


def chunk_ends(data: bytes) -> list[int]:
    """Where the chunks of a file end."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        summary = make_reader(file).get_summary()
    assert summary is not None
    return [index.chunk_start_offset + index.chunk_length for index in summary.chunk_indexes]


def test_half_a_chunk_is_recovered_too(tmp_path: Path) -> None:
    write_numbers(tmp_path / "a.mcap", 24, "none")
    whole = (tmp_path / "a.mcap").read_bytes()
    (tmp_path / "cut.mcap").write_bytes(whole[: chunk_ends(whole)[0] - 200])
    recovery = recover(tmp_path / "cut.mcap", tmp_path / "clean.mcap")
    assert 10 < recovery.message_count < 24


def test_a_damaged_chunk_costs_only_itself(tmp_path: Path) -> None:
    write_numbers(tmp_path / "a.mcap", 200)
    data = bytearray((tmp_path / "a.mcap").read_bytes())
    data[chunk_ends(bytes(data))[3] - 20] ^= 0xFF
    (tmp_path / "damaged.mcap").write_bytes(data)
    recovery = recover(tmp_path / "damaged.mcap", tmp_path / "clean.mcap")
    assert recovery.bad_chunks == 1 and recovery.was_complete
    assert numbers(tmp_path / "clean.mcap") == [i for i in range(200) if not 75 <= i < 100]


def test_a_recovered_bag_says_the_same_of_its_topics(tmp_path: Path) -> None:
    write_numbers(tmp_path / "a.mcap", 50)
    (tmp_path / "clean").mkdir()
    recover(tmp_path / "a.mcap", tmp_path / "clean" / "a.mcap")
    with Reader(tmp_path) as before, Reader(tmp_path / "clean") as after:
        assert list(before.messages()) == [
            (connection._replace(owner=before.connections[0].owner), stamp, data)
            for connection, stamp, data in after.messages()
        ]


def test_recovery_overwrites_nothing(tmp_path: Path) -> None:
    write_numbers(tmp_path / "a.mcap", 3)
    with pytest.raises(FileExistsError, match="name a new file"):
        recover(tmp_path / "a.mcap", tmp_path / "a.mcap")


def test_what_is_no_recording_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(AsteriasError, match=r"a\.txt is not an MCAP recording"):
        recover(tmp_path / "a.txt", tmp_path / "b.mcap")
    assert not (tmp_path / "b.mcap").exists()


# -- the thread


def test_a_recording_in_its_thread_holds_everything(tmp_path: Path) -> None:
    recording = BagRecording(BagWriter(tmp_path / "a.mcap"), sync_period_s=0.01)
    recording.add_topic(topic())
    for number in range(5000):
        recording.write(NUMBERS, number_bytes(number), number, number)
    statistics = recording.close()
    assert statistics.message_counts == {NUMBERS: 5000}
    assert not recording.dropped and recording.failure is None
    assert numbers(tmp_path / "a.mcap") == list(range(5000))


class StuckWriter(BagWriter):
    """A writer whose disk never takes anything until it is closed, or is full."""

    is_full = False

    def sync(self) -> None:
        """Fails as a full disk does."""
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().sync()


def test_a_full_disk_ends_the_recording_and_keeps_what_was_synced(tmp_path: Path) -> None:
    writer = StuckWriter(tmp_path / "a.mcap")
    recording = BagRecording(writer, sync_period_s=0.01)
    recording.add_topic(topic())
    writer_numbers = iter(range(1_000_000))
    while not (tmp_path / "a.mcap").stat().st_size > 2000:
        number = next(writer_numbers)
        recording.write(NUMBERS, number_bytes(number), number, number)
    writer.is_full = True
    while recording.failure is None:
        number = next(writer_numbers)
        recording.write(NUMBERS, number_bytes(number), number, number)
    recording.close()
    assert recording.failure.errno == errno.ENOSPC
    recover(tmp_path / "a.mcap", tmp_path / "clean.mcap")
    found = numbers(tmp_path / "clean.mcap")
    assert found == list(range(len(found))) and len(found) > 0


def test_a_slow_disk_drops_messages_and_counts_them(tmp_path: Path) -> None:
    recording = BagRecording(BagWriter(tmp_path / "a.mcap"), queue_bytes=100)
    recording.add_topic(topic())
    recording.write(NUMBERS, bytes(101), 0, 0)
    recording.write(NUMBERS, number_bytes(1), 1, 1)
    recording.close()
    assert recording.dropped == {NUMBERS: 1}
    assert numbers(tmp_path / "a.mcap") == [1]
