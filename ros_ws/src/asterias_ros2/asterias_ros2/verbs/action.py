"""`ros2 action`: list actions, send a goal."""

from __future__ import annotations

import argparse
from typing import Any

from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient, get_action_names_and_types

from asterias_ros2.graph.messages import fill, find_type, parse_yaml, to_yaml
from asterias_ros2.graph.session import HIDDEN_PREFIX, GraphSession, add_arguments, open_session

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
    verbs = parser.add_subparsers(title="Verbs")
    listing = verbs.add_parser("list", help="list the actions")
    add_arguments(listing)
    listing.add_argument("-t", "--show-types", action="store_true", help="show the types too")
    listing.add_argument(
        "-c", "--count-actions", action="store_true", help="print their number only"
    )
    listing.set_defaults(run=list_actions)

    goal = verbs.add_parser("send_goal", help="send a goal and wait for its result")
    goal.add_argument("action_name", help="name of the action, such as /find_target")
    goal.add_argument("action_type", help="type of the action, PACKAGE/action/NAME")
    goal.add_argument("goal", nargs="?", default="{}", help="goal in YAML, such as '{order: 10}'")
    goal.add_argument("-f", "--feedback", action="store_true", help="print feedback as it comes")
    goal.set_defaults(run=send_goal)


def list_actions(arguments: argparse.Namespace) -> int:
    """Print the names of the actions, sorted.

    Returns:
        The exit code.
    """
    with open_session(arguments) as session:
        session.discover(arguments.spin_time)
        actions = sorted(get_action_names_and_types(session.node))
    if arguments.count_actions:
        print(len(actions))
        return 0
    for name, types in actions:
        print(f"{name} [{', '.join(types)}]" if arguments.show_types else name)
    return 0


def send_goal(arguments: argparse.Namespace) -> int:
    """Send a goal, once a server is there, and print what comes of it; Ctrl-C cancels it.

    Returns:
        The exit code.
    """
    kind = find_type(arguments.action_type, "action")
    goal = kind.Goal()
    fill(goal, parse_yaml(arguments.goal))
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
