"""Recordings that are damaged, cut, of other kinds or hostile: read as far as they are true."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from collections import Counter
from pathlib import Path

import lz4.frame
import pytest
import zstandard
from mcap.reader import make_reader
from mcap.writer import CompressionType, Writer
from recording_fuzz import (
    COMPRESSIONS,
    fuzz,
    intact_messages,
    joint_state,
    read_back,
    write_recording,
)

from asterias.errors import UserError
from learning.recordings.__main__ import main
from learning.recordings.bags.bag_recovery import recover
from learning.recordings.bags.qos_profiles import declared_rate_hz, parse_qos_profiles
from learning.recordings.reading import find_recordings

MAGIC = b"\x89MCAP0\r\n"


def record(opcode: int, content: bytes) -> bytes:
    return struct.pack("<BQ", opcode, len(content)) + content


def chunk(plain: bytes, data: bytes, compression: bytes, size: int | None = None) -> bytes:
    declared = len(plain) if size is None else size
    head = struct.pack("<QQQII", 0, 1, declared, zlib.crc32(plain), len(compression)) + compression
    return record(6, head + struct.pack("<Q", len(data)) + data)


def test_flips_and_cuts_raise_nothing_and_lose_no_intact_chunk(tmp_path: Path) -> None:
    assert fuzz(tmp_path, seed=7, count=15) == []


@pytest.mark.parametrize("compression", sorted(COMPRESSIONS))
def test_a_lying_length_loses_no_chunk_behind_it(tmp_path: Path, compression: str) -> None:
    write_recording(tmp_path / "a.mcap", compression)
    plain = (tmp_path / "a.mcap").read_bytes()
    chunks = intact_messages(plain)
    start = chunks[2][0]
    for bit in (3, 20, 40, 63):
        data = bytearray(plain)
        data[start + 1 + bit // 8] ^= 1 << (bit % 8)
        (tmp_path / "bad.mcap").write_bytes(bytes(data))
        (tmp_path / "good.mcap").unlink(missing_ok=True)
        assert recover(tmp_path / "bad.mcap", tmp_path / "good.mcap").bad_chunks >= 1
        expected = {
            row for number, (_, _, rows) in enumerate(chunks) for row in rows if number != 2
        }
        assert expected <= read_back(tmp_path / "good.mcap")


def test_what_is_copied_stays_as_it_was(tmp_path: Path) -> None:
    for is_closed in (True, False):
        source, clean = tmp_path / f"{is_closed}.mcap", tmp_path / f"{is_closed}_clean.mcap"
        write_recording(source, "zstd", is_closed=is_closed)
        if not is_closed:
            source.write_bytes(source.read_bytes()[:-1])
        found = recover(source, clean)
        assert (found.attachments, found.orphans) == (1, 0)
        with clean.open("rb") as file:
            reader = make_reader(file)
            assert reader.get_header().profile == "ros2"
            assert reader.get_header().library == "test"
            summary = reader.get_summary()
            assert summary is not None
            schemas = {schema.name: schema for schema in summary.schemas.values()}
            channels = {channel.topic: channel for channel in summary.channels.values()}
            (attachment,) = reader.iter_attachments()
            metadata = {entry.name: entry.metadata for entry in reader.iter_metadata()}
        assert schemas["some.Kind"].encoding == "protobuf"
        assert schemas["some.Kind"].data == bytes(range(256))
        assert channels["/other"].message_encoding == "protobuf"
        assert (channels["/bare"].message_encoding, channels["/bare"].schema_id) == ("json", 0)
        words = channels["/limb_0/joint_states"].metadata
        assert words == {"offered_qos_profiles": "- reliability: 1\n  durability: 2\n"}
        assert (attachment.name, attachment.data) == ("notes.txt", b"some notes")
        assert (attachment.create_time, attachment.log_time) == (1, 2)
        assert metadata["about"] == {"task": "find it"}
        assert found.message_count == len(read_back(clean))


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_bombs_take_no_more_memory_than_they_declare_or_the_limit(
    tmp_path: Path, compression: str
) -> None:
    zeros = bytes(1 << 28)
    squeeze = lz4.frame.compress if compression == "lz4" else zstandard.compress
    packed = squeeze(zeros)
    small = bytes(1000)
    head = MAGIC + record(1, struct.pack("<II", 0, 0))
    data = head + chunk(zeros, packed, compression.encode())
    data += chunk(small, packed, compression.encode())
    (tmp_path / "bomb.mcap").write_bytes(data + chunk(small, small, compression.encode()))
    tracemalloc.start()
    found = recover(tmp_path / "bomb.mcap", tmp_path / "clean.mcap")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.message_count == 0 and found.bad_chunks >= 2
    assert peak < 200e6


def test_a_failed_recovery_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "a.mcap").write_bytes(b"hello")
    with pytest.raises(UserError, match="not an MCAP recording"):
        recover(tmp_path / "a.mcap", tmp_path / "b.mcap")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mcap"]


def test_topics_described_in_a_damaged_chunk_are_found_in_the_index(tmp_path: Path) -> None:
    write_recording(tmp_path / "a.mcap", "lz4")
    plain = bytearray((tmp_path / "a.mcap").read_bytes())
    chunks = intact_messages(bytes(plain))
    plain[chunks[0][0] + 60] ^= 0x10
    (tmp_path / "a.mcap").write_bytes(bytes(plain))
    recover(tmp_path / "a.mcap", tmp_path / "b.mcap")
    expected = {row for _, _, rows in chunks[1:] for row in rows}
    assert read_back(tmp_path / "b.mcap") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- {history: 1, reliability: 1, durability: 1}", "transient_local"),
        ("- {history: keep_last, durability: transient_local}", "transient_local"),
        ("- {durability: 2}", "volatile"),
        ("- {durability: 77}", "unknown"),
    ],
)
def test_qualities_of_service_are_words_and_numbers(text: str, expected: str) -> None:
    (profile,) = parse_qos_profiles(text)
    assert profile["durability"] == expected


@pytest.mark.parametrize("text", ["- {history: [", "{history: 3}", "[" * 5000, "3", "- 3", None])
def test_damaged_profiles_are_passed_over(text: str | None) -> None:
    assert parse_qos_profiles(text) == ()


def test_a_deadline_is_a_declared_rate() -> None:
    profiles = parse_qos_profiles("- deadline: {sec: 0, nsec: 100000000}")
    assert declared_rate_hz(profiles) == pytest.approx(10)
    forever = parse_qos_profiles("- deadline: {sec: 9223372036, nsec: 854775807}")
    assert declared_rate_hz(forever) == 0
    endless = parse_qos_profiles("- deadline: {sec: 0, nsec: 1" + "0" * 400 + "}")
    assert declared_rate_hz(endless) == 0


def write_bag(folder: Path, metadata: str) -> None:
    folder.mkdir()
    write_recording(folder / "a_0.mcap", "lz4")
    (folder / "metadata.yaml").write_text(metadata)


def test_missing_parts_of_a_bag_are_named(tmp_path: Path) -> None:
    files = "rosbag2_bagfile_information:\n  relative_file_paths: [a_0.mcap, a_1.mcap]\n"
    write_bag(tmp_path / "bag", files)
    (recording,) = find_recordings(tmp_path / "bag")
    assert recording.missing == ("a_1.mcap",)


@pytest.mark.parametrize(
    "metadata",
    [
        "rosbag2_bagfile_information:\n",
        "[1, 2",
        "- 3",
        "a: &a [*a]",
        "rosbag2_bagfile_information: 3",
    ],
)
def test_damaged_bag_metadata_is_passed_over(tmp_path: Path, metadata: str) -> None:
    write_bag(tmp_path / "bag", metadata)
    (recording,) = find_recordings(tmp_path / "bag")
    assert [file.name for file in recording.files] == ["a_0.mcap"]
    assert not recording.missing and "passed over" in recording.notes[0]


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("a_0.mcap.zstd", "zstd -d"),
        ("a_0.db3", "ros2 bag convert"),
        ("a.bag", "rosbags-convert"),
    ],
)
def test_bags_of_other_kinds_are_named_with_the_cure(tmp_path: Path, name: str, cure: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UserError, match=cure):
        find_recordings(tmp_path)


def test_the_greatest_time_and_big_endian_stamps_are_read(tmp_path: Path) -> None:
    with (tmp_path / "a.mcap").open("wb") as file:
        writer = Writer(file, compression=CompressionType.NONE)
        writer.start(profile="ros2", library="test")
        text = b"std_msgs/Header header"
        schema = writer.register_schema("some_msgs/msg/Stamped", "ros2msg", text)
        channel = writer.register_channel("/a", "cdr", schema, {})
        big = b"\x00\x00\x00\x00" + struct.pack(">iI", 100, 5)
        writer.add_message(channel, 100_000_000_000, big, 0)
        writer.add_message(channel, 2**64 - 1, joint_state(0), 2**64 - 1)
        writer.finish()
    (recording,) = find_recordings(tmp_path / "a.mcap")
    assert [raw.time_ns for raw in recording.messages()] == [100_000_000_005, 2**63 - 1]


def flipped(path: Path, place: int, bit: int = 0x10) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= bit
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("compression", sorted(COMPRESSIONS))
def test_what_was_dropped_is_said_exactly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], compression: str
) -> None:
    bad, clean = tmp_path / "a.mcap", tmp_path / "b.mcap"
    write_recording(bad, compression)
    chunks = intact_messages(bad.read_bytes())
    start, end, rows = chunks[2]
    flipped(bad, (start + end) // 2)
    assert main(["recover", str(bad), "--out", str(clean)]) == 0
    counts = Counter(topic for topic, _, _ in rows)
    held = ", ".join(f"{count} messages of {topic}" for topic, count in sorted(counts.items()))
    times = [0.01 * number for _, number, _ in rows]
    told = capsys.readouterr().out
    assert f"left out bytes {start:,} to {end:,}, recorded from {min(times):.3f} to " in told
    assert f"{max(times):.3f} s: {held}" in told
    expected = {row for number, one in enumerate(chunks) for row in one[2] if number != 2}
    assert read_back(clean) == expected


@pytest.mark.parametrize("compression", sorted(COMPRESSIONS))
def test_a_damaged_checksum_costs_no_message(tmp_path: Path, compression: str) -> None:
    bad, clean = tmp_path / "a.mcap", tmp_path / "b.mcap"
    write_recording(bad, compression)
    chunks = intact_messages(bad.read_bytes())
    flipped(bad, chunks[2][0] + 9 + 24 + 2)  # opcode and length, two times and a size, the checksum
    assert recover(bad, clean).dropped == ()
    assert read_back(clean) == {row for _, _, rows in chunks for row in rows}


@pytest.mark.parametrize("bit", [0x01, 0x40])
def test_a_lying_length_in_a_chunk_without_a_checksum_costs_one_message(
    tmp_path: Path, bit: int
) -> None:
    bad, clean = tmp_path / "a.mcap", tmp_path / "b.mcap"
    with bad.open("wb") as file:
        writer = Writer(file, compression=CompressionType.NONE, enable_crcs=False)
        writer.start(profile="ros2", library="test")
        channel = writer.register_channel("/a", "json", 0, {})
        for number in range(100):
            writer.add_message(channel, number, b'{"a": %3d}' % number, number, number)
        writer.finish()
    (chunk_of_all,) = intact_messages(bad.read_bytes())
    place = bad.read_bytes().find(b'{"a":  50}') - 22 - 8  # times, numbers, and the length
    flipped(bad, place, bit)
    assert recover(bad, clean).bad_chunks == 1
    expected = {row for row in chunk_of_all[2] if row[1] != 50}
    assert expected <= read_back(clean)
