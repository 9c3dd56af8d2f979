"""Topics of the ROS graph as channels of a Foxglove server; only what is asked for is heard."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from foxglove import Channel, Context, Schema
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy
from rclpy.subscription import Subscription

from asterias_nodes.runtime.message_definitions import (
    DefinitionNotFoundError,
    interface_type,
    message_definition,
)
from asterias_nodes.runtime.qos import matching_qos

QUEUE = 20
# Topics of actions and services, which no panel shows.
HIDDEN = "/_"


@dataclass
class _Bridged:
    """A topic with its channel; a subscription while a client listens."""

    channel: Channel
    type_name: str
    listeners: int = 0
    subscription: Subscription | None = None
    is_latched: bool = False
    last: bytes | None = None


class TopicChannels:
    """Offers each topic that has a publisher; all calls come from the node's own thread.

    Args:
        node: the hosting node.
        context: of the server.
    """

    def __init__(self, node: Node, context: Context) -> None:
        self._node = node
        self._context = context
        self._topics: dict[str, _Bridged] = {}
        self._unknown: set[str] = set()

    @property
    def heard(self) -> list[str]:
        """Topics that a client listens to, sorted."""
        return sorted(name for name, one in self._topics.items() if one.subscription is not None)

    def look(self) -> None:
        """Offer topics that have appeared, take back those that have gone."""
        names = dict(self._node.get_topic_names_and_types())
        alive = {name for name in names if self._node.count_publishers(name) and HIDDEN not in name}
        for name in sorted(alive - self._topics.keys() - self._unknown):
            self._offer(name, names[name][0])
        for name in self._topics.keys() - alive:
            # Who listens keeps listening: a node that is started again has the same topics.
            if self._topics[name].subscription is None:
                self._topics.pop(name).channel.close()

    def _offer(self, name: str, type_name: str) -> None:
        try:
            interface_type(type_name)
            text = message_definition(type_name)
        except (ImportError, DefinitionNotFoundError) as error:
            self._unknown.add(name)
            self._node.get_logger().warning(f"{name} is not shown: {error}")
            return
        schema = Schema(name=type_name, encoding="ros2msg", data=text.encode())
        channel = Channel(name, schema=schema, message_encoding="cdr", context=self._context)
        self._topics[name] = _Bridged(channel, type_name)

    def listen(self, name: str) -> None:
        """Hear a topic for one more client; what is latched is sent again."""
        one = self._topics.get(name)
        if one is None:
            return
        one.listeners += 1
        if one.subscription is not None:
            if one.is_latched and one.last is not None:
                self._send(one, one.last)
            return
        publishers = self._node.get_publishers_info_by_topic(name)
        qos = matching_qos(publishers, QUEUE)
        one.is_latched = qos.durability == DurabilityPolicy.TRANSIENT_LOCAL
        one.subscription = self._node.create_subscription(
            interface_type(one.type_name), name, partial(self._take, one), qos, raw=True
        )

    def ignore(self, name: str) -> None:
        """Hear a topic for one client less."""
        one = self._topics.get(name)
        if one is None or one.subscription is None:
            return
        one.listeners -= 1
        if one.listeners <= 0:
            self._node.destroy_subscription(one.subscription)
            one.subscription, one.listeners, one.last = None, 0, None

    def _take(self, one: _Bridged, data: bytes) -> None:
        if one.is_latched:
            one.last = data
        self._send(one, data)

    def _send(self, one: _Bridged, data: bytes) -> None:
        one.channel.log(data, log_time=self._node.get_clock().now().nanoseconds)

    def close(self) -> None:
        """Take back all topics."""
        for one in self._topics.values():
            if one.subscription is not None:
                self._node.destroy_subscription(one.subscription)
            one.channel.close()
        self._topics.clear()
