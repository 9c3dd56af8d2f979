"""`ros2 service`: list and call services."""

from __future__ import annotations

import argparse
import time

from asterias_ros2.errors import VerbError
from asterias_ros2.graph.messages import (
    DEFAULT_TRUNCATE_LENGTH,
    fill,
    find_type,
    parse_yaml,
    to_repr,
)
from asterias_ros2.graph.session import HIDDEN_PREFIX, add_arguments, open_session


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verbs of `ros2 service`."""
    verbs = parser.add_subparsers(title="Verbs")
    listing = verbs.add_parser("list", help="list the services")
    add_arguments(listing)
    listing.add_argument("-t", "--show-types", action="store_true", help="show the types too")
    listing.add_argument(
        "-c", "--count-services", action="store_true", help="print their number only"
    )
    listing.add_argument(
        "--include-hidden-services", action="store_true", help="show hidden services too"
    )
    listing.set_defaults(run=list_services)

    call = verbs.add_parser("call", help="call a service")
    call.add_argument("service_name", help="name of the service, such as /e_stop")
    call.add_argument("service_type", help="type of the service, such as std_srvs/srv/SetBool")
    call.add_argument(
        "values", nargs="?", default="{}", help="request in YAML, such as '{data: true}'"
    )
    call.add_argument("-r", "--rate", metavar="N", type=float, help="repeat N times per second")
    call.add_argument(
        "-f",
        "--full-length",
        action="store_true",
        help=f"show arrays whole, not only their first {DEFAULT_TRUNCATE_LENGTH} elements",
    )
    call.set_defaults(run=call_service)


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
    fill(request, parse_yaml(arguments.values))
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
