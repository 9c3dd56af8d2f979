"""What may stand in the place of a word: names in the running system, and installed types.

Each is called by the shell's completion with the words before it. A short look at the system must
do: whoever presses the tab key waits for it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from rclpy.action import get_action_names_and_types

from asterias_ros2.errors import VerbError
from asterias_ros2.graph.announcements import announcement_period_s
from asterias_ros2.graph.session import GraphSession, open_session
from asterias_ros2.interfaces import interface_names

# Nodes of a workspace whose profile has slow announcements are found in part.
LONGEST_S = 1.5


def _look(session: GraphSession) -> None:
    session.discover(min(LONGEST_S, announcement_period_s() + 0.75))


def topic_names(**_: Any) -> list[str]:
    """Return the topics that there are."""
    with open_session() as session:
        _look(session)
        return [name for name, _ in session.topics()]


def node_names(**_: Any) -> list[str]:
    """Return the nodes that run."""
    with open_session() as session:
        _look(session)
        return sorted(set(session.node_names()))


def service_names(**_: Any) -> list[str]:
    """Return the services that there are."""
    with open_session() as session:
        _look(session)
        return [name for name, _ in session.services()]


def action_names(**_: Any) -> list[str]:
    """Return the actions that there are."""
    with open_session() as session:
        _look(session)
        return sorted(name for name, _ in get_action_names_and_types(session.node))


def message_types(*, parsed_args: argparse.Namespace, **_: Any) -> Iterable[str]:
    """Return the type of the topic that was named, or all types of messages."""
    with open_session() as session:
        _look(session)
        known = dict(session.topics(hidden=True)).get(getattr(parsed_args, "topic_name", ""))
    return known or interface_names(("msg",))


def service_types(*, parsed_args: argparse.Namespace, **_: Any) -> Iterable[str]:
    """Return the type of the service that was named, or all types of services."""
    with open_session() as session:
        _look(session)
        known = dict(session.services(hidden=True)).get(getattr(parsed_args, "service_name", ""))
    return known or interface_names(("srv",))


def action_types(*, parsed_args: argparse.Namespace, **_: Any) -> Iterable[str]:
    """Return the type of the action that was named, or all types of actions."""
    with open_session() as session:
        _look(session)
        known = dict(get_action_names_and_types(session.node))
    return known.get(getattr(parsed_args, "action_name", "")) or interface_names(("action",))


def parameter_names(*, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """Return the parameters of the node that was named."""
    from asterias_ros2.graph.parameters import list_names

    with suppress(VerbError), open_session() as session:
        node = session.require_node(parsed_args.node_name, LONGEST_S)
        return list_names(session, node)
    return []


def prototypes(name: str) -> Any:
    """Return the completer of a message's values, once its type is given.

    Args:
        name: of the argument that holds the type.
    """

    def complete(*, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
        from asterias_ros2.graph.messages import prototype

        with suppress(VerbError):
            return [prototype(getattr(parsed_args, name)).strip()]
        return []

    return complete
