"""Reads recordings record by record, whether they are whole, cut at any byte, or damaged inside."""

from __future__ import annotations

import io
import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, McapRecord, Message, Schema
from mcap.stream_reader import CRCValidationError, breakup_chunk

from asterias.errors import HardwareError
from learning.recordings.bags.lz4_start import decompress_start

MAGIC = b"\x89MCAP0\r\n"
RECORD_HEADER = struct.Struct("<BQ")
# A chunk's fixed fields before the name of its compression.
CHUNK_FIXED = struct.Struct("<QQQII")
READERS = {Opcode.SCHEMA: Schema.read, Opcode.CHANNEL: Channel.read}


class Scan:
    """Tolerant reading of one file, in the order of the file and without its index.

    Args:
        data: the file's content.

    Attributes:
        was_complete: the file ends as a closed recording does; known when all is read.
        bad_chunks: chunks in the middle whose content was damaged, so far.
        compressions: names of the compressions met so far; empty for none.
    """

    def __init__(self, data: mmap.mmap | bytes) -> None:
        self.was_complete = False
        self.bad_chunks = 0
        self.compressions: set[str] = set()
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
                chunk = Chunk.read(_stream(content))
                self.compressions.add(chunk.compression)
                yield from breakup_chunk(chunk, validate_crc=True)
            except (CRCValidationError, McapError, RuntimeError, zstandard.ZstdError):
                self.bad_chunks += 1
        else:
            yield from _plain_record(opcode, content)


@contextmanager
def open_scan(path: Path) -> Iterator[Scan]:
    """A recording, open for reading.

    Raises:
        HardwareError: it is no MCAP file, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise HardwareError(f"{path} is not an MCAP recording.")
            # Mapped, not read: recordings may be larger than the memory.
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                yield Scan(data)
    except OSError as error:
        raise HardwareError(f"{path} cannot be read ({error.strerror}).") from error


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
    """As much as can be decompressed of data whose end is missing.

    Of zstd that is whole blocks, up to 128 KiB each; of the others everything that is there.
    """
    if compression == "":
        return data
    try:
        if compression == "lz4":
            return decompress_start(data)
        if compression == "zstd":
            return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    except (RuntimeError, zstandard.ZstdError):
        pass
    return b""
