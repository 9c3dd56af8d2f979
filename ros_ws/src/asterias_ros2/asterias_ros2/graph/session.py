"""A short-lived node that looks at the running system.

There is no daemon that knows the system already, so each command discovers it anew and waits, for a
bounded time, until everything running has announced itself.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions
from rclpy.topic_or_service_is_hidden import topic_or_service_is_hidden

from asterias_ros2.errors import VerbError
from asterias_ros2.graph.announcements import announcement_period_s

HIDDEN_PREFIX = "_ros2cli"
# After an announcement it takes some tens of milliseconds until names and types are known, and more
# on a busy machine.
MARGIN_S = 0.5
STABLE_S = 0.25
PATIENCE_S = 1.0
SLICE_S = 0.05

NamesAndTypes = list[tuple[str, list[str]]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options about discovery that all these commands share."""
    parser.add_argument(
        "--spin-time",
        type=float,
        metavar="S",
        help="longest wait for discovery in seconds; there is no daemon that knows the system "
        f"already (default: what the middleware takes, about {announcement_period_s():g} s)",
    )
    parser.add_argument("-s", "--use-sim-time", action="store_true", help="use the time of /clock")
    parser.add_argument(
        "--no-daemon", action="store_true", help="accepted and without effect: there is no daemon"
    )


class GraphSession:
    """A node, its executor, and the names in the graph."""

    def __init__(self, node: Any, executor: Any) -> None:
        """Wrap a node that the executor already knows."""
        self.node = node
        self._executor = executor

    def spin_once(self, seconds: float = SLICE_S) -> None:
        """Handle what comes, or wait a moment; a Ctrl-C gets through between two calls."""
        self._executor.spin_once(timeout_sec=seconds)

    def wait_for(self, condition: Callable[[], bool], timeout_s: float | None = None) -> bool:
        """Spin until a condition holds.

        Args:
            condition: looked at after each callback.
            timeout_s: longest wait; None waits for ever.

        Returns:
            Whether it holds.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not condition():
            if deadline is not None and time.monotonic() > deadline:
                return False
            self.spin_once()
        return True

    def result(self, future: Any, what: str, timeout_s: float | None = None) -> Any:
        """Return the result of a future; spin until it is there.

        Raises:
            VerbError: if it takes too long or ends with an exception.
        """
        if not self.wait_for(future.done, timeout_s):
            raise VerbError(f"no answer within {timeout_s} s from {what}")
        if future.exception() is not None:
            raise VerbError(f"Exception while calling {what}: {future.exception()!r}")
        return future.result()

    def discover(
        self, longest_s: float | None = None, enough: Callable[[], bool] | None = None
    ) -> None:
        """Wait until the running system is known.

        Args:
            longest_s: Bound of the wait; by default a period of announcements and a bit.
            enough: Ends the wait early, for commands that look for one thing only.
        """
        period_s = announcement_period_s()
        start_s = changed_s = time.monotonic()
        longest_s = period_s + PATIENCE_S if longest_s is None else longest_s
        known = self._graph()
        while (now_s := time.monotonic()) - start_s < longest_s:
            all_announced = now_s - start_s > period_s + MARGIN_S and now_s - changed_s > STABLE_S
            if all_announced if enough is None else enough():
                return
            self.spin_once()
            graph = self._graph()
            if graph != known:
                known, changed_s = graph, now_s

    def _graph(self) -> tuple[list[Any], list[Any], list[Any]]:
        return (
            sorted(self.node.get_node_names_and_namespaces()),
            sorted(self.node.get_topic_names_and_types()),
            sorted(self.node.get_service_names_and_types()),
        )

    def node_names(self, *, hidden: bool = False) -> list[str]:
        """Return the full names of the nodes, sorted, with repetitions."""
        names = self.node.get_node_names_and_namespaces()
        return sorted(
            f"{namespace.rstrip('/')}/{name}"
            for name, namespace in names
            if hidden or (name and not name.startswith("_"))
        )

    def topics(self, *, hidden: bool = False) -> NamesAndTypes:
        """Return the topics and their types."""
        return _visible(self.node.get_topic_names_and_types(), hidden)

    def services(self, *, hidden: bool = False) -> NamesAndTypes:
        """Return the services and their types."""
        return _visible(self.node.get_service_names_and_types(), hidden)

    def require_node(self, name: str, longest_s: float | None, *, hidden: bool = False) -> str:
        """Return the full name of a node once it is there.

        Raises:
            VerbError: if it is not there within the time.
        """
        full_name = name if name.startswith("/") else f"/{name}"
        self.discover(longest_s, lambda: full_name in self.node_names(hidden=hidden))
        if full_name not in self.node_names(hidden=hidden):
            raise VerbError(f"Node not found: '{full_name}' is not running; see ros2 node list")
        return full_name


@contextmanager
def open_session(
    arguments: argparse.Namespace | None = None, name: str | None = None
) -> Iterator[GraphSession]:
    """Open a session and close it in any case.

    Args:
        arguments: The parsed options of `add_arguments`, if the command has them.
        name: Name of the node; without one it is a hidden name of its own.

    Yields:
        The session.
    """
    # Our own handlers stay in charge, so that a Ctrl-C can still cancel a goal over the network.
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    try:
        sim_time = Parameter("use_sim_time", value=getattr(arguments, "use_sim_time", False))
        node = rclpy.create_node(
            name or f"{HIDDEN_PREFIX}_{os.getpid()}",
            start_parameter_services=False,
            enable_rosout=False,
            parameter_overrides=[sim_time],
        )
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        try:
            yield GraphSession(node, executor)
        finally:
            executor.shutdown()
            node.destroy_node()
    finally:
        rclpy.try_shutdown()


def print_names_of_type(
    names_and_types: Iterable[tuple[str, list[str]]], kind: str, *, count: bool
) -> None:
    """Print the names that have a type, one a line, or how many there are.

    Args:
        names_and_types: topics, services or actions.
        kind: such as ``std_msgs/msg/String``.
        count: print their number only.
    """
    names = [name for name, types in names_and_types if kind in types]
    for line in [len(names)] if count else names:
        print(line)


def _visible(names_and_types: Sequence[tuple[str, list[str]]], hidden: bool) -> NamesAndTypes:
    return sorted(
        (name, list(types))
        for name, types in names_and_types
        if hidden or not topic_or_service_is_hidden(name)
    )
