"""Recordings: MCAP files in the form of ROS 2 bags that survive ``kill -9``.

Nothing here knows rclpy. A chunk is finished, flushed and fsynced at least every
``SYNC_PERIOD_S``, so a killed recorder loses less than the last second, and
:func:`asterias_nodes.bag_recovery.recover` turns what is left into a clean file.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from mcap.writer import CompressionType, Writer

COMPRESSIONS = {
    "none": CompressionType.NONE,
    "lz4": CompressionType.LZ4,
    "zstd": CompressionType.ZSTD,
}
SYNC_PERIOD_S = 0.5
CHUNK_BYTES = 1024 * 1024
# What may wait for the disk before messages are dropped.
QUEUE_BYTES = 256 * 1024 * 1024
# Version 9 of the bag format writes quality of service as words.
BAG_FORMAT_VERSION = 9
METADATA_FILE = "metadata.yaml"


@dataclass(frozen=True)
class Topic:
    """A topic as a recording describes it.

    Attributes:
        name: full name, such as ``/limb_0/joint_states``.
        type_name: such as ``sensor_msgs/msg/JointState``.
        definition: text of the type and of all that it uses (``ros2msg``).
        type_hash: RIHS01 hash of the type; empty when unknown.
        qos_profiles: what each publisher offers, in the words of bag metadata.
    """

    name: str
    type_name: str
    definition: str
    type_hash: str = ""
    qos_profiles: Sequence[Mapping[str, Any]] = ()


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
        """Counts one message."""
        self.message_counts[topic] += 1
        self.data_bytes += size
        first = log_time_ns if self.first_ns is None else self.first_ns
        self.first_ns = min(first, log_time_ns)
        self.last_ns = max(self.last_ns, log_time_ns)


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
        self._safe_size = 0
        self._writer = Writer(
            self._file, chunk_size=CHUNK_BYTES, compression=COMPRESSIONS[compression]
        )
        self._writer.start(profile="ros2", library="asterias")

    @property
    def topics(self) -> Mapping[str, Topic]:
        """What is recorded, by name."""
        return self._topics

    def add_topic(self, topic: Topic) -> None:
        """Makes a topic known; must come before its first message. Twice is harmless."""
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
        """Adds one serialized message of a known topic; times in ns."""
        self._writer.add_message(
            self._channels[topic],
            log_time_ns,
            data,
            publish_time_ns,
            self.statistics.message_counts[topic] & 0xFFFFFFFF,
        )
        self.statistics.add(topic, log_time_ns, len(data))

    def sync(self) -> None:
        """Everything written so far is on the disk, and readable, when this returns."""
        self._writer.flush()  # type: ignore[no-untyped-call]
        os.fsync(self._file.fileno())
        self._safe_size = self._file.tell()

    def close(self) -> None:
        """Completes the file with its index, and puts bag metadata beside it."""
        self.sync()
        information = self._bag_information()
        self._writer.add_metadata("rosbag2", {"serialized_metadata": _yaml(information)})
        self._writer.finish()  # type: ignore[no-untyped-call]
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._write_bag_metadata(information)

    def abandon(self) -> None:
        """Closes the file as it was at the last sync; for a disk that takes no more."""
        try:
            os.ftruncate(self._file.fileno(), self._safe_size)
        finally:
            # Closing the raw file first keeps the buffered rest from being tried again.
            self._file.raw.close()

    def _bag_information(self) -> dict[str, Any]:
        """The body of a bag's metadata.yaml."""
        statistics = self.statistics
        span = {
            "duration": {"nanoseconds": statistics.duration_ns},
            "starting_time": {"nanoseconds_since_epoch": statistics.first_ns or 0},
            "message_count": statistics.message_count,
        }
        return {
            "version": BAG_FORMAT_VERSION,
            "storage_identifier": "mcap",
            "relative_file_paths": [self._name],
            **span,
            "topics_with_message_count": [
                self._topic_information(topic) for topic in self._topics.values()
            ],
            # Chunks are compressed by the storage format itself, which is not meant here.
            "compression_format": "",
            "compression_mode": "",
            "files": [{"path": self._name, **span}],
            "custom_data": None,
            "ros_distro": os.environ.get("ROS_DISTRO", "kilted"),
        }

    def _topic_information(self, topic: Topic) -> dict[str, Any]:
        return {
            "topic_metadata": {
                "name": topic.name,
                "type": topic.type_name,
                "serialization_format": "cdr",
                "offered_qos_profiles": [dict(profile) for profile in topic.qos_profiles],
                "type_description_hash": topic.type_hash,
            },
            "message_count": self.statistics.message_counts[topic.name],
        }

    def _write_bag_metadata(self, information: Mapping[str, Any]) -> None:
        """Makes the folder a bag, unless it is already that of another recording."""
        path = self.path.with_name(METADATA_FILE)
        if path.exists():
            return
        temporary = path.with_name(f".{METADATA_FILE}.tmp")
        temporary.write_text(_yaml({"rosbag2_bagfile_information": information}), encoding="utf-8")
        temporary.replace(path)


def _yaml(content: Any) -> str:
    """YAML without anchors, which other readers need not know."""

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    return yaml.dump(content, Dumper=Dumper, sort_keys=False)


@dataclass(frozen=True)
class _Message:
    topic: str
    data: bytes
    log_time_ns: int
    publish_time_ns: int


class BagRecording:
    """A :class:`BagWriter` in a thread of its own, so that a slow disk delays no callback.

    Args:
        writer: used by the thread alone until :meth:`close` returns.
        sync_period_s: at most so much is lost when the process is killed.
        queue_bytes: what may wait for the disk; further messages are dropped and counted.
    """

    def __init__(
        self,
        writer: BagWriter,
        *,
        sync_period_s: float = SYNC_PERIOD_S,
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        self.dropped = 0
        self.failure: OSError | None = None
        self._writer = writer
        self._sync_period_s = sync_period_s
        self._queue_bytes = queue_bytes
        self._waiting_bytes = 0
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[Topic | _Message | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self._thread.start()

    def add_topic(self, topic: Topic) -> None:
        """Makes a topic known; must come before its first message."""
        self._queue.put(topic)

    def write(self, topic: str, data: bytes, log_time_ns: int, publish_time_ns: int) -> None:
        """Takes one serialized message; returns at once."""
        with self._lock:
            if self._waiting_bytes + len(data) > self._queue_bytes or self.failure is not None:
                self.dropped += 1
                return
            self._waiting_bytes += len(data)
        self._queue.put(_Message(topic, data, log_time_ns, publish_time_ns))

    def close(self) -> Statistics:
        """Writes what waits and completes the file; returns what it holds."""
        self._queue.put(None)
        self._thread.join()
        return self._writer.statistics

    def _run(self) -> None:
        """Body of the thread."""
        try:
            self._write_until_closed()
            self._writer.close()
        except OSError as error:
            self.failure = error
            self._writer.abandon()

    def _write_until_closed(self) -> None:
        next_sync_s = time.monotonic() + self._sync_period_s
        while True:
            try:
                item = self._queue.get(timeout=max(0.0, next_sync_s - time.monotonic()))
            except queue.Empty:
                pass
            else:
                if item is None:
                    return
                self._take(item)
            if time.monotonic() >= next_sync_s:
                self._writer.sync()
                next_sync_s = time.monotonic() + self._sync_period_s

    def _take(self, item: Topic | _Message) -> None:
        if isinstance(item, Topic):
            self._writer.add_topic(item)
            return
        with self._lock:
            self._waiting_bytes -= len(item.data)
        self._writer.write(item.topic, item.data, item.log_time_ns, item.publish_time_ns)
