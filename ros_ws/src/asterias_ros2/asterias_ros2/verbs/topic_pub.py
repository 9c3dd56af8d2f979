"""`ros2 topic pub`: publish a message, once or again and again."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from asterias_ros2.errors import VerbError
from asterias_ros2.graph.completers import message_types, prototypes
from asterias_ros2.graph.messages import fill, find_type, parse_yaml, to_repr
from asterias_ros2.graph.qos import add_qos_arguments, given_profile
from asterias_ros2.graph.session import SLICE_S, GraphSession, add_arguments, open_session
from asterias_ros2.graph.stamps import put_stamps, take_stamps
from asterias_ros2.graph.topics import add_topic_argument, full_name
from asterias_ros2.parsers import Verbs, completed, positive_float, unsigned_int

# While there are too few subscriptions, one look in 10 tells so.
LOOK_PERIOD_S = 0.1
LOOKS_PER_LINE = 10


def configure(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add("pub", "publish messages to a topic", publish)
    add_topic_argument(parser)
    completed(
        parser.add_argument("message_type", help="type, such as std_msgs/msg/String"),
        message_types,
    )
    values = parser.add_mutually_exclusive_group()
    completed(
        values.add_argument(
            "values",
            nargs="?",
            default="{}",
            help="message in YAML, such as 'data: Hello'; a header may be 'auto', a time 'now'",
        ),
        prototypes("message_type"),
    )
    values.add_argument("--stdin", action="store_true", help="read the message from standard input")
    parser.add_argument(
        "-r",
        "--rate",
        metavar="N",
        type=positive_float,
        default=1.0,
        help="messages per second (default: 1)",
    )
    parser.add_argument(
        "-p",
        "--print",
        metavar="N",
        type=int,
        default=1,
        help="print each Nth one (default: 1)",
    )
    times = parser.add_mutually_exclusive_group()
    times.add_argument("-1", "--once", action="store_true", help="publish one message and exit")
    times.add_argument("-t", "--times", type=unsigned_int, default=0, help="exit after so many")
    parser.add_argument(
        "-w",
        "--wait-matching-subscriptions",
        type=unsigned_int,
        help="wait for so many subscriptions (default: 1 with --once and --times, else 0)",
    )
    parser.add_argument(
        "--max-wait-time-secs", type=positive_float, help="longest wait for them, in seconds"
    )
    parser.add_argument(
        "--keep-alive",
        metavar="N",
        type=positive_float,
        default=0.1,
        help="seconds to live on after the last message (default: 0.1)",
    )
    parser.add_argument("-n", "--node-name", help="name of the publishing node")
    add_qos_arguments(parser, "publish", "default")
    add_arguments(parser)


def publish(arguments: argparse.Namespace) -> int:
    """Publish messages.

    Returns:
        The exit code.

    Raises:
        VerbError: the message or an option makes no sense, or nobody subscribes in time.
    """
    message = find_type(arguments.message_type, "msg")()
    values = parse_yaml(sys.stdin.read() if arguments.stdin else arguments.values)
    if not isinstance(values, dict):
        raise VerbError("The passed value needs to be a dictionary in YAML format")
    stamped = take_stamps(message, values)
    fill(message, values)
    times = 1 if arguments.once else arguments.times
    wanted = arguments.wait_matching_subscriptions
    wanted = int(times != 0) if wanted is None else wanted
    if wanted == 0 and arguments.max_wait_time_secs is not None:
        raise VerbError(
            "--max-wait-time-secs option is only effective with --wait-matching-subscriptions, "
            "--once or --times"
        )
    with open_session(arguments, arguments.node_name) as session:
        name = full_name(session, arguments.topic_name)
        publisher = session.node.create_publisher(type(message), name, given_profile(arguments))
        _wait(session, publisher, wanted, arguments.max_wait_time_secs)
        print("publisher: beginning loop")
        _loop(session, publisher, message, stamped, times, arguments)
    return 0


def _wait(session: GraphSession, publisher: Any, wanted: int, longest_s: float | None) -> None:
    """Wait for subscriptions.

    Raises:
        VerbError: there are too few in time.
    """
    looks = 0
    while (found := publisher.get_subscription_count()) < wanted:
        if looks % LOOKS_PER_LINE == 0:
            print(f"Waiting for at least {wanted} matching subscription(s)...")
        if longest_s is not None and looks * LOOK_PERIOD_S >= longest_s:
            raise VerbError(
                f"Timed out waiting for subscribers: Expected {wanted} subcribers but only got "
                f"{found} subscribers"
            )
        looks += 1
        session.wait_for(lambda: publisher.get_subscription_count() >= wanted, LOOK_PERIOD_S)


def _loop(
    session: GraphSession,
    publisher: Any,
    message: Any,
    stamped: list[tuple[str, ...]],
    times: int,
    arguments: argparse.Namespace,
) -> None:
    """Publish, at once and then at the rate, for so many times; 0 for ever."""
    began_s, count = time.monotonic(), 0
    while times == 0 or count < times:
        due_s = began_s + count / arguments.rate
        while (left_s := due_s - time.monotonic()) > 0:
            session.spin_once(min(left_s, SLICE_S))
        count += 1
        put_stamps(message, stamped, session.node.get_clock().now().to_msg())
        if arguments.print and count % arguments.print == 0:
            print(f"publishing #{count}: {to_repr(message)}\n")
        publisher.publish(message)
    # What was sent last is on its way still.
    time.sleep(arguments.keep_alive)
