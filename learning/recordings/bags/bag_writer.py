"""Recordings: MCAP files in the form of ROS 2 bags.

A bag is one file or several in one folder; each file is whole by itself, with all topics in it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from mcap.writer import CompressionType, Writer

from asterias.files import write_text

COMPRESSIONS = {
    "none": CompressionType.NONE,
    "lz4": CompressionType.LZ4,
    "zstd": CompressionType.ZSTD,
}
CHUNK_BYTES = 1024 * 1024
# Version 9 of the bag format writes quality of service as words.
BAG_FORMAT_VERSION = 9
METADATA_FILE = "metadata.yaml"
PICTURE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")


@dataclass(frozen=True)
class Topic:
    """A topic as a recording describes it.

    Attributes:
        name: full name, such as ``/limb_0/joint_states``.
        type_name: such as ``sensor_msgs/msg/JointState``.
        definition: text of the type and of all that it uses (``ros2msg``).
        type_hash: RIHS01 hash of the type; empty when unknown.
        qos_profiles: what each publisher offers, in the words of bag metadata.
        message_encoding: how messages are serialized; ``cdr`` in ROS 2.
        schema_encoding: language of the definition; ``ros2msg`` in ROS 2, empty for none.
    """

    name: str
    type_name: str
    definition: str
    type_hash: str = ""
    qos_profiles: Sequence[Mapping[str, Any]] = ()
    message_encoding: str = "cdr"
    schema_encoding: str = "ros2msg"

    @property
    def is_readable(self) -> bool:
        """Whether messages can be decoded here."""
        return self.message_encoding == "cdr" and self.schema_encoding == "ros2msg"

    @property
    def is_picture(self) -> bool:
        """True for topics that carry a camera's pictures."""
        return self.type_name in PICTURE_TYPES

    @property
    def is_latched(self) -> bool:
        """True where a late listener gets the last message, which so belongs into each file."""
        return any(qos.get("durability") == "transient_local" for qos in self.qos_profiles)


@dataclass
class Statistics:
    """What a recording holds so far; times in ns of the recording's clock."""

    message_counts: dict[str, int] = field(default_factory=dict)
    data_bytes: int = 0
    first_ns: int | None = None
    last_ns: int = 0

    @property
    def message_count(self) -> int:
        """Messages on all topics."""
        return sum(self.message_counts.values())

    @property
    def duration_ns(self) -> int:
        """From the first to the last message."""
        return 0 if self.first_ns is None else self.last_ns - self.first_ns

    def add(self, topic: str, log_time_ns: int, size: int) -> None:
        """Count one message."""
        self.message_counts[topic] = self.message_counts.get(topic, 0) + 1
        self.data_bytes += size
        self._cover(log_time_ns, log_time_ns)

    def merge(self, other: Statistics) -> None:
        """Count what another one has counted, too."""
        for topic, count in other.message_counts.items():
            self.message_counts[topic] = self.message_counts.get(topic, 0) + count
        self.data_bytes += other.data_bytes
        if other.first_ns is not None:
            self._cover(other.first_ns, other.last_ns)

    def _cover(self, first_ns: int, last_ns: int) -> None:
        self.first_ns = first_ns if self.first_ns is None else min(self.first_ns, first_ns)
        self.last_ns = max(self.last_ns, last_ns)


class BagWriter:
    """Writes one MCAP file; not safe to be used by several threads.

    Args:
        path: of a file that does not exist yet; folders are made.
        compression: ``none``, ``lz4`` or ``zstd``.
        name: what the file will be called in the end, where it is renamed later.

    Raises:
        ValueError: unknown compression.
        FileExistsError: the file exists; recordings are never overwritten.
        OSError: the file cannot be made.
    """

    def __init__(self, path: Path, compression: str = "lz4", *, name: str | None = None) -> None:
        if compression not in COMPRESSIONS:
            raise ValueError(
                f"Unknown compression '{compression}'; choose one of {', '.join(COMPRESSIONS)}."
            )
        self.path = path
        self.statistics = Statistics()
        self._name = name or path.name
        self._topics: dict[str, Topic] = {}
        self._channels: dict[str, int] = {}
        self._schemas: dict[str, int] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("xb")
        self._safe_size = self._size = 0
        self._writer = Writer(
            self._file, chunk_size=CHUNK_BYTES, compression=COMPRESSIONS[compression]
        )
        self._writer.start(profile="ros2", library="asterias")

    @property
    def topics(self) -> Mapping[str, Topic]:
        """What is recorded, by name."""
        return self._topics

    def add_topic(self, topic: Topic) -> None:
        """Make a topic known; must come before its first message. Twice is harmless."""
        if topic.name in self._topics:
            return
        schema = self._schemas.get(topic.type_name)
        if schema is None:
            text = topic.definition.encode()
            schema = self._writer.register_schema(topic.type_name, "ros2msg", text)
            self._schemas[topic.type_name] = schema
        metadata = {
            "offered_qos_profiles": _yaml(list(topic.qos_profiles)),
            "topic_type_hash": topic.type_hash,
        }
        self._channels[topic.name] = self._writer.register_channel(
            topic.name, "cdr", schema, metadata
        )
        self._topics[topic.name] = topic
        self.statistics.message_counts[topic.name] = 0

    def write(self, topic: str, data: bytes, log_time_ns: int, publish_time_ns: int) -> None:
        """Add one serialized message of a known topic; times in ns."""
        self._writer.add_message(
            self._channels[topic],
            log_time_ns,
            data,
            publish_time_ns,
            self.statistics.message_counts[topic] & 0xFFFFFFFF,
        )
        self.statistics.add(topic, log_time_ns, len(data))
        self._size = self._file.tell()

    def sync(self) -> None:
        """Everything written so far is on the disk, and readable, when this returns."""
        self._writer.flush()  # type: ignore[no-untyped-call]
        os.fsync(self._file.fileno())
        self._safe_size = self._size = self._file.tell()

    def add_metadata(self, name: str, values: Mapping[str, str]) -> None:
        """Add words about the recording, for whoever reads the file."""
        self._writer.add_metadata(name, dict(values))

    @property
    def size_bytes(self) -> int:
        """Of the file so far, without what still waits to be compressed."""
        return self._size

    def close(self, *, is_bag: bool = True) -> None:
        """Completes the file with its index, and puts bag metadata beside it.

        Args:
            is_bag: False for a part of a bag of several files.
        """
        self.sync()
        self._writer.add_metadata("rosbag2", {"serialized_metadata": bag_yaml([self.part])})
        self._writer.finish()  # type: ignore[no-untyped-call]
        self._file.flush()
        os.fsync(self._file.fileno())
        self._size = self._file.tell()
        self._file.close()
        if is_bag:
            write_bag_metadata(self.path.parent, [self.part])

    def abandon(self) -> None:
        """Close the file as it was at the last sync; for a disk that takes no more."""
        try:
            os.ftruncate(self._file.fileno(), self._safe_size)
        finally:
            # Closing the raw file first keeps the buffered rest from being tried again.
            self._file.raw.close()

    @property
    def part(self) -> BagPart:
        """This file, as bag metadata describes it."""
        return BagPart(self._name, self.statistics, self._topics)


@dataclass(frozen=True)
class BagPart:
    """One file of a bag."""

    name: str
    statistics: Statistics
    topics: Mapping[str, Topic]


def bag_information(parts: Sequence[BagPart]) -> dict[str, Any]:
    """Return the body of a bag's metadata.yaml, for its files in order."""
    whole = Statistics()
    topics: dict[str, Topic] = {}
    for part in parts:
        whole.merge(part.statistics)
        topics |= part.topics
    return {
        "version": BAG_FORMAT_VERSION,
        "storage_identifier": "mcap",
        "relative_file_paths": [part.name for part in parts],
        **_span(whole),
        "topics_with_message_count": [
            _topic_information(topic, whole.message_counts[topic.name]) for topic in topics.values()
        ],
        # Chunks are compressed by the storage format itself, which is not meant here.
        "compression_format": "",
        "compression_mode": "",
        "files": [{"path": part.name, **_span(part.statistics)} for part in parts],
        "custom_data": None,
        "ros_distro": os.environ.get("ROS_DISTRO", "kilted"),
    }


def bag_yaml(parts: Sequence[BagPart]) -> str:
    """Return the body of a bag's metadata as text, as files carry it within."""
    return _yaml(bag_information(parts))


def write_bag_metadata(
    folder: Path, parts: Sequence[BagPart], *, may_replace: bool = False
) -> None:
    """Make a folder a bag, unless it is already that of another recording."""
    path = folder / METADATA_FILE
    if path.exists() and not may_replace:
        return
    write_text(path, _yaml({"rosbag2_bagfile_information": bag_information(parts)}))


def _span(statistics: Statistics) -> dict[str, Any]:
    return {
        "duration": {"nanoseconds": statistics.duration_ns},
        "starting_time": {"nanoseconds_since_epoch": statistics.first_ns or 0},
        "message_count": statistics.message_count,
    }


def _topic_information(topic: Topic, count: int) -> dict[str, Any]:
    return {
        "topic_metadata": {
            "name": topic.name,
            "type": topic.type_name,
            "serialization_format": topic.message_encoding,
            "offered_qos_profiles": [dict(profile) for profile in topic.qos_profiles],
            "type_description_hash": topic.type_hash,
        },
        "message_count": count,
    }


def _yaml(content: Any) -> str:
    """Return YAML without anchors, which other readers need not know."""

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    return yaml.dump(content, Dumper=Dumper, sort_keys=False)


@dataclass(frozen=True)
class Split:
    """When a bag begins its next file; 0 for never.

    Attributes:
        size_bytes: a file that has so many is full.
        duration_s: a file that spans so many s of the recording's clock is full.
    """

    size_bytes: int = 0
    duration_s: float = 0.0


class Bag:
    """A recording in as many files as it needs; used like a :class:`BagWriter`.

    The first file is ``path``, the next ones have ``_1``, ``_2``, ... before the suffix. The last
    message of each latched topic is repeated at the beginning of each file, so that a file serves
    without those before it.

    Args:
        path: of the first file, as for :class:`BagWriter`.
        compression: ``none``, ``lz4`` or ``zstd``.
        split: when to begin the next file.
        about: words that each file carries, by name, such as the task.

    Raises:
        ValueError, FileExistsError, OSError: as :class:`BagWriter` does.
    """

    def __init__(
        self,
        path: Path,
        compression: str = "lz4",
        *,
        split: Split = Split(),
        about: Mapping[str, str] | None = None,
    ) -> None:
        self.path = path
        self.paths: list[Path] = []
        self._compression = compression
        self._split = split
        self._about = dict(about or {})
        self._topics: dict[str, Topic] = {}
        self._latched: dict[str, bytes] = {}
        self._full: list[BagPart] = []
        self._full_bytes = 0
        self._writer = self._open()

    @property
    def topics(self) -> Mapping[str, Topic]:
        """What is recorded, by name."""
        return self._topics

    @property
    def statistics(self) -> Statistics:
        """Of all files together."""
        whole = Statistics()
        for part in [*self._full, self._writer.part]:
            whole.merge(part.statistics)
        return whole

    @property
    def size_bytes(self) -> int:
        """Of all files together, so far."""
        return self._full_bytes + self._writer.size_bytes

    def add_topic(self, topic: Topic) -> None:
        """As :meth:`BagWriter.add_topic`."""
        self._topics.setdefault(topic.name, topic)
        self._writer.add_topic(topic)

    def write(self, topic: str, data: bytes, log_time_ns: int, publish_time_ns: int) -> None:
        """As :meth:`BagWriter.write`; begins the next file where this one is full."""
        if self._is_full(log_time_ns):
            self._next(log_time_ns)
        self._writer.write(topic, data, log_time_ns, publish_time_ns)
        if self._split != Split() and self._topics[topic].is_latched:
            self._latched[topic] = data

    def sync(self) -> None:
        """As :meth:`BagWriter.sync`."""
        self._writer.sync()

    def close(self) -> None:
        """Completes the last file, and puts bag metadata beside them."""
        self._writer.close(is_bag=False)
        write_bag_metadata(self.path.parent, [*self._full, self._writer.part])

    def abandon(self) -> None:
        """Close the last file as it was at the last sync; those before it are complete."""
        self._writer.abandon()

    def _is_full(self, log_time_ns: int) -> bool:
        first_ns = self._writer.statistics.first_ns
        if first_ns is None:
            return False
        size, duration_s = self._split.size_bytes, self._split.duration_s
        return (0 < size <= self._writer.size_bytes) or (
            0 < duration_s * 1e9 <= log_time_ns - first_ns
        )

    def _open(self) -> BagWriter:
        number = len(self.paths)
        path = self.path.with_name(f"{self.path.stem}_{number}{self.path.suffix}")
        path = path if number else self.path
        writer = BagWriter(path, self._compression)
        self.paths.append(path)
        if self._about:
            writer.add_metadata("asterias", self._about)
        return writer

    def _next(self, log_time_ns: int) -> None:
        self._writer.close(is_bag=False)
        self._full.append(self._writer.part)
        self._full_bytes += self._writer.size_bytes
        self._writer = self._open()
        for topic in self._topics.values():
            self._writer.add_topic(topic)
        for name, data in self._latched.items():
            self._writer.write(name, data, log_time_ns, log_time_ns)
