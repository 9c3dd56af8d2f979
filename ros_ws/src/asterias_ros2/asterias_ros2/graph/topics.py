"""Names of topics as a person types them."""

from __future__ import annotations

import argparse
from typing import Any

from rclpy.expand_topic_name import expand_topic_name
from rclpy.validate_full_topic_name import validate_full_topic_name

from asterias_ros2.errors import VerbError
from asterias_ros2.graph.completers import topic_names
from asterias_ros2.graph.messages import find_type
from asterias_ros2.graph.session import GraphSession
from asterias_ros2.parsers import completed

WARN_AFTER_S = 1.0


def add_topic_argument(parser: argparse.ArgumentParser, nargs: str | None = None) -> None:
    """Add the name of a topic, or of several."""
    completed(
        parser.add_argument("topic_name", nargs=nargs, help="name of the topic, such as /chatter"),
        topic_names,
    )


def full_name(session: GraphSession, name: str) -> str:
    """Return the full name of a topic, which may be given without its first slash.

    Raises:
        VerbError: it is no valid name.
    """
    try:
        full_name: str = expand_topic_name(
            name, session.node.get_name(), session.node.get_namespace()
        )
        validate_full_topic_name(full_name)
    except Exception as error:
        text = str(error).splitlines()[0]
        raise VerbError(f"topic name '{name}' is not valid: {text}") from None
    return full_name


def wait_for_type(session: GraphSession, name: str) -> Any:
    """Return the type of a topic, however long it takes to appear."""
    warned = False
    while (types := dict(session.topics(hidden=True)).get(name)) is None:
        if not warned and not session.wait_for(
            lambda: name in dict(session.topics(hidden=True)), WARN_AFTER_S
        ):
            print(f"WARNING: topic [{name}] does not appear to be published yet")
            warned = True
        session.spin_once()
    return find_type(types[0], "msg")
