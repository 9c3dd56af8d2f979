"""Node that records topics into an MCAP file which every ROS 2 bag tool reads."""

from __future__ import annotations

import fnmatch
import importlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.topic_endpoint_info import TopicEndpointInfo

from asterias_nodes.bag_writer import (
    COMPRESSIONS,
    SYNC_PERIOD_S,
    BagRecording,
    BagWriter,
    Statistics,
    Topic,
)
from asterias_nodes.message_definitions import DefinitionNotFoundError, message_definition
from asterias_nodes.qos import matching_qos
from asterias_nodes.run_node import run_node, stop_node
from asterias_nodes.settings import SettingsError, declare_settings

LOOK_PERIOD_S = 0.1
# Bursts wait in the middleware while Python is busy; images are the large ones.
QUEUE_DEPTH = 100
MEGABYTE = 1e6


@dataclass(frozen=True)
class RecorderSettings:
    """Parameters of the recorder."""

    output: Annotated[str, "file to write; empty: runs/<time>-recording/recording.mcap"] = ""
    topics: Annotated[list[str], "patterns of the topics to record, such as /limb_*/camera_*/*"] = (
        field(default_factory=lambda: ["*"])
    )
    exclude: Annotated[list[str], "patterns of topics to leave out; they win over 'topics'"] = (
        # Compressed images say nothing that the raw ones do not, and are made for listeners only.
        field(default_factory=lambda: ["/parameter_events", "*/compressed"])
    )
    compression: Annotated[str, "of the file: none, lz4 or zstd"] = "lz4"
    sync_period_s: Annotated[float, "s between writes to the disk; a crash loses no more"] = (
        SYNC_PERIOD_S
    )

    def __post_init__(self) -> None:
        if self.compression not in COMPRESSIONS:
            raise SettingsError(
                f"Parameter 'compression' must be one of {', '.join(COMPRESSIONS)}, "
                f"not '{self.compression}'."
            )
        if not 0.01 <= self.sync_period_s <= 60.0:
            raise SettingsError(
                f"Parameter 'sync_period_s' must be from 0.01 to 60, not {self.sync_period_s:g}."
            )
        if not self.topics:
            raise SettingsError("Parameter 'topics' must name at least one pattern, such as '*'.")

    @property
    def path(self) -> Path:
        """Where to record."""
        if self.output:
            return Path(self.output).expanduser()
        return Path("runs") / f"{time.strftime('%Y%m%d-%H%M%S')}-recording" / "recording.mcap"

    def wants(self, topic: str) -> bool:
        """True for topics to record; hidden ones (``_action/…``) must be asked for by name."""
        if any(fnmatch.fnmatchcase(topic, pattern) for pattern in self.exclude):
            return False
        if "/_" in topic:
            return topic in self.topics
        return any(fnmatch.fnmatchcase(topic, pattern) for pattern in self.topics)


class Recorder(Node):
    """Records what is published, from the moment that a publisher appears.

    Subscribes to every topic that matches the patterns, with the quality of service of its
    publishers; messages are kept as they came over the wire. Stamps are taken from ``/clock`` where
    ``use_sim_time`` is set.
    """

    def __init__(self) -> None:
        super().__init__("recorder")
        self._settings = declare_settings(self, RecorderSettings)
        self._path = self._settings.path
        writer = open_writer(self._path, self._settings.compression)
        self._recording = BagRecording(writer, sync_period_s=self._settings.sync_period_s)
        self._known: set[str] = set()
        self._is_closed = False
        # Works without /clock, too.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(LOOK_PERIOD_S, self._look, clock=steady)
        self._look()
        self.get_logger().info(f"Recording to {self._path}")

    def close(self) -> None:
        """Completes the file and says what it holds."""
        if self._is_closed:
            return
        self._is_closed = True
        statistics = self._recording.close()
        if self._recording.failure is None:
            self.get_logger().info(summary(self._path, statistics, self._recording.dropped))

    def _look(self) -> None:
        """Subscribes to topics that have appeared; stops the node when the disk takes no more."""
        failure = self._recording.failure
        if failure is not None:
            stop_node(
                self,
                f"Recording stopped, because {self._path} takes no more ({failure.strerror}); "
                "free some space. What was written before can be read.",
            )
            return
        for name, types in self.get_topic_names_and_types():
            if name in self._known or not self._settings.wants(name):
                continue
            publishers = self.get_publishers_info_by_topic(name)
            if publishers:
                self._known.add(name)
                self._subscribe(name, types[0], publishers)

    def _subscribe(
        self, name: str, type_name: str, publishers: Sequence[TopicEndpointInfo]
    ) -> None:
        try:
            message_type = import_message_type(type_name)
            topic = describe_topic(name, type_name, publishers)
        except (ImportError, DefinitionNotFoundError) as error:
            self.get_logger().warning(f"{name} is not recorded: {error}")
            return
        self._recording.add_topic(topic)
        self.create_subscription(
            message_type,
            name,
            partial(self._receive, name),
            matching_qos(publishers, QUEUE_DEPTH),
            raw=True,
        )

    def _receive(self, topic: str, data: bytes) -> None:
        now_ns = self.get_clock().now().nanoseconds
        self._recording.write(topic, data, now_ns, now_ns)


def open_writer(path: Path, compression: str) -> BagWriter:
    """A writer for a new file.

    Raises:
        SettingsError: the file exists or cannot be made.
    """
    try:
        return BagWriter(path, compression)
    except FileExistsError as error:
        raise SettingsError(
            f"{path} exists already, and recordings are never overwritten; "
            "give parameter 'output' another name."
        ) from error
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be written ({error.strerror}); give parameter 'output' another place."
        ) from error


def import_message_type(type_name: str) -> Any:
    """The class of a message type such as ``sensor_msgs/msg/Image``.

    Raises:
        ImportError: its package is not installed.
    """
    package, folder, name = type_name.split("/")
    module = importlib.import_module(f"{package}.{folder}")
    if not hasattr(module, name):
        raise ImportError(f"package {package} has no {name}; build the workspace again")
    return getattr(module, name)


def describe_topic(name: str, type_name: str, publishers: Sequence[TopicEndpointInfo]) -> Topic:
    """What a recording says about a topic.

    Raises:
        DefinitionNotFoundError: the text of the type is not installed.
    """
    return Topic(
        name=name,
        type_name=type_name,
        definition=message_definition(type_name),
        type_hash=str(getattr(publishers[0], "topic_type_hash", "")),
        qos_profiles=[qos_words(publisher.qos_profile) for publisher in publishers],
    )


def qos_words(qos: QoSProfile) -> dict[str, Any]:
    """A quality of service in the words of bag metadata."""

    def word(policy: Any) -> str:
        return str(policy.name).lower()

    def duration(value: Any) -> dict[str, int]:
        seconds, nanoseconds = divmod(value.nanoseconds, 1_000_000_000)
        return {"sec": seconds, "nsec": nanoseconds}

    return {
        "history": word(qos.history),
        "depth": qos.depth,
        "reliability": word(qos.reliability),
        "durability": word(qos.durability),
        "deadline": duration(qos.deadline),
        "lifespan": duration(qos.lifespan),
        "liveliness": word(qos.liveliness),
        "liveliness_lease_duration": duration(qos.liveliness_lease_duration),
        "avoid_ros_namespace_conventions": qos.avoid_ros_namespace_conventions,
    }


def summary(path: Path, statistics: Statistics, dropped: int) -> str:
    """One line about a completed recording."""
    counts = ", ".join(
        f"{topic} {count}" for topic, count in sorted(statistics.message_counts.items())
    )
    size_mb = path.stat().st_size / MEGABYTE
    lost = f"; {dropped} dropped, because the disk was too slow" if dropped else ""
    return (
        f"Recorded {statistics.message_count} messages in {statistics.duration_ns / 1e9:.1f} s, "
        f"{size_mb:.1f} MB, to {path} ({counts or 'no topic was published'}){lost}"
    )


def main() -> int:
    """``ros2 run asterias_nodes recorder``."""
    return run_node(Recorder)
