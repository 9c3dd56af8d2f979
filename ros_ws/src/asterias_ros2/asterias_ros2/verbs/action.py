"""`ros2 action`: list and describe actions, send a goal."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from action_msgs.msg import GoalStatus
from rclpy.action import (
    ActionClient,
    get_action_client_names_and_types_by_node,
    get_action_names_and_types,
    get_action_server_names_and_types_by_node,
)

from asterias_ros2.graph.completers import action_names, action_types, prototypes
from asterias_ros2.graph.messages import fill, find_type, parse_yaml, to_yaml
from asterias_ros2.graph.session import (
    HIDDEN_PREFIX,
    GraphSession,
    add_arguments,
    open_session,
    print_names_of_type,
)
from asterias_ros2.graph.topics import full_name
from asterias_ros2.interfaces import interface_names
from asterias_ros2.parsers import Verbs, completed

CANCEL_PATIENCE_S = 5.0
STATUS_NAMES = {
    GoalStatus.STATUS_ACCEPTED: "ACCEPTED",
    GoalStatus.STATUS_EXECUTING: "EXECUTING",
    GoalStatus.STATUS_CANCELING: "CANCELING",
    GoalStatus.STATUS_SUCCEEDED: "SUCCEEDED",
    GoalStatus.STATUS_CANCELED: "CANCELED",
    GoalStatus.STATUS_ABORTED: "ABORTED",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verbs of `ros2 action`."""
    verbs = Verbs(parser)
    find = verbs.add("find", "list the actions of a type", find_actions)
    add_arguments(find)
    completed(
        find.add_argument("action_type", help="type of the action, PACKAGE/action/NAME"),
        lambda **_: interface_names(("action",)),
    )
    find.add_argument("-c", "--count-actions", action="store_true", help="print their number only")

    info = verbs.add("info", "print who serves an action and who uses it", show_info)
    add_arguments(info)
    _add_name(info)
    info.add_argument("-t", "--show-types", action="store_true", help="show the types too")
    info.add_argument("-c", "--count", action="store_true", help="print the numbers only")

    listing = verbs.add("list", "list the actions", list_actions)
    add_arguments(listing)
    listing.add_argument("-t", "--show-types", action="store_true", help="show the types too")
    listing.add_argument(
        "-c", "--count-actions", action="store_true", help="print their number only"
    )
    _configure_goal(verbs.add("send_goal", "send a goal and wait for its result", send_goal))

    kind = verbs.add("type", "print the type of an action", show_type)
    add_arguments(kind)
    _add_name(kind)


def _add_name(parser: argparse.ArgumentParser) -> None:
    completed(
        parser.add_argument("action_name", help="name of the action, such as /find_target"),
        action_names,
    )


def _configure_goal(parser: argparse.ArgumentParser) -> None:
    _add_name(parser)
    completed(
        parser.add_argument("action_type", help="type of the action, PACKAGE/action/NAME"),
        action_types,
    )
    goal = parser.add_mutually_exclusive_group()
    completed(
        goal.add_argument(
            "goal", nargs="?", default="{}", help="goal in YAML, such as '{order: 10}'"
        ),
        prototypes("action_type"),
    )
    goal.add_argument("--stdin", action="store_true", help="read the goal from standard input")
    parser.add_argument("-f", "--feedback", action="store_true", help="print feedback as it comes")


def list_actions(arguments: argparse.Namespace) -> int:
    """Print the names of the actions, sorted.

    Returns:
        The exit code.
    """
    actions = _actions(arguments)
    if arguments.count_actions:
        print(len(actions))
        return 0
    for name, types in actions.items():
        print(f"{name} [{', '.join(types)}]" if arguments.show_types else name)
    return 0


def find_actions(arguments: argparse.Namespace) -> int:
    """Print the actions of a type.

    Returns:
        The exit code.
    """
    actions = _actions(arguments).items()
    print_names_of_type(actions, arguments.action_type, count=arguments.count_actions)
    return 0


def show_type(arguments: argparse.Namespace) -> int:
    """Print the type of an action.

    Returns:
        The exit code: 1 where there is no such action.
    """
    types = _actions(arguments).get(arguments.action_name, [])
    for kind in types:
        print(kind)
    return 0 if types else 1


def show_info(arguments: argparse.Namespace) -> int:
    """Print the clients and the servers of an action.

    Returns:
        The exit code.
    """
    with open_session(arguments) as session:
        name = full_name(session, arguments.action_name)
        session.discover(arguments.spin_time)
        clients = _users(session, name, get_action_client_names_and_types_by_node)
        servers = _users(session, name, get_action_server_names_and_types_by_node)
    print(f"Action: {arguments.action_name}")
    for title, users in (("clients", clients), ("servers", servers)):
        print(f"Action {title}: {len(users)}")
        for node, types in users if not arguments.count else ():
            print(f"    {node} [{', '.join(types)}]" if arguments.show_types else f"    {node}")
    return 0


def _actions(arguments: argparse.Namespace) -> dict[str, list[str]]:
    with open_session(arguments) as session:
        session.discover(arguments.spin_time)
        return dict(sorted(get_action_names_and_types(session.node)))


def _users(
    session: GraphSession, name: str, names_and_types: Callable[..., Any]
) -> list[tuple[str, list[str]]]:
    """Return the nodes that have an action, as servers or as clients, with its types."""
    found = []
    for node, namespace in sorted(session.node.get_node_names_and_namespaces()):
        for action, types in names_and_types(session.node, node, namespace):
            if action == name:
                found.append((f"{namespace.rstrip('/')}/{node}", types))
    return found


def send_goal(arguments: argparse.Namespace) -> int:
    """Send a goal, once a server is there, and print what comes of it; Ctrl-C cancels it.

    Returns:
        The exit code.
    """
    kind = find_type(arguments.action_type, "action")
    goal = kind.Goal()
    fill(goal, parse_yaml(sys.stdin.read() if arguments.stdin else arguments.goal))
    name = f"{HIDDEN_PREFIX}_send_goal_{arguments.action_type.replace('/', '_')}"
    with open_session(name=name) as session:
        client = ActionClient(session.node, kind, arguments.action_name)
        try:
            print("Waiting for an action server to become available...")
            session.wait_for(client.server_is_ready)
            print(f"Sending goal:\n     {to_yaml(goal)}")
            _follow(session, client, goal, feedback=arguments.feedback)
        finally:
            client.destroy()
    return 0


def _follow(session: GraphSession, client: Any, goal: Any, *, feedback: bool) -> None:
    """Send the goal and print its feedback and result.

    Raises:
        KeyboardInterrupt: Ctrl-C, after the goal was cancelled.
    """
    sent = client.send_goal_async(goal, _print_feedback if feedback else None)
    handle = session.result(sent, "the action server")
    if not handle.accepted:
        print("Goal was rejected.")
        return
    print(f"Goal accepted with ID: {bytes(handle.goal_id.uuid).hex()}\n")
    try:
        answer = session.result(handle.get_result_async(), "the action server")
    except KeyboardInterrupt:
        print("Canceling goal...")
        cancelled = session.result(
            handle.cancel_goal_async(), "the action server", CANCEL_PATIENCE_S
        )
        print("Goal canceled." if cancelled.goals_canceling else "Failed to cancel goal.")
        raise
    print(f"Result:\n    {to_yaml(answer.result)}")
    print(f"Goal finished with status: {STATUS_NAMES.get(answer.status, 'UNKNOWN')}")


def _print_feedback(message: Any) -> None:
    print(f"Feedback:\n    {to_yaml(message.feedback)}")
