"""`ros2 interface`: messages, services and actions, and what they hold."""

from __future__ import annotations

import argparse
import sys

from asterias_ros2.errors import VerbError
from asterias_ros2.interfaces import KINDS, interface_names, interface_path, interfaces, shown_lines
from asterias_ros2.parsers import Verbs, completed, nearest

TITLES = {"msg": "Messages:", "srv": "Services:", "action": "Actions:"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verbs of `ros2 interface`."""
    verbs = Verbs(parser)
    _add_kinds(verbs.add("list", "list all interfaces there are", list_interfaces))

    package = verbs.add("package", "list the interfaces of a package", list_package)
    _add_kinds(package)
    completed(
        package.add_argument("package_name", help="name of the package, such as std_msgs"),
        lambda **_: sorted(interfaces()),
    )
    _add_kinds(verbs.add("packages", "list the packages with interfaces", list_packages))

    proto = verbs.add("proto", "print an interface's fields as YAML to fill in", print_prototype)
    _add_type(proto)
    proto.add_argument("--no-quotes", action="store_true", help="without quotes round the YAML")

    show = verbs.add("show", "print the definition of an interface", show_interface)
    comments = show.add_mutually_exclusive_group()
    comments.add_argument("--all-comments", action="store_true", help="those of nested types too")
    comments.add_argument(
        "--no-comments", action="store_true", help="neither comments nor empty lines"
    )
    _add_type(show)


def _add_kinds(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-m", "--only-msgs", action="store_true", help="messages only")
    parser.add_argument("-s", "--only-srvs", action="store_true", help="services only")
    parser.add_argument("-a", "--only-actions", action="store_true", help="actions only")


def _add_type(parser: argparse.ArgumentParser) -> None:
    completed(
        parser.add_argument(
            "type", help="such as std_msgs/msg/String; - reads it from standard input"
        ),
        lambda **_: interface_names(),
    )


def _kinds(arguments: argparse.Namespace) -> tuple[str, ...]:
    wanted = (arguments.only_msgs, arguments.only_srvs, arguments.only_actions)
    return tuple(kind for kind, want in zip(KINDS, wanted, strict=True) if want) or KINDS


def list_interfaces(arguments: argparse.Namespace) -> int:
    """Print all interfaces, by kind.

    Returns:
        The exit code.
    """
    for kind in _kinds(arguments):
        print(TITLES[kind])
        for name in interface_names((kind,)):
            print(f"    {name}")
    return 0


def list_package(arguments: argparse.Namespace) -> int:
    """Print the interfaces of a package.

    Returns:
        The exit code.

    Raises:
        VerbError: there is no such package with interfaces.
    """
    known = interfaces()
    if arguments.package_name not in known:
        told = nearest(arguments.package_name, known, "package with interfaces")
        raise VerbError(f"Unknown package: {told}")
    for name in interface_names(_kinds(arguments), arguments.package_name):
        print(name)
    return 0


def list_packages(arguments: argparse.Namespace) -> int:
    """Print the packages that have interfaces.

    Returns:
        The exit code.
    """
    names = interface_names(_kinds(arguments))
    for package in sorted({name.partition("/")[0] for name in names}):
        print(package)
    return 0


def show_interface(arguments: argparse.Namespace) -> int:
    """Print the definition of an interface, with that of the types it uses.

    Returns:
        The exit code.
    """
    lines = shown_lines(
        _type(arguments),
        comments=not arguments.no_comments,
        nested_comments=arguments.all_comments,
    )
    for line in lines:
        print(line)
    return 0


def print_prototype(arguments: argparse.Namespace) -> int:
    """Print a message, request or goal with its first values, as YAML.

    Returns:
        The exit code.
    """
    from asterias_ros2.graph.messages import prototype  # the other verbs need no ROS

    name = _type(arguments)
    interface_path(name)  # says what is wrong with the name
    text = prototype(name)
    print(text if arguments.no_quotes else f'"{text}"')
    return 0


def _type(arguments: argparse.Namespace) -> str:
    """Return the type that was given, or that comes over standard input.

    Raises:
        VerbError: nothing comes.
    """
    name: str = arguments.type
    if name == "-":
        if sys.stdin.isatty():
            raise VerbError("'-' reads the type from standard input, but nothing is piped into it")
        name = sys.stdin.readline().strip()
    if not name:
        raise VerbError("the passed value is empty; give a type such as std_msgs/msg/String")
    return name
