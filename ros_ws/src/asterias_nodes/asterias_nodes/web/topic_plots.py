"""Numbers of any topic over time, for plots: a topic is subscribed to while a page shows it."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator
from functools import cache
from typing import Any

from rclpy.node import Node
from rclpy.subscription import Subscription

from asterias_nodes.runtime.message_definitions import interface_type
from asterias_nodes.runtime.qos import sensor_qos

PLOTTED_POINTS = 300
MAX_TOPICS = 300
MAX_OPEN = 8
MAX_SERIES = 64
MAX_DEPTH = 6
# A topic that no page has asked for in this time is left again.
UNUSED_S = 5.0
# Samples come at most so often; faster topics are thinned out.
MIN_GAP_S = 0.1
RATE = "rate (Hz)"
RATE_WINDOW = 20
# Data too large to be taken apart here: their rate is shown.
RATE_ONLY = (
    "sensor_msgs/msg/Image",
    "sensor_msgs/msg/CompressedImage",
    "sensor_msgs/msg/PointCloud2",
)
NUMBER_TYPES = ("int", "uint", "float", "double", "boolean")

Points = deque[tuple[float, float]]


class TopicSeries:
    """One topic's numbers over time.

    Args:
        node: the hosting node.
        topic: its name.
        type_name: such as ``sensor_msgs/msg/JointState``.
    """

    def __init__(self, node: Node, topic: str, type_name: str) -> None:
        self.used_s = time.monotonic()
        self.series: dict[str, Points] = {}
        self._node = node
        self._times: Points = deque(maxlen=RATE_WINDOW)
        self._taken_s = -math.inf
        is_raw = type_name in RATE_ONLY
        callback = self._on_bytes if is_raw else self._on_message
        self._subscription: Subscription = node.create_subscription(
            interface_type(type_name), topic, callback, sensor_qos(10), raw=is_raw
        )

    def close(self) -> None:
        """Leave the topic."""
        self._node.destroy_subscription(self._subscription)

    def _on_bytes(self, message: bytes) -> None:
        self._add_rate(time.monotonic())

    def _on_message(self, message: Any) -> None:
        now = time.monotonic()
        is_due = self._add_rate(now)
        if is_due:
            for name, value in _numbers(message):
                self._add(name, now, value)

    def _add_rate(self, now: float) -> bool:
        """Return whether the numbers of the message that is counted here shall be taken."""
        self._times.append((now, 0.0))
        if now - self._taken_s < MIN_GAP_S:
            return False
        self._taken_s = now
        span_s = now - self._times[0][0]
        if span_s > 0:
            self._add(RATE, now, (len(self._times) - 1) / span_s)
        return True

    def _add(self, name: str, now: float, value: float) -> None:
        if name in self.series or len(self.series) < MAX_SERIES:
            self.series.setdefault(name, deque(maxlen=PLOTTED_POINTS)).append((now, value))


class TopicPlots:
    """The topics of the graph that hold numbers, and the series of those that pages show.

    Args:
        node: the hosting node.
    """

    def __init__(self, node: Node) -> None:
        self.names: dict[str, str] = {}
        self._node = node
        self._open: dict[str, TopicSeries] = {}

    def look(self) -> None:
        """Find topics that have appeared, and leave those that no page shows any more."""
        names = {}
        for topic, types in sorted(self._node.get_topic_names_and_types()):
            is_hidden = any(part.startswith("_") for part in topic.split("/"))
            if not is_hidden and len(types) == 1 and _has_numbers(types[0]):
                names[topic] = types[0]
        self.names = dict(list(names.items())[:MAX_TOPICS])
        now = time.monotonic()
        for topic, series in list(self._open.items()):
            if now - series.used_s > UNUSED_S or topic not in self.names:
                self._open.pop(topic).close()

    def want(self, topic: str) -> None:
        """Subscribe to a topic, or go on with it; to be repeated while it is shown."""
        if topic in self._open:
            self._open[topic].used_s = time.monotonic()
        elif topic in self.names and len(self._open) < MAX_OPEN:
            self._open[topic] = TopicSeries(self._node, topic, self.names[topic])

    def series(self, topic: str) -> dict[str, list[tuple[float, float]]]:
        """Return (monotonic s, value) by name, of a topic that is shown; from any thread."""
        found = self._open.get(topic)
        return {} if found is None else {k: list(v) for k, v in list(found.series.items())}

    def close(self) -> None:
        """Leave all topics."""
        for series in self._open.values():
            series.close()
        self._open.clear()


@cache
def _has_numbers(type_name: str) -> bool:
    if type_name in RATE_ONLY:
        return True
    try:
        return _is_numeric(interface_type(type_name), MAX_DEPTH)
    except (ImportError, ValueError, AttributeError):
        return False


def _is_numeric(message_type: Any, levels: int) -> bool:
    return any(
        _holds_numbers(t, levels) for t in message_type.get_fields_and_field_types().values()
    )


def _holds_numbers(field_type: str, levels: int) -> bool:
    """Return whether a field such as ``sequence<geometry_msgs/Point, 3>`` holds numbers."""
    element = field_type.removeprefix("sequence<").split("[")[0].split(",")[0].rstrip(">")
    if element.startswith(NUMBER_TYPES):
        return True
    package, _, name = element.partition("/")
    if not name or not levels or package == "std_msgs" or name in ("Time", "Duration"):
        return False
    return _is_numeric(interface_type(f"{package}/msg/{name}"), levels - 1)


def _numbers(
    message: Any, prefix: str = "", levels: int = MAX_DEPTH
) -> Iterator[tuple[str, float]]:
    """Yield the finite numbers of a message with the names of their fields, at most MAX_SERIES."""
    labels = list(getattr(message, "name", [])) if hasattr(message, "position") else []
    for field in message.get_fields_and_field_types():
        if field in ("header", "stamp", "layout"):
            continue
        yield from _of_value(getattr(message, field), f"{prefix}{field}", levels, labels)


def _of_value(value: Any, name: str, levels: int, labels: list[str]) -> Iterator[tuple[str, float]]:
    if isinstance(value, (bool, int, float)):
        if math.isfinite(value):
            yield name, float(value)
    elif hasattr(value, "get_fields_and_field_types"):
        if levels:
            yield from _numbers(value, f"{name}.", levels - 1)
    elif not isinstance(value, (str, bytes)) and hasattr(value, "__len__"):
        for i, item in enumerate(value[:MAX_SERIES]):
            number = item.item() if hasattr(item, "item") else item
            label = labels[i] if len(labels) == len(value) else str(i)
            yield from _of_value(number, f"{name} {label}", levels, [])
