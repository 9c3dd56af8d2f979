"""A launched robot, spoken to over topics, services and actions only."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ament_index_python.packages import get_package_prefix
from asterias_interfaces.action import FindTarget
from asterias_interfaces.srv import InjectFault
from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Bool, Float64MultiArray, String
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from asterias_nodes.runtime.conversions import from_image_msg, to_seconds
from asterias_nodes.runtime.qos import latched_qos

pytestmark = [
    pytest.mark.system,
    pytest.mark.usefixtures("running_robot"),
]


def joints_of(client: Any) -> list[JointState]:
    """Joint states from now on; returns when the first has come."""
    states: list[JointState] = client.collect(JointState, "/limb_0/joint_states")
    client.until(lambda: states)
    return states


def position(states: list[JointState], name: str) -> float:
    return float(dict(zip(states[-1].name, states[-1].position, strict=True))[name])


def move(client: Any, names: list[str], positions: list[float], duration_s: float = 0.5) -> None:
    """Send a timed move, once the robot listens."""
    publisher = client.node.create_publisher(JointTrajectory, "/limb_0/joint_trajectory", 10)
    client.until(lambda: publisher.get_subscription_count() > 0)
    time_from_start = Duration(nanosec=round(duration_s * 1e9))
    point = JointTrajectoryPoint(positions=positions, time_from_start=time_from_start)
    publisher.publish(JointTrajectory(joint_names=names, points=[point]))


def status_of(messages: list[DiagnosticArray], part: str) -> Any:
    """The newest diagnostic status whose name holds ``part``; None when there is none."""
    for message in reversed(messages):
        for status in message.status:
            if part in status.name:
                return status
    return None


_STOPPED = "An emergency stop has ended the search. Activate the policy anew to go on."


def test_joint_states_name_servos_first_and_come_at_the_control_rate(client: Any) -> None:
    states = joints_of(client)
    client.until(lambda: len(states) >= 50)
    assert states[0].name[:4] == ["shoulder_yaw", "shoulder_pitch", "wrist_roll", "finger"]
    stamps = np.array([to_seconds(state.header.stamp) for state in states])
    assert np.median(np.diff(stamps)) == pytest.approx(0.02, abs=1e-6)


def test_pictures_come_with_their_camera_model(client: Any) -> None:
    topic = "/limb_0/camera_3"
    images = client.collect(Image, f"{topic}/image_raw", qos_profile_sensor_data)
    models = client.collect(CameraInfo, f"{topic}/camera_info", qos_profile_sensor_data)
    client.until(lambda: len(images) >= 3 and models)
    picture = from_image_msg(images[-1])
    assert picture.shape == (96, 96, 3)
    assert picture.std() > 1.0
    assert images[0].header.frame_id == models[0].header.frame_id
    # 60 degrees of view over 96 pixels.
    assert models[0].k[0] == pytest.approx(48 / np.tan(np.pi / 6), rel=1e-4)


def test_a_timed_move_is_followed_to_its_end_and_stays_there(client: Any) -> None:
    states = joints_of(client)
    move(client, ["shoulder_yaw"], [0.6])
    client.until(lambda: abs(position(states, "shoulder_yaw") - 0.6) < 0.01)
    count = len(states)
    client.until(lambda: len(states) > count + 100)
    assert position(states, "shoulder_yaw") == pytest.approx(0.6, abs=0.01)
    move(client, ["shoulder_yaw"], [0.0])
    client.until(lambda: abs(position(states, "shoulder_yaw")) < 0.01)


def test_a_command_that_is_not_repeated_moves_the_limb_for_the_time_out_only(client: Any) -> None:
    states = joints_of(client)
    move(client, ["shoulder_yaw"], [-1.5])
    client.until(lambda: position(states, "shoulder_yaw") < -1.45)
    publisher = client.node.create_publisher(Float64MultiArray, "/limb_0/commands", 10)
    client.until(lambda: publisher.get_subscription_count() > 0)
    now = dict(zip(states[-1].name, states[-1].position, strict=True))
    goal = [1.5, now["shoulder_pitch"], now["wrist_roll"], now["finger"]]
    publisher.publish(Float64MultiArray(data=goal))
    count = len(states)
    client.until(lambda: len(states) > count + 150)
    # Half a second at 5.2 rad/s is 2.6 rad: short of the 3 rad asked for.
    assert -0.5 < position(states, "shoulder_yaw") < 1.4


def test_commands_of_the_wrong_length_are_counted_and_move_nothing(client: Any) -> None:
    health = client.collect(DiagnosticArray, "/diagnostics")
    publisher = client.node.create_publisher(Float64MultiArray, "/limb_0/commands", 10)
    client.until(lambda: publisher.get_subscription_count() > 0)

    def rejected() -> int:
        status = status_of(health, "sim_robot: limb_0")
        values = {v.key: v.value for v in status.values} if status else {}
        return int(values.get("rejected_commands", -1))

    client.until(lambda: rejected() >= 0)
    before = rejected()
    publisher.publish(Float64MultiArray(data=[1.0, 2.0]))
    client.until(lambda: rejected() > before)


def test_the_target_is_found_and_the_feedback_tells_the_way(client: Any) -> None:
    feedback: list[Any] = []
    handle = client.send_goal(feedback, policy="bmms", seed=4, random_start=True)
    result = client.result(handle)
    assert result.found, result.error_msg
    assert result.error_code == FindTarget.Result.NONE
    assert result.camera.startswith("camera_")
    assert result.steps >= 1
    assert result.policy == "bmms"
    # Feedback and result travel on their own, and a client forgets a goal whose result has come:
    # the last feedback may be lost, and with it how the search ended. That is the result's to tell.
    assert len(feedback) >= 2 * result.steps - 1
    assert {message.phase for message in feedback} >= {"resetting", "moving"}
    steps = [message.step for message in feedback]
    assert steps == sorted(steps) and result.steps - 1 <= steps[-1] <= result.steps
    if feedback[-1].phase == "done":
        assert result.camera in feedback[-1].cameras_seeing


@pytest.mark.parametrize("policy", ["ppo_kill1", "images"])
def test_a_trained_policy_finds_the_target_with_a_camera_that_is_dead(
    client: Any, policy: str
) -> None:
    goal = {"policy": policy, "dead_cameras": ["camera_3"], "random_start": True}
    result = client.result(client.send_goal(seed=2, max_steps=60, **goal))
    assert result.found, result.error_msg
    assert result.camera != "camera_3"


@pytest.mark.parametrize(
    ("goal", "code", "words"),
    [
        ({"policy": "psychic"}, FindTarget.Result.UNKNOWN_POLICY, "bmms"),
        ({"dead_cameras": ["camera_9"]}, FindTarget.Result.BAD_GOAL, "camera_0"),
        (
            {"dead_cameras": [f"camera_{j}" for j in range(4)]},
            FindTarget.Result.NO_CAMERAS,
            "leave at least one",
        ),
    ],
)
def test_a_goal_that_cannot_be_worked_on_says_why(
    client: Any, goal: dict[str, Any], code: int, words: str
) -> None:
    result = client.result(client.send_goal(**goal))
    assert not result.found
    assert result.error_code == code
    assert words in result.error_msg


def test_one_search_at_a_time_and_cancel_ends_it(client: Any) -> None:
    # Only one camera left: this search takes a while.
    dead = ["camera_0", "camera_1", "camera_2"]
    first = client.send_goal(seed=11, dead_cameras=dead, random_start=True, max_steps=1000)
    second = client.result(client.send_goal(policy="bmms"))
    assert second.error_code == FindTarget.Result.BUSY
    client.until(first.cancel_goal_async().done)
    result = client.result(first)
    assert result.error_code == FindTarget.Result.CANCELED


def test_the_step_limit_ends_a_search(client: Any) -> None:
    dead = ["camera_0", "camera_1", "camera_2"]
    goal = {"seed": 1, "dead_cameras": dead, "random_start": True, "max_steps": 1}
    result = client.result(client.send_goal(**goal))
    assert result.found or result.error_code == FindTarget.Result.STEP_LIMIT
    assert result.steps == 1


def test_emergency_stop_holds_refuses_and_is_latched(client: Any) -> None:
    states = joints_of(client)
    try:
        assert client.call(SetBool, "/e_stop", data=True).success
        # Who subscribes late still learns of it.
        latched = client.collect(Bool, "/e_stop_state", latched_qos())
        client.until(lambda: latched)
        assert latched[0].data
        before = position(states, "shoulder_yaw")
        move(client, ["shoulder_yaw"], [1.2 if before < 0 else -1.2])
        count = len(states)
        client.until(lambda: len(states) > count + 75)
        assert position(states, "shoulder_yaw") == pytest.approx(before, abs=0.02)
        result = client.result(client.send_goal(policy="bmms"))
        assert result.error_code == FindTarget.Result.E_STOP
    finally:
        assert client.call(SetBool, "/e_stop", data=False).success
    move(client, ["shoulder_yaw"], [0.3])
    client.until(lambda: abs(position(states, "shoulder_yaw") - 0.3) < 0.02)


def test_a_camera_that_is_off_shows_in_diagnostics(client: Any) -> None:
    health = client.collect(DiagnosticArray, "/diagnostics")
    images = client.collect(Image, "/limb_0/camera_1/image_raw", qos_profile_sensor_data)
    client.until(lambda: images)
    inject = "/limb_0/inject_fault"
    try:
        assert client.call(InjectFault, inject, component="camera_1", fault="off").success
        client.until(lambda: "no new frames" in _message(health, "camera_1"), 10.0)
    finally:
        assert client.call(InjectFault, inject, component="camera_1", fault="ok").success
    client.until(lambda: _message(health, "camera_1") == "ok", 10.0)


def _message(health: list[DiagnosticArray], part: str) -> str:
    status = status_of(health, part)
    return "" if status is None else str(status.message)


def test_a_stuck_joint_stays_while_the_others_move(client: Any) -> None:
    states = joints_of(client)
    move(client, ["shoulder_yaw", "wrist_roll"], [0.0, 0.0])
    client.until(lambda: abs(position(states, "wrist_roll")) < 0.05)
    inject = "/limb_0/inject_fault"
    try:
        assert client.call(InjectFault, inject, component="shoulder_yaw", fault="stuck").success
        move(client, ["shoulder_yaw", "wrist_roll"], [0.8, 0.8])
        client.until(lambda: abs(position(states, "wrist_roll") - 0.8) < 0.05)
        assert abs(position(states, "shoulder_yaw")) < 0.1
    finally:
        assert client.call(InjectFault, inject, component="shoulder_yaw", fault="ok").success


@pytest.mark.parametrize(("component", "fault"), [("elbow", "stuck"), ("camera_0", "tired")])
def test_a_fault_that_does_not_exist_is_refused_with_the_choices(
    client: Any, component: str, fault: str
) -> None:
    answer = client.call(InjectFault, "/limb_0/inject_fault", component=component, fault=fault)
    assert not answer.success
    assert component in answer.message or fault in answer.message


def test_the_first_command_after_a_new_activation_is_where_the_limb_is(client: Any) -> None:
    states = joints_of(client)
    move(client, ["shoulder_yaw"], [0.9])
    client.until(lambda: abs(position(states, "shoulder_yaw") - 0.9) < 0.02)
    for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVATE):
        request = {"transition": Transition(id=transition)}
        assert client.call(ChangeState, "/sim_robot/change_state", **request).success
    count = len(states)
    client.until(lambda: len(states) > count + 50)
    assert position(states, "shoulder_yaw") == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("fault", ["off", "stuck", "garbage"])
def test_a_broken_camera_is_noticed_and_left_out_without_being_told(
    client: Any, fault: str
) -> None:
    inject, feedback = "/limb_0/inject_fault", []
    try:
        assert client.call(InjectFault, inject, component="camera_2", fault=fault).success
        goal = {"policy": "bmms", "seed": 21, "random_start": True, "max_steps": 60}
        result = client.result(client.send_goal(feedback, **goal))
        assert result.camera != "camera_2", result
        told = [message.cameras_dead for message in feedback if message.step > 0]
        assert ["camera_2"] in told, told
    finally:
        assert client.call(InjectFault, inject, component="camera_2", fault="ok").success


def test_who_has_a_higher_priority_takes_the_limb_from_a_search(client: Any) -> None:
    owners = client.collect(String, "/limb_0/active_source", latched_qos())
    topic = "/limb_0/sources/keyboard"
    commands = client.node.create_publisher(Float64MultiArray, topic, 10)
    deadman = client.node.create_publisher(Bool, f"{topic}/deadman", 10)
    client.until(lambda: commands.get_subscription_count() and deadman.get_subscription_count())
    dead = ["camera_0", "camera_1", "camera_2"]
    search = client.send_goal(seed=11, policy="bmms", dead_cameras=dead, random_start=True)
    answer = search.get_result_async()
    client.until(lambda: owners and owners[-1].data == "find_target")

    def is_over() -> bool:
        deadman.publish(Bool(data=True))
        commands.publish(Float64MultiArray(data=[0.0] * 4))
        return bool(answer.done())

    client.until(is_over, 60.0)
    result = answer.result().result
    assert result.error_code == FindTarget.Result.TAKEN_OVER or result.found, result
    if not result.found:
        assert "'keyboard' has taken the limb" in result.error_msg


def test_a_policy_runs_on_the_live_robot_until_the_emergency_stop(client: Any) -> None:
    health = client.collect(DiagnosticArray, "/diagnostics")
    parameters = ["use_sim_time:=true", "policy:=ppo_kill0", "seed:=3"]
    options = [word for parameter in parameters for word in ("-p", parameter)]
    # Not through `ros2 run`, which leaves signals to its terminal.
    node = Path(get_package_prefix("asterias_nodes")) / "lib" / "asterias_nodes" / "policy"
    process = subprocess.Popen([node, "--ros-args", *options])
    try:
        check_policy(client, health)
        process.send_signal(signal.SIGINT)
        assert process.wait(10.0) == 0
    finally:
        process.kill()
        process.wait()


def check_policy(client: Any, health: list[DiagnosticArray]) -> None:
    """It finds the target, and after an emergency stop it waits to be activated."""

    def told(key: str) -> str:
        status = status_of(health, "policy: search")
        values = {value.key: value.value for value in status.values} if status else {}
        return values.get(key, "") if key != "message" else (status.message if status else "")

    client.until(lambda: told("message").endswith("sees the target"), 60.0)
    assert told("policy") == "ppo_kill0" and int(told("finds")) >= 1
    try:
        assert client.call(SetBool, "/e_stop", data=True).success
        client.until(lambda: told("message") == _STOPPED)
    finally:
        assert client.call(SetBool, "/e_stop", data=False).success
    steps = told("steps")
    count = len(health)
    client.until(lambda: len(health) > count + 6)
    assert told("message") == _STOPPED and told("steps") == steps
