"""Node ``recorder``: records topics into MCAP files which every ROS 2 bag tool reads.

In mode ``now`` it writes one recording from its start to its end. In mode ``episodes`` it waits for
``/recorder/start``, ``/recorder/stop``, ``/recorder/mark_success`` and ``/recorder/discard``; in
mode ``ring`` it keeps the last seconds in memory besides, and writes them on
``/recorder/snapshot`` or when a topic of ``snapshot_on`` turns true. What it does is on
``/recorder/status`` (latched).
"""

from __future__ import annotations

import fnmatch
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from asterias_interfaces.msg import RecordedEpisode, RecorderStatus
from asterias_interfaces.srv import StartEpisode
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.topic_endpoint_info import TopicEndpointInfo
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger

from asterias.errors import HardwareError
from asterias_nodes.runtime.message_definitions import (
    DefinitionNotFoundError,
    interface_type,
    message_definition,
)
from asterias_nodes.runtime.parameters import SettingsError, declare_settings
from asterias_nodes.runtime.qos import latched_qos, matching_qos
from asterias_nodes.runtime.run_node import run_node, stop_node
from learning.recordings.bags.bag_recording import SYNC_PERIOD_S, Message
from learning.recordings.bags.bag_writer import COMPRESSIONS, PICTURE_TYPES, Split, Topic
from learning.recordings.bags.cdr import jpeg_of_image
from learning.recordings.bags.ring import Ring
from learning.recordings.episodes import EpisodeCard, EpisodeStore, episode_folder
from learning.recordings.session import (
    NO_NUMBER,
    Session,
    SingleFile,
    WriterOptions,
    describe,
)

LOOK_PERIOD_S = 0.1
STATUS_PERIOD_S = 0.5
# Bursts wait in the middleware while Python is busy; images are the large ones.
PICTURE_QUEUE = 100
MESSAGE_QUEUE = 1000
MEGABYTE = 1_000_000
LISTED_EPISODES = 100

Mode = Literal["now", "episodes", "ring"]
Pictures = Literal["raw", "jpeg"]
OUTCOMES = {
    "unknown": RecordedEpisode.UNKNOWN,
    "success": RecordedEpisode.SUCCESS,
    "failure": RecordedEpisode.FAILURE,
}
IMAGE, COMPRESSED = PICTURE_TYPES


@dataclass(frozen=True)
class RecorderSettings:
    """Parameters of the recorder."""

    output: Annotated[
        str,
        "file to write in mode now, else folder of the episodes, which may hold some already; "
        "empty: a new one in runs/",
    ] = ""
    mode: Annotated[
        str, "now: record at once; episodes: when asked; ring: keep the last seconds, too"
    ] = "now"
    topics: Annotated[list[str], "patterns of the topics to record, such as /limb_*/camera_*/*"] = (
        field(default_factory=lambda: ["*"])
    )
    exclude: Annotated[list[str], "patterns of topics to leave out; they win over 'topics'"] = (
        # Compressed images say nothing that the raw ones do not, and are made for listeners only.
        field(default_factory=lambda: ["/parameter_events", "*/compressed", "/recorder/status"])
    )
    pictures: Annotated[str, "raw, or jpeg: a tenth of the size, with small losses"] = "raw"
    compression: Annotated[str, "of the file: none, lz4 or zstd"] = "lz4"
    split_mb: Annotated[float, "MB after which the next file begins; 0 for never"] = 0.0
    split_s: Annotated[float, "s after which the next file begins; 0 for never"] = 0.0
    ring_s: Annotated[float, "s that mode ring keeps in memory"] = 30.0
    ring_mb: Annotated[float, "MB of messages that mode ring keeps at most"] = 1000.0
    snapshot_on: Annotated[list[str], "std_msgs/Bool topics that cause a snapshot: true"] = field(
        default_factory=lambda: ["/e_stop_state"]
    )
    sync_period_s: Annotated[float, "s between writes to the disk; a crash loses no more"] = (
        SYNC_PERIOD_S
    )
    min_free_mb: Annotated[float, "MB of free disk below which recording stops"] = 64.0

    def __post_init__(self) -> None:
        _check_word("compression", self.compression, COMPRESSIONS)
        _check_word("mode", self.mode, get_args(Mode))
        _check_word("pictures", self.pictures, get_args(Pictures))
        _check_range("sync_period_s", self.sync_period_s, 0.01, 60.0)
        _check_range("ring_s", self.ring_s, 0.1, 3600.0)
        for name in ("split_mb", "split_s", "ring_mb", "min_free_mb"):
            _check_range(name, getattr(self, name), 0.0, 1e9)
        if not self.topics:
            raise SettingsError("Parameter 'topics' must name at least one pattern, such as '*'.")
        if self.mode != "now" and self.output.endswith(".mcap"):
            raise SettingsError(
                f"Parameter 'output' must be a folder in mode '{self.mode}', not {self.output}."
            )

    @property
    def path(self) -> Path:
        """Where to record: a file in mode ``now``, a folder otherwise."""
        if self.output:
            return Path(self.output).expanduser()
        folder = Path("runs") / f"{time.strftime('%Y%m%d-%H%M%S')}-recording"
        return folder / "recording.mcap" if self.mode == "now" else folder

    @property
    def writer(self) -> WriterOptions:
        """How files are written."""
        return WriterOptions(
            compression=self.compression,
            split=Split(round(self.split_mb * MEGABYTE), self.split_s),
            sync_period_s=self.sync_period_s,
            min_free_bytes=round(self.min_free_mb * MEGABYTE),
        )

    def session(self) -> Session:
        """What the messages go into."""
        if self.mode == "now":
            return Session(SingleFile(self.path), self.writer)
        ring = Ring(self.ring_s, round(self.ring_mb * MEGABYTE)) if self.mode == "ring" else None
        return Session(EpisodeStore(self.path), self.writer, ring)

    def wants(self, topic: str) -> bool:
        """True for topics to record; hidden ones (``_action/…``) must be asked for by name."""
        if any(fnmatch.fnmatchcase(topic, pattern) for pattern in self.exclude):
            return False
        if "/_" in topic:
            return topic in self.topics
        return any(fnmatch.fnmatchcase(topic, pattern) for pattern in self.topics)


def _check_word(name: str, value: str, known: Sequence[str] | dict[str, Any]) -> None:
    if value not in known:
        raise SettingsError(f"Parameter '{name}' must be one of {', '.join(known)}, not '{value}'.")


def _check_range(name: str, value: float, lowest: float, highest: float) -> None:
    if not lowest <= value <= highest:
        raise SettingsError(
            f"Parameter '{name}' must be from {lowest:g} to {highest:g}, not {value:g}."
        )


class RecorderNode(Node):
    """Records what is published, from the moment that a publisher appears.

    Subscribes to every topic that matches the patterns, with the quality of service of its
    publishers; messages are kept as they came over the wire, but for raw pictures that become JPEG
    where ``pictures`` says so. Stamps are taken from ``/clock`` where ``use_sim_time`` is set.
    """

    def __init__(self) -> None:
        super().__init__("recorder")
        self._settings = declare_settings(self, RecorderSettings)
        self._session = self._settings.session()
        self._known: set[str] = set()
        self._waiting: set[str] = set()
        self._is_closed = False
        self._triggers: dict[str, bool] = {}
        self._said = ""
        self._told_s = -STATUS_PERIOD_S
        self._status = self.create_publisher(RecorderStatus, "/recorder/status", latched_qos())
        if self._settings.mode == "now":
            try:
                self._session.start("", 0)
            except HardwareError as error:
                raise SettingsError(str(error)) from error
        else:
            self._serve()
        # Works without /clock, too.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(LOOK_PERIOD_S, self._look, clock=steady)
        self._look()
        doing = {
            "now": "Recording to",
            "episodes": "Ready for episodes in",
            "ring": f"Keeping the last {self._settings.ring_s:g} s; episodes go to",
        }[self._settings.mode]
        self._tell(f"{doing} {self._settings.path}")

    def _serve(self) -> None:
        self.create_service(StartEpisode, "/recorder/start", self._on_start)
        self.create_service(StartEpisode, "/recorder/snapshot", self._on_snapshot)
        self.create_service(Trigger, "/recorder/stop", self._on_stop)
        self.create_service(Trigger, "/recorder/discard", self._on_discard)
        self.create_service(SetBool, "/recorder/mark_success", self._on_mark)
        for name in filter(
            None, self._settings.snapshot_on if self._settings.mode == "ring" else ()
        ):
            self.create_subscription(Bool, name, partial(self._on_trigger, name), latched_qos())

    def close(self) -> None:
        """Completes the files and says what they hold."""
        if self._is_closed:
            return
        self._is_closed = True
        ended = self._session.close()
        if ended and not ended[-1].problem:
            self.get_logger().info(self._summary(ended))

    # -- services -------------------------------------------------------------------------------

    def _on_start(
        self, request: StartEpisode.Request, response: StartEpisode.Response
    ) -> StartEpisode.Response:
        now_ns = self.get_clock().now().nanoseconds
        return self._begin(response, lambda: self._session.start(request.task, now_ns))

    def _on_snapshot(
        self, request: StartEpisode.Request, response: StartEpisode.Response
    ) -> StartEpisode.Response:
        return self._begin(response, lambda: self._session.snapshot(request.task))

    def _begin(
        self, response: StartEpisode.Response, action: Callable[[], EpisodeCard]
    ) -> StartEpisode.Response:
        response.episode = NO_NUMBER
        try:
            card = action()
        except HardwareError as error:
            response.message = str(error)
            self._tell(str(error))
            return response
        response.success, response.episode = True, card.episode
        response.path = str(episode_folder(self._session.store.root, card.episode))
        response.message = f"Episode {card.episode} goes to {response.path}."
        self._tell(response.message)
        return response

    def _on_stop(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._do(response, lambda: describe([self._session.stop()]))

    def _on_discard(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._do(
            response, lambda: f"Episode {self._session.discard().episode} is discarded."
        )

    def _on_mark(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        def mark() -> str:
            card = self._session.mark("success" if request.data else "failure")
            return f"Episode {card.episode} is marked as a {card.outcome}."

        return self._do(response, mark)

    def _do(self, response: Any, action: Callable[[], str]) -> Any:
        """Answers with the sentence that an action gives, or with why it cannot be done."""
        try:
            response.message, response.success = action(), True
        except (HardwareError, OSError) as error:
            response.message = str(error)
        self._tell(response.message)
        return response

    def _on_trigger(self, name: str, message: Bool) -> None:
        """A snapshot when an event begins; what was true at the start is none."""
        before = self._triggers.get(name, True)
        self._triggers[name] = bool(message.data)
        if message.data and not before:
            try:
                card = self._session.snapshot(f"snapshot: {name}")
                self._tell(f"Episode {card.episode} keeps what was before {name} turned true.")
            except HardwareError as error:
                self._tell(str(error))

    # -- the stream -----------------------------------------------------------------------------

    def _look(self) -> None:
        """Subscribes to topics that have appeared; tells what has ended by itself."""
        ended = self._session.poll()
        if ended:
            if self._settings.mode == "now":
                stop_node(self, describe(ended))
                return
            self._tell(describe(ended))
        self._subscribe_to_new_ones()
        recording = self._session.is_recording or self._session.ring is not None
        if recording and time.monotonic() - self._told_s >= STATUS_PERIOD_S:
            self._publish_status()

    def _subscribe_to_new_ones(self) -> None:
        names = dict(self.get_topic_names_and_types())
        for name, types in names.items():
            if name in self._known or not self._settings.wants(name):
                continue
            publishers = self.get_publishers_info_by_topic(name)
            if not publishers:
                continue
            if self._settings.pictures == "jpeg" and types[0] == IMAGE:
                self._subscribe_to_picture(name)
            else:
                self._known.add(name)
                self._subscribe(name, types[0], publishers)

    def _subscribe_to_picture(self, name: str) -> None:
        """To the JPEG pictures of a camera that offers some; else to raw ones, to compress."""
        compressed = f"{name}/compressed"
        if compressed in self._known:
            self._known.add(name)
            return
        publishers = self.get_publishers_info_by_topic(compressed)
        if publishers:
            self._known |= {name, compressed}
            self._subscribe(compressed, COMPRESSED, publishers)
        elif name in self._waiting:
            self._known.add(name)
            self._subscribe(name, IMAGE, self.get_publishers_info_by_topic(name), as_jpeg=True)
        else:
            # A camera's two topics may become known one after the other.
            self._waiting.add(name)

    def _subscribe(
        self,
        name: str,
        type_name: str,
        publishers: Sequence[TopicEndpointInfo],
        *,
        as_jpeg: bool = False,
    ) -> None:
        try:
            message_type = interface_type(type_name)
            topic = describe_topic(name, type_name, publishers)
            if as_jpeg:
                topic = replace(
                    topic,
                    name=f"{name}/compressed",
                    type_name=COMPRESSED,
                    definition=message_definition(COMPRESSED),
                    type_hash="",
                )
        except (ImportError, DefinitionNotFoundError) as error:
            self.get_logger().warning(f"{name} is not recorded: {error}")
            return
        self._session.add_topic(topic, jpeg_of_image if as_jpeg else None)
        self.create_subscription(
            message_type,
            name,
            partial(self._receive, topic.name),
            matching_qos(publishers, PICTURE_QUEUE if topic.is_picture else MESSAGE_QUEUE),
            raw=True,
        )

    def _receive(self, topic: str, data: bytes) -> None:
        now_ns = self.get_clock().now().nanoseconds
        self._session.put(Message(topic, data, now_ns, now_ns))

    # -- telling --------------------------------------------------------------------------------

    def _tell(self, text: str) -> None:
        self._said = text
        self.get_logger().info(text)
        self._publish_status()

    def _publish_status(self) -> None:
        self._told_s = time.monotonic()
        session = self._session
        card = session.present()
        ring_s = session.ring.duration_s if session.ring is not None else 0.0
        cards = session.store.cards[-LISTED_EPISODES:]
        self._status.publish(
            RecorderStatus(
                stamp=self.get_clock().now().to_msg(),
                state=self._state(card),
                episode=self._episode(card or EpisodeCard(NO_NUMBER)),
                episodes=[self._episode(finished) for finished in cards],
                dropped_topics=sorted(card.dropped) if card is not None else [],
                buffered_seconds=ring_s,
                free_bytes=free_bytes(session.store.root),
                folder=str(session.store.root),
                text=self._said,
            )
        )

    def _state(self, card: EpisodeCard | None) -> int:
        if self._session.is_recording:
            return int(RecorderStatus.RECORDING)
        if card is not None and card.state == "failed":
            return int(RecorderStatus.FAILED)
        ring = self._session.ring
        return int(RecorderStatus.IDLE if ring is None else RecorderStatus.BUFFERING)

    def _episode(self, card: EpisodeCard) -> RecordedEpisode:
        has_folder = card.episode != NO_NUMBER
        folder = episode_folder(self._session.store.root, card.episode) if has_folder else ""
        return RecordedEpisode(
            number=card.episode,
            task=card.task,
            outcome=OUTCOMES[card.outcome],
            seconds=card.duration_s,
            frames=card.pictures,
            messages=card.messages,
            bytes=card.bytes,
            dropped=sum(card.dropped.values()),
            path=str(folder),
        )

    def _summary(self, ended: Sequence[EpisodeCard]) -> str:
        """What was recorded; with the counts of each topic, where it is one recording."""
        store = self._session.store
        if not isinstance(store, SingleFile):
            return describe(ended)
        counts = ", ".join(f"{n} {c}" for n, c in sorted(self._session.counts.items()))
        return f"{describe(ended)} File: {store.path} ({counts or 'no topic was published'})"


def free_bytes(folder: Path) -> int:
    """Free space where a folder is, or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


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


def main() -> int:
    """``ros2 run asterias_nodes recorder``."""
    return run_node(RecorderNode)
