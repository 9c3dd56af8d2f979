"""`ros2 lifecycle`: the state of managed nodes."""

from __future__ import annotations

import argparse
from typing import Any

from lifecycle_msgs.srv import ChangeState, GetAvailableTransitions, GetState

from asterias_ros2.errors import VerbError
from asterias_ros2.graph.completers import node_names
from asterias_ros2.graph.session import GraphSession, add_arguments, open_session
from asterias_ros2.parsers import Verbs, completed

PATIENCE_S = 5.0
# A transition may do real work, such as opening cameras.
TRANSITION_PATIENCE_S = 60.0
TRANSITIONS = ("configure", "activate", "deactivate", "cleanup", "shutdown")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verbs of `ros2 lifecycle`."""
    verbs = Verbs(parser)
    get = verbs.add("get", "print the state of one managed node or of all", get_states)
    _add_node(get, "?")
    listing = verbs.add("list", "list the transitions a node can make now", list_transitions)
    _add_node(listing)
    listing.add_argument("-a", "--all", action="store_true", help="all transitions there are")
    add_arguments(verbs.add("nodes", "list the managed nodes", list_nodes))
    change = verbs.add("set", "make a node do a transition", set_state)
    _add_node(change)
    completed(
        change.add_argument("transition", help="name or number of the transition: configure, ..."),
        lambda **_: TRANSITIONS,
    )


def _add_node(parser: argparse.ArgumentParser, nargs: str | None = None) -> None:
    add_arguments(parser)
    completed(parser.add_argument("node_name", nargs=nargs, help="name of the node"), node_names)


def list_nodes(arguments: argparse.Namespace) -> int:
    """Print the names of the managed nodes.

    Returns:
        The exit code.
    """
    with open_session(arguments) as session:
        session.discover(arguments.spin_time)
        for name in _managed(session):
            print(name)
    return 0


def get_states(arguments: argparse.Namespace) -> int:
    """Print the state of one managed node, or of each.

    Returns:
        The exit code.
    """
    with open_session(arguments) as session:
        if arguments.node_name:
            state = _state(session, _require(session, arguments))
            print(f"{state.label} [{state.id}]")
            return 0
        session.discover(arguments.spin_time)
        for name in _managed(session):
            state = _state(session, name)
            print(f"{name}: {state.label} [{state.id}]")
    return 0


def list_transitions(arguments: argparse.Namespace) -> int:
    """Print transitions with their start and goal states.

    Returns:
        The exit code.
    """
    service = "get_transition_graph" if arguments.all else "get_available_transitions"
    with open_session(arguments) as session:
        for item in _transitions(session, _require(session, arguments), service):
            print(
                f"- {item.transition.label} [{item.transition.id}]\n"
                f"\tStart: {item.start_state.label}\n\tGoal: {item.goal_state.label}"
            )
    return 0


def set_state(arguments: argparse.Namespace) -> int:
    """Make a node do a transition and say whether it did.

    Returns:
        The exit code.

    Raises:
        VerbError: the node refused.
    """
    with open_session(arguments) as session:
        node = _require(session, arguments)
        available = [
            item.transition for item in _transitions(session, node, "get_available_transitions")
        ]
        request = ChangeState.Request()
        request.transition = _choose(available, arguments.transition)
        answer = _call(session, ChangeState, f"{node}/change_state", request, TRANSITION_PATIENCE_S)
    if not answer.success:
        raise VerbError("Transitioning failed")
    print("Transitioning successful")
    return 0


def _choose(available: list[Any], wanted: str) -> Any:
    """Return the transition of a name or, if none has it, of a number.

    Raises:
        VerbError: there is none; the message lists those that are possible now.
    """
    for transition in available:
        if transition.label == wanted:
            return transition
    for transition in available:
        if str(transition.id) == wanted:
            return transition
    listed = "".join(f"\n- {transition.label} [{transition.id}]" for transition in available)
    raise VerbError(f"Unknown transition requested, available ones are:{listed}")


def _managed(session: GraphSession) -> list[str]:
    """Return the names of the nodes that have a state."""
    services = {
        name for name, types in session.services() if "lifecycle_msgs/srv/GetState" in types
    }
    return [name for name in session.node_names() if f"{name}/get_state" in services]


def _require(session: GraphSession, arguments: argparse.Namespace) -> str:
    node = session.require_node(arguments.node_name, arguments.spin_time)
    if not session.wait_for(lambda: node in _managed(session), PATIENCE_S):
        raise VerbError(f"node {node} is not a managed node; see ros2 lifecycle nodes")
    return node


def _state(session: GraphSession, node: str) -> Any:
    return _call(session, GetState, f"{node}/get_state", GetState.Request()).current_state


def _transitions(session: GraphSession, node: str, service: str) -> list[Any]:
    request = GetAvailableTransitions.Request()
    answer = _call(session, GetAvailableTransitions, f"{node}/{service}", request)
    return list(answer.available_transitions)


def _call(
    session: GraphSession, kind: Any, name: str, request: Any, patience_s: float = PATIENCE_S
) -> Any:
    client = session.node.create_client(kind, name)
    if not session.wait_for(client.service_is_ready, PATIENCE_S):
        raise VerbError(f"service {name} is not there")
    return session.result(client.call_async(request), name, patience_s)
