"""What `ros2 bag info` tells about a recording."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import yaml

from asterias.errors import UserError
from asterias_ros2.errors import VerbError
from learning.recordings.bags.bag_writer import METADATA_FILE, Statistics, Topic
from learning.recordings.bags.qos_profiles import load_yaml
from learning.recordings.reading import Recording, find_recordings

NS_PER_S = 1_000_000_000
INDENT = 19
STORAGE = "mcap"
SORTINGS = ("name", "type", "count")
UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def one_recording(path: Path) -> Recording:
    """Return the recording at a path: a file, or a bag's folder.

    Raises:
        VerbError: there is none, or more than one.
    """
    try:
        found = find_recordings(path)
    except UserError as error:
        raise VerbError(str(error)) from None
    if len(found) > 1:
        names = ", ".join(one.name for one in found[:5])
        raise VerbError(f"{path} holds {len(found)} recordings; name one of them: {names}, ...")
    return found[0]


def read_contents(recording: Recording) -> tuple[dict[str, Topic], Statistics, dict[str, int]]:
    """Return the topics of a recording, its statistics and the bytes of each topic.

    The messages are counted: what metadata says may be older than the files, or missing.

    Raises:
        VerbError: a file cannot be read.
    """
    topics: dict[str, Topic] = {}
    sizes: dict[str, int] = {}
    statistics = Statistics()
    try:
        for raw in recording.messages():
            name = raw.topic.name
            topics.setdefault(name, raw.topic)
            sizes[name] = sizes.get(name, 0) + len(raw.data)
            statistics.add(name, raw.log_time_ns, len(raw.data))
    except UserError as error:
        raise VerbError(str(error)) from None
    return topics, statistics, sizes


def info_lines(
    recording: Recording, *, sorting: str = "name", sizes: bool = False
) -> Iterator[str]:
    """Yield the lines that describe a recording.

    Args:
        recording: to describe.
        sorting: order of the topics: by `name`, `type` or `count`.
        sizes: also tell the bytes of each topic.
    """
    topics, statistics, topic_bytes = read_contents(recording)
    first_ns = statistics.first_ns or 0
    yield ""
    yield f"Files:             {recording.files[0].name}"
    for file in recording.files[1:]:
        yield f"{'':{INDENT}}{file.name}"
    yield f"Bag size:          {size_text(recording.size_bytes)}"
    yield f"Storage id:        {STORAGE}"
    yield f"ROS Distro:        {_distribution(recording.path)}"
    yield f"Duration:          {_seconds(statistics.duration_ns)}s"
    yield f"Start:             {time_text(first_ns)}"
    yield f"End:               {time_text(first_ns + statistics.duration_ns)}"
    yield f"Messages:          {statistics.message_count}"
    counts = statistics.message_counts
    lines = [
        f"Topic: {topic.name} | Type: {topic.type_name} | Count: {counts[topic.name]} | "
        + (f"Size Contribution: {size_text(topic_bytes[topic.name])} | " if sizes else "")
        + f"Serialization Format: {topic.message_encoding}"
        for topic in _sorted(topics, counts, sorting)
    ]
    yield f"Topic information: {lines[0] if lines else ''}"
    for line in lines[1:]:
        yield f"{'':{INDENT}}{line}"
    yield "Service:           0"
    yield "Service information: "


def topic_lines(recording: Recording, sorting: str = "name") -> Iterator[str]:
    """Yield the names of the topics of a recording."""
    topics, statistics, _sizes = read_contents(recording)
    for topic in _sorted(topics, statistics.message_counts, sorting):
        yield topic.name


def _sorted(topics: dict[str, Topic], counts: dict[str, int], sorting: str) -> list[Topic]:
    keys = {
        "name": lambda topic: topic.name,
        "type": lambda topic: (topic.type_name, topic.name),
        "count": lambda topic: (counts[topic.name], topic.name),
    }
    return sorted(topics.values(), key=keys[sorting])


def size_text(size: float) -> str:
    """Return a number of bytes as people read it: `812 B`, `1.3 MiB`."""
    unit = 0
    while size >= 1024 and unit < len(UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.{1 if unit else 0}f} {UNITS[unit]}"


def time_text(time_ns: int) -> str:
    """Return a time of the local zone, and in s since 1970."""
    seconds, rest = divmod(time_ns, NS_PER_S)
    local = time.localtime(seconds)
    words = f"{time.strftime('%b %e %Y %H:%M:%S', local)}.{rest:09d}"
    return f"{words} ({_seconds(time_ns)})"


def _seconds(time_ns: int) -> str:
    return f"{time_ns // NS_PER_S}.{time_ns % NS_PER_S:09d}"


def _distribution(path: Path) -> str:
    """Return the ROS distribution that a bag's metadata names, else `unknown`."""
    folder = path if path.is_dir() else path.parent
    try:
        text = (folder / METADATA_FILE).read_text(encoding="utf-8")
        content = load_yaml(text)
    except (OSError, ValueError, UserError, yaml.YAMLError):
        return "unknown"
    about = content.get("rosbag2_bagfile_information") if isinstance(content, dict) else None
    name = about.get("ros_distro") if isinstance(about, dict) else None
    return name if isinstance(name, str) and name.isalnum() else "unknown"
