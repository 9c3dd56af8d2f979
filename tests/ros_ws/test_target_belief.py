"""``/target/belief`` over DDS: what a searcher believes is published, late subscribers get it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage

from asterias_nodes.runtime.qos import latched_qos
from asterias_nodes.target_finding.limb_client import BELIEF_TOPIC, LimbClient

LIVE = (0, 1, 3)


def answer_of(coroutine: Coroutine[Any, Any, np.ndarray]) -> np.ndarray:
    """Run a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return np.asarray(done.value)
    raise AssertionError("It waits for something.")


def picture_of(message: CompressedImage) -> np.ndarray:
    """``(H, W, 3)``."""
    return np.asarray(cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR))


def test_the_belief_of_a_searcher_is_published_step_by_step_and_when_it_has_found(
    peer: Any,
) -> None:
    limb = LimbClient(peer.node, "limb_p1", 0, "find_target", patience_s=5.0)
    came: list[CompressedImage] = []
    rng = np.random.default_rng(0)
    searcher, brownian = (limb.make_searcher(name, rng) for name in ("renyi:0.5", "bmms"))
    answer_of(limb.ask(brownian, np.zeros(4), LIVE))
    position = answer_of(limb.ask(searcher, np.zeros(4), LIVE))
    assert (position >= limb.lower).all()
    assert (position <= limb.upper).all()

    # Subscribes after the fact, as a page that is opened during a search.
    peer.node.create_subscription(CompressedImage, BELIEF_TOPIC, came.append, latched_qos())
    peer.wait_until(lambda: came)
    first = came[-1]
    assert first.format == "jpeg"
    assert first.header.frame_id == "limb_0"
    assert picture_of(first).shape[0] > 200

    came.clear()
    limb.tell_found(searcher, position, LIVE, [3])
    limb.tell_found(brownian, position, LIVE, [3])
    peer.wait_until(lambda: came)
    assert len(came) == 1
    # All is dark now but for where the camera looks.
    assert picture_of(came[0]).mean() < 0.8 * picture_of(first).mean()
    limb.close()
