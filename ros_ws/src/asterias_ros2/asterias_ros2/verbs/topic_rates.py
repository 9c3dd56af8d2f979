"""`ros2 topic hz`, `bw` and `delay`: how often, how much and how late messages come."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from typing import Any

from rclpy.qos import qos_profile_sensor_data

from asterias_ros2.errors import VerbError
from asterias_ros2.graph.meters import (
    BANDWIDTH_WINDOW,
    DELAY_WINDOW,
    BandwidthMeter,
    DelayMeter,
)
from asterias_ros2.graph.rate import DEFAULT_WINDOW, RateMeter, rate_lines
from asterias_ros2.graph.session import GraphSession, add_arguments, open_session
from asterias_ros2.graph.topics import add_topic_argument, full_name, wait_for_type
from asterias_ros2.parsers import Verbs, positive_int

PRINT_PERIOD_S = 1.0
NS_PER_S = 1_000_000_000


def configure(verbs: Verbs) -> None:
    """Add the verbs that measure."""
    bandwidth = verbs.add("bw", "print how many bytes a second come on a topic", measure_bandwidth)
    delay = verbs.add("delay", "print how old messages are when they come", measure_delay)
    rate = verbs.add("hz", "print how many messages a second come on topics", measure_rate)
    rate.add_argument("--wall-time", action="store_true", help="measure in wall time")
    for parser, window in (
        (bandwidth, BANDWIDTH_WINDOW),
        (delay, DELAY_WINDOW),
        (rate, DEFAULT_WINDOW),
    ):
        add_arguments(parser)
        add_topic_argument(parser, "+" if parser is rate else None)
        parser.add_argument(
            "-w",
            "--window",
            type=positive_int,
            default=window,
            help="number of messages to average over (default: %(default)s)",
        )


def measure_rate(arguments: argparse.Namespace) -> int:
    """Print the rates of topics once a second until stopped.

    Returns:
        The exit code.
    """
    meters = {name: RateMeter(arguments.window) for name in arguments.topic_name}
    with open_session(arguments) as session:
        clock = session.node.get_clock()

        def now_ns() -> int:
            return time.time_ns() if arguments.wall_time else int(clock.now().nanoseconds)

        for topic, meter in meters.items():
            name = full_name(session, topic)
            kind = wait_for_type(session, name)
            session.node.create_subscription(
                kind,
                name,
                lambda _message, meter=meter: meter.add(now_ns()),
                qos_profile_sensor_data,
            )
            if len(meters) > 1:
                print(f"Subscribed to [{topic}]")
        return _print_each_second(session, lambda: rate_lines(meters))


def measure_bandwidth(arguments: argparse.Namespace) -> int:
    """Print the bandwidth of a topic once a second until stopped.

    Returns:
        The exit code.
    """
    meter = BandwidthMeter(arguments.window)
    with open_session(arguments) as session:
        clock = session.node.get_clock()
        name = full_name(session, arguments.topic_name)
        session.node.create_subscription(
            wait_for_type(session, name),
            name,
            lambda data: meter.add(clock.now().nanoseconds, len(data)),
            qos_profile_sensor_data,
            raw=True,
        )
        print(f"Subscribed to [{arguments.topic_name}]")
        return _print_each_second(session, lambda: meter.lines(clock.now().nanoseconds))


def measure_delay(arguments: argparse.Namespace) -> int:
    """Print the delay of a topic once a second until stopped.

    Returns:
        The exit code.

    Raises:
        VerbError: its messages have no header.
    """
    meter = DelayMeter(arguments.window)
    with open_session(arguments) as session:
        clock = session.node.get_clock()
        name = full_name(session, arguments.topic_name)
        kind = wait_for_type(session, name)
        if not hasattr(kind(), "header"):
            raise VerbError(f"msg does not have header: {name} tells no time to compare with")

        def take(message: Any) -> None:
            stamp = message.header.stamp
            meter.add(clock.now().nanoseconds, stamp.sec * NS_PER_S + stamp.nanosec)

        session.node.create_subscription(kind, name, take, qos_profile_sensor_data)
        return _print_each_second(session, meter.lines)


def _print_each_second(session: GraphSession, lines: Callable[[], Iterable[str]]) -> int:
    next_s = time.monotonic() + PRINT_PERIOD_S
    while True:
        session.spin_once()
        if time.monotonic() >= next_s:
            next_s += PRINT_PERIOD_S
            for line in lines():
                print(line)
