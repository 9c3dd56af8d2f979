"""A whole body on topics, for a node that searches with all limbs at once."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import numpy as np
import pytest

from asterias.errors import UserError
from asterias_nodes.target_finding.body_client import BodyClient
from asterias_nodes.target_finding.search_errors import SearchError

# Where the cache is cold, numba compiles.
pytestmark = pytest.mark.timeout(300)


def error_of(peer: Any, coroutine: Coroutine[Any, Any, Any]) -> str:
    """What a coroutine raises in the node that the test spins."""

    async def caught() -> str:
        try:
            await coroutine
        except SearchError as error:
            return str(error)
        return ""

    task = peer.node.executor.create_task(caught())
    peer.wait_until(task.done)
    return str(task.result())


def test_limbs_that_say_nothing_are_dead_and_named(peer: Any) -> None:
    body = BodyClient(peer.node, "starfish", "find_target", patience_s=0.5)
    assert len(body.cameras) == 48 and body.lower.shape == body.upper.shape == (48,)
    assert body.camera_number("limb_2/camera_5") == body.camera_number("limb_2/outer_left") == 21
    assert body.camera_number("camera_5") is None and body.camera_number("limb_6/camera_0") is None
    assert set(body.problems().values()) == {"dead limb"} and len(body.problems()) == 48
    assert body.measured_rad is None and (body.last_commanded() == 0).all()
    with pytest.raises(SearchError, match="None of 2 cameras can be relied on"):
        body.working((3, 4))
    assert "No joint states come from limb_0" in error_of(peer, body.wait_for_robot())
    look = body.drive_and_look(np.zeros(48), range(48), 1.0)
    assert error_of(peer, look) == "No limb works."
    body.hold()
    body.close()
    with pytest.raises(UserError, match="cannot search with its whole body"):
        BodyClient(peer.node, "limb_p1", "find_target", patience_s=0.5)
