"""`ros2 bag play`: a bag's messages again, in their time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rclpy.qos import (
    QoSDurabilityPolicy,
    QoSHistoryPolicy,
    QoSProfile,
    QoSReliabilityPolicy,
)
from rosgraph_msgs.msg import Clock as ClockMessage

from asterias_ros2.bags.choice import TopicChoice
from asterias_ros2.errors import VerbError
from asterias_ros2.graph.messages import find_type
from asterias_ros2.graph.session import GraphSession
from learning.recordings.bags.bag_writer import Topic
from learning.recordings.reading import Raw, Recording

NS_PER_S = 1_000_000_000
CLOCK_TOPIC = "/clock"
DEPTH = 100
# Listeners that run already find the new publishers within this time.
SETTLE_S = 1.0


@dataclass(frozen=True)
class Playback:
    """How a bag is played.

    Attributes:
        rate: times as fast as it was recorded.
        is_loop: begin again at the end.
        delay_s: s to wait before each beginning.
        start_s: s of the bag to leave out at its beginning.
        duration_s: s of the bag to play; infinite for all.
        clock_hz: times a second that the bag's time goes to `/clock`; 0 for never.
        names: other names for topics.
    """

    rate: float = 1.0
    is_loop: bool = False
    delay_s: float = 0.0
    start_s: float = 0.0
    duration_s: float = float("inf")
    clock_hz: float = 0.0
    names: Mapping[str, str] = field(default_factory=dict)


class BagPlayer:
    """Publishes what a recording holds.

    Args:
        session: whose node publishes.
        recording: to play.
        wants: which topics.
        how: the pace, and where to begin and to end.

    Raises:
        VerbError: nothing of it can be played.
    """

    def __init__(
        self, session: GraphSession, recording: Recording, wants: TopicChoice, how: Playback
    ) -> None:
        self._session, self._recording, self._how = session, recording, how
        self._publishers: dict[str, Any] = {}
        for topic in recording.topics().values():
            if wants(topic.name, topic.type_name):
                self._make(topic)
        if not self._publishers:
            raise VerbError(f"{recording.path} holds no topic to play; see ros2 bag info")
        self._clock = (
            session.node.create_publisher(ClockMessage, CLOCK_TOPIC, DEPTH)
            if how.clock_hz
            else None
        )
        self._clock_due_s = 0.0

    def _make(self, topic: Topic) -> None:
        logger = self._session.node.get_logger()
        if self._how.clock_hz and topic.name == CLOCK_TOPIC:
            return
        try:
            kind = find_type(topic.type_name, "msg")
        except VerbError:
            logger.warning(
                f"Ignoring topic '{topic.name}': type {topic.type_name} is not installed."
            )
            return
        name = self._how.names.get(topic.name, topic.name)
        self._publishers[topic.name] = self._session.node.create_publisher(
            kind, name, offered_profile(topic)
        )

    def play(self) -> int:
        """Publish everything in its time; with a loop until Ctrl-C.

        Returns:
            How many messages were published.
        """
        self._session.wait_for(lambda: False, SETTLE_S)
        count = self._play_once()
        while self._how.is_loop:
            count += self._play_once()
        return count

    def _play_once(self) -> int:
        self._session.wait_for(lambda: False, self._how.delay_s)
        began_s, count = time.monotonic(), 0
        for at_s, raw in self._due():
            due_s = began_s + at_s / self._how.rate
            self._wait_until(due_s, began_s, raw.log_time_ns - round(at_s * NS_PER_S))
            publisher = self._publishers.get(raw.topic.name)
            if publisher is not None:
                publisher.publish(raw.data)
                count += 1
        return count

    def _due(self) -> Iterator[tuple[float, Raw]]:
        """Yield the messages that are played, each with its time after the first, in s."""
        first_ns: int | None = None
        start_s, end_s = self._how.start_s, self._how.start_s + self._how.duration_s
        for raw in self._recording.messages():
            first_ns = raw.log_time_ns if first_ns is None else first_ns
            at_s = (raw.log_time_ns - first_ns) / NS_PER_S
            if at_s > end_s:
                return
            if at_s >= start_s:
                yield at_s - start_s, raw

    def _wait_until(self, due_s: float, began_s: float, began_ns: int) -> None:
        while (left_s := due_s - time.monotonic()) > 0:
            self._tell_time(began_s, began_ns)
            self._session.spin_once(min(left_s, 0.05, self._clock_left_s()))
        self._tell_time(began_s, began_ns)

    def _clock_left_s(self) -> float:
        if self._clock is None:
            return float("inf")
        return max(0.0, self._clock_due_s - time.monotonic())

    def _tell_time(self, began_s: float, began_ns: int) -> None:
        """Publish the bag's time, where that is wanted and due."""
        now_s = time.monotonic()
        if self._clock is None or now_s < self._clock_due_s:
            return
        self._clock_due_s = now_s + 1.0 / self._how.clock_hz
        passed_ns = round((now_s - began_s) * self._how.rate * NS_PER_S)
        seconds, rest = divmod(began_ns + passed_ns, NS_PER_S)
        message = ClockMessage()
        message.clock.sec, message.clock.nanosec = seconds, rest
        self._clock.publish(message)


def offered_profile(topic: Topic) -> QoSProfile:
    """Return a quality of service like that of the recorded publishers."""
    offered = {profile.get("reliability") for profile in topic.qos_profiles}
    reliable = offered != {"best_effort"}
    return QoSProfile(
        history=QoSHistoryPolicy.KEEP_LAST,
        depth=1 if topic.is_latched else DEPTH,
        reliability=(
            QoSReliabilityPolicy.RELIABLE if reliable else QoSReliabilityPolicy.BEST_EFFORT
        ),
        durability=(
            QoSDurabilityPolicy.TRANSIENT_LOCAL
            if topic.is_latched
            else QoSDurabilityPolicy.VOLATILE
        ),
    )
