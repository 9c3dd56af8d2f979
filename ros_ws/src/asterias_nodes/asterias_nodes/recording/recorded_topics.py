"""The topics that a recorder subscribes to, and how they are described in its files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo

from asterias_nodes.runtime.message_definitions import (
    DefinitionNotFoundError,
    interface_type,
    message_definition,
)
from asterias_nodes.runtime.qos import matching_qos
from learning.recordings.bags.bag_recording import RecordedMessage
from learning.recordings.bags.bag_writer import PICTURE_TYPES, Topic
from learning.recordings.bags.cdr import jpeg_of_image
from learning.recordings.session import RecordingSession

# Bursts wait in the middleware while Python is busy; images are the large ones.
PICTURE_QUEUE = 100
MESSAGE_QUEUE = 1000
IMAGE, COMPRESSED = PICTURE_TYPES
TRANSFORMS = ("/tf_static", "/tf")
# Looks for which the other topics wait until transforms arrive; matching takes one or two.
TRANSFORM_LOOKS = 10


class RecordedTopics:
    """Subscribes to each wanted topic as soon as it has a publisher.

    Transforms come first, so that the frames of the first pictures are known. Messages go into the
    session as they came over the wire, but for raw pictures that become JPEG.

    Args:
        node: the hosting node.
        session: takes topics and messages.
        wants: whether a topic is to be recorded.
        as_jpeg: whether pictures are recorded as JPEG.
    """

    def __init__(
        self, node: Node, session: RecordingSession, wants: Callable[[str], bool], *, as_jpeg: bool
    ) -> None:
        self._node = node
        self._session = session
        self._wants = wants
        self._as_jpeg = as_jpeg
        self._known: set[str] = set()
        self._waiting: set[str] = set()
        self._transforms: list[Subscription] = []
        self._transform_looks = 0

    def look(self) -> None:
        """Subscribe to topics that have appeared."""
        names = dict(self._node.get_topic_names_and_types())
        self._subscribe_to({name: names.pop(name) for name in TRANSFORMS if name in names})
        if self._have_transforms_matched():
            self._subscribe_to(names)

    def _have_transforms_matched(self) -> bool:
        """Return whether transforms arrive, or have been waited for long enough."""
        if all(subscription.get_publisher_count() for subscription in self._transforms):
            return True
        self._transform_looks += 1
        return self._transform_looks > TRANSFORM_LOOKS

    def _subscribe_to(self, names: Mapping[str, Sequence[str]]) -> None:
        """Subscribe to those of the topics, with their types, that have a publisher."""
        for name, types in names.items():
            if name in self._known or not self._wants(name):
                continue
            publishers = self._node.get_publishers_info_by_topic(name)
            if not publishers:
                continue
            if self._as_jpeg and types[0] == IMAGE:
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
        publishers = self._node.get_publishers_info_by_topic(compressed)
        if publishers:
            self._known |= {name, compressed}
            self._subscribe(compressed, COMPRESSED, publishers)
        elif name in self._waiting:
            self._known.add(name)
            self._subscribe(
                name, IMAGE, self._node.get_publishers_info_by_topic(name), as_jpeg=True
            )
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
            self._node.get_logger().warning(f"{name} is not recorded: {error}")
            return
        self._session.add_topic(topic, jpeg_of_image if as_jpeg else None)
        subscription = self._node.create_subscription(
            message_type,
            name,
            partial(self._receive, topic.name),
            matching_qos(publishers, PICTURE_QUEUE if topic.is_picture else MESSAGE_QUEUE),
            raw=True,
        )
        if name in TRANSFORMS:
            self._transforms.append(subscription)

    def _receive(self, topic: str, data: bytes) -> None:
        now_ns = self._node.get_clock().now().nanoseconds
        self._session.put(RecordedMessage(topic, data, now_ns, now_ns))


def describe_topic(name: str, type_name: str, publishers: Sequence[TopicEndpointInfo]) -> Topic:
    """Return what a recording says about a topic.

    Passes on ``DefinitionNotFoundError``: the text of the type is not installed.
    """
    return Topic(
        name=name,
        type_name=type_name,
        definition=message_definition(type_name),
        type_hash=str(getattr(publishers[0], "topic_type_hash", "")),
        qos_profiles=[qos_words(publisher.qos_profile) for publisher in publishers],
    )


def qos_words(qos: QoSProfile) -> dict[str, Any]:
    """Return a quality of service in the words of bag metadata."""

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
