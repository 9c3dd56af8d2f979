"""`ros2 node`: the nodes of the running system."""

from __future__ import annotations

import argparse
import sys

from asterias_ros2.graph.session import add_arguments, open_session


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verbs of `ros2 node`."""
    verbs = parser.add_subparsers(title="Verbs")
    listing = verbs.add_parser("list", help="list the running nodes")
    add_arguments(listing)
    listing.add_argument("-a", "--all", action="store_true", help="show hidden nodes too")
    listing.add_argument("-c", "--count-nodes", action="store_true", help="print their number only")
    listing.set_defaults(run=list_nodes)


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
