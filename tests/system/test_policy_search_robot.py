"""Policies of policy search on the robot: trained over ``/train_policy``, run over topics."""

from __future__ import annotations

import math
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ament_index_python.packages import get_package_prefix
from asterias_interfaces.action import FindTarget, TrainPolicy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.action import ActionClient

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,  # half a minute of the processor's time, mostly the simulated robot's
    pytest.mark.usefixtures("running_robot"),
    pytest.mark.timeout(300),
]
TRAINING_S = 180.0
TOLD = {"options": ["--processes", "1"], "steps": 20, "seed": 2, "faults": "kill1"}


def node(name: str, *parameters: str) -> subprocess.Popen[bytes]:
    # Not through `ros2 run`, which leaves signals to its terminal.
    program = Path(get_package_prefix("asterias_nodes")) / "lib" / "asterias_nodes" / name
    options = [word for parameter in parameters for word in ("-p", parameter)]
    return subprocess.Popen([program, "--ros-args", *options])


@pytest.fixture
def trainer() -> Iterator[None]:
    process = node("trainer")
    yield
    process.send_signal(signal.SIGINT)
    try:
        assert process.wait(20.0) == 0
    finally:
        process.kill()
        process.wait()


def train(client: Any, **goal: Any) -> tuple[TrainPolicy.Result, list[TrainPolicy.Feedback]]:
    """Train over the action; result and feedback."""
    action = ActionClient(client.node, TrainPolicy, "/train_policy")
    client.until(action.server_is_ready)
    heard: list[Any] = []
    sent = action.send_goal_async(
        TrainPolicy.Goal(**goal), feedback_callback=lambda message: heard.append(message.feedback)
    )
    client.until(sent.done)
    answer = sent.result().get_result_async()
    client.until(answer.done, TRAINING_S)
    action.destroy()
    return answer.result().result, heard


@pytest.mark.usefixtures("trainer")
def test_a_policy_is_trained_by_name_searched_with_and_given_the_limb(
    client: Any, tmp_path: Path
) -> None:
    trained, heard = train(client, algorithm="pssvf", out=str(tmp_path / "pssvf"), **TOLD)
    assert trained.error_code == TrainPolicy.Result.NONE, trained.error_msg
    client.until(lambda: heard[-1].steps == TOLD["steps"])
    assert math.isnan(heard[-1].ess) and not heard[-1].traffic_light

    # What it made searches, blind in one camera, and comes to an end of one kind or the other.
    goal = {"policy": trained.path, "seed": 5, "random_start": True, "max_steps": 4}
    result = client.result(client.send_goal(dead_cameras=["camera_1"], **goal))
    ends = FindTarget.Result.NONE, FindTarget.Result.STEP_LIMIT
    assert result.error_code in ends and result.policy == trained.path, result
    assert 0 < result.steps <= 4 and result.camera != "camera_1"

    # The node moves the limb with it until it is stopped.
    health = client.collect(DiagnosticArray, "/diagnostics")
    process = node("policy", "use_sim_time:=true", f"policy:={trained.path}", "seed:=1")

    def told(key: str) -> str:
        for status in (status for message in reversed(health) for status in message.status):
            if status.name == "policy: search":
                return {value.key: value.value for value in status.values}.get(key, "")
        return ""

    try:
        client.until(lambda: int(told("steps") or 0) >= 1)
        assert told("policy") == trained.path
        process.send_signal(signal.SIGINT)
        assert process.wait(20.0) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.usefixtures("trainer")
def test_feedback_says_whether_the_episodes_were_enough(client: Any, tmp_path: Path) -> None:
    trained, heard = train(client, algorithm="ppois", out=str(tmp_path), **TOLD)
    assert trained.error_code == TrainPolicy.Result.NONE, trained.error_msg
    client.until(lambda: heard[-1].steps == TOLD["steps"])
    assert 10.0 <= heard[-1].ess <= 100.0
    assert heard[-1].traffic_light in ("green", "amber", "red: collect more")
