"""The action FollowJointTrajectory on a simulated limb, as clients of ros2_control use it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from action_msgs.msg import GoalStatus
from asterias_interfaces.srv import InjectFault
from builtin_interfaces.msg import Duration, Time
from control_msgs.action import FollowJointTrajectory
from control_msgs.msg import JointTolerance
from rclpy.action import ActionClient
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint, MultiDOFJointTrajectory

from asterias_nodes.runtime.qos import latched_qos

JOINTS = ["shoulder_yaw", "shoulder_pitch", "wrist_roll", "finger"]
Goal = FollowJointTrajectory.Goal
Result = FollowJointTrajectory.Result
Status = GoalStatus
NAN = float("nan")
# Of a move in which something is to happen, in simulated seconds: enough on a busy machine.
LONG_S = 30.0


def at(seconds: float) -> Duration:
    whole, rest = divmod(seconds, 1.0)
    return Duration(sec=int(whole), nanosec=int(rest * 1e9))


def goal_of(
    *points: tuple[float, Sequence[float]], joints: Sequence[str] = JOINTS, **fields: Any
) -> Goal:
    """Points as (seconds, positions)."""
    path = [JointTrajectoryPoint(time_from_start=at(t), positions=list(p)) for t, p in points]
    return Goal(trajectory=JointTrajectory(joint_names=list(joints), points=path), **fields)


class Limb:
    """A client of the limb's action."""

    def __init__(self, peer: Any) -> None:
        self.peer = peer
        self.states: list[JointState] = []
        self.feedback: list[FollowJointTrajectory.Feedback] = []
        peer.node.create_subscription(JointState, "/limb_0/joint_states", self.states.append, 100)
        self._action = ActionClient(
            peer.node, FollowJointTrajectory, "/limb_0/follow_joint_trajectory"
        )
        peer.wait_until(self._action.server_is_ready)
        peer.wait_until(lambda: bool(self.states))

    def send(self, goal: Goal) -> Any:
        """An accepted goal's handle."""
        future = self._action.send_goal_async(goal, lambda m: self.feedback.append(m.feedback))
        self.peer.wait_until(future.done)
        handle = future.result()
        assert handle.accepted
        return handle

    def end(self, handle: Any) -> tuple[int, Result]:
        """Status and result."""
        future = handle.get_result_async()
        self.peer.wait_until(future.done)
        return future.result().status, future.result().result

    def run(self, goal: Goal) -> tuple[int, Result]:
        return self.end(self.send(goal))

    def call(self, kind: Any, name: str, **fields: Any) -> Any:
        client = self.peer.node.create_client(kind, name)
        self.peer.wait_until(client.service_is_ready)
        future = client.call_async(kind.Request(**fields))
        self.peer.wait_until(future.done)
        return future.result()

    @property
    def yaw(self) -> float:
        return float(self.states[-1].position[0])

    def close(self) -> None:
        self._action.destroy()


@pytest.fixture(scope="module")
def robot(start_shared_node: Callable[..., Any]) -> Any:
    return start_shared_node("sim_robot", real_time_factor=4.0, enable_faults=True)


@pytest.fixture
def limb(robot: Any, peer: Any) -> Iterator[Limb]:
    made = Limb(peer)
    yield made
    made.close()


def test_a_trajectory_is_followed_within_tolerance_and_feedback_tells_the_way(limb: Limb) -> None:
    names = [f"limb_0_{name}" for name in JOINTS]  # as the URDF has them
    tolerance = [JointTolerance(name=name, position=0.3) for name in names]
    goal = goal_of(
        (1.0, [0.3, 0.2, 0.1, 0.0]),
        (2.0, [0.6, 0.0, 0.2, 0.3]),
        joints=names,
        path_tolerance=tolerance,
        goal_tolerance=[JointTolerance(name=names[0], position=0.05)],
    )
    status, result = limb.run(goal)
    assert (status, result.error_code) == (Status.STATUS_SUCCEEDED, Result.SUCCESSFUL), result
    assert limb.yaw == pytest.approx(0.6, abs=0.05)
    assert len(limb.feedback) > 5
    last = limb.feedback[-1]
    assert last.joint_names == JOINTS
    assert last.desired.positions[0] - last.actual.positions[0] == pytest.approx(
        last.error.positions[0]
    )


def test_some_joints_may_move_alone(limb: Limb) -> None:
    before = limb.states[-1].position[1]
    status, _ = limb.run(goal_of((0.5, [-0.2]), joints=["shoulder_yaw"]))
    assert status == Status.STATUS_SUCCEEDED
    assert limb.yaw == pytest.approx(-0.2, abs=0.1)
    assert limb.states[-1].position[1] == pytest.approx(before, abs=0.05)


HOME, AWAY = [0.0] * 4, [0.2, 0.0, 0.0, 0.0]
STRANGE = MultiDOFJointTrajectory(joint_names=["body"])


@pytest.mark.parametrize(
    ("goal", "code", "words"),
    [
        (goal_of(), Result.INVALID_GOAL, "no points"),
        (goal_of((1.0, AWAY), (0.5, HOME)), Result.INVALID_GOAL, "Point 1 is out of order"),
        (goal_of((1.0, AWAY), (1.0, HOME)), Result.INVALID_GOAL, "Point 1 is out of order"),
        (goal_of((1.0, [NAN, 0, 0, 0])), Result.INVALID_GOAL, "not finite"),
        (goal_of((1.0, [float("inf"), 0, 0, 0])), Result.INVALID_GOAL, "not finite"),
        (goal_of((1.0, [0.1])), Result.INVALID_GOAL, "1 positions for 4 joints"),
        (goal_of((1.0, [3.0, 0, 0, 0])), Result.INVALID_GOAL, "puts shoulder_yaw at 3 rad"),
        (goal_of((900.0, AWAY)), Result.INVALID_GOAL, "too long"),
        (goal_of((1.0, [0.1]), joints=["elbow"]), Result.INVALID_JOINTS, "no joint 'elbow'"),
        (goal_of((1.0, [0.1]), joints=["finger_1"]), Result.INVALID_JOINTS, "no joint 'finger_1'"),
        (
            goal_of((1.0, HOME), joints=["finger"] * 4),
            Result.INVALID_JOINTS,
            "joint of the goal once",
        ),
        (goal_of((1.0, []), joints=[]), Result.INVALID_JOINTS, "joint of the goal once"),
        (goal_of((1.0, AWAY), multi_dof_trajectory=STRANGE), Result.INVALID_JOINTS, "several"),
        (
            goal_of((1.0, AWAY), path_tolerance=[JointTolerance(name="elbow", position=0.1)]),
            Result.INVALID_JOINTS,
            "no joint 'elbow'",
        ),
        (
            goal_of((1.0, AWAY), goal_tolerance=[JointTolerance(name="finger", position=-0.5)]),
            Result.INVALID_GOAL,
            "must be above 0, 0 or -1",
        ),
    ],
)
def test_what_cannot_be_followed_is_refused_with_the_code_of_the_standard(
    limb: Limb, goal: Goal, code: int, words: str
) -> None:
    status, result = limb.run(goal)
    assert (status, result.error_code) == (Status.STATUS_ABORTED, code), result
    assert words in result.error_string


def test_a_trajectory_of_the_past_is_refused(limb: Limb) -> None:
    now = limb.states[-1].header.stamp
    limb.peer.wait_until(lambda: limb.states[-1].header.stamp.sec > now.sec + 3)
    goal = goal_of((0.5, AWAY), (1.0, HOME))
    goal.trajectory.header.stamp = Time(sec=max(now.sec, 1))
    status, result = limb.run(goal)
    assert (status, result.error_code) == (Status.STATUS_ABORTED, Result.OLD_HEADER_TIMESTAMP)


def test_a_newer_goal_takes_the_place_of_the_one_in_progress(limb: Limb) -> None:
    first = limb.send(goal_of((LONG_S, [0.5, 0, 0, 0])))
    limb.peer.wait_until(lambda: bool(limb.feedback))
    refused = limb.run(goal_of((1.0, [NAN, 0, 0, 0])))
    assert refused[1].error_code == Result.INVALID_GOAL
    assert limb.run(goal_of((0.5, HOME)))[0] == Status.STATUS_SUCCEEDED
    status, result = limb.end(first)
    assert (status, result.error_code) == (Status.STATUS_ABORTED, Result.INVALID_GOAL)
    assert "newer goal" in result.error_string


def test_a_goal_that_is_canceled_leaves_the_limb_where_it_is(limb: Limb) -> None:
    limb.run(goal_of((0.5, HOME)))
    handle = limb.send(goal_of((LONG_S, [1.5, 0, 0, 0])))
    limb.peer.wait_until(lambda: limb.yaw > 0.2)
    canceled = handle.cancel_goal_async()
    limb.peer.wait_until(canceled.done)
    status, result = limb.end(handle)
    assert status == Status.STATUS_CANCELED and "canceled" in result.error_string
    held, count = limb.yaw, len(limb.states)
    limb.peer.wait_until(lambda: len(limb.states) > count + 50)
    assert limb.yaw == pytest.approx(held, abs=0.05)


def test_a_limb_that_cannot_keep_up_violates_the_tolerance_of_the_path(limb: Limb) -> None:
    limb.run(goal_of((0.5, HOME)))
    tolerance = [JointTolerance(name="shoulder_yaw", position=0.05)]
    # Seven times as fast as the servo turns.
    goal = goal_of((0.04, [1.5, 0, 0, 0]), (5.0, [1.5, 0, 0, 0]), path_tolerance=tolerance)
    status, result = limb.run(goal)
    assert (status, result.error_code) == (Status.STATUS_ABORTED, Result.PATH_TOLERANCE_VIOLATED)
    assert (
        "shoulder_yaw is" in result.error_string and "0.05 rad are allowed" in result.error_string
    )


def test_a_joint_that_is_stuck_violates_the_tolerance_of_the_goal(limb: Limb) -> None:
    limb.run(goal_of((0.5, HOME)))
    inject = "/limb_0/inject_fault"
    assert limb.call(InjectFault, inject, component="shoulder_yaw", fault="stuck").success
    try:
        goal = goal_of((0.5, [0.8, 0, 0, 0]), goal_time_tolerance=Duration(nanosec=500_000_000))
        status, result = limb.run(goal)
    finally:
        assert limb.call(InjectFault, inject, component="shoulder_yaw", fault="ok").success
    assert (status, result.error_code) == (Status.STATUS_ABORTED, Result.GOAL_TOLERANCE_VIOLATED)
    assert "0.5 s after the end, shoulder_yaw is" in result.error_string


def test_the_emergency_stop_ends_a_goal_and_refuses_others(limb: Limb) -> None:
    handle = limb.send(goal_of((LONG_S, [0.5, 0, 0, 0])))
    limb.peer.wait_until(lambda: bool(limb.feedback))
    assert limb.call(SetBool, "/e_stop", data=True).success
    try:
        status, result = limb.end(handle)
        assert (status, result.error_code) == (Status.STATUS_ABORTED, Result.INVALID_GOAL)
        assert "emergency stop" in result.error_string
        status, result = limb.run(goal_of((1.0, HOME)))
        assert result.error_code == Result.INVALID_GOAL and "emergency" in result.error_string
    finally:
        assert limb.call(SetBool, "/e_stop", data=False).success


def test_who_commands_the_limb_ends_a_goal(limb: Limb) -> None:
    commands = limb.peer.node.create_publisher(Float64MultiArray, "/limb_0/commands", 10)
    limb.peer.wait_until(lambda: commands.get_subscription_count() > 0)
    handle = limb.send(goal_of((LONG_S, [0.5, 0, 0, 0])))
    limb.peer.wait_until(lambda: bool(limb.feedback))
    commands.publish(Float64MultiArray(data=HOME))
    status, result = limb.end(handle)
    assert (status, result.error_code) == (Status.STATUS_ABORTED, Result.INVALID_GOAL)
    assert "took the limb" in result.error_string


def test_a_goal_is_refused_while_a_source_has_the_limb(limb: Limb) -> None:
    owner = limb.peer.node.create_publisher(String, "/limb_0/active_source", latched_qos())
    limb.peer.wait_until(lambda: owner.get_subscription_count() > 0)

    def is_refused() -> bool:
        owner.publish(String(data="web"))
        return "source 'web' has the limb" in limb.run(goal_of((0.1, HOME)))[1].error_string

    limb.peer.wait_until(is_refused)
