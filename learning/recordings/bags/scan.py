"""Reads recordings record by record, whether they are whole, cut at any byte, or damaged inside.

Nothing that a file says is believed before it fits: lengths are compared with what follows, chunks
with their checksum. After damage the scan goes on at the next record that fits.
"""

from __future__ import annotations

import mmap
import re
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mcap.opcode import Opcode
from mcap.records import Channel, Message, Schema

from asterias.errors import UserError
from learning.recordings.bags.chunks import COMPRESSIONS, plain_records, start_of_records
from learning.recordings.bags.records import (
    FIRST_PRIVATE,
    FOOTER,
    LAST_OPCODE,
    MAGIC,
    MOST_RECORD_BYTES,
    RECORD_HEADER,
    DamagedRecordError,
    DroppedBytes,
    Record,
    check_attachment,
    message_index,
    parse_chunk,
    parse_record,
)

# A record's first nine bytes: an opcode of the format, and a length below 2**40.
CANDIDATE = re.compile(rb"[\x01-\x0f].{5}\x00{3}", re.DOTALL)
# So many records must follow each other before a place between two is believed to be one.
CHAIN = 3
# Definitions stand at the beginning of a chunk; in a damaged one, so much of it is searched.
DOUBTFUL_BYTES = 4 * 1024 * 1024


class Scan:
    """Tolerant reading of one file, in the order of the file and without its index.

    Args:
        data: the file's content.

    Attributes:
        was_complete: the file ends as a closed recording does; known when all is read.
        bad_chunks: places in the middle, or in the index, that are damaged, so far.
        orphans: messages whose topic is described nowhere, so far.
        compressions: names of the compressions met so far; empty for none.
        unknown_compressions: of these, names that nothing here can decompress.
        dropped: damaged chunks, and other places, from which nothing came back.
    """

    def __init__(self, data: mmap.mmap | bytes) -> None:
        self.was_complete = False
        self.bad_chunks = 0
        self.orphans = 0
        self.compressions: set[str] = set()
        self.unknown_compressions: set[str] = set()
        self.dropped: list[DroppedBytes] = []
        self._is_dropping = False  # indexes that follow are of the chunk that was dropped last
        self._data = data
        self._schemas: dict[int, Schema] = {}
        self._channels: dict[int, Channel] = {}
        self._searched = False
        # Definitions in damaged chunks: better than none, if no other place has them.
        self._doubtful: list[Schema | Channel] = []

    def records(self) -> Iterator[Record]:
        """Yield what recordings are made of, inside chunks and outside, until the data ends.

        Each schema comes before its channels, each channel before its messages.
        """
        with memoryview(self._data) as view:
            position = len(MAGIC)
            while position + RECORD_HEADER.size <= len(view):
                opcode, length = RECORD_HEADER.unpack_from(view, position)
                end = position + RECORD_HEADER.size + length
                if (opcode, length) in _ENDS:
                    self._check_end()
                    return
                if end > len(view) and self._is_cut_chunk(view, position, end):
                    yield from self._cut(view, position)
                    return
                position = yield from self._step(view, position, end)

    # -- from record to record ------------------------------------------------------------------

    def _step(self, view: memoryview, position: int, end: int) -> Generator[Record, None, int]:
        """Yield what the record at a place holds; return where the next one begins.

        Returns:
            Position of the next record.
        """
        if end <= len(view) and self._fits(view, position):
            yield from self._record(view, position, end)
            return end
        self.bad_chunks += 1
        mended = self._mended_chunk(view, position, end)
        if mended is not None:
            yield from self._record(view, position, mended)
            return mended
        following = self._next_place(view, position + 1)
        if following is None:
            self.bad_chunks -= 1  # nothing follows: cut, not damaged
            return len(view)
        self._drop(view, position, following)
        return following

    def _drop(self, view: memoryview, position: int, end: int) -> None:
        """Note a place from which nothing comes back, with the times of the chunk that it was."""
        start = position + RECORD_HEADER.size
        parts = None
        if view[position] == Opcode.CHUNK:
            with suppress(DamagedRecordError):
                parts = parse_chunk(view[start:])
        times = (None, None) if parts is None else (parts.start_ns, parts.end_ns)
        self.dropped.append(DroppedBytes(position, end, *times))
        self._is_dropping = True

    def topic_counts(self, dropped: DroppedBytes) -> dict[str, int]:
        """Return how many messages of each topic were dropped, as their indexes list them."""
        return {
            self._channels[number].topic if number in self._channels else f"channel {number}": count
            for number, count in dropped.counts.items()
        }

    def _mended_chunk(self, view: memoryview, position: int, end: int) -> int | None:
        """Return the end of a chunk of whose two lengths one is wrong; None where both may be."""
        start = position + RECORD_HEADER.size
        if view[position] != Opcode.CHUNK:
            return None
        try:
            parts = parse_chunk(view[start:])
        except DamagedRecordError:
            return None
        ends = [end] if parts is None else [end, start + parts.length]
        return next((at for at in ends if at <= len(view) and self._is_chain(view, at)), None)

    def _is_cut_chunk(self, view: memoryview, position: int, end: int) -> bool:
        """Return whether a chunk's two lengths agree, and lead beyond the end of the file."""
        if view[position] != Opcode.CHUNK:
            return False
        start = position + RECORD_HEADER.size
        try:
            parts = parse_chunk(view[start:])
        except DamagedRecordError:
            return False
        return parts is None or start + parts.length == end

    def _fits(self, view: memoryview, position: int) -> bool:
        """Return whether the record at a place that lies within the file can be believed."""
        opcode, length = RECORD_HEADER.unpack_from(view, position)
        start = position + RECORD_HEADER.size
        end = start + length
        if not _is_opcode(opcode) or end > len(view):
            return False
        content = view[start:end]
        try:
            if opcode == Opcode.CHUNK:
                parts = parse_chunk(content)
                return parts is not None and parts.length == length
            if opcode == Opcode.ATTACHMENT:
                check_attachment(content)
            else:
                parse_record(opcode, content)
        except DamagedRecordError:
            return False
        # Any length of a message or private record fits: what follows must be a record.
        return opcode in _CHECKED or _is_header(view, end)

    def _next_place(self, view: memoryview, position: int, tail: int = len(MAGIC)) -> int | None:
        """Return the next place at which records follow each other; None where there is none."""
        for match in CANDIDATE.finditer(view, position):
            if self._is_chain(view, match.start(), tail):
                return match.start()
        return None

    def _is_chain(self, view: memoryview, position: int, tail: int = len(MAGIC)) -> bool:
        """Return whether records follow each other, up to ``tail`` bytes before the end."""
        for _ in range(CHAIN):
            if position + RECORD_HEADER.size > len(view):
                return position + tail == len(view)
            if not self._fits(view, position):
                return False
            opcode, length = RECORD_HEADER.unpack_from(view, position)
            if opcode == Opcode.CHUNK:
                return True  # two lengths of eight bytes that agree
            position += RECORD_HEADER.size + length
        return True

    def _check_end(self) -> None:
        """Note whether the file ends as it should, and whether its index is sound."""
        data = self._data
        self.was_complete = data[-len(MAGIC) :] == MAGIC
        footer_at = len(data) - len(MAGIC) - FOOTER.size
        if not self.was_complete or footer_at < len(MAGIC) + RECORD_HEADER.size:
            return
        opcode, length = RECORD_HEADER.unpack_from(data, footer_at - RECORD_HEADER.size)
        start, _, crc = FOOTER.unpack_from(data, footer_at)
        is_sound = (opcode, length) == (Opcode.FOOTER, FOOTER.size) and start <= footer_at
        if is_sound and start and crc:
            is_sound = zlib.crc32(data[start : footer_at + FOOTER.size - 4]) == crc
        self.bad_chunks += not is_sound

    # -- what a record holds --------------------------------------------------------------------

    def _record(self, view: memoryview, position: int, end: int) -> Iterator[Record]:
        opcode = view[position]
        content = view[position + RECORD_HEADER.size : end]
        self._is_dropping &= opcode == Opcode.MESSAGE_INDEX
        try:
            if opcode == Opcode.CHUNK:
                yield from self._chunk(view, position, content)
                return
            if self._is_dropping:
                channel, count = message_index(content)
                self.dropped[-1].counts[channel] = count
            record = parse_record(opcode, content)
        except DamagedRecordError:
            self.bad_chunks += 1
            return
        if record is not None:
            yield from self._known(record)

    def _chunk(self, view: memoryview, position: int, content: memoryview) -> Iterator[Record]:
        parts = parse_chunk(content)
        assert parts is not None
        self.compressions.add(parts.compression)
        if parts.compression not in COMPRESSIONS:
            self.unknown_compressions.add(parts.compression)
        data = content[parts.data_start :]
        try:
            plain = plain_records(parts, data)
        except DamagedRecordError:
            self.bad_chunks += 1
            self._drop(view, position, position + RECORD_HEADER.size + len(content))
            start = memoryview(start_of_records(parts.compression, data, DOUBTFUL_BYTES))
            found = (record for record in _inner_records(start) if record is not None)
            self._doubtful += [r for r in found if isinstance(r, Schema | Channel)]
            return
        for record in _inner_records(plain) if parts.crc else self._doubted_records(plain):
            if record is None:
                self.bad_chunks += 1
            else:
                yield from self._known(record)

    def _doubted_records(self, plain: memoryview) -> Iterator[Record | None]:
        """Yield the records of a chunk without a checksum; None for each place that is damaged.

        A length that was damaged hides no record behind it: the reading goes on at the next place
        at which records follow each other.
        """
        position: int | None = 0
        while position is not None and position + RECORD_HEADER.size <= len(plain):
            if not self._fits(plain, position):
                yield None
                position = self._next_place(plain, position + 1, tail=0)
                continue
            opcode, length = RECORD_HEADER.unpack_from(plain, position)
            start = position + RECORD_HEADER.size
            position = start + length
            record = parse_record(opcode, plain[start:position])
            if isinstance(record, Schema | Channel | Message):
                yield record

    def _cut(self, view: memoryview, position: int) -> Iterator[Record]:
        """Yield the complete records at the start of a chunk whose end is missing."""
        content = view[position + RECORD_HEADER.size :]
        try:
            parts = parse_chunk(content)
        except DamagedRecordError:
            return
        if parts is None:
            return
        plain = memoryview(start_of_records(parts.compression, content[parts.data_start :]))
        for record in _inner_records(plain):
            if record is not None:
                yield from self._known(record)

    def _known(self, record: Record) -> Iterator[Record]:
        """Yield a record; a message only after its channel, which may be described elsewhere."""
        if isinstance(record, Schema):
            self._schemas[record.id] = record
        elif isinstance(record, Channel):
            if record.schema_id and record.schema_id not in self._schemas:
                yield from self._search_definitions()
            self._channels[record.id] = record
        elif isinstance(record, Message) and record.channel_id not in self._channels:
            yield from self._search_definitions()
            if record.channel_id not in self._channels:
                self.orphans += 1
                return
        yield record

    def _search_definitions(self) -> Iterator[Record]:
        """Yield schemas and channels that stand outside chunks, or in damaged ones.

        The index at the end of a whole file repeats them.
        """
        if not self._searched:
            self._searched = True
            self._doubtful = [*self._definitions_outside(), *self._doubtful]
        for record in self._doubtful:
            if isinstance(record, Schema) and record.id not in self._schemas:
                self._schemas[record.id] = record
                yield record
        for record in self._doubtful:
            if isinstance(record, Channel) and record.id not in self._channels:
                self._channels[record.id] = record
                yield record

    def _definitions_outside(self) -> list[Schema | Channel]:
        found: list[Schema | Channel] = []
        with memoryview(self._data) as view:
            position: int | None = len(MAGIC)
            while position is not None and position + RECORD_HEADER.size <= len(view):
                if not self._fits(view, position):
                    position = self._next_place(view, position + 1)
                    continue
                opcode, length = RECORD_HEADER.unpack_from(view, position)
                start = position + RECORD_HEADER.size
                position = start + length
                if opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
                    record = parse_record(opcode, view[start:position])
                    assert isinstance(record, Schema | Channel)
                    found.append(record)
        return found


@contextmanager
def open_scan(path: Path) -> Iterator[Scan]:
    """Give a recording, open for reading.

    Yields:
        Its scan.

    Raises:
        UserError: it is no MCAP file, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(MAGIC))
            if start != MAGIC:
                raise UserError(f"{path} is not an MCAP recording{_what_else(start)}.")
            # Mapped, not read: recordings may be larger than the memory.
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            yield Scan(data)
        finally:
            # A reader that was left in the middle still holds a view; it closes with that.
            with suppress(BufferError):
                data.close()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).") from error


# Records whose own fields state their length.
_CHECKED = frozenset(
    {
        Opcode.HEADER,
        Opcode.CHANNEL,
        Opcode.SCHEMA,
        Opcode.CHUNK,
        Opcode.MESSAGE_INDEX,
        Opcode.METADATA,
        Opcode.ATTACHMENT,
        Opcode.FOOTER,
        Opcode.SUMMARY_OFFSET,
        Opcode.DATA_END,
    }
)
# Opcode and length of the records that end the data.
_ENDS = ((Opcode.DATA_END, 4), (Opcode.FOOTER, FOOTER.size))
# How files of other kinds begin, and what to do with them.
_OTHER_KINDS = {
    b"\x28\xb5\x2f\xfd": " but a zstd file; unpack it with `zstd -d` first",
    b"SQLite f": " but a bag of the kind sqlite3; `ros2 bag convert` makes an MCAP bag of it",
    b"#ROSBAG ": " but a bag of ROS 1; `rosbags-convert` makes a ROS 2 bag of it",
    b"version ": " but a pointer of git-lfs; `git lfs pull` fetches the file",
    b"\x1f\x8b": " but a gzip file; unpack it with `gunzip` first",
    b"\x04\x22\x4d\x18": " but an lz4 file; unpack it with `lz4 -d` first",
}


def _what_else(start: bytes) -> str:
    return next((what for head, what in _OTHER_KINDS.items() if start.startswith(head)), "")


def _is_opcode(opcode: int) -> bool:
    return 0 < opcode <= LAST_OPCODE or opcode >= FIRST_PRIVATE


def _is_header(view: memoryview, position: int) -> bool:
    """Return whether a record may begin at a place, or the file ends there."""
    if position + RECORD_HEADER.size > len(view):
        return True  # cut within a header, or the closing magic
    opcode, length = RECORD_HEADER.unpack_from(view, position)
    return _is_opcode(opcode) and length < MOST_RECORD_BYTES


def _inner_records(plain: memoryview) -> Iterator[Record | None]:
    """Yield the complete records of a chunk; None where one contradicts itself."""
    position = 0
    while position + RECORD_HEADER.size <= len(plain):
        opcode, length = RECORD_HEADER.unpack_from(plain, position)
        start = position + RECORD_HEADER.size
        position = start + length
        if position > len(plain) or not _is_opcode(opcode):
            yield None
            return
        try:
            record = parse_record(opcode, plain[start:position])
        except DamagedRecordError:
            yield None
            continue
        if isinstance(record, Schema | Channel | Message):
            yield record
