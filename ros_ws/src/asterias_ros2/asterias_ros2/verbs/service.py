"""`ros2 service`: list, describe and call services."""

from __future__ import annotations

import argparse
import sys
import time

from asterias_ros2.errors import VerbError
from asterias_ros2.graph.completers import prototypes, service_names, service_types
from asterias_ros2.graph.messages import (
    DEFAULT_TRUNCATE_LENGTH,
    fill,
    find_type,
    parse_yaml,
    to_repr,
)
from asterias_ros2.graph.session import (
    HIDDEN_PREFIX,
    GraphSession,
    add_arguments,
    open_session,
    print_names_of_type,
)
from asterias_ros2.interfaces import interface_names
from asterias_ros2.parsers import Verbs, completed


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verbs of `ros2 service`."""
    verbs = Verbs(parser)
    _configure_call(verbs.add("call", "call a service", call_service))

    find = verbs.add("find", "list the services of a type", find_services)
    add_arguments(find)
    completed(
        find.add_argument("service_type", help="type, such as std_srvs/srv/SetBool"),
        lambda **_: interface_names(("srv",)),
    )
    _add_count(find)

    info = verbs.add("info", "print the type and the number of servers of a service", show_info)
    add_arguments(info)
    _add_name(info)

    listing = verbs.add("list", "list the services", list_services)
    add_arguments(listing)
    listing.add_argument("-t", "--show-types", action="store_true", help="show the types too")
    _add_count(listing)

    kind = verbs.add("type", "print the type of a service", show_type)
    add_arguments(kind)
    _add_name(kind)


def _configure_call(parser: argparse.ArgumentParser) -> None:
    _add_name(parser)
    completed(
        parser.add_argument("service_type", help="type, such as std_srvs/srv/SetBool"),
        service_types,
    )
    values = parser.add_mutually_exclusive_group()
    completed(
        values.add_argument(
            "values", nargs="?", default="{}", help="request in YAML, such as '{data: true}'"
        ),
        prototypes("service_type"),
    )
    values.add_argument("--stdin", action="store_true", help="read the request from standard input")
    parser.add_argument("-r", "--rate", metavar="N", type=float, help="repeat N times per second")
    parser.add_argument(
        "-f",
        "--full-length",
        action="store_true",
        help=f"show arrays whole, not only their first {DEFAULT_TRUNCATE_LENGTH} elements",
    )


def _add_name(parser: argparse.ArgumentParser) -> None:
    completed(
        parser.add_argument("service_name", help="name of the service, such as /e_stop"),
        service_names,
    )


def _add_count(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-c", "--count-services", action="store_true", help="print their number only"
    )
    parser.add_argument(
        "--include-hidden-services", action="store_true", help="hidden services too"
    )


def list_services(arguments: argparse.Namespace) -> int:
    """Print the names of the services, sorted.

    Returns:
        The exit code.
    """
    with open_session(arguments) as session:
        session.discover(arguments.spin_time)
        services = session.services(hidden=arguments.include_hidden_services)
    if arguments.count_services:
        print(len(services))
        return 0
    for name, types in services:
        print(f"{name} [{', '.join(types)}]" if arguments.show_types else name)
    return 0


def find_services(arguments: argparse.Namespace) -> int:
    """Print the services of a type.

    Returns:
        The exit code.
    """
    with open_session(arguments) as session:
        session.discover(arguments.spin_time)
        services = session.services(hidden=arguments.include_hidden_services)
    print_names_of_type(services, arguments.service_type, count=arguments.count_services)
    return 0


def show_type(arguments: argparse.Namespace) -> int:
    """Print the type of a service.

    Returns:
        The exit code: 1 where there is no such service.
    """
    with open_session(arguments) as session:
        types = _types(session, arguments)
    for kind in types:
        print(kind)
    return 0 if types else 1


def show_info(arguments: argparse.Namespace) -> int:
    """Print type and number of clients and servers of a service.

    Returns:
        The exit code.

    Raises:
        VerbError: there is no such service.
    """
    with open_session(arguments) as session:
        name = arguments.service_name
        session.discover(arguments.spin_time)
        types = dict(session.services(hidden=True)).get(name)
        if types is None:
            raise VerbError(f"Unknown service '{name}'; see ros2 service list")
        print(f"Type: {types[0] if len(types) == 1 else types}")
        print(f"Clients count: {session.node.count_clients(name)}")
        print(f"Services count: {session.node.count_services(name)}")
    return 0


def _types(session: GraphSession, arguments: argparse.Namespace) -> list[str]:
    name = arguments.service_name
    session.discover(arguments.spin_time, lambda: name in dict(session.services(hidden=True)))
    return dict(session.services(hidden=True)).get(name, [])


def call_service(arguments: argparse.Namespace) -> int:
    """Call a service, once it is there, and print request and response.

    Returns:
        The exit code.

    Raises:
        VerbError: the rate is not positive.
    """
    if arguments.rate is not None and arguments.rate <= 0:
        raise VerbError("rate must be greater than zero")
    kind = find_type(arguments.service_type, "srv")
    limit = None if arguments.full_length else DEFAULT_TRUNCATE_LENGTH
    request = kind.Request()
    fill(request, parse_yaml(sys.stdin.read() if arguments.stdin else arguments.values))
    package, *_, name = arguments.service_type.split("/")
    with open_session(name=f"{HIDDEN_PREFIX}_requester_{package}_{name}") as session:
        client = session.node.create_client(kind, arguments.service_name)
        if not client.service_is_ready():
            print("waiting for service to become available...")
            session.wait_for(client.service_is_ready)
        while True:
            called_s = time.monotonic()
            print(f"requester: making request: {to_repr(request, limit)}\n")
            answer = session.result(client.call_async(request), arguments.service_name)
            print(f"response:\n{to_repr(answer, limit)}\n")
            if arguments.rate is None:
                return 0
            time.sleep(max(0.0, called_s + 1.0 / arguments.rate - time.monotonic()))
