"""The emergency stop over topics: it moves nothing, and outlives what serves it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Float64MultiArray, String
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from asterias_nodes.robot.emergency_stop_state import EmergencyStopState
from asterias_nodes.robot.limb_state_monitor import LimbStateMonitor
from asterias_nodes.runtime.qos import latched_qos
from hardware.description.robot import load_robot
from hardware.limbs.trajectory import MOST_POINTS

JOINTS = ["shoulder_yaw", "shoulder_pitch", "wrist_roll", "finger"]


@pytest.fixture(autouse=True)
def own_states(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test begins with the stop that another one has left engaged."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


class Robot:
    """A simulated robot in a process of its own, and what a test knows of it."""

    def __init__(self, start_node: Callable[..., Any], peer: Any, **parameters: object) -> None:
        self.peer = peer
        self.process = start_node("sim_robot", **parameters)
        self.states: list[JointState] = []
        self.stops: list[bool] = []
        self.health: list[DiagnosticStatus] = []
        node = peer.node
        listen = node.create_subscription
        listen(JointState, "/limb_0/joint_states", self.states.append, 100)
        listen(Bool, "/e_stop_state", lambda m: self.stops.append(m.data), latched_qos())
        listen(DiagnosticArray, "/diagnostics", lambda m: self.health.extend(m.status), 10)
        self._client = node.create_client(SetBool, "/e_stop")
        self.moves = node.create_publisher(JointTrajectory, "/limb_0/joint_trajectory", 10)
        self.commands = node.create_publisher(Float64MultiArray, "/limb_0/commands", 10)
        peer.wait_until(lambda: self.states and self._client.service_is_ready())
        peer.wait_until(lambda: bool(self.moves.get_subscription_count()))

    def stop(self, is_engaged: bool) -> None:
        """Engage or release."""
        future = self._client.call_async(SetBool.Request(data=is_engaged))
        self.peer.wait_until(future.done)
        assert future.result().success

    def positions(self) -> np.ndarray:
        """The commanded joints now."""
        count = len(self.states)
        self.peer.wait_until(lambda: len(self.states) > count)
        return np.array(self.states[-1].position[:4])

    def settle(self) -> np.ndarray:
        """Wait until the commanded joints rest; where that is."""

        def rests() -> bool:
            old, new = (np.array(one.position[:4]) for one in (self.states[-50], self.states[-1]))
            return bool(np.abs(new - old).max() < 5e-4)

        count = len(self.states) + 50
        self.peer.wait_until(lambda: len(self.states) > count and rests())
        return self.positions()

    def move(self, *points: tuple[float, list[float]]) -> None:
        """Send a timed move."""
        message = JointTrajectory(joint_names=JOINTS)
        for time_s, positions in points:
            stamp = Duration(sec=int(time_s), nanosec=int(1e9 * (time_s % 1)))
            message.points.append(JointTrajectoryPoint(positions=positions, time_from_start=stamp))
        self.moves.publish(message)


def test_a_hundred_stops_and_releases_move_a_loaded_limb_by_less_than_a_hundredth(
    start_node: Callable[..., Any], peer: Any
) -> None:
    robot = Robot(start_node, peer, real_time_factor=4.0)
    sent_s = -1.0

    def moves() -> bool:
        nonlocal sent_s  # the robot may not know its newest publisher yet: sent again
        if time.monotonic() - sent_s > 2.0:
            sent_s = time.monotonic()
            robot.move((0.5, [0.3, 0.6, 0.2, -0.4]))
        return bool(robot.states[-1].position[0] > 0.2)

    peer.wait_until(moves)
    robot.settle()
    loaded = robot.states[-1]
    assert max(abs(effort) for effort in loaded.effort[:4]) > 0.05, "the joints carry a load"
    robot.stop(True)
    before = robot.settle()
    for _ in range(100):
        robot.stop(True)
    assert np.abs(robot.settle() - before).max() < 0.01
    for _ in range(10):
        robot.stop(False)
        robot.stop(False)
        robot.stop(True)
    assert np.abs(robot.settle() - before).max() < 0.01
    assert robot.process.stop().status == 0


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_stop_outlives_the_process_until_a_person_releases_it(
    start_node: Callable[..., Any], peer: Any, number: signal.Signals
) -> None:
    robot = Robot(start_node, peer, real_time_factor=4.0)
    robot.stop(True)
    robot.process.send(number)
    robot.process.wait()
    again = Robot(start_node, peer, real_time_factor=4.0)
    peer.wait_until(lambda: bool(again.stops))
    assert again.stops[-1] is True
    before = again.settle()
    again.move((0.5, [0.3, 0.6, 0.2, -0.4]))
    peer.spin(0.5)
    assert np.abs(again.positions() - before).max() < 0.01
    again.stop(False)
    again.process.kill()
    third = Robot(start_node, peer, real_time_factor=4.0)
    peer.wait_until(lambda: bool(third.stops))
    assert third.stops[-1] is False
    assert third.process.stop().status == 0


def test_a_stop_whose_file_is_broken_counts_as_engaged() -> None:
    state = EmergencyStopState("sim_robot", "limb/../p1")
    assert not state.is_engaged()
    state.store(True)
    assert state.is_engaged() and state.path.parent.name == "e_stop"
    for content in ("", "[]", "{", "\0" * 5000, '{"engaged": "no"}'):
        state.path.write_text(content, encoding="utf-8")
        assert state.is_engaged(), content
    state.store(False)
    assert not state.is_engaged() and not state.path.exists()


def test_states_of_other_robots_and_domains_are_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    here = EmergencyStopState("sim_robot", "limb_p1").path
    monkeypatch.setenv("ROS_DOMAIN_ID", "3" if os.environ["ROS_DOMAIN_ID"] != "3" else "4")
    paths = {here, EmergencyStopState("sim_robot", "limb_p1").path}
    paths |= {EmergencyStopState("limb_driver", "limb_p1").path}
    paths |= {EmergencyStopState("sim_robot", "starfish").path}
    assert len(paths) == 4
    assert all(path.is_relative_to(Path(os.environ["XDG_STATE_HOME"])) for path in paths)


@pytest.mark.slow
def test_long_or_endless_trajectories_are_refused_and_joint_states_go_on(
    start_node: Callable[..., Any], peer: Any
) -> None:
    robot = Robot(start_node, peer)
    before = robot.settle()
    point = [0.3, 0.6, 0.2, -0.4]
    robot.move(*[(0.01 * (k + 1), point) for k in range(50_000)])
    peer.spin(1.2)  # a sentence a second is logged
    robot.move(*[(0.01 * (k + 1), point) for k in range(MOST_POINTS + 1)])
    started_s, count = time.monotonic(), len(robot.states)
    peer.spin(2.0)
    rate_hz = (len(robot.states) - count) / (time.monotonic() - started_s)
    assert rate_hz > 25, f"{rate_hz:.0f} joint states a second"
    assert np.abs(robot.positions() - before).max() < 0.01
    robot.commands.publish(Float64MultiArray(data=[0.5] * 10_000))
    peer.spin(0.5)
    assert np.abs(robot.positions() - before).max() < 0.01
    outcome = robot.process.stop()
    assert outcome.status == 0 and "Traceback" not in outcome.stderr
    assert "bytes on /limb_0/joint_trajectory is refused" in outcome.stderr
    assert f"at most {MOST_POINTS} are taken" in outcome.stderr


def test_a_dead_multiplexer_shows_in_diagnostics_and_owns_nothing(
    start_node: Callable[..., Any], peer: Any
) -> None:
    robot = Robot(start_node, peer)
    monitor = LimbStateMonitor(peer.node, load_robot("limb_p1"), 0)
    multiplexer = start_node("command_multiplexer")
    source = peer.node.create_publisher(
        JointTrajectory, "/limb_0/sources/policy/joint_trajectory", 10
    )
    peer.wait_until(lambda: bool(source.get_subscription_count()) and monitor.has_multiplexer)
    stamp = Duration(sec=30)
    move = JointTrajectoryPoint(positions=[0.1, 0.0, 0.0, 0.0], time_from_start=stamp)

    def owns() -> bool:
        source.publish(JointTrajectory(joint_names=JOINTS, points=[move]))
        peer.spin(0.2)
        return monitor.active_source == "policy"

    peer.wait_until(owns)

    def level() -> bytes:
        found = [status for status in robot.health if status.name == "sim_robot: limb_0"]
        return found[-1].level if found else DiagnosticStatus.STALE

    peer.wait_until(lambda: level() == DiagnosticStatus.OK)
    multiplexer.kill()
    peer.wait_until(lambda: monitor.active_source == "")
    peer.wait_until(lambda: level() == DiagnosticStatus.ERROR)
    assert any("multiplexer is silent" in status.message for status in robot.health)
    again = start_node("command_multiplexer")
    peer.wait_until(lambda: level() == DiagnosticStatus.OK)
    peer.wait_until(lambda: monitor.has_multiplexer)
    assert monitor.active_source == ""
    monitor.close()
    assert again.stop().status == 0
    assert robot.process.stop().status == 0


@pytest.mark.parametrize("span_s", [61.0, 2.0**31 - 1])
def test_a_timed_move_of_years_does_not_own_the_limb(
    start_node: Callable[..., Any], peer: Any, span_s: float
) -> None:
    owners: list[str] = []
    peer.node.create_subscription(
        String, "/limb_0/active_source", lambda m: owners.append(m.data), latched_qos()
    )
    multiplexer = start_node("command_multiplexer")
    source = peer.node.create_publisher(
        JointTrajectory, "/limb_0/sources/policy/joint_trajectory", 10
    )
    peer.wait_until(lambda: bool(source.get_subscription_count() and owners))
    point = JointTrajectoryPoint(positions=[0.0] * 4, time_from_start=Duration(sec=int(span_s)))
    source.publish(JointTrajectory(joint_names=JOINTS, points=[point]))
    peer.spin(1.5)
    assert set(owners) == {""}
    outcome = multiplexer.stop()
    assert "send it in parts" in outcome.stderr
