"""`ros2 node`: the nodes of the running system."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.action import (
    get_action_client_names_and_types_by_node,
    get_action_server_names_and_types_by_node,
)
from rclpy.topic_or_service_is_hidden import topic_or_service_is_hidden

from asterias_ros2.errors import VerbError
from asterias_ros2.graph.completers import node_names
from asterias_ros2.graph.session import GraphSession, add_arguments, open_session
from asterias_ros2.parsers import Verbs, completed, nearest


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verbs of `ros2 node`."""
    verbs = Verbs(parser)
    info = verbs.add("info", "print what a node publishes, subscribes to and serves", show_info)
    add_arguments(info)
    completed(
        info.add_argument("node_name", help="full name of the node, such as /sim_robot"), node_names
    )
    info.add_argument("--include-hidden", action="store_true", help="show hidden names too")

    listing = verbs.add("list", "list the running nodes", list_nodes)
    add_arguments(listing)
    listing.add_argument("-a", "--all", action="store_true", help="show hidden nodes too")
    listing.add_argument("-c", "--count-nodes", action="store_true", help="print their number only")


def list_nodes(arguments: argparse.Namespace) -> int:
    """Print the full names of the nodes, sorted.

    Returns:
        The exit code.
    """
    with open_session(arguments) as session:
        session.discover(arguments.spin_time)
        names = session.node_names(hidden=arguments.all)
    if arguments.count_nodes:
        print(len(names))
        return 0
    if len(set(names)) < len(names):
        text = "WARNING: there are nodes with the same full name, which can have side effects."
        print(text, file=sys.stderr)
    for name in names:
        print(name)
    return 0


def show_info(arguments: argparse.Namespace) -> int:
    """Print the topics, services and actions of a node.

    Returns:
        The exit code.

    Raises:
        VerbError: no such node runs.
    """
    with open_session(arguments) as session:
        # All names of the node are wanted, so the graph has to come to rest.
        session.discover(arguments.spin_time)
        known = session.node_names(hidden=arguments.include_hidden)
        given = arguments.node_name
        full_name = given if given.startswith("/") else f"/{given}"
        count = known.count(full_name)
        if count == 0:
            told = nearest(full_name, known, "node that runs")
            raise VerbError(f"Unable to find node '{given}': {told}")
        if count > 1:
            print(
                f'There are {count} nodes in the graph with the exact name "{full_name}". You are '
                "seeing information about only one of them.",
                file=sys.stderr,
            )
        print(full_name)
        for title, names in _sections(session, full_name):
            print(f"  {title}:")
            shown = [
                f"    {name}: {', '.join(types)}"
                for name, types in sorted(names)
                if arguments.include_hidden or not topic_or_service_is_hidden(name)
            ]
            print("\n".join(shown))
    return 0


def _sections(
    session: GraphSession, full_name: str
) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    namespace, _, name = full_name.rpartition("/")
    node = session.node

    def of(find: Callable[..., Any]) -> list[tuple[str, list[str]]]:
        return list(find(name, namespace or "/"))

    return [
        ("Subscribers", of(node.get_subscriber_names_and_types_by_node)),
        ("Publishers", of(node.get_publisher_names_and_types_by_node)),
        ("Service Servers", of(node.get_service_names_and_types_by_node)),
        ("Service Clients", of(node.get_client_names_and_types_by_node)),
        ("Action Servers", of(partial(get_action_server_names_and_types_by_node, node))),
        ("Action Clients", of(partial(get_action_client_names_and_types_by_node, node))),
    ]
