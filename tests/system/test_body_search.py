"""``/find_target`` with the whole starfish: launched as users do, all limbs at once."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from asterias_interfaces.action import FindTarget
from asterias_interfaces.srv import InjectFault

pytestmark = pytest.mark.system
BODY = ("launch/sim.launch.xml", "robot:=starfish", "limb:=-1", "enable_faults:=true")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_all_limbs_search_at_once_and_the_dead_are_left_out(
    launch: Callable[..., Any], client: Any
) -> None:
    run = launch(*BODY)
    told: list[Any] = []

    def search(**goal: Any) -> FindTarget.Result:
        return client.result(client.send_goal(told, random_start=True, **goal), 150.0)

    result = search(seed=0, max_steps=30)
    assert result.found and result.policy == "pathwise_limbs", (result, run.text)
    assert re.fullmatch(r"limb_[0-5]/camera_[0-7]", result.camera)
    assert len(told[-1].positions_rad) == 48

    # A limb whose encoders are silent is dead: it is told from its joint states.
    for number in range(1, 9):
        parts = {"component": f"bend_{number}", "fault": "off"}
        answer = client.call(InjectFault, "/limb_2/inject_fault", **parts)
        assert answer.success, answer.message
    dead = [f"limb_0/camera_{j}" for j in range(8)]
    result = search(seed=1, max_steps=30, dead_cameras=dead)
    assert result.found and result.camera[:6] not in ("limb_0", "limb_2"), result
    gone = {name[:6] for name in told[-1].cameras_dead}
    assert {"limb_0", "limb_2"} <= gone

    wrong = search(dead_cameras=["limb_7/camera_0"])
    assert wrong.error_code == wrong.BAD_GOAL and "limb_7/camera_0" in wrong.error_msg
    wrong = search(policy="ppo_kill0")
    assert wrong.error_code == wrong.UNKNOWN_POLICY
    assert "There is no whole-body policy 'ppo_kill0'" in wrong.error_msg
