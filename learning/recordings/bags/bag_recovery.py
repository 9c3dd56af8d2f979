"""Mend recordings that were cut or damaged: every message of every intact chunk is copied.

What is copied stays as it was: schemas, channels of every encoding, messages with their times and
numbers, attachments and metadata. Only the layout of the file, its chunks and index, is new.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from mcap.records import Attachment, Channel, Header, Message, Metadata, Schema
from mcap.writer import CompressionType, Writer

from learning.recordings.bags.bag_writer import (
    CHUNK_BYTES,
    METADATA_FILE,
    BagPart,
    Statistics,
    Topic,
    bag_yaml,
    write_bag_metadata,
)
from learning.recordings.bags.records import DroppedBytes, Record
from learning.recordings.bags.scan import Scan, open_scan
from learning.recordings.reading import Recording, topic_of

# Appended to the name of what was mended.
CUT = ".cut"
# Where rosbag2, and our recorder, put bag metadata into a file.
BAG_METADATA = "rosbag2"


@dataclass(frozen=True)
class Recovery:
    """What was found.

    Attributes:
        message_count: messages read back.
        topic_count: topics with at least one message.
        was_complete: the file ended as a closed recording does.
        bad_chunks: places whose content was damaged.
        orphans: messages left out, since their topic was described nowhere.
        attachments, metadata: copied records of these kinds.
        unknown_compressions: names of compressions that could not be read.
        dropped: for each damaged place, its bytes and what is known of the messages that were lost.
    """

    message_count: int
    topic_count: int
    was_complete: bool
    bad_chunks: int
    orphans: int = 0
    attachments: int = 0
    metadata: int = 0
    unknown_compressions: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()

    @property
    def was_whole(self) -> bool:
        """Whether nothing was wrong with the file."""
        return self.was_complete and not self.bad_chunks and not self.orphans


def recover(source: Path, destination: Path) -> Recovery:
    """Write all intact messages of ``source`` to the new file ``destination``.

    Args:
        source: an MCAP recording, complete, cut at any byte, or damaged inside.
        destination: must not exist; appears only when it is complete.

    Returns:
        What was found.

    Raises:
        FileExistsError: the destination exists.
    """
    if destination.exists():
        raise FileExistsError(f"{destination} exists already; name a new file.")
    with open_scan(source) as scan:
        result = _recover(scan, destination)
    write_bag_metadata(destination.parent, [result.part])
    return result.recovery


def recover_in_place(recording: Recording) -> list[tuple[Path, Recovery]]:
    """Mend the files of a recording that are not whole; what they were stays as ``NAME.cut``.

    Bag metadata and an episode's card are made anew where something was mended.

    Args:
        recording: its files are looked at one after the other.

    Returns:
        Each file, and what was found in it.
    """
    results = []
    for file in recording.files:
        result = _examine(file)
        if not result.recovery.was_whole:
            mended = file.with_name(f".{file.name}.mended")
            mended.unlink(missing_ok=True)
            with open_scan(file) as scan:
                result = _recover(scan, mended, name=file.name)
            file.rename(file.with_name(file.name + CUT))
            mended.rename(file)
        results.append(result)
    was_whole = all(result.recovery.was_whole for result in results)
    if recording.path.is_dir() and not (was_whole and (recording.path / METADATA_FILE).exists()):
        _renew(recording, [result.part for result in results])
    return list(zip(recording.files, (result.recovery for result in results), strict=True))


@dataclass(frozen=True)
class _Result:
    recovery: Recovery
    part: BagPart


@dataclass
class _Tally:
    """Counts what a scan yields."""

    statistics: Statistics = field(default_factory=Statistics)
    topics: dict[str, Topic] = field(default_factory=dict)
    attachments: int = 0
    metadata: int = 0
    _schemas: dict[int, Schema] = field(default_factory=dict)
    _channels: dict[int, str] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        if isinstance(record, Message):
            name = self._channels[record.channel_id]
            self.statistics.add(name, record.log_time, len(record.data))
        elif isinstance(record, Schema):
            self._schemas[record.id] = record
        elif isinstance(record, Channel):
            topic = topic_of(record, self._schemas.get(record.schema_id))
            self._channels[record.id] = topic.name
            self.topics.setdefault(topic.name, topic)
            self.statistics.message_counts.setdefault(topic.name, 0)
        elif isinstance(record, Attachment):
            self.attachments += 1
        elif isinstance(record, Metadata):
            self.metadata += 1

    def result(self, scan: Scan, name: str) -> _Result:
        counts = self.statistics.message_counts
        recovery = Recovery(
            message_count=self.statistics.message_count,
            topic_count=sum(1 for count in counts.values() if count),
            was_complete=scan.was_complete,
            bad_chunks=scan.bad_chunks,
            orphans=scan.orphans,
            attachments=self.attachments,
            metadata=self.metadata,
            unknown_compressions=tuple(sorted(scan.unknown_compressions)),
            dropped=tuple(self._describe(scan, chunk) for chunk in scan.dropped),
        )
        return _Result(recovery, BagPart(name, self.statistics, self.topics))

    def _describe(self, scan: Scan, dropped: DroppedBytes) -> str:
        """Return which bytes were dropped, when they were recorded, and what their indexes list."""
        text = f"left out bytes {dropped.start:,} to {dropped.end:,}"
        begin_ns = self.statistics.first_ns
        if dropped.start_ns is not None and dropped.end_ns is not None and begin_ns is not None:
            span = [(time_ns - begin_ns) / 1e9 for time_ns in (dropped.start_ns, dropped.end_ns)]
            text += f", recorded from {span[0]:.3f} to {span[1]:.3f} s"
        counts = sorted(scan.topic_counts(dropped).items())
        held = ", ".join(
            f"{count} message{'s' if count > 1 else ''} of {topic}" for topic, count in counts
        )
        return f"{text}: {held or 'no index says what they held'}"


class _Copier:
    """Writes records as they are; only the numbers of schemas and channels may change."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._schemas: dict[int, int] = {}
        self._channels: dict[int, int] = {}
        self._known: dict[int, Schema | Channel] = {}
        self._is_started = False
        self.has_bag_metadata = False

    def add(self, record: Record) -> None:
        if isinstance(record, Header):
            self.start(record)
            return
        self.start(Header(profile="", library="asterias"))
        if isinstance(record, Message):
            self._writer.add_message(
                self._channels[record.channel_id],
                record.log_time,
                record.data,
                record.publish_time,
                record.sequence,
            )
        elif isinstance(record, Schema):
            self._add_schema(record)
        elif isinstance(record, Channel):
            self._add_channel(record)
        elif isinstance(record, Attachment):
            self._writer.add_attachment(
                record.create_time, record.log_time, record.name, record.media_type, record.data
            )
        elif isinstance(record, Metadata):
            self.has_bag_metadata |= record.name == BAG_METADATA
            self._writer.add_metadata(record.name, record.metadata)

    def start(self, header: Header) -> None:
        """Write the head of the file, once."""
        if not self._is_started:
            self._is_started = True
            self._writer.start(profile=header.profile, library=header.library)

    def _add_schema(self, schema: Schema) -> None:
        if self._known.get(-schema.id) != schema:
            self._known[-schema.id] = schema
            self._schemas[schema.id] = self._writer.register_schema(
                schema.name, schema.encoding, schema.data
            )

    def _add_channel(self, channel: Channel) -> None:
        if self._known.get(channel.id + 1) != channel:
            self._known[channel.id + 1] = channel
            # 0 is a channel without a schema; one whose schema was lost becomes that, too.
            schema = self._schemas.get(channel.schema_id, 0)
            self._channels[channel.id] = self._writer.register_channel(
                channel.topic, channel.message_encoding, schema, channel.metadata
            )


def _recover(scan: Scan, destination: Path, name: str | None = None) -> _Result:
    tally = _Tally()
    with _new_file(destination) as temporary, temporary.open("xb") as file:
        writer = Writer(file, chunk_size=CHUNK_BYTES, compression=CompressionType.LZ4)
        copier = _Copier(writer)
        for record in scan.records():
            copier.add(record)
            tally.add(record)
        result = tally.result(scan, name or destination.name)
        copier.start(Header(profile="", library="asterias"))
        if not copier.has_bag_metadata and tally.topics:
            writer.add_metadata(BAG_METADATA, {"serialized_metadata": bag_yaml([result.part])})
        writer.finish()  # type: ignore[no-untyped-call]
    return result


@contextmanager
def _new_file(path: Path) -> Iterator[Path]:
    """Yield a temporary name, which becomes the file's own when all went well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _examine(file: Path) -> _Result:
    """Return what is in a file, without writing anything."""
    tally = _Tally()
    with open_scan(file) as scan:
        for record in scan.records():
            tally.add(record)
        return tally.result(scan, file.name)


def _renew(recording: Recording, parts: list[BagPart]) -> None:
    """Write bag metadata and card of what the files hold now."""
    write_bag_metadata(recording.path, parts, may_replace=True)
    if recording.card is None:
        return
    whole = Statistics()
    topics: dict[str, Topic] = {}
    for part in parts:
        whole.merge(part.statistics)
        topics |= part.topics
    card = replace(
        recording.card,
        state="complete",
        problem="The recorder was stopped hard; what it had written was recovered.",
        duration_s=round(whole.duration_ns / 1e9, 6),
        messages=whole.message_count,
        pictures=sum(whole.message_counts[t.name] for t in topics.values() if t.is_picture),
        bytes=recording.size_bytes,
        files=tuple(part.name for part in parts),
    )
    card.save(recording.path)
