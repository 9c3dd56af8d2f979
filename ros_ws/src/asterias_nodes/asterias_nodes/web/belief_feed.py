"""The newest picture of where a searcher takes the target to be, for the page."""

from __future__ import annotations

import base64

from rclpy.node import Node
from sensor_msgs.msg import CompressedImage

from asterias_nodes.runtime.qos import latched_qos

TOPIC = "/target/belief"
# The picture of ours has some 20 kB; each page gets it as text.
MAX_JPEG_BYTES = 400_000
JPEG_START = b"\xff\xd8\xff"
WARN_PERIOD_S = 5.0


class BeliefFeed:
    """Receives ``/target/belief``.

    Args:
        node: the hosting node.

    Attributes:
        number: counts the pictures that can be shown.
    """

    def __init__(self, node: Node) -> None:
        self.number = 0
        self._node = node
        self._jpeg = b""
        node.create_subscription(CompressedImage, TOPIC, self._on_picture, latched_qos())

    def data_url(self) -> str:
        """Return the newest picture as a browser takes it, or nothing before the first."""
        if not self._jpeg:
            return ""
        return f"data:image/jpeg;base64,{base64.b64encode(self._jpeg).decode()}"

    def _on_picture(self, message: CompressedImage) -> None:
        data = bytes(message.data)
        if len(data) > MAX_JPEG_BYTES or not data.startswith(JPEG_START):
            text = f"A picture on {TOPIC} is not shown: it is no JPEG of {MAX_JPEG_BYTES} bytes."
            self._node.get_logger().warning(text, throttle_duration_sec=WARN_PERIOD_S)
            return
        self._jpeg = data
        self.number += 1
