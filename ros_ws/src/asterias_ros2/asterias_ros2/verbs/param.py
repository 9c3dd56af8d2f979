"""`ros2 param`: list, get and set the parameters of nodes."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import yaml
from rcl_interfaces.msg import Parameter, ParameterType
from rclpy.parameter import get_parameter_value, parameter_value_to_python
from rclpy.parameter_client import AsyncParameterClient

from asterias_ros2.errors import VerbError
from asterias_ros2.graph.session import GraphSession, add_arguments, open_session

SERVICE_PATIENCE_S = 5.0
LABELS = {
    ParameterType.PARAMETER_BOOL: ("boolean", "Boolean value is:"),
    ParameterType.PARAMETER_INTEGER: ("integer", "Integer value is:"),
    ParameterType.PARAMETER_DOUBLE: ("double", "Double value is:"),
    ParameterType.PARAMETER_STRING: ("string", "String value is:"),
    ParameterType.PARAMETER_BYTE_ARRAY: ("byte array", "Byte values are:"),
    ParameterType.PARAMETER_BOOL_ARRAY: ("boolean array", "Boolean values are:"),
    ParameterType.PARAMETER_INTEGER_ARRAY: ("integer array", "Integer values are:"),
    ParameterType.PARAMETER_DOUBLE_ARRAY: ("double array", "Double values are:"),
    ParameterType.PARAMETER_STRING_ARRAY: ("string array", "String values are:"),
    ParameterType.PARAMETER_NOT_SET: ("not set", "Parameter not set."),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verbs of `ros2 param`."""
    verbs = parser.add_subparsers(title="Verbs")
    listing = verbs.add_parser("list", help="list the parameters of one node or of all")
    add_arguments(listing)
    listing.add_argument("node_name", nargs="?", help="name of the node")
    listing.add_argument("--include-hidden-nodes", action="store_true", help="hidden nodes too")
    listing.add_argument("--param-type", action="store_true", help="show the types too")
    listing.set_defaults(run=list_parameters)

    get = verbs.add_parser("get", help="print the value of a parameter")
    _add_parameter_arguments(get)
    get.add_argument("--hide-type", action="store_true", help="print the value only")
    get.set_defaults(run=get_parameter)

    setting = verbs.add_parser("set", help="set a parameter")
    _add_parameter_arguments(setting)
    setting.add_argument("value", help="value in YAML")
    setting.set_defaults(run=set_parameter)


def _add_parameter_arguments(parser: argparse.ArgumentParser) -> None:
    add_arguments(parser)
    parser.add_argument("node_name", help="name of the node")
    parser.add_argument("parameter_name", help="name of the parameter")
    parser.add_argument("--include-hidden-nodes", action="store_true", help="hidden nodes too")
    parser.add_argument("--timeout", metavar="N", type=int, help="wait N seconds for the node")


def list_parameters(arguments: argparse.Namespace) -> int:
    """Print the names of the parameters, node by node.

    Returns:
        The exit code.
    """
    hidden = arguments.include_hidden_nodes
    with open_session(arguments) as session:
        if arguments.node_name:
            nodes = [session.require_node(arguments.node_name, arguments.spin_time, hidden=hidden)]
        else:
            session.discover(arguments.spin_time)
            own = session.node.get_fully_qualified_name()
            nodes = [name for name in session.node_names(hidden=hidden) if name != own]
        for node in nodes:
            _print_parameters(session, node, arguments)
    return 0


def _print_parameters(session: GraphSession, node: str, arguments: argparse.Namespace) -> None:
    try:
        client = _client(session, node)
    except VerbError as error:
        if arguments.node_name:
            raise
        print(error, file=sys.stderr)
        return
    listed = session.result(client.list_parameters(), node, SERVICE_PATIENCE_S)
    names = sorted(listed.result.names)
    if names and not arguments.node_name:
        print(f"{node}:")
    types = dict.fromkeys(names, "")
    if arguments.param_type and names:
        described = session.result(client.describe_parameters(names), node, SERVICE_PATIENCE_S)
        for descriptor in described.descriptors:
            types[descriptor.name] = f" (type: {LABELS[descriptor.type][0]})"
    for name in names:
        print(f"  {name}{types[name]}")


def get_parameter(arguments: argparse.Namespace) -> int:
    """Print the value of a parameter.

    Returns:
        The exit code.

    Raises:
        VerbError: the node has no such parameter.
    """
    with open_session(arguments) as session:
        client = _client_of(session, arguments)
        future = client.get_parameters([arguments.parameter_name])
        values = session.result(future, arguments.node_name, SERVICE_PATIENCE_S).values
    if not values:
        raise VerbError(f"Parameter not set: {arguments.parameter_name}")
    value = parameter_value_to_python(values[0])
    value = value.tolist() if hasattr(value, "tolist") else value
    label = LABELS[values[0].type][1]
    if arguments.hide_type:
        print(value)
    else:
        print(label if value is None else f"{label} {value}")
    return 0


def set_parameter(arguments: argparse.Namespace) -> int:
    """Set a parameter and say whether the node took it.

    Returns:
        The exit code.

    Raises:
        VerbError: the node refused.
    """
    parameter = Parameter(name=arguments.parameter_name, value=_value(arguments.value))
    with open_session(arguments) as session:
        client = _client_of(session, arguments)
        future = client.set_parameters([parameter])
        (result,) = session.result(future, arguments.node_name, SERVICE_PATIENCE_S).results
    reason = f": {result.reason}" if result.reason else ""
    if not result.successful:
        raise VerbError(f"Setting parameter failed{reason}")
    print(f"Set parameter successful{reason}")
    return 0


def _value(text: str) -> Any:
    try:
        return get_parameter_value(text)
    except yaml.YAMLError as error:
        message = " ".join(str(error).split())
        raise VerbError(f"value {text!r} is not valid YAML: {message}") from None


def _client_of(session: GraphSession, arguments: argparse.Namespace) -> Any:
    node = session.require_node(
        arguments.node_name,
        arguments.timeout if arguments.timeout is not None else arguments.spin_time,
        hidden=arguments.include_hidden_nodes,
    )
    return _client(session, node)


def _client(session: GraphSession, node: str) -> Any:
    """Return a client of the parameter services of a node, once they are there.

    Raises:
        VerbError: the node does not answer.
    """
    client = AsyncParameterClient(session.node, node)
    if not session.wait_for(client.services_are_ready, SERVICE_PATIENCE_S):
        raise VerbError(f"node {node} does not answer about its parameters; has it any?")
    return client
