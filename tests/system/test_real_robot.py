"""A launched robot whose devices are emulated: the drivers, their topics, and how they end."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from asterias_interfaces.srv import InjectFault
from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from hardware.description.robot import load_robot, save_robot
from hardware.emulated.robot import EmulatedRobot

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parents[2]
SAFE_S = 0.1


@pytest.fixture
def robot(tmp_path: Path) -> Iterator[EmulatedRobot]:
    """Emulated Dynamixel servos and cameras in this process; ``robot.yaml`` describes them."""
    with EmulatedRobot(load_robot("limb_p1"), "dynamixel") as made:
        save_robot(made.description, tmp_path / "robot.yaml")
        yield made


@pytest.fixture
def start_driver(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Starts a driver node as a process."""
    started: list[subprocess.Popen[str]] = []

    def start(node: str) -> subprocess.Popen[str]:
        command = ["ros2", "run", "asterias_nodes", node, "--ros-args", "-p"]
        process = subprocess.Popen(
            [*command, f"robot:={tmp_path / 'robot.yaml'}"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            node_process(process).kill()
            process.kill()
        process.wait()


def node_process(process: subprocess.Popen[str]) -> psutil.Process:
    """The node itself, where ``ros2 run`` has not become it."""
    children = psutil.Process(process.pid).children(recursive=True)
    return children[-1] if children else psutil.Process(process.pid)


def seconds_until(condition: Callable[[], bool], timeout_s: float = 20.0) -> float:
    """How long it takes until something is so."""
    start_s = time.monotonic()
    while not condition():
        assert time.monotonic() - start_s < timeout_s
        time.sleep(0.002)
    return time.monotonic() - start_s


def has_torque(robot: EmulatedRobot) -> list[bool]:
    """Torque of each servo."""
    return [servo.has_torque for servo in robot.limbs[0].servos]


# -- how a driver ends ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM]
)
def test_a_driver_that_is_told_to_stop_makes_its_servos_safe_at_once(
    robot: EmulatedRobot,
    client: Any,
    start_driver: Callable[[str], subprocess.Popen[str]],
    number: signal.Signals,
) -> None:
    process = start_driver("limb_driver")
    states = client.collect(JointState, "/limb_0/joint_states")
    client.until(lambda: len(states) > 10)
    assert all(has_torque(robot))
    node_process(process).send_signal(number)
    assert seconds_until(lambda: not any(has_torque(robot))) <= SAFE_S
    assert process.wait(10.0) == 0
    assert process.stdout is not None
    assert "Traceback" not in process.stdout.read()


def test_a_driver_that_is_killed_leaves_the_servos_to_their_watchdog(
    robot: EmulatedRobot, client: Any, start_driver: Callable[[str], subprocess.Popen[str]]
) -> None:
    process = start_driver("limb_driver")
    states = client.collect(JointState, "/limb_0/joint_states")
    publisher = client.node.create_publisher(JointTrajectory, "/limb_0/joint_trajectory", 10)
    client.until(lambda: states and publisher.get_subscription_count() > 0)
    move(publisher, [1.4, 0.0, 0.0, 0.0], 10.0)  # slow: it is on its way when the driver dies
    client.until(lambda: states[-1].position[0] > 0.05)
    node_process(process).kill()
    servos = robot.limbs[0].servos
    assert seconds_until(lambda: all(servo.is_stopped for servo in servos)) <= 0.2 + SAFE_S
    before = [motor.motion().position_rad for motor in robot.limbs[0].motors]
    time.sleep(0.3)
    after = [motor.motion().position_rad for motor in robot.limbs[0].motors]
    np.testing.assert_allclose(after, before)
    assert before[0] < 1.0


def test_a_pulled_cable_leaves_the_servos_to_their_watchdog_and_is_told(
    robot: EmulatedRobot, client: Any, start_driver: Callable[[str], subprocess.Popen[str]]
) -> None:
    process = start_driver("limb_driver")
    health = client.collect(DiagnosticArray, "/diagnostics")
    states = client.collect(JointState, "/limb_0/joint_states")
    client.until(lambda: states)
    robot.limbs[0].bus_device.unplug()  # type: ignore[attr-defined]
    servos = robot.limbs[0].servos
    assert seconds_until(lambda: all(servo.is_stopped for servo in servos)) <= 0.2 + SAFE_S
    client.until(lambda: "bus_silent" in message_of(health, "limb_driver: limb_0"))
    node_process(process).terminate()
    assert process.wait(10.0) == 0


def move(publisher: Any, positions: list[float], duration_s: float) -> None:
    """A timed move of all joints."""
    names = ["shoulder_yaw", "shoulder_pitch", "wrist_roll", "finger"]
    point = JointTrajectoryPoint(
        positions=positions, time_from_start=Duration(nanosec=0, sec=round(duration_s))
    )
    publisher.publish(JointTrajectory(joint_names=names, points=[point]))


def message_of(health: list[DiagnosticArray], part: str) -> str:
    """The newest diagnostic message of a part."""
    for message in reversed(health):
        for status in message.status:
            if part in status.name:
                return str(status.message)
    return ""


# -- a whole robot --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_an_emulated_robot_has_the_topics_of_the_simulated_one_and_finds_the_target(
    launch: Callable[..., Any], client: Any, tmp_path: Path
) -> None:
    run = launch(
        "launch/robot.launch.xml",
        "robot:=limb_p1",
        "emulate:=dynamixel",
        "enable_faults:=true",
        f"out:={tmp_path / 'emulated.yaml'}",
    )
    health = client.collect(DiagnosticArray, "/diagnostics")
    states = client.collect(JointState, "/limb_0/joint_states")
    images = client.collect(Image, "/limb_0/camera_3/image_raw", qos_profile_sensor_data)
    client.until(lambda: len(states) > 50 and len(images) > 5)
    assert states[-1].name == ["shoulder_yaw", "shoulder_pitch", "wrist_roll", "finger"]
    names = {name for name, _ in client.node.get_topic_names_and_types()}
    for topic in ("commands", "joint_trajectory", "camera_0/camera_info", "camera_2/image_raw"):
        assert f"/limb_0/{topic}" in names
    assert {"/diagnostics", "/e_stop_state", "/target/detections"} <= names
    check_motion(client, states)
    result = client.result(client.send_goal(policy="ppo_kill0", seed=4, max_steps=60), 120.0)
    assert result.found, result.error_msg
    # A camera is another node's, and fails by the same service as a joint.
    inject = "/limb_0/inject_fault"
    answer = client.call(InjectFault, inject, component="camera_1", fault="off")
    assert answer.success, answer.message
    client.until(lambda: "silent" in message_of(health, "limb_0/camera_1"))
    assert not client.call(InjectFault, inject, component="elbow", fault="off").success
    assert run.stop() == 0, run.text
    assert "Traceback" not in run.text


def check_motion(client: Any, states: list[JointState]) -> None:
    """Commands, emergency stop and re-activation, as on the simulated robot."""
    publisher = client.node.create_publisher(Float64MultiArray, "/limb_0/commands", 10)
    client.until(lambda: publisher.get_subscription_count() > 0)

    def go_to(yaw: float) -> None:
        def is_there() -> bool:
            publisher.publish(Float64MultiArray(data=[yaw, 0.0, 0.0, 0.0]))
            return bool(abs(states[-1].position[0] - yaw) < 0.03)

        client.until(is_there)

    go_to(0.4)
    assert client.call(SetBool, "/e_stop", data=True).success
    held = states[-1].position[0]
    publisher.publish(Float64MultiArray(data=[-0.6, 0.0, 0.0, 0.0]))
    count = len(states)
    client.until(lambda: len(states) > count + 30)
    assert states[-1].position[0] == pytest.approx(held, abs=0.03)
    assert client.call(SetBool, "/e_stop", data=False).success
    for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVATE):
        request = {"transition": Transition(id=transition)}
        assert client.call(ChangeState, "/limb_driver/change_state", **request).success
    count = len(states)
    client.until(lambda: len(states) > count + 30)
    assert states[-1].position[0] == pytest.approx(held, abs=0.03)
    go_to(0.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("robot:=limb_p1",), "has the backend 'sim': give it a backend of type devices"),
        (("robot:=limb_p2",), "did you mean 'limb_p1'?"),
    ],
)
def test_a_robot_without_devices_ends_the_launch_with_one_sentence(
    launch: Callable[..., Any], arguments: tuple[str, ...], sentence: str
) -> None:
    run = launch("launch/robot.launch.xml", *arguments)
    run.wait(30)
    mistakes = [line for line in run.text.splitlines() if sentence in line]
    assert mistakes, run.text
