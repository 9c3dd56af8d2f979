"""`ros2 param`: the parameters of nodes: list, get, set, dump, load."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rclpy.parameter import (
    PARAMETER_SEPARATOR_STRING,
    get_parameter_value,
    parameter_dict_from_yaml_file,
)

from asterias_ros2.errors import VerbError
from asterias_ros2.graph.completers import node_names, parameter_names
from asterias_ros2.graph.parameters import (
    SERVICE_PATIENCE_S,
    get_values,
    list_names,
    parameter_client,
    plain_value,
)
from asterias_ros2.graph.session import GraphSession, add_arguments, open_session
from asterias_ros2.parsers import Verbs, completed
from asterias_ros2.safe_yaml import load_yaml

# What rclpy's reader meets in files that are not what they claim.
READING_ERRORS = (
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    AttributeError,
    KeyError,
    AssertionError,
    yaml.YAMLError,
)
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
    verbs = Verbs(parser)
    _add_parameter(verbs.add("delete", "delete a parameter", delete_parameter))
    describe = verbs.add("describe", "print what is known of parameters", describe_parameters)
    _add_parameter(describe, "parameter_names", "+")
    _add_node(verbs.add("dump", "print all parameters of a node as a YAML file", dump_parameters))
    get = verbs.add("get", "print the value of a parameter", get_parameter)
    _add_parameter(get)
    get.add_argument("--hide-type", action="store_true", help="print the value only")

    listing = verbs.add("list", "list the parameters of one node or of all", list_parameters)
    _add_node(listing, nargs="?")
    listing.add_argument("--filter", metavar="REGEX", help="those that match, from their beginning")
    listing.add_argument("--param-prefixes", nargs="+", default=[], help="those below these names")
    listing.add_argument("--param-type", action="store_true", help="show the types too")

    load = verbs.add("load", "set the parameters of a YAML file", load_parameters)
    _add_node(load)
    load.add_argument("parameter_file", help="YAML file, as `ros2 param dump` writes it")
    load.add_argument(
        "--no-use-wildcard", action="store_true", help="leave out what stands below '/**'"
    )
    setting = verbs.add("set", "set a parameter", set_parameter)
    _add_parameter(setting)
    setting.add_argument("value", help="value in YAML")


def _add_node(parser: argparse.ArgumentParser, nargs: str | None = None) -> None:
    add_arguments(parser)
    completed(parser.add_argument("node_name", nargs=nargs, help="name of the node"), node_names)
    parser.add_argument("--include-hidden-nodes", action="store_true", help="hidden nodes too")
    parser.add_argument("--timeout", metavar="N", type=int, help="wait N seconds for the node")


def _add_parameter(
    parser: argparse.ArgumentParser, name: str = "parameter_name", nargs: str | None = None
) -> None:
    _add_node(parser)
    completed(parser.add_argument(name, nargs=nargs, help="name of the parameter"), parameter_names)


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
        client = parameter_client(session, node)
    except VerbError as error:
        if arguments.node_name:
            raise
        print(error, file=sys.stderr)
        return
    names = list_names(session, node, arguments.param_prefixes)
    if arguments.filter is not None:
        names = [name for name in names if _pattern(arguments.filter).match(name)]
    if names and not arguments.node_name:
        print(f"{node}:")
    types = dict.fromkeys(names, "")
    if arguments.param_type and names:
        described = session.result(client.describe_parameters(names), node, SERVICE_PATIENCE_S)
        for descriptor in described.descriptors:
            types[descriptor.name] = f" (type: {LABELS[descriptor.type][0]})"
    for name in names:
        print(f"  {name}{types[name]}")


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise VerbError(f"--filter {text!r} is no regular expression: {error}") from None


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
    value = plain_value(values[0])
    label = LABELS[values[0].type][1]
    if arguments.hide_type:
        print(value)
    else:
        print(label if value is None else f"{label} {value}")
    return 0


def set_parameter(arguments: argparse.Namespace) -> int:
    """Set a parameter and say whether the node took it.

    A ``VerbError`` says so where the node refused.

    Returns:
        The exit code.
    """
    parameter = Parameter(name=arguments.parameter_name, value=_value(arguments.value))
    reason = _write(arguments, parameter, "Setting")
    print(f"Set parameter successful{reason}")
    return 0


def _write(arguments: argparse.Namespace, parameter: Parameter, action: str) -> str:
    """Write a parameter.

    Returns:
        What the node has said about it, as the end of a sentence.

    Raises:
        VerbError: the node refused; ``action`` says what failed.
    """
    with open_session(arguments) as session:
        client = _client_of(session, arguments)
        future = client.set_parameters([parameter])
        (result,) = session.result(future, arguments.node_name, SERVICE_PATIENCE_S).results
    reason = f": {result.reason}" if result.reason else ""
    if not result.successful:
        raise VerbError(f"{action} parameter failed{reason}")
    return reason


def delete_parameter(arguments: argparse.Namespace) -> int:
    """Delete a parameter and say whether the node did.

    A ``VerbError`` says so where the node refused.

    Returns:
        The exit code.
    """
    nothing = ParameterValue(type=ParameterType.PARAMETER_NOT_SET)
    parameter = Parameter(name=arguments.parameter_name, value=nothing)
    reason = _write(arguments, parameter, "Deleting")
    print(f"Deleted parameter successfully{reason}")
    return 0


def describe_parameters(arguments: argparse.Namespace) -> int:
    """Print type, description and bounds of parameters.

    Returns:
        The exit code.
    """
    with open_session(arguments) as session:
        client = _client_of(session, arguments)
        future = client.describe_parameters(arguments.parameter_names)
        described = session.result(future, arguments.node_name, SERVICE_PATIENCE_S)
    for descriptor in described.descriptors:
        for line in _description(descriptor):
            print(line)
    return 0


def _description(descriptor: Any) -> Iterator[str]:
    yield f"Parameter name: {descriptor.name}"
    yield f"  Type: {LABELS[descriptor.type][0]}"
    if descriptor.description:
        yield f"  Description: {descriptor.description}"
    yield "  Constraints:"
    if descriptor.read_only:
        yield "    Read only: true"
    for bounds in [*descriptor.floating_point_range, *descriptor.integer_range][:1]:
        yield f"    Min value: {bounds.from_value}"
        yield f"    Max value: {bounds.to_value}"
        if bounds.step:
            yield f"    Step: {bounds.step}"
    if descriptor.additional_constraints:
        yield f"    Additional constraints: {descriptor.additional_constraints}"


def dump_parameters(arguments: argparse.Namespace) -> int:
    """Print all parameters of a node as a file that `load` and `--params-file` take.

    Returns:
        The exit code.
    """
    with open_session(arguments) as session:
        node = _node(session, arguments)
        values = get_values(session, node, list_names(session, node))
    tree: dict[str, Any] = {}
    for name, value in values.items():
        *groups, last = name.split(PARAMETER_SEPARATOR_STRING)
        place = tree
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = value
    print(yaml.dump({node: {"ros__parameters": tree}}, default_flow_style=False))
    return 0


def load_parameters(arguments: argparse.Namespace) -> int:
    """Set the parameters of a file and say of each whether the node took it.

    Returns:
        The exit code: 1 where it refused one.

    Raises:
        VerbError: the file cannot be read or holds nothing for the node.
    """
    path = arguments.parameter_file
    with open_session(arguments) as session:
        node = _node(session, arguments)
        try:
            load_yaml(Path(path).read_text(encoding="utf-8"))  # bounded, unlike rclpy's own reader
            parameters = parameter_dict_from_yaml_file(
                path, not arguments.no_use_wildcard, target_nodes=[node]
            )
        except READING_ERRORS as why:
            reason = getattr(why, "strerror", None) or " ".join(str(why).split())
            raise VerbError(f"{path} is no file of parameters of {node}: {reason}") from None
        if not parameters:
            raise VerbError(f"{path} holds no parameters of {node}; see ros2 param dump {node}")
        future = parameter_client(session, node).set_parameters(list(parameters.values()))
        results = session.result(future, node, SERVICE_PATIENCE_S).results
    for name, result in zip(parameters, results, strict=True):
        reason = f": {result.reason}" if result.reason else ""
        outcome = "successful" if result.successful else "failed"
        stream = sys.stdout if result.successful else sys.stderr
        print(f"Set parameter {name} {outcome}{reason}", file=stream)
    return 0 if all(result.successful for result in results) else 1


def _value(text: str) -> Any:
    try:
        return get_parameter_value(text)
    except yaml.YAMLError as error:
        message = " ".join(str(error).split())
        raise VerbError(f"value {text!r} is not valid YAML: {message}") from None


def _node(session: GraphSession, arguments: argparse.Namespace) -> str:
    return session.require_node(
        arguments.node_name,
        arguments.timeout if arguments.timeout is not None else arguments.spin_time,
        hidden=arguments.include_hidden_nodes,
    )


def _client_of(session: GraphSession, arguments: argparse.Namespace) -> Any:
    return parameter_client(session, _node(session, arguments))
