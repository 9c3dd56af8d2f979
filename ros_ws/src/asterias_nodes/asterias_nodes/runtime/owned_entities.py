"""Topics, services, timers and actions that a node opens, closed together in reverse order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.action import ActionClient
from rclpy.client import Client
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.service import Service
from rclpy.subscription import Subscription
from rclpy.timer import Timer


class OwnedEntities:
    """Opens the entities of a node, and closes what it has opened, the newest first.

    Args:
        node: the hosting node.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._closers: list[Callable[[], object]] = []

    def add(self, close: Callable[[], object]) -> None:
        """Call ``close`` when everything is closed."""
        self._closers.append(close)

    def publisher(self, message_type: type, topic: str, qos: QoSProfile) -> Publisher:
        """Return a new publisher."""
        publisher = self._node.create_publisher(message_type, topic, qos)
        self.add(lambda: self._node.destroy_publisher(publisher))
        return publisher

    def subscription(
        self,
        message_type: type,
        topic: str,
        callback: Callable[..., None],
        qos: QoSProfile,
        *,
        raw: bool = False,
    ) -> Subscription:
        """Return a new subscription; with ``raw`` the callback gets the bytes of each message."""
        subscription = self._node.create_subscription(message_type, topic, callback, qos, raw=raw)
        self.add(lambda: self._node.destroy_subscription(subscription))
        return subscription

    def service(self, service_type: type, name: str, callback: Callable[..., Any]) -> Service:
        """Return a new service."""
        service = self._node.create_service(service_type, name, callback)
        self.add(lambda: self._node.destroy_service(service))
        return service

    def client(self, service_type: type, name: str) -> Client:
        """Return a new client of a service."""
        client = self._node.create_client(service_type, name)
        self.add(lambda: self._node.destroy_client(client))
        return client

    def action_client(self, action_type: Any, name: str) -> ActionClient:
        """Return a new client of an action."""
        client = ActionClient(self._node, action_type, name)
        self.add(client.destroy)
        return client

    def wall_timer(self, period_s: float, callback: Callable[[], object]) -> Timer:
        """Return a timer on the wall clock: simulated time may stand still."""
        wall = Clock(clock_type=ClockType.STEADY_TIME)
        timer = self._node.create_timer(period_s, callback, clock=wall)
        self.add(lambda: self._node.destroy_timer(timer))
        return timer

    def close(self) -> None:
        """Close everything; may be called at any time, and again."""
        closers, self._closers = self._closers, []
        for close in reversed(closers):
            close()
