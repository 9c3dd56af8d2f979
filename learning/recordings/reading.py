"""Recordings as they are found: files, bags of several files, folders of episodes."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Collection, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mcap.records import Channel, Message, Schema
from mcap_ros2.decoder import DecoderFactory

from asterias.errors import UserError
from asterias.files import read_text
from learning.recordings.bags.bag_writer import METADATA_FILE, Topic
from learning.recordings.bags.qos_profiles import load_yaml, parse_qos_profiles
from learning.recordings.bags.scan import Scan, open_scan
from learning.recordings.episodes import CARD, EpisodeCard, episode_folders, load_card

# A header's stamp lies at the beginning of its message, after the name of the encoding.
STAMPS = (struct.Struct(">iI"), struct.Struct("<iI"))
STAMP_AT = 4
SAME_CLOCK_NS = 5_000_000_000
# The year 2262: later times fit no signed number of 64 bits, and no clock.
LATEST_NS = 2**63 - 1
METADATA_LIMIT_BYTES = 4 * 1024 * 1024
# Files that hold recordings of other kinds, and what to do with them.
OTHER_FILES = {
    ".mcap.zstd": "compressed as a whole (zstd); unpack it with `zstd -d`, "
    "or convert the bag with `ros2 bag convert`",
    ".mcap.zst": "compressed as a whole (zstd); unpack it with `zstd -d`",
    ".mcap.lz4": "compressed as a whole (lz4); unpack it with `lz4 -d`",
    ".mcap.gz": "compressed as a whole (gzip); unpack it with `gunzip`",
    ".db3": "of the kind sqlite3; `ros2 bag convert` makes an MCAP bag of it",
    ".db3.zstd": "of the kind sqlite3, and compressed as a whole; `ros2 bag convert` makes an "
    "MCAP bag of it",
    ".bag": "a bag of ROS 1; `rosbags-convert` makes a ROS 2 bag of it",
}


@dataclass(frozen=True)
class Raw:
    """A message as it was recorded; times in ns of the recording's clock."""

    topic: Topic
    data: bytes
    log_time_ns: int
    publish_time_ns: int

    @property
    def time_ns(self) -> int:
        """When it was measured, where its header holds a time of the recording's clock.

        Otherwise when it was recorded. A recorder that is busy takes messages in bursts.
        """
        if not has_header(self.topic) or len(self.data) < STAMP_AT + STAMPS[0].size:
            return self.log_time_ns
        # The encoding's second byte is odd for little endian.
        seconds, nanoseconds = STAMPS[self.data[1] & 1].unpack_from(self.data, STAMP_AT)
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
        missing: names of files that its metadata or card names, but that are not there.
        notes: sentences about what of the folder could not be read.
    """

    path: Path
    files: tuple[Path, ...]
    card: EpisodeCard | None = None
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """For people."""
        return self.path.stem if self.path.is_file() else self.path.name

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(file.stat().st_size for file in self.files)

    def messages(self, topics: Collection[str] | None = None) -> Iterator[Raw]:
        """Yield all messages in the order of the files, or those of some topics alone."""
        for file in self.files:
            with open_scan(file) as scan:
                yield from raw_messages(scan, topics)

    def decoded(self, topics: Collection[str] | None = None) -> Iterator[tuple[Raw, Any]]:
        """Yield all messages, with their content; types that cannot be decoded are left out."""
        decode = Decoder()
        for raw in self.messages(topics):
            content = decode(raw)
            if content is not None:
                yield raw, content

    def topics(self) -> dict[str, Topic]:
        """Return topics with at least one message; reads the whole recording."""
        return {raw.topic.name: raw.topic for raw in self.messages()}


class Decoder:
    """Turns messages into objects with the fields of their type."""

    def __init__(self) -> None:
        self._factory = DecoderFactory()
        self._decoders: dict[tuple[str, str], Any] = {}

    def __call__(self, raw: Raw) -> Any:
        """Return the message's content; None where its type or its bytes cannot be decoded."""
        topic = raw.topic
        key = (topic.type_name, topic.definition)
        if not topic.is_readable:
            return None
        try:
            if key not in self._decoders:
                self._decoders[key] = self._decoder(topic)
            return self._decoders[key](raw.data)
        except Exception:
            # Whatever the generated decoder meets in text or bytes that are not what they claim.
            return None

    def _decoder(self, topic: Topic) -> Any:
        schema = Schema(
            id=len(self._decoders) + 1,
            name=topic.type_name,
            encoding="ros2msg",
            data=topic.definition.encode(),
        )
        try:
            # The parser of definitions prints what it does not understand.
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                return self._factory.decoder_for("cdr", schema)
        except Exception:
            return lambda data: None  # a definition that cannot be read, once


def raw_messages(scan: Scan, topics: Collection[str] | None = None) -> Iterator[Raw]:
    """Yield the messages of one file; times that no clock has are taken as the latest possible."""
    schemas: dict[int, Schema] = {}
    channels: dict[int, Topic | None] = {}
    for record in scan.records():
        if isinstance(record, Message):
            topic = channels.get(record.channel_id)
            if topic is not None:
                log_ns, publish_ns = min(record.log_time, LATEST_NS), record.publish_time
                yield Raw(topic, record.data, log_ns, min(publish_ns, LATEST_NS))
        elif isinstance(record, Schema):
            schemas[record.id] = record
        elif isinstance(record, Channel):
            wanted = topics is None or record.topic in topics
            channels[record.id] = (
                topic_of(record, schemas.get(record.schema_id)) if wanted else None
            )


def has_header(topic: Topic) -> bool:
    """Return whether messages of a topic begin with a ``std_msgs/Header``."""
    return topic.is_readable and _begins_with_header(topic.definition)


@cache
def _begins_with_header(definition: str) -> bool:
    lines = (line.partition("#")[0].split() for line in definition.splitlines())
    first = next((words for words in lines if words), [""])
    return first[0] in ("std_msgs/Header", "Header", "std_msgs/msg/Header")


def encoding_words(topic: Topic) -> str:
    """Return what is to be done about messages of an encoding that cannot be decoded here."""
    if "ros1" in (topic.message_encoding, topic.schema_encoding.removesuffix("msg")):
        return "encoding 'ros1' cannot be read here; convert the bag with `rosbags-convert`"
    kind = topic.message_encoding if topic.message_encoding != "cdr" else topic.schema_encoding
    if not kind:
        return "has no schema, and so cannot be read; record it with its message definition"
    return (
        f"encoding {kind[:40]!r} cannot be read here; record or convert it as ROS 2 messages "
        "('cdr' with 'ros2msg')"
    )


def find_recordings(path: Path) -> list[Recording]:
    """Return what is at a path: a file, a bag, or a folder of episodes or files.

    Raises:
        UserError: there is no recording, or one of a kind that cannot be read.
    """
    if path.is_file():
        return [Recording(path, (path,))]
    episodes = [_bag(folder) for folder in episode_folders(path)]
    found = [bag for bag in episodes if bag.files]
    if not found and path.is_dir():
        bag = _bag(path)
        found = [bag] if bag.files else []
    if not found:
        raise UserError(_why_none(path))
    return found


def _why_none(path: Path) -> str:
    if not path.is_dir():
        return f"{path} holds no recording: there is no such file or folder."
    for ending, what in OTHER_FILES.items():
        other = next(iter(sorted(path.glob(f"*{ending}"))), None)
        if other is not None:
            return f"{path} holds no recording that can be read: {other.name} is {what}."
    missing = _listed(path)[0]
    if missing:
        return (
            f"{path} holds no recording: its {METADATA_FILE} names {', '.join(missing)}, "
            "but there is no such file; copy the whole bag."
        )
    return f"{path} holds no recording: neither a file *.mcap nor episodes."


def _bag(folder: Path) -> Recording:
    """Return the files of a folder, in the order of its metadata, or of their numbers."""
    files = sorted(folder.glob("*.mcap"), key=_natural)
    card = load_card(folder) if (folder / CARD).is_file() else None
    names, note = _listed(folder)
    listed = [folder / name for name in names if (folder / name) in files]
    files = [*listed, *(file for file in files if file not in listed)]
    expected = dict.fromkeys([*names, *(card.files if card is not None else ())])
    missing = tuple(name for name in expected if (folder / name) not in files)
    return Recording(folder, tuple(files), card, missing, (note,) if note else ())


def _listed(folder: Path) -> tuple[list[str], str]:
    """Return the files that a bag's metadata names, and a sentence where it cannot be read."""
    path = folder / METADATA_FILE
    if not path.is_file():
        return [], ""
    passed_over = f"{METADATA_FILE} is passed over, since it is not a bag's"
    try:
        content = load_yaml(read_text(path, METADATA_LIMIT_BYTES))
    except UserError as error:
        return [], f"{METADATA_FILE} is passed over: {error}"
    about = content.get("rosbag2_bagfile_information") if isinstance(content, dict) else None
    names = about.get("relative_file_paths") if isinstance(about, dict) else None
    if not isinstance(names, list):
        return [], f"{passed_over}; the messages are read."
    # Bags of Foxy and before put the folder's name in front.
    return [Path(name).name for name in names if isinstance(name, str) and Path(name).name], ""


def _natural(path: Path) -> tuple[str, int]:
    """Return a key for ``a.mcap``, ``a_1.mcap``, ..., ``a_10.mcap`` in this order."""
    match = re.fullmatch(r"(.*?)(?:_(\d{1,5}))?", path.stem, re.DOTALL)
    assert match is not None
    return match.group(1), int(match.group(2) or 0)


def topic_of(channel: Channel, schema: Schema | None) -> Topic:
    """Return what a channel says of itself; damaged words are passed over."""
    return Topic(
        name=channel.topic,
        type_name=schema.name if schema is not None else "",
        definition=schema.data.decode(errors="replace") if schema is not None else "",
        type_hash=channel.metadata.get("topic_type_hash", ""),
        qos_profiles=parse_qos_profiles(channel.metadata.get("offered_qos_profiles", "")),
        message_encoding=channel.message_encoding,
        schema_encoding=schema.encoding if schema is not None else "",
    )
