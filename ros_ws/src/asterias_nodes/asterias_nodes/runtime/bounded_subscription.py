"""A subscription that refuses messages above a size before they are unpacked.

Unpacking costs a node's thread about 10 us per point of a trajectory: a message of 100,000 points
would stop everything else that the node does for seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.serialization import deserialize_message
from rclpy.subscription import Subscription

from asterias_nodes.runtime.owned_entities import OwnedEntities
from asterias_nodes.runtime.qos import reliable_qos


def bounded_subscription(
    owned: OwnedEntities,
    message_type: type,
    topic: str,
    callback: Callable[[Any], None],
    *,
    limit_bytes: int,
    on_refused: Callable[[str], None],
) -> Subscription:
    """Return a subscription whose callback gets messages of at most ``limit_bytes``.

    Args:
        owned: opens and closes it.
        message_type: the type of the topic.
        topic: its name.
        callback: gets each message.
        limit_bytes: of a message as it comes over the wire.
        on_refused: gets a sentence about each message that is larger.
    """

    def take(data: bytes) -> None:
        if len(data) > limit_bytes:
            on_refused(
                f"A message of {len(data)} bytes on {topic} is refused; "
                f"at most {limit_bytes} are taken."
            )
        else:
            callback(deserialize_message(data, message_type))

    return owned.subscription(message_type, topic, take, reliable_qos(), raw=True)
