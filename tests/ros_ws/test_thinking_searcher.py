"""A searcher that thinks long does so in a thread: the node serves its topics meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Coroutine
from typing import Any

import numpy as np
import pytest

from asterias_nodes.target_finding import limb_client
from asterias_nodes.target_finding.limb_client import LimbClient


class SlowSearcher:
    """Thinks until it is let go."""

    wants_images = False
    thinks_long = True

    def __init__(self) -> None:
        self.go = threading.Event()
        self.asked = 0

    def act(self, position_rad: Any, live: Any, tiles: Any = None) -> Any:
        """A step up."""
        self.asked += 1
        assert self.go.wait(30)
        return np.asarray(position_rad) + 0.1


def result_of(peer: Any, coroutine: Coroutine[Any, Any, np.ndarray]) -> np.ndarray:
    """Run a coroutine in the node that the test spins."""
    task = peer.node.executor.create_task(coroutine)
    peer.wait_until(task.done)
    return np.asarray(task.result())


def test_a_node_serves_others_while_a_policy_thinks_and_drops_what_comes_late(
    peer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limb_client, "LATE_S", 0.3)
    limb = LimbClient(peer.node, "limb_p1", 0, "find_target", patience_s=5.0)
    searcher, ticks = SlowSearcher(), []
    timer = peer.node.create_timer(0.01, lambda: ticks.append(time.monotonic()))
    at = np.zeros(4)
    assert (result_of(peer, limb.ask(searcher, at, (0, 1))) == at).all()  # late: hold
    assert limb.late_decisions == 1 and len(ticks) > 5
    assert (result_of(peer, limb.ask(searcher, at, (0, 1))) == at).all()
    assert limb.late_decisions == 2 and searcher.asked == 1  # still at the first decision
    searcher.go.set()
    monkeypatch.setattr(limb_client, "LATE_S", 20.0)
    while (goal := result_of(peer, limb.ask(searcher, at, (0, 1)))).max() == 0.0:
        assert limb.late_decisions < 9  # the first decision is dropped, not taken for an answer
    assert np.allclose(goal, 0.1)
    peer.node.destroy_timer(timer)
    limb.close()
