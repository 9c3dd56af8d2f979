"""Flips and cuts in recordings: nothing raises, nothing is left behind, intact chunks come back.

``python tests/recording_fuzz.py --inputs 10000`` tries many; the tests of this
folder a small share.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import struct
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from mcap.data_stream import ReadDataStream
from mcap.reader import make_reader
from mcap.records import Chunk, Message
from mcap.stream_reader import breakup_chunk
from mcap.writer import CompressionType, Writer

from asterias.cli import describe_mistake
from asterias.errors import AsteriasError
from learning.recordings.__main__ import Check
from learning.recordings.bags.bag_recovery import recover
from learning.recordings.reading import find_recordings
from learning.recordings.trace import read_trace

JOINT_STATES = """std_msgs/Header header
string[] name
float64[] position
float64[] velocity
float64[] effort
================================================================================
MSG: std_msgs/Header
builtin_interfaces/Time stamp
string frame_id
================================================================================
MSG: builtin_interfaces/Time
int32 sec
uint32 nanosec
"""
COMPRESSIONS = {
    "none": CompressionType.NONE,
    "lz4": CompressionType.LZ4,
    "zstd": CompressionType.ZSTD,
}
MESSAGES = 300
SLOWEST_S = 5.0


def joint_state(number: int) -> bytes:
    """Return a serialized ``JointState`` of one joint."""
    head = struct.pack("<4sIII", b"\x00\x01\x00\x00", 100, number * 10_000_000, 1) + b"\x00" * 4
    name = struct.pack("<II", 1, 2) + b"a\x00" + b"\x00" * 2
    return head + name + struct.pack("<IIdII", 1, 0, number / 10, 0, 0)


def write_recording(path: Path, compression: str, *, is_closed: bool = True) -> None:
    """Write a recording of several chunks, channels, an attachment and metadata."""
    with path.open("wb") as file:
        writer = Writer(file, chunk_size=2048, compression=COMPRESSIONS[compression])
        writer.start(profile="ros2", library="test")
        text = JOINT_STATES.encode()
        schema = writer.register_schema("sensor_msgs/msg/JointState", "ros2msg", text)
        foreign = writer.register_schema("some.Kind", "protobuf", bytes(range(256)))
        qos = {"offered_qos_profiles": "- reliability: 1\n  durability: 2\n"}
        joints = writer.register_channel("/limb_0/joint_states", "cdr", schema, qos)
        other = writer.register_channel("/other", "protobuf", foreign, {})
        bare = writer.register_channel("/bare", "json", 0, {})
        writer.add_attachment(1, 2, "notes.txt", "text/plain", b"some notes")
        writer.add_metadata("about", {"task": "find it"})
        rng = np.random.default_rng(0)
        for number in range(MESSAGES):
            time_ns = 100_000_000_000 + number * 10_000_000
            writer.add_message(joints, time_ns, joint_state(number), time_ns, number)
            if number % 3 == 0:
                writer.add_message(other, time_ns, rng.bytes(40), time_ns, number)
                writer.add_message(bare, time_ns, b'{"a": 1}', time_ns, number)
        if is_closed:
            writer.finish()
        else:
            writer.flush()


def intact_messages(plain: bytes) -> list[tuple[int, int, list[tuple[str, int, bytes]]]]:
    """Return start and end of each chunk's record, and its messages, of an undamaged file."""
    with io.BytesIO(plain) as file:
        reader = make_reader(file)
        summary = reader.get_summary()
        assert summary is not None
        spans = sorted((c.chunk_start_offset, c.chunk_length) for c in summary.chunk_indexes)
    found = []
    for start, length in spans:
        names = {c.id: c.topic for c in summary.channels.values()}
        chunk = Chunk.read(ReadDataStream(io.BytesIO(plain[start + 9 : start + length])))
        rows = [
            (names[record.channel_id], record.sequence, record.data)
            for record in breakup_chunk(chunk)
            if isinstance(record, Message)
        ]
        found.append((start, start + length, rows))
    return found


def read_back(path: Path) -> set[tuple[str, int, bytes]]:
    """Return all messages of a recovered file, by another reader than ours."""
    with path.open("rb") as file:
        reader = make_reader(file)
        return {
            (channel.topic, message.sequence, message.data)
            for _, channel, message in reader.iter_messages()
        }


def damaged(plain: bytes, seed: int, count: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield damaged files, with the place of the damage and the length that is left."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        place = int(rng.integers(8, len(plain)))
        kind = rng.integers(0, 5)
        if kind == 0:
            yield plain[:place], place, place
            continue
        data = bytearray(plain)
        if kind == 1:
            data[place] = int(rng.integers(0, 256))
        elif kind == 2:  # a lying length
            data[place : place + 8] = rng.bytes(8)[: len(data[place : place + 8])]
        else:
            data[place] ^= 1 << int(rng.integers(0, 8))
        yield bytes(data), place, len(data)


def try_one(folder: Path, data: bytes) -> tuple[set[tuple[str, int, bytes]], list[str]]:
    """Return the messages that come back from a damaged file, and what went wrong."""
    source, clean, picture = folder / "a.mcap", folder / "b.mcap", folder / "c.png"
    source.write_bytes(data)
    faults: list[str] = []
    found: set[tuple[str, int, bytes]] = set()
    began_s = time.monotonic()

    def check_recover() -> None:
        recover(source, clean)
        found.update(read_back(clean))

    quiet = io.StringIO()
    for work in (
        check_recover,
        lambda: Check(source).run(),
        lambda: read_trace(find_recordings(source)[0]),
    ):
        try:
            with contextlib.redirect_stdout(quiet):
                work()
        except AsteriasError as error:
            if "\n" in describe_mistake(error):
                faults.append(f"not one sentence: {error}")
        except Exception as error:
            faults.append(f"{type(error).__name__}: {error}")
    if time.monotonic() - began_s > SLOWEST_S:
        faults.append("took too long")
    for path in (source, clean, picture, folder / "metadata.yaml"):
        path.unlink(missing_ok=True)
    left = [path.name for path in folder.iterdir()]
    if left:
        faults.append(f"left behind: {left}")
    return found, faults


def fuzz(folder: Path, seed: int, count: int) -> list[str]:
    """Return the faults of ``count`` damaged files per compression."""
    faults = []
    for compression in COMPRESSIONS:
        write_recording(folder / "whole.mcap", compression)
        plain = (folder / "whole.mcap").read_bytes()
        (folder / "whole.mcap").unlink()
        chunks = intact_messages(plain)
        for number, (data, place, length) in enumerate(damaged(plain, seed, count)):
            found, wrong = try_one(folder, data)
            for start, end, rows in chunks:
                is_hit = start <= place + 8 and place < end
                if not is_hit and end <= length and data[:8] == plain[:8]:
                    lost = sum(row not in found for row in rows)
                    if lost:
                        wrong.append(f"{lost} of {len(rows)} messages of an intact chunk lost")
            faults += [f"{compression} {number} at {place}: {fault}" for fault in wrong]
    return faults


def main() -> int:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        faults = fuzz(Path(folder), options.seed, options.inputs // len(COMPRESSIONS))
    for fault in faults:
        print(fault)
    print(f"{options.inputs} inputs, {len(faults)} faults, {time.monotonic() - began_s:.0f} s.")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
