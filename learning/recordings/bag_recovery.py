"""Reads every intact message of a recording that was cut short, and writes a clean file."""

from __future__ import annotations

import io
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lz4.frame
import yaml
import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, McapRecord, Message, Schema
from mcap.stream_reader import CRCValidationError, breakup_chunk

from learning.recordings.bag_writer import BagWriter, Topic

MAGIC = b"\x89MCAP0\r\n"
RECORD_HEADER = struct.Struct("<BQ")
# A chunk's fixed fields before the name of its compression.
CHUNK_FIXED = struct.Struct("<QQQII")
READERS = {Opcode.SCHEMA: Schema.read, Opcode.CHANNEL: Channel.read}


@dataclass(frozen=True)
class Recovery:
    """What was found.

    Attributes:
        message_count: messages read back.
        topic_count: topics with at least one message.
        was_complete: the file ended as a closed recording does.
        bad_chunks: chunks in the middle whose content was damaged.
    """

    message_count: int
    topic_count: int
    was_complete: bool
    bad_chunks: int


class _Scan:
    """Tolerant reading of one file, record by record."""

    def __init__(self, data: mmap.mmap) -> None:
        self.was_complete = False
        self.bad_chunks = 0
        self._data = data

    def records(self) -> Iterator[McapRecord]:
        """Schemas, channels and messages, inside chunks and outside, until the data ends."""
        position = len(MAGIC)
        while position + RECORD_HEADER.size <= len(self._data):
            opcode, length = RECORD_HEADER.unpack_from(self._data, position)
            start = position + RECORD_HEADER.size
            position = start + length
            content = memoryview(self._data[start:position])
            if opcode == Opcode.DATA_END:
                self.was_complete = self._data[-len(MAGIC) :] == MAGIC
                return
            if len(content) < length:
                if opcode == Opcode.CHUNK:
                    yield from _cut_chunk(content)
                return
            yield from self._record(opcode, content)

    def _record(self, opcode: int, content: memoryview) -> Iterator[McapRecord]:
        if opcode == Opcode.CHUNK:
            try:
                yield from breakup_chunk(Chunk.read(_stream(content)), validate_crc=True)
            except (CRCValidationError, McapError, RuntimeError, zstandard.ZstdError):
                self.bad_chunks += 1
        else:
            yield from _plain_record(opcode, content)


def recover(source: Path, destination: Path) -> Recovery:
    """Writes all intact messages of ``source`` to the new file ``destination``.

    Args:
        source: an MCAP recording, complete or cut at any byte.
        destination: must not exist; appears only when it is complete.

    Raises:
        FileExistsError: the destination exists.
        ValueError: the source is no MCAP file.
        OSError: a file cannot be read or written.
    """
    if destination.exists():
        raise FileExistsError(f"{destination} exists already; name a new file.")
    with source.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise ValueError(f"{source} is not an MCAP recording.")
        # Mapped, not read: recordings may be larger than the memory.
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _recover(_Scan(data), destination)


def _recover(scan: _Scan, destination: Path) -> Recovery:
    temporary = destination.with_name(f".{destination.name}.tmp")
    temporary.unlink(missing_ok=True)
    writer = BagWriter(temporary, "lz4", name=destination.name)
    _copy(scan.records(), writer)
    writer.close()
    temporary.replace(destination)
    counts = writer.statistics.message_counts
    return Recovery(
        message_count=writer.statistics.message_count,
        topic_count=sum(1 for count in counts.values() if count),
        was_complete=scan.was_complete,
        bad_chunks=scan.bad_chunks,
    )


def _copy(records: Iterator[McapRecord], writer: BagWriter) -> None:
    schemas: dict[int, Schema] = {}
    channels: dict[int, Channel] = {}
    for record in records:
        if isinstance(record, Schema):
            schemas[record.id] = record
        elif isinstance(record, Channel):
            channels[record.id] = record
        elif isinstance(record, Message) and record.channel_id in channels:
            channel = channels[record.channel_id]
            if channel.topic not in writer.topics:
                writer.add_topic(_topic(channel, schemas[channel.schema_id]))
            writer.write(channel.topic, record.data, record.log_time, record.publish_time)


def _topic(channel: Channel, schema: Schema) -> Topic:
    profiles = yaml.safe_load(channel.metadata.get("offered_qos_profiles", "")) or []
    return Topic(
        name=channel.topic,
        type_name=schema.name,
        definition=schema.data.decode(),
        type_hash=channel.metadata.get("topic_type_hash", ""),
        qos_profiles=profiles,
    )


def _stream(content: memoryview) -> ReadDataStream:
    return ReadDataStream(io.BytesIO(content))


def _plain_record(opcode: int, content: memoryview) -> Iterator[McapRecord]:
    """A schema, channel or message; anything else is index and can be made again."""
    if opcode == Opcode.MESSAGE:
        yield Message.read(_stream(content), len(content))
    elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
        yield READERS[Opcode(opcode)](_stream(content))


def _cut_chunk(content: memoryview) -> Iterator[McapRecord]:
    """The complete records at the start of a chunk whose end is missing."""
    name_at = CHUNK_FIXED.size
    if len(content) < name_at:
        return
    # Field by field: the fixed part ends with the length of the compression's name.
    name_length = CHUNK_FIXED.unpack_from(content)[-1]
    data_at = name_at + name_length + 8
    compression = bytes(content[name_at : name_at + name_length]).decode(errors="replace")
    plain = memoryview(_decompressed_start(compression, bytes(content[data_at:])))
    position = 0
    while position + RECORD_HEADER.size <= len(plain):
        opcode, length = RECORD_HEADER.unpack_from(plain, position)
        start = position + RECORD_HEADER.size
        position = start + length
        if position > len(plain):
            return
        yield from _plain_record(opcode, plain[start:position])


def _decompressed_start(compression: str, data: bytes) -> bytes:
    """As much as can be decompressed of data whose end is missing."""
    decompressor: Any
    if compression == "":
        return data
    if compression == "lz4":
        decompressor = lz4.frame.LZ4FrameDecompressor()
    elif compression == "zstd":
        decompressor = zstandard.ZstdDecompressor().decompressobj()
    else:
        return b""
    try:
        return bytes(decompressor.decompress(data))
    except (RuntimeError, zstandard.ZstdError):
        return b""
