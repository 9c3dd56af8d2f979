"""What clients publish, as the source ``foxglove`` of the command multiplexer.

A message on ``/limb_<i>/sources/foxglove`` is repeated with its dead-man for ``HOLD_S`` after it
came; then the dead-man is released. So a click of the Publish panel moves the limb for half a
second, who keeps publishing keeps driving, and a connection that is lost lets go.
"""

from __future__ import annotations

import json
import math
import re
import time
from dataclasses import dataclass
from functools import partial

from rclpy.serialization import deserialize_message
from std_msgs.msg import Bool, Float64MultiArray

from asterias_nodes.runtime.owned_entities import OwnedEntities
from asterias_nodes.runtime.qos import reliable_qos

SOURCE = "foxglove"
ENCODINGS = ("cdr", "json")
TOPIC = re.compile(rf"/limb_(\d+)/sources/{SOURCE}")
TYPES = ("std_msgs/msg/Float64MultiArray", "std_msgs/Float64MultiArray")
HOLD_S = 0.5
REPEAT_S = 0.05
# As many joints as any limb has, many times over.
LIMIT_BYTES = 4096


class CommandRefusedError(Exception):
    """A client's message is not passed on; the sentence is for the person at the client."""


@dataclass
class _Command:
    """What a limb is asked to do, and since when."""

    positions: list[float]
    time_s: float
    client: int


class ClientCommands:
    """Passes commands of clients on to the multiplexer, held while they keep coming.

    Args:
        owned: opens and closes topics and timer.
        limbs: number of limbs.
    """

    def __init__(self, owned: OwnedEntities, limbs: int) -> None:
        self._commands: dict[int, _Command] = {}
        prefix = [f"/limb_{i}/sources/{SOURCE}" for i in range(limbs)]
        publisher = partial(owned.publisher, qos=reliable_qos())
        self._positions = [publisher(Float64MultiArray, topic) for topic in prefix]
        self._deadman = [publisher(Bool, f"{topic}/deadman") for topic in prefix]
        owned.wall_timer(REPEAT_S, self._repeat)

    def limb_of(self, topic: str, type_name: str, encoding: str) -> int:
        """Return the limb that a client's channel commands.

        Raises:
            CommandRefusedError: it commands none.
        """
        found = TOPIC.fullmatch(topic)
        if found is None or int(found.group(1)) >= len(self._positions):
            raise CommandRefusedError(
                f"{topic} is not taken: publish to /limb_<i>/sources/{SOURCE}, "
                f"limbs 0 to {len(self._positions) - 1}."
            )
        if type_name not in TYPES:
            raise CommandRefusedError(f"{topic} takes {TYPES[0]}, not {type_name}.")
        if encoding not in ENCODINGS:
            raise CommandRefusedError(f"{topic} takes cdr or json, not {encoding}.")
        return int(found.group(1))

    def take(self, client: int, limb: int, encoding: str, data: bytes) -> None:
        """Command a limb, for as long as messages keep coming.

        Passes on ``CommandRefusedError``: the message is none, or its numbers are not finite.
        """
        self._commands[limb] = _Command(_positions(encoding, data), time.monotonic(), client)

    def release(self, client: int) -> None:
        """Let go of what a client commands."""
        for command in self._commands.values():
            if command.client == client:
                command.time_s = -math.inf

    def _repeat(self) -> None:
        for limb, command in list(self._commands.items()):
            is_held = time.monotonic() - command.time_s < HOLD_S
            self._deadman[limb].publish(Bool(data=is_held))
            if is_held:
                self._positions[limb].publish(Float64MultiArray(data=command.positions))
            else:
                del self._commands[limb]


def _positions(encoding: str, data: bytes) -> list[float]:
    """Return the positions of a message.

    Raises:
        CommandRefusedError: it is none, or it holds values that are not finite.
    """
    if len(data) > LIMIT_BYTES:
        raise CommandRefusedError(f"A command has at most {LIMIT_BYTES} bytes, not {len(data)}.")
    try:
        if encoding == "json":
            values = [float(value) for value in json.loads(data)["data"]]
        else:
            values = list(deserialize_message(data, Float64MultiArray).data)
    except Exception as error:  # rclpy has no type of its own for bytes that are no message
        text = "This is no std_msgs/msg/Float64MultiArray: {data: [rad, ...]}."
        raise CommandRefusedError(text) from error
    if not all(map(math.isfinite, values)):
        raise CommandRefusedError("A command holds a value that is not finite.")
    return values
