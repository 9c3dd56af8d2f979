"""Pictures for the page: of cameras, received while a page is open, and of a searcher's belief."""

from __future__ import annotations

import base64
import time
from functools import partial
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image

from asterias_nodes.runtime.conversions import from_image_msg, to_seconds
from asterias_nodes.runtime.qos import latched_qos, sensor_qos
from asterias_nodes.web.live import CameraKey, LiveFrame, LiveHub
from hardware.description.robot import RobotDescription

# What a message may hold: libjpeg writes at most 65,500 pixels a side, and a page needs far less.
MAX_SIDE_PX = 8192
MAX_JPEG_BYTES = 16_000_000
WARN_PERIOD_S = 5.0
BELIEF_TOPIC = "/target/belief"
# The picture of ours has some 20 kB; each page gets it as text.
MAX_BELIEF_BYTES = 400_000
JPEG_START = b"\xff\xd8\xff"


class CameraFeeds:
    """The newest picture of each camera, while a page is open.

    Args:
        node: the hosting node.
        robot: which cameras there are.
        hub: gets the pictures.
        pictures: ``raw`` or ``compressed``.
        rate_hz: pictures per s and camera at most.
    """

    def __init__(
        self, node: Node, robot: RobotDescription, hub: LiveHub, pictures: str, rate_hz: float
    ) -> None:
        self._node, self._hub, self._pictures = node, hub, pictures
        # A little less than the period, so that a camera of exactly this rate loses no picture.
        self._gap_s = 0.8 / rate_hz
        self._keys = [
            (i, j) for i, limb in enumerate(robot.limbs) for j in range(len(limb.live_cameras))
        ]
        self._counts = dict.fromkeys(self._keys, 0)
        self._last_s = dict.fromkeys(self._keys, -np.inf)
        self._subscriptions: list[Subscription] = []

    def set_open(self, is_open: bool) -> None:
        """Subscribe to all cameras, or end the subscriptions."""
        if is_open == bool(self._subscriptions):
            return
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = [self._subscribe(key) for key in self._keys] if is_open else []

    def _subscribe(self, key: CameraKey) -> Subscription:
        topic = f"/limb_{key[0]}/camera_{key[1]}/image_raw"
        is_raw = self._pictures == "raw"
        return self._node.create_subscription(
            Image if is_raw else CompressedImage,
            topic if is_raw else f"{topic}/compressed",
            partial(self._on_picture, key),
            sensor_qos(1),
        )

    def _on_picture(self, key: CameraKey, message: Any) -> None:
        now = time.monotonic()
        if now - self._last_s[key] < self._gap_s:
            return
        self._last_s[key] = now
        frame = LiveFrame(key, self._counts[key] + 1, to_seconds(message.header.stamp), time.time())
        try:
            _fill(frame, message)
        except ValueError as error:
            text = f"A picture of limb_{key[0]}, camera_{key[1]} is not shown: {error}"
            self._node.get_logger().warning(text, throttle_duration_sec=WARN_PERIOD_S)
            return
        self._counts[key] += 1
        self._hub.offer_frame(frame)


def _fill(frame: LiveFrame, message: Any) -> None:
    """Put the picture of a message into a frame.

    Raises:
        ValueError: it is too large, or no picture.
    """
    if isinstance(message, Image):
        if max(message.width, message.height) > MAX_SIDE_PX:
            raise ValueError(
                f"It has {message.width}x{message.height} pixels; the page shows {MAX_SIDE_PX} "
                "a side at most."
            )
        image = from_image_msg(message)
        # The JPEG encoder takes colours only.
        frame.image = image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)
        return
    if len(message.data) > MAX_JPEG_BYTES:
        raise ValueError(f"It has {len(message.data)} bytes; {MAX_JPEG_BYTES} are the limit.")
    frame.jpeg = bytes(message.data)


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
        node.create_subscription(CompressedImage, BELIEF_TOPIC, self._on_picture, latched_qos())

    def data_url(self) -> str:
        """Return the newest picture as a browser takes it, or nothing before the first."""
        if not self._jpeg:
            return ""
        return f"data:image/jpeg;base64,{base64.b64encode(self._jpeg).decode()}"

    def _on_picture(self, message: CompressedImage) -> None:
        data = bytes(message.data)
        if len(data) > MAX_BELIEF_BYTES or not data.startswith(JPEG_START):
            text = f"A picture on {BELIEF_TOPIC} is not shown: no JPEG, or a very large one."
            self._node.get_logger().warning(text, throttle_duration_sec=WARN_PERIOD_S)
            return
        self._jpeg = data
        self.number += 1
