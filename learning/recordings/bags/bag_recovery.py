"""Mends recordings that were cut short: every intact message goes into a clean file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from learning.recordings.bags.bag_writer import (
    METADATA_FILE,
    BagPart,
    BagWriter,
    Statistics,
    Topic,
    write_bag_metadata,
)
from learning.recordings.bags.scan import Scan, open_scan
from learning.recordings.reading import Recording, raw_messages

# Appended to the name of what was mended.
CUT = ".cut"


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

    @property
    def was_whole(self) -> bool:
        """Nothing was wrong with the file."""
        return self.was_complete and not self.bad_chunks


def recover(source: Path, destination: Path) -> Recovery:
    """Writes all intact messages of ``source`` to the new file ``destination``.

    Args:
        source: an MCAP recording, complete or cut at any byte.
        destination: must not exist; appears only when it is complete.

    Raises:
        FileExistsError: the destination exists.
        HardwareError: the source is no MCAP file.
        OSError: the destination cannot be written.
    """
    if destination.exists():
        raise FileExistsError(f"{destination} exists already; name a new file.")
    with open_scan(source) as scan:
        return _recover(scan, destination).recovery


def recover_in_place(recording: Recording) -> list[tuple[Path, Recovery]]:
    """Mends the files of a recording that are not whole; what they were stays as ``NAME.cut``.

    Bag metadata and an episode's card are made anew where something was mended.

    Returns:
        Each file, and what was found in it.

    Raises:
        HardwareError: a file is no MCAP recording.
        OSError: the disk takes no more.
    """
    results = []
    for file in recording.files:
        result = _examine(file)
        if not result.recovery.was_whole:
            mended = file.with_name(f".{file.name}.mended")
            mended.unlink(missing_ok=True)
            with open_scan(file) as scan:
                result = _recover(scan, mended, name=file.name, is_bag=False)
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


def _recover(
    scan: Scan, destination: Path, *, name: str | None = None, is_bag: bool = True
) -> _Result:
    temporary = destination.with_name(f".{destination.name}.tmp")
    temporary.unlink(missing_ok=True)
    writer = BagWriter(temporary, "lz4", name=name or destination.name)
    _copy(scan, writer)
    writer.close(is_bag=is_bag)
    temporary.replace(destination)
    return _Result(_recovery(writer.statistics, scan), writer.part)


def _examine(file: Path) -> _Result:
    """What is in a file, without writing anything."""
    statistics = Statistics()
    topics: dict[str, Topic] = {}
    with open_scan(file) as scan:
        for raw in raw_messages(scan):
            topics[raw.topic.name] = raw.topic
            statistics.message_counts.setdefault(raw.topic.name, 0)
            statistics.add(raw.topic.name, raw.log_time_ns, len(raw.data))
        recovery = _recovery(statistics, scan)
    return _Result(recovery, BagPart(file.name, statistics, topics))


def _recovery(statistics: Statistics, scan: Scan) -> Recovery:
    return Recovery(
        message_count=statistics.message_count,
        topic_count=sum(1 for count in statistics.message_counts.values() if count),
        was_complete=scan.was_complete,
        bad_chunks=scan.bad_chunks,
    )


def _copy(scan: Scan, writer: BagWriter) -> None:
    for raw in raw_messages(scan):
        writer.add_topic(raw.topic)
        writer.write(raw.topic.name, raw.data, raw.log_time_ns, raw.publish_time_ns)


def _renew(recording: Recording, parts: list[BagPart]) -> None:
    """Bag metadata and card of what the files hold now."""
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
