"""What an LZ4 frame holds whose end is missing, to the last byte that can be known.

Stock decompressors give whole blocks of 64 KiB and more; what lies in the last, cut one would be
lost. Its beginning is as good as any, so it is read here (LZ4 block format:
literals, then a copy of something before, and so on).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import lz4.block

MAGIC = b"\x04\x22\x4d\x18"
BLOCK_SIZE = struct.Struct("<I")
HEADER_SIZE = 7
HAS_DICTIONARY, HAS_SIZE, HAS_BLOCK_CHECKSUM, IS_INDEPENDENT = 0x01, 0x08, 0x10, 0x20
STORED = 0x80000000
WINDOW = 65536
# Shortest copy; a token of 15 says that more length follows.
MIN_COPY = 4
MORE = 15


def decompress_start(data: bytes, limit_bytes: int = 1 << 40) -> bytearray:
    """Return everything that the beginning of an LZ4 frame holds, up to about a limit."""
    if data[:4] != MAGIC or len(data) < HEADER_SIZE:
        return bytearray()
    flags, largest = data[4], 1 << (8 + 2 * (data[5] >> 4 & 7))
    position = HEADER_SIZE + 8 * bool(flags & HAS_SIZE) + 4 * bool(flags & HAS_DICTIONARY)
    plain = bytearray()
    while position + BLOCK_SIZE.size <= len(data) and len(plain) < limit_bytes:
        (size,) = BLOCK_SIZE.unpack_from(data, position)
        if size == 0:  # the end mark
            break
        position += BLOCK_SIZE.size
        length = size & ~STORED
        block = data[position : position + length]
        position += length + 4 * bool(flags & HAS_BLOCK_CHECKSUM)
        before = b"" if flags & IS_INDEPENDENT else bytes(plain[-WINDOW:])
        if size & STORED:
            plain += block
        elif len(block) < length:
            plain += _block_start(block, before, largest)
        else:
            try:
                plain += lz4.block.decompress(block, uncompressed_size=largest, dict=before)
            except (lz4.block.LZ4BlockError, ValueError, MemoryError):
                break  # damaged; what came before it counts
    return plain


def _block_start(block: bytes, before: bytes, largest: int) -> bytes:
    """Return the content of a cut block, up to its largest size; it refers to what came before."""
    out = bytearray(before)
    position = 0
    while position < len(block):
        token = block[position]
        literals, position = _length(block, position + 1, token >> 4)
        out += block[position : position + literals]
        position += literals
        if position + 2 > len(block):
            break
        offset = block[position] | block[position + 1] << 8
        length, position = _length(block, position + 2, token & MORE)
        if not 0 < offset <= len(out) or position > len(block):
            break
        if len(out) - len(before) + length + MIN_COPY > largest:
            break
        _copy(out, offset, length + MIN_COPY)
    return bytes(out[len(before) :])


def _length(block: bytes, position: int, length: int) -> tuple[int, int]:
    """Return a length, and where what follows it begins; beyond the block where it is cut."""
    if length < MORE:
        return length, position
    for more in _bytes(block, position):
        length += more
        position += 1
        if more < 255:
            return length, position
    return 0, len(block) + 1


def _bytes(block: bytes, position: int) -> Iterator[int]:
    yield from memoryview(block)[position:]


def _copy(out: bytearray, offset: int, length: int) -> None:
    """Append ``length`` bytes from ``offset`` before the end; they may overlap themselves."""
    start = len(out) - offset
    if offset >= length:
        out += out[start : start + length]
    else:
        piece = bytes(out[start:])
        out += (piece * (length // offset + 1))[:length]
