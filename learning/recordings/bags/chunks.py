"""Chunks of MCAP files, decompressed within bounds: what they declare, and never above a limit."""

from __future__ import annotations

import zlib

import lz4.frame
import zstandard

from learning.recordings.bags.lz4_start import decompress_start
from learning.recordings.bags.records import ChunkParts, DamagedRecordError

# Recorders here write 1 MiB, others up to some ten: a chunk that says more is damage or a bomb.
MOST_CHUNK_BYTES = 128 * 1024 * 1024
# What zstd may need to look back at; its own tools write no more without being asked.
MOST_WINDOW_BYTES = 128 * 1024 * 1024
COMPRESSIONS = ("", "lz4", "zstd")


def plain_records(parts: ChunkParts, data: memoryview) -> memoryview:
    """Return the records of a whole chunk.

    Args:
        parts: what the chunk declares.
        data: its compressed records.

    A checksum that is wrong by one bit was itself damaged: other damage has one chance in a hundred
    million to look so.

    Raises:
        DamagedRecordError: they cannot be decompressed, are too large, or do not fit the checksum.
    """
    plain = data if parts.compression == "" else memoryview(_decompress(parts, data))
    if len(plain) != parts.size:
        raise DamagedRecordError("a chunk has another size than it declares")
    if parts.crc and (zlib.crc32(plain) ^ parts.crc).bit_count() > 1:
        raise DamagedRecordError("a chunk does not fit its checksum")
    return plain


def start_of_records(
    compression: str, data: memoryview, limit_bytes: int = MOST_CHUNK_BYTES
) -> bytes | bytearray | memoryview:
    """Return as much as can be decompressed of data whose end is missing, up to about a limit.

    Of zstd that is whole blocks, up to 128 KiB each; of the others everything that is there.
    """
    if compression == "":
        return data
    try:
        if compression == "lz4":
            return decompress_start(bytes(data), limit_bytes)
        if compression == "zstd":
            return _zstd_start(data, limit_bytes)
    except (RuntimeError, ValueError, MemoryError, zstandard.ZstdError):
        pass
    return b""


def _decompress(parts: ChunkParts, data: memoryview) -> bytes:
    if parts.compression not in COMPRESSIONS:
        raise DamagedRecordError(f"compression {parts.compression!r} is unknown")
    if parts.size > MOST_CHUNK_BYTES:
        raise DamagedRecordError(f"a chunk of {parts.size:,} bytes is above the limit")
    try:
        # One byte more than declared shows a chunk that holds more.
        if parts.compression == "lz4":
            return bytes(lz4.frame.LZ4FrameDecompressor().decompress(data, parts.size + 1))
        reader = zstandard.ZstdDecompressor(max_window_size=MOST_WINDOW_BYTES)
        return reader.stream_reader(data).read(parts.size + 1)
    except (RuntimeError, ValueError, MemoryError, EOFError, zstandard.ZstdError) as error:
        raise DamagedRecordError("a chunk cannot be decompressed") from error


def _zstd_start(data: memoryview, limit_bytes: int) -> bytearray:
    reader = zstandard.ZstdDecompressor(max_window_size=MOST_WINDOW_BYTES).stream_reader(data)
    plain = bytearray()
    try:
        while len(plain) < limit_bytes and (part := reader.read(1 << 16)):
            plain += part
    except zstandard.ZstdError:
        pass  # what came before the damage counts
    return plain
