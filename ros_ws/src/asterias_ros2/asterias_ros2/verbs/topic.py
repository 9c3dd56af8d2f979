"""`ros2 topic`: list, describe and print topics."""

from __future__ import annotations

import argparse
from typing import Any

from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy

from asterias_ros2.errors import VerbError
from asterias_ros2.graph.completers import message_types
from asterias_ros2.graph.messages import (
    DEFAULT_TRUNCATE_LENGTH,
    Format,
    find_type,
    to_csv,
    to_yaml,
)
from asterias_ros2.graph.qos import add_qos_arguments, given_profile, is_overridden
from asterias_ros2.graph.session import (
    GraphSession,
    add_arguments,
    open_session,
    print_names_of_type,
)
from asterias_ros2.graph.topics import add_topic_argument, full_name
from asterias_ros2.interfaces import interface_names
from asterias_ros2.parsers import Verbs, completed, positive_float, unsigned_int
from asterias_ros2.verbs import topic_pub, topic_rates


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verbs of `ros2 topic`."""
    verbs = Verbs(parser)
    topic_rates.configure(verbs)
    _configure_echo(verbs.add("echo", "print the messages of a topic", echo))
    _configure_find(verbs.add("find", "list the topics of a type", find_topics))

    info = verbs.add("info", "print the type and the number of publishers of a topic", show_info)
    add_arguments(info)
    add_topic_argument(info)
    info.add_argument(
        "-v", "--verbose", action="store_true", help="describe each publisher and subscription"
    )
    _configure_list(verbs.add("list", "list the topics", list_topics))
    topic_pub.configure(verbs)

    kind = verbs.add("type", "print the type of a topic", show_type)
    add_arguments(kind)
    add_topic_argument(kind)


def _configure_find(parser: argparse.ArgumentParser) -> None:
    add_arguments(parser)
    completed(
        parser.add_argument("topic_type", help="type, such as std_msgs/msg/String"),
        lambda **_: interface_names(("msg",)),
    )
    parser.add_argument("-c", "--count-topics", action="store_true", help="print their number only")
    parser.add_argument(
        "--include-hidden-topics", action="store_true", help="find hidden topics too"
    )


def _configure_list(parser: argparse.ArgumentParser) -> None:
    add_arguments(parser)
    parser.add_argument("-t", "--show-types", action="store_true", help="show the types too")
    parser.add_argument("-c", "--count-topics", action="store_true", help="print their number only")
    parser.add_argument(
        "--include-hidden-topics", action="store_true", help="show hidden topics too"
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="count publishers and subscribers"
    )


def _configure_echo(parser: argparse.ArgumentParser) -> None:
    add_arguments(parser)
    add_topic_argument(parser)
    completed(
        parser.add_argument("message_type", nargs="?", help="type, such as std_msgs/msg/String"),
        message_types,
    )
    add_qos_arguments(parser, "subscribe", "sensor_data")
    parser.add_argument("--csv", action="store_true", help="all values separated by commas")
    parser.add_argument("--field", help="a field, or a field in a field as in pose.position")
    parser.add_argument("-f", "--full-length", action="store_true", help="show all elements")
    parser.add_argument(
        "-l",
        "--truncate-length",
        type=unsigned_int,
        default=DEFAULT_TRUNCATE_LENGTH,
        help="elements of arrays and texts to show (default: %(default)s)",
    )
    parser.add_argument("--no-arr", action="store_true", help="do not show arrays")
    parser.add_argument("--no-str", action="store_true", help="do not show texts")
    parser.add_argument("--flow-style", action="store_true", help="one line per message")
    parser.add_argument("--once", action="store_true", help="print one message and exit")
    parser.add_argument("--timeout", metavar="N", type=positive_float, help="exit after N seconds")


def list_topics(arguments: argparse.Namespace) -> int:
    """Print the names of the topics, sorted.

    Returns:
        The exit code.
    """
    with open_session(arguments) as session:
        session.discover(arguments.spin_time)
        topics = session.topics(hidden=arguments.include_hidden_topics)
        publishers = [session.node.count_publishers(name) for name, _ in topics]
        subscribers = [session.node.count_subscribers(name) for name, _ in topics]
    if arguments.count_topics:
        print(len(topics))
    elif arguments.verbose:
        _print_counts("Published", "publisher", topics, publishers)
        _print_counts("Subscribed", "subscriber", topics, subscribers)
    else:
        for name, types in topics:
            print(f"{name} [{', '.join(types)}]" if arguments.show_types else name)
    return 0


def _print_counts(
    title: str, noun: str, topics: list[tuple[str, list[str]]], counts: list[int]
) -> None:
    print(f"{title} topics:")
    for (name, types), count in zip(topics, counts, strict=True):
        if count:
            plural = "s" if count > 1 else ""
            print(f" * {name} [{', '.join(types)}] {count} {noun}{plural}")
    print()


def show_info(arguments: argparse.Namespace) -> int:
    """Print type and number of publishers and subscriptions of a topic.

    Returns:
        The exit code.

    Raises:
        VerbError: there is no such topic.
    """
    end = "\n\n" if arguments.verbose else "\n"
    with open_session(arguments) as session:
        name = full_name(session, arguments.topic_name)
        # All endpoints are wanted, not just the first, so the graph has to come to rest.
        session.discover(arguments.spin_time)
        types = dict(session.topics(hidden=True)).get(name)
        if types is None:
            raise VerbError(f"Unknown topic '{arguments.topic_name}'; see ros2 topic list")
        node = session.node
        print(f"Type: {types[0] if len(types) == 1 else types}", end=end)
        print(f"Publisher count: {node.count_publishers(name)}", end=end)
        if arguments.verbose:
            for info in node.get_publishers_info_by_topic(name):
                print(info, end=end)
        print(f"Subscription count: {node.count_subscribers(name)}", end=end)
        if arguments.verbose:
            for info in node.get_subscriptions_info_by_topic(name):
                print(info, end=end)
    return 0


def find_topics(arguments: argparse.Namespace) -> int:
    """Print the topics of a type.

    Returns:
        The exit code.
    """
    with open_session(arguments) as session:
        session.discover(arguments.spin_time)
        topics = session.topics(hidden=arguments.include_hidden_topics)
    print_names_of_type(topics, arguments.topic_type, count=arguments.count_topics)
    return 0


def show_type(arguments: argparse.Namespace) -> int:
    """Print the type of a topic.

    Returns:
        The exit code: 1 where there is no such topic.
    """
    with open_session(arguments) as session:
        name = full_name(session, arguments.topic_name)
        session.discover(arguments.spin_time, lambda: name in dict(session.topics(hidden=True)))
        types = dict(session.topics(hidden=True)).get(name, [])
    for kind in types:
        print(kind)
    return 0 if types else 1


def echo(arguments: argparse.Namespace) -> int:
    """Print the messages of a topic until stopped.

    Returns:
        The exit code.
    """
    printer = _Printer(arguments)
    with open_session(arguments) as session:
        name = full_name(session, arguments.topic_name)
        kind = _message_type(session, name, arguments.message_type, arguments.spin_time)
        qos = _choose_qos(session, name, arguments)
        session.node.create_subscription(kind, name, printer, qos)
        session.wait_for(lambda: printer.finished, arguments.timeout)
        if printer.error is not None:
            raise printer.error
    return 0


class _Printer:
    """Prints messages as the options ask for."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.finished = False
        self.error: VerbError | None = None
        self._once = arguments.once
        self._csv = arguments.csv
        self._fields = [name for name in (arguments.field or "").split(".") if name]
        if arguments.field is not None and not self._fields:
            raise VerbError(f"Invalid field value '{arguments.field}'")
        self._style = Format(
            truncate_length=None if arguments.full_length else arguments.truncate_length,
            no_arr=arguments.no_arr,
            no_str=arguments.no_str,
            flow_style=arguments.flow_style,
        )

    def __call__(self, message: Any) -> None:
        if self.finished:
            return
        for name in self._fields:
            if not hasattr(message, name):
                self.finished = True
                field = ".".join(self._fields)
                self.error = VerbError(f"Invalid field '{field}': there is no '{name}'")
                return
            message = getattr(message, name)
        self.finished = self._once
        if not hasattr(message, "__slots__"):
            print(message, end="\n---\n")
        elif self._csv:
            print(to_csv(message, self._style))
        else:
            print(to_yaml(message, self._style), end="---\n")


def _message_type(
    session: GraphSession, name: str, given: str | None, longest_s: float | None
) -> Any:
    """Return the class of the messages on a topic: the one given, or what the graph says.

    Raises:
        VerbError: the graph names no type, or more than one.
    """
    session.discover(longest_s, lambda: session.node.count_publishers(name) > 0)
    if given is not None:
        return find_type(given, "msg")
    types = dict(session.topics(hidden=True)).get(name)
    if types is None:
        print(f"WARNING: topic [{name}] does not appear to be published yet")
        raise VerbError("Could not determine the type for the passed topic; give it or wait")
    if len(types) > 1:
        raise VerbError(
            f"Cannot echo topic '{name}', as it contains more than one type: [{', '.join(types)}]"
        )
    return find_type(types[0], "msg")


def _choose_qos(session: GraphSession, name: str, arguments: argparse.Namespace) -> QoSProfile:
    """Return the profile asked for, or one that all publishers of the topic can serve."""
    profile = given_profile(arguments)
    if is_overridden(arguments):
        return profile
    offered = [info.qos_profile for info in session.node.get_publishers_info_by_topic(name)]
    if not offered:
        return profile
    reliable = [qos.reliability == QoSReliabilityPolicy.RELIABLE for qos in offered]
    latched = [qos.durability == QoSDurabilityPolicy.TRANSIENT_LOCAL for qos in offered]
    profile.reliability = _common(
        reliable, QoSReliabilityPolicy.RELIABLE, QoSReliabilityPolicy.BEST_EFFORT
    )
    profile.durability = _common(
        latched, QoSDurabilityPolicy.TRANSIENT_LOCAL, QoSDurabilityPolicy.VOLATILE
    )
    return profile


def _common(offers: list[bool], strict: Any, loose: Any) -> Any:
    """Return the strict policy if all publishers offer it, else the one all can serve."""
    if any(offers) and not all(offers):
        kind = type(strict).__name__
        print(
            f"Some, but not all, publishers are offering {kind}.{strict.name}. Falling back to "
            f"{kind}.{loose.name} as it will connect to all publishers"
        )
    return strict if all(offers) else loose
