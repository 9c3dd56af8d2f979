"""The node ``policy`` and a limb that its driver has stopped, over DDS."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
from asterias_interfaces.msg import TagDetections
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from sensor_msgs.msg import JointState
from trajectory_msgs.msg import JointTrajectory

from asterias_nodes.runtime.qos import reliable_qos
from asterias_nodes.target_finding.motion_check import LEAST_S, MotionCheck

JOINTS = ["shoulder_yaw", "shoulder_pitch", "wrist_roll", "finger"]
STOPPED = "stopped (finger: its own watchdog stopped it)"


class StoppedRobot:
    """Joints and pictures of a limb that takes commands and, while it is stopped, stays."""

    def __init__(self, peer: Any) -> None:
        self.is_stopped = True
        self.at = [0.0] * 4
        self.moves: list[JointTrajectory] = []
        self.told: list[str] = []
        node = self._node = peer.node
        self._joints = node.create_publisher(JointState, "/limb_0/joint_states", 10)
        self._seen = node.create_publisher(TagDetections, "/target/detections", reliable_qos(100))
        self._health = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        topic = "/limb_0/sources/policy/joint_trajectory"
        node.create_subscription(JointTrajectory, topic, self._move, 10)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._read, 10)
        node.create_timer(0.02, self._publish)

    def _move(self, message: JointTrajectory) -> None:
        self.moves.append(message)
        if not self.is_stopped:
            self.at = list(message.points[-1].positions)

    def _read(self, message: DiagnosticArray) -> None:
        self.told += [s.message for s in message.status if s.name == "policy: search"]

    def _publish(self) -> None:
        stamp = self._node.get_clock().now().to_msg()
        joints = JointState(name=JOINTS, position=self.at)
        joints.header.stamp = stamp
        self._joints.publish(joints)
        for camera in range(4):
            seen = TagDetections(limb="limb_0", camera=f"camera_{camera}")
            seen.header.stamp = stamp
            seen.brightness, seen.contrast = 120.0, 40.0
            self._seen.publish(seen)
        level, said = DiagnosticStatus.OK, "ok"
        if self.is_stopped:
            level, said = DiagnosticStatus.ERROR, STOPPED
        status = DiagnosticStatus(level=level, name="limb_driver: limb_0", message=said)
        self._health.publish(DiagnosticArray(status=[status]))


def test_a_limb_that_does_not_obey_ends_the_search_with_a_sentence_until_it_is_activated_anew(
    peer: Any, start_node: Callable[..., Any]
) -> None:
    robot = StoppedRobot(peer)
    start_node("policy", policy="bmms", wait_s=0.2)
    change = peer.node.create_client(ChangeState, "/policy/change_state")
    peer.wait_until(lambda: robot.told and "does not obey" in robot.told[-1])
    said = robot.told[-1]
    assert STOPPED in said and "limb_driver says" in said
    assert "ros2 lifecycle set /limb_driver deactivate" in said
    assert "Activate the policy anew" in said
    # It goes on saying so, and commands nothing more.
    count, reports = len(robot.moves), len(robot.told)
    peer.wait_until(lambda: len(robot.told) >= reports + 3)
    assert robot.told[-1] == said and len(robot.moves) == count
    # Cured: it searches again once a person says so.
    robot.is_stopped = False
    peer.wait_until(change.service_is_ready)
    request = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_ACTIVATE))
    peer.wait_until(change.call_async(request).done)
    peer.wait_until(lambda: len(robot.moves) >= count + 6 and robot.told[-1] == "searching")


class _NoTopics:
    def subscription(self, *arguments: object) -> None:
        """Open nothing."""


def test_one_lost_move_or_a_joint_that_stands_among_others_that_move_is_no_disobedience() -> None:
    times_s = count(0.0, LEAST_S)  # of each look at the clock
    check = MotionCheck(_NoTopics(), "limb_0", lambda: next(times_s))  # type: ignore[arg-type]
    here, there, half = np.zeros(4), np.full(4, 0.5), np.array([0.0, 0.0, 0.1, 0.0])
    for end in (here, half, here, there, here):
        assert check.problem(here, there, end) is None
    assert check.problem(here, 0.3 * there, here) is None  # too short to tell
    said = check.problem(here, there, here)
    assert said is not None and "2 times" in said and "says" not in said
    assert check.problem(here, there, here) is None  # counted anew


def test_moves_of_a_fast_simulation_count_once_two_seconds_have_passed() -> None:
    now_s = [0.0]
    check = MotionCheck(_NoTopics(), "limb_0", lambda: now_s[0])  # type: ignore[arg-type]
    here, there = np.zeros(4), np.full(4, 0.5)
    for now_s[0] in (0.0, 0.5, 1.0, 1.9):
        assert check.problem(here, there, here) is None
    now_s[0] = 2.0
    said = check.problem(here, there, here)
    assert said is not None and "5 times" in said
