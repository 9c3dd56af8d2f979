"""Recordings as they are found: files, bags of several files, folders of episodes."""

from __future__ import annotations

import re
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from mcap.records import Channel, Message, Schema
from mcap_ros2.decoder import DecoderFactory

from asterias.errors import HardwareError
from learning.recordings.bags.bag_writer import METADATA_FILE, Topic
from learning.recordings.bags.scan import Scan, open_scan
from learning.recordings.episodes import CARD, EpisodeCard, episode_folders, load_card

# A header's stamp lies at the beginning of its message, after the name of the encoding.
STAMP = struct.Struct("<iI")
STAMP_AT = 4
SAME_CLOCK_NS = 5_000_000_000


@dataclass(frozen=True)
class Raw:
    """A message as it was recorded; times in ns of the recording's clock."""

    topic: Topic
    data: bytes
    log_time_ns: int
    publish_time_ns: int

    @property
    def time_ns(self) -> int:
        """When it was measured, where its header tells a time of the recording's clock.

        Otherwise when it was recorded. A recorder that is busy takes messages in bursts.
        """
        if not has_header(self.topic.definition) or len(self.data) < STAMP_AT + STAMP.size:
            return self.log_time_ns
        seconds, nanoseconds = STAMP.unpack_from(self.data, STAMP_AT)
        stamp_ns: int = seconds * 1_000_000_000 + nanoseconds
        is_told = stamp_ns > 0 and abs(stamp_ns - self.log_time_ns) < SAME_CLOCK_NS
        return stamp_ns if is_told else self.log_time_ns


@dataclass(frozen=True)
class Recording:
    """One recording.

    Attributes:
        path: its file, or its folder.
        files: in order.
        card: of an episode; None where there is none.
    """

    path: Path
    files: tuple[Path, ...]
    card: EpisodeCard | None = None

    @property
    def name(self) -> str:
        """For people."""
        return self.path.stem if self.path.is_file() else self.path.name

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(file.stat().st_size for file in self.files)

    def messages(self, topics: Collection[str] | None = None) -> Iterator[Raw]:
        """All messages in the order of the files; of these topics only, where some are named.

        Raises:
            HardwareError: a file cannot be read.
        """
        for file in self.files:
            with open_scan(file) as scan:
                yield from raw_messages(scan, topics)

    def decoded(self, topics: Collection[str] | None = None) -> Iterator[tuple[Raw, Any]]:
        """All messages, and what they say; types that cannot be decoded are left out."""
        decode = Decoder()
        for raw in self.messages(topics):
            content = decode(raw)
            if content is not None:
                yield raw, content

    def topics(self) -> dict[str, Topic]:
        """Topics with at least one message; reads the whole recording."""
        return {raw.topic.name: raw.topic for raw in self.messages()}


class Decoder:
    """Turns messages into objects with the fields of their type."""

    def __init__(self) -> None:
        self._factory = DecoderFactory()
        self._decoders: dict[str, Any] = {}

    def __call__(self, raw: Raw) -> Any:
        """The message's content; None where its type or its bytes cannot be decoded."""
        name = raw.topic.type_name
        if name not in self._decoders:
            schema = Schema(
                id=len(self._decoders) + 1,
                name=name,
                encoding="ros2msg",
                data=raw.topic.definition.encode(),
            )
            self._decoders[name] = self._factory.decoder_for("cdr", schema)
        try:
            return self._decoders[name](raw.data)
        except Exception:
            # Whatever the generated decoder meets in bytes that are not what they claim to be.
            return None


def raw_messages(scan: Scan, topics: Collection[str] | None = None) -> Iterator[Raw]:
    """The messages of one file."""
    schemas: dict[int, Schema] = {}
    channels: dict[int, Topic | None] = {}
    for record in scan.records():
        if isinstance(record, Message):
            topic = channels.get(record.channel_id)
            if topic is not None:
                yield Raw(topic, record.data, record.log_time, record.publish_time)
        elif isinstance(record, Schema):
            schemas[record.id] = record
        elif isinstance(record, Channel):
            wanted = topics is None or record.topic in topics
            known = record.schema_id in schemas
            channels[record.id] = (
                _topic(record, schemas[record.schema_id]) if (wanted and known) else None
            )


@cache
def has_header(definition: str) -> bool:
    """Whether messages of a type begin with a ``std_msgs/Header``."""
    lines = (line.partition("#")[0].split() for line in definition.splitlines())
    first = next((words for words in lines if words), [""])
    return first[0] in ("std_msgs/Header", "Header", "std_msgs/msg/Header")


def find_recordings(path: Path) -> list[Recording]:
    """What is at a path: a file, a bag, or a folder of episodes or files.

    Raises:
        HardwareError: there is no recording.
    """
    if path.is_file():
        return [Recording(path, (path,))]
    episodes = [_bag(folder) for folder in episode_folders(path)]
    found = [bag for bag in episodes if bag.files]
    if not found and path.is_dir():
        bag = _bag(path)
        found = [bag] if bag.files else []
    if not found:
        raise HardwareError(f"{path} holds no recording: neither a file *.mcap nor episodes.")
    return found


def _bag(folder: Path) -> Recording:
    """The files of a folder, in the order of its metadata, or of their numbers."""
    files = sorted(folder.glob("*.mcap"), key=_natural)
    card = load_card(folder) if (folder / CARD).is_file() else None
    path = folder / METADATA_FILE
    if path.is_file():
        about = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        names = about.get("rosbag2_bagfile_information", {}).get("relative_file_paths", [])
        listed = [folder / name for name in names if (folder / name) in files]
        files = [*listed, *(file for file in files if file not in listed)]
    return Recording(folder, tuple(files), card)


def _natural(path: Path) -> tuple[str, int]:
    """``a.mcap``, ``a_1.mcap``, …, ``a_10.mcap`` in this order."""
    match = re.fullmatch(r"(.*?)(?:_(\d{1,5}))?", path.stem)
    assert match is not None
    return match.group(1), int(match.group(2) or 0)


def _topic(channel: Channel, schema: Schema) -> Topic:
    profiles = yaml.safe_load(channel.metadata.get("offered_qos_profiles", "")) or []
    return Topic(
        name=channel.topic,
        type_name=schema.name,
        definition=schema.data.decode(errors="replace"),
        type_hash=channel.metadata.get("topic_type_hash", ""),
        qos_profiles=profiles,
    )
