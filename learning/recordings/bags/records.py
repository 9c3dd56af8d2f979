"""Records of MCAP files, read strictly: a field that lies is an error, never an allocation.

Layout: https://mcap.dev/spec. Every record is an opcode of one byte, a length of eight bytes, and
so many bytes of content; numbers are little endian, strings and arrays carry their length in front.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from mcap.opcode import Opcode
from mcap.records import Attachment, Channel, Header, Message, Metadata, Schema

MAGIC = b"\x89MCAP0\r\n"
RECORD_HEADER = struct.Struct("<BQ")
# Start, end and size of a chunk, its checksum, and the length of its compression's name.
CHUNK_FIXED = struct.Struct("<QQQII")
FOOTER = struct.Struct("<QQI")
MESSAGE_FIXED = struct.Struct("<HIQQ")
# Opcodes of the format are below; 0x80 and above are private and must be passed over.
LAST_OPCODE, FIRST_PRIVATE = Opcode.DATA_END, 0x80
LONGEST_NAME = 32
# A length above this is damage: no disk here holds such a record.
MOST_RECORD_BYTES = 1 << 40

Record = Header | Schema | Channel | Message | Attachment | Metadata


class DamagedRecordError(ValueError):
    """A record whose fields contradict each other."""


@dataclass(frozen=True)
class ChunkParts:
    """A chunk before it is decompressed.

    Attributes:
        start_ns, end_ns: times of its first and last message, as it declares them.
        size: declared size of the plain records, bytes.
        crc: checksum of the plain records; 0 where there is none.
        compression: its name; empty for none.
        data_start: where the compressed records begin in the chunk's content.
        data_size: declared size of the compressed records, bytes.
    """

    start_ns: int
    end_ns: int
    size: int
    crc: int
    compression: str
    data_start: int
    data_size: int

    @property
    def length(self) -> int:
        """The length that the record must have, by its own fields."""
        return self.data_start + self.data_size


@dataclass
class DroppedBytes:
    """A damaged chunk, or another place of a file, from which nothing came back.

    Attributes:
        start, end: its bytes in the file.
        start_ns, end_ns: times of a chunk's first and last message, as it declares them; else None.
        counts: messages by number of their channel, as a chunk's indexes list them.
    """

    start: int
    end: int
    start_ns: int | None
    end_ns: int | None
    counts: dict[int, int] = field(default_factory=dict)


class Fields:
    """Fields of one record, one after the other.

    Args:
        content: the record without opcode and length.
    """

    def __init__(self, content: memoryview) -> None:
        self._content = content
        self._at = 0

    def number(self, kind: str) -> int:
        """Return one number, as ``struct`` names its kind."""
        (value,) = self.numbers(kind)
        return int(value)

    def numbers(self, kinds: str) -> tuple[int, ...]:
        """Return several numbers.

        Raises:
            DamagedRecordError: the record ends before.
        """
        layout = "<" + kinds
        end = self._at + struct.calcsize(layout)
        if end > len(self._content):
            raise DamagedRecordError("a record is too short")
        values = struct.unpack_from(layout, self._content, self._at)
        self._at = end
        return values

    def data(self, size_kind: str = "I") -> bytes:
        """Return bytes with their length in front.

        Raises:
            DamagedRecordError: the record ends before.
        """
        size = self.number(size_kind)
        if self._at + size > len(self._content):
            raise DamagedRecordError("a field is longer than its record")
        start, self._at = self._at, self._at + size
        return bytes(self._content[start : self._at])

    def text(self) -> str:
        """Return a string.

        Raises:
            DamagedRecordError: it is not UTF-8, or the record ends before.
        """
        try:
            return self.data().decode("utf-8")
        except UnicodeDecodeError as error:
            raise DamagedRecordError("a name is not UTF-8") from error

    def table(self) -> dict[str, str]:
        """Return a map of strings.

        Raises:
            DamagedRecordError: its size does not fit its entries.
        """
        end = self.number("I") + self._at
        values = {}
        while self._at < end:
            key = self.text()
            values[key] = self.text()
        if self._at != end:
            raise DamagedRecordError("a map is longer than its record")
        return values

    def skip(self, size: int) -> None:
        """Pass over so many bytes; whether the record has them is seen by what follows."""
        self._at += size

    @property
    def is_done(self) -> bool:
        """Whether the record ends here."""
        return self._at == len(self._content)


def parse_record(opcode: int, content: memoryview) -> Record | None:
    """Return the record if it holds something; indexes and unknown kinds are None.

    Args:
        opcode: kind of the record.
        content: the record without opcode and length.
    """
    if opcode in READERS:
        return READERS[opcode](content)
    if opcode in CHECKS:
        CHECKS[opcode](content)
    return None


def _header(content: memoryview) -> Header:
    fields = Fields(content)
    return Header(profile=fields.text(), library=fields.text())


def _schema(content: memoryview) -> Schema:
    fields = Fields(content)
    number = fields.number("H")
    if number == 0:
        raise DamagedRecordError("a schema has no number")
    return Schema(id=number, name=fields.text(), encoding=fields.text(), data=fields.data())


def _channel(content: memoryview) -> Channel:
    fields = Fields(content)
    number, schema = fields.numbers("HH")
    return Channel(
        id=number,
        schema_id=schema,
        topic=fields.text(),
        message_encoding=fields.text(),
        metadata=fields.table(),
    )


def _message(content: memoryview) -> Message:
    if len(content) < MESSAGE_FIXED.size:
        raise DamagedRecordError("a message is too short")
    channel, sequence, log_time, publish_time = MESSAGE_FIXED.unpack_from(content)
    return Message(
        channel_id=channel,
        sequence=sequence,
        log_time=log_time,
        publish_time=publish_time,
        data=bytes(content[MESSAGE_FIXED.size :]),
    )


def _attachment(content: memoryview) -> Attachment:
    check_attachment(content)
    fields = Fields(content)
    log_time, create_time = fields.numbers("QQ")
    attachment = Attachment(
        log_time=log_time,
        create_time=create_time,
        name=fields.text(),
        media_type=fields.text(),
        data=fields.data("Q"),
    )
    crc = fields.number("I")
    if crc and crc != zlib.crc32(content[:-4]):
        raise DamagedRecordError("an attachment does not fit its checksum")
    return attachment


def check_attachment(content: memoryview) -> None:
    """Check that the fields of an attachment fill its record, without a copy of its data.

    Raises:
        DamagedRecordError: they do not.
    """
    fields = Fields(content)
    fields.skip(16)
    for kind in ("I", "I", "Q"):
        fields.skip(fields.number(kind))
    fields.number("I")
    if not fields.is_done:
        raise DamagedRecordError("an attachment has another length than its fields")


def _metadata(content: memoryview) -> Metadata:
    fields = Fields(content)
    return Metadata(name=fields.text(), metadata=fields.table())


def message_index(content: memoryview) -> tuple[int, int]:
    """Return the channel of an index, and how many messages it lists: a time and an offset each.

    Raises:
        DamagedRecordError: the entries do not fill the record.
    """
    fields = Fields(content)
    channel, size = fields.numbers("HI")
    if size != len(content) - 6 or size % 16:
        raise DamagedRecordError("an index does not fit its record")
    return channel, size // 16


def _check_size(size: int) -> Callable[[memoryview], None]:
    def check(content: memoryview) -> None:
        if len(content) != size:
            raise DamagedRecordError("a record has another length than its kind")

    return check


READERS: dict[int, Callable[[memoryview], Record]] = {
    Opcode.HEADER: _header,
    Opcode.SCHEMA: _schema,
    Opcode.CHANNEL: _channel,
    Opcode.MESSAGE: _message,
    Opcode.ATTACHMENT: _attachment,
    Opcode.METADATA: _metadata,
}
CHECKS: dict[int, Callable[[memoryview], object]] = {
    Opcode.MESSAGE_INDEX: message_index,
    Opcode.FOOTER: _check_size(FOOTER.size),
    Opcode.SUMMARY_OFFSET: _check_size(17),
    Opcode.DATA_END: _check_size(4),
}


def parse_chunk(content: memoryview) -> ChunkParts | None:
    """Return the parts of a chunk whose record may be cut; None where not even its head is there.

    Raises:
        DamagedRecordError: its head contradicts itself.
    """
    if len(content) < CHUNK_FIXED.size:
        return None
    start_ns, end_ns, size, crc, name_length = CHUNK_FIXED.unpack_from(content)
    if name_length > LONGEST_NAME:
        raise DamagedRecordError("the name of a chunk's compression is too long")
    data_at = CHUNK_FIXED.size + name_length
    if len(content) < data_at + 8:
        return None
    try:
        compression = bytes(content[CHUNK_FIXED.size : data_at]).decode("ascii")
    except UnicodeDecodeError as error:
        raise DamagedRecordError("the name of a chunk's compression is damaged") from error
    (data_size,) = struct.unpack_from("<Q", content, data_at)
    return ChunkParts(start_ns, end_ns, size, crc, compression, data_at + 8, data_size)
