"""The node ``crawl`` as a process: steering, arrival, and every way in which a goal ends early."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from action_client import Asker
from action_msgs.msg import GoalStatus
from asterias_interfaces.action import CrawlTo
from nav_msgs.msg import Odometry
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Float64MultiArray, String

from asterias_nodes.crawling.crawl import CrawlSettings
from asterias_nodes.crawling.crawl_demo import CrawlDemoSettings
from asterias_nodes.runtime.conversions import from_pose_msg, to_odometry_msg, to_time_msg
from asterias_nodes.runtime.parameters import SettingsError
from asterias_nodes.runtime.qos import latched_qos, reliable_qos
from hardware.description.robot import load_robot

Code = CrawlTo.Result
ROBOT = load_robot("starfish")
NAMES = [joint.name for joint in ROBOT.limbs[0].joints]


class FakeRobot:
    """A robot that is where a test puts it, and goes towards +x while it is commanded."""

    def __init__(self, peer: Any) -> None:
        node = peer.node
        self.x_m, self.time_s, self.moves = 0.0, 1.0, True
        self.commands: list[Any] = []
        self._odometry = node.create_publisher(Odometry, "/odom", reliable_qos())
        self._joints = [
            node.create_publisher(JointState, f"/limb_{k}/joint_states", reliable_qos())
            for k in range(6)
        ]
        self.owner = node.create_publisher(String, "/limb_3/active_source", latched_qos())
        self.stop = node.create_publisher(Bool, "/e_stop_state", latched_qos())
        for k in range(6):
            topic = f"/limb_{k}/sources/crawl"
            node.create_subscription(Float64MultiArray, topic, self._take, reliable_qos())
        self.timer = node.create_timer(0.02, self.tick)

    def _take(self, message: Any) -> None:
        self.commands.append(message.data)
        self.x_m += 0.004 if self.moves else 0.0

    def tick(self) -> None:
        """Publish joints and a pose, 0.02 s later than the last."""
        self.time_s += 0.02
        stamp = to_time_msg(self.time_s)
        message = JointState(name=NAMES, position=[0.0] * 8)
        message.header.stamp = stamp
        for topic in self._joints:
            topic.publish(message)
        place, still = np.array([self.x_m, 0.0, -0.27]), np.zeros(3)
        arguments = (np.eye(3), place, still, still, stamp, "map", "base_link")
        self._odometry.publish(to_odometry_msg(*arguments))


class CrawlAsker(Asker):
    """Sends goals to ``/crawl_to`` by their fields."""

    def __init__(self, peer: Any) -> None:
        super().__init__(peer, CrawlTo, "/crawl_to")

    def begin(self, **fields: Any) -> Any:
        """The handle of a goal; x is where to, frame in which frame."""
        goal = CrawlTo.Goal()
        goal.target.point.x = fields.pop("x", 0.0)
        goal.target.header.frame_id = fields.pop("frame", "")
        for name, value in fields.items():
            setattr(goal, name, value)
        return self.send(goal)

    def outcome(self, **fields: Any) -> Any:
        """The result of a goal."""
        return self.result(self.begin(**fields)).result


def test_a_goal_is_reached_canceled_replaced_stopped_and_taken_over(
    start_node: Any, peer: Any
) -> None:
    start_node("crawl", patience_s=20.0, progress_s=2.0)
    robot, asker = FakeRobot(peer), CrawlAsker(peer)
    there = asker.outcome(x=0.4)
    assert there.error_code == Code.NONE and there.arrived, there.error_msg
    assert there.distance <= 0.08 and there.crawled == pytest.approx(0.32, abs=0.05)
    assert max(abs(angle) for command in robot.commands for angle in command) <= 0.35
    assert asker.feedback and asker.feedback[-1].leading_limb == 0
    # In the robot's own frame the robot's place counts, and what is near is at once reached.
    assert asker.outcome(x=0.05, frame="base_link").arrived

    handle = asker.begin(x=50.0 - 35.0)
    peer.wait_until(lambda: len(robot.commands) > 20)
    cancel = handle.cancel_goal_async()
    peer.wait_until(cancel.done)
    ended = asker.result(handle)
    assert ended.status == GoalStatus.STATUS_CANCELED
    assert ended.result.error_code == Code.CANCELED

    first = asker.begin(x=15.0)
    second = asker.begin(x=-15.0)
    assert asker.result(first).result.error_code == Code.REPLACED
    robot.owner.publish(String(data="web"))
    ended = asker.result(second).result
    assert ended.error_code == Code.TAKEN_OVER and "'web' has taken limb_3" in ended.error_msg
    robot.owner.publish(String(data=""))

    robot.moves = False
    stuck = asker.outcome(x=15.0)
    assert stuck.error_code == Code.FAILED_TO_MAKE_PROGRESS
    handle = asker.begin(x=15.0)
    robot.stop.publish(Bool(data=True))
    assert asker.result(handle).result.error_code == Code.E_STOP
    assert asker.outcome(x=1.0).error_code == Code.E_STOP


def test_a_goal_that_cannot_be_reached_is_refused_with_a_code(start_node: Any, peer: Any) -> None:
    start_node("crawl", patience_s=0.5)
    asker = CrawlAsker(peer)
    for fields, code, told in (
        ({"x": math.nan}, Code.BAD_GOAL, "must be finite"),
        ({"tolerance": -1.0}, Code.BAD_GOAL, "tolerance 0 or more"),
        ({"frame": "moon"}, Code.BAD_GOAL, "use map or base_link"),
        ({"gait": "gallop"}, Code.UNKNOWN_GAIT, "There is no gait 'gallop'"),
        ({"x": 1.0}, Code.NO_ROBOT, "No joint states come from limb_0"),
    ):
        result = asker.outcome(**fields)
        assert (result.error_code, result.arrived) == (code, False)
        assert told in result.error_msg


@pytest.mark.slow
def test_far_and_unseen_targets_are_refused(start_node: Any, peer: Any) -> None:
    start_node("crawl", patience_s=4.0)
    robot, asker = FakeRobot(peer), CrawlAsker(peer)
    far = asker.outcome(x=99.0)
    assert far.error_code == Code.BAD_GOAL and "at most 20 m" in far.error_msg
    unseen = asker.outcome(seen=True)
    assert unseen.error_code == Code.NOT_SEEN and "No camera saw the target" in unseen.error_msg
    robot.timer.cancel()
    peer.wait_until(lambda: asker.outcome(x=1.0).error_code == Code.NO_ROBOT)


def test_a_pose_goes_into_a_message_and_back() -> None:
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    place = np.array([1.0, 2.0, 3.0])
    stamp = to_time_msg(1.0)
    message = to_odometry_msg(turn, place, place, place, stamp, "map", "base_link")
    rotation, position = from_pose_msg(message.pose.pose)
    assert rotation == pytest.approx(turn) and position == pytest.approx(place)
    for bad in (Odometry(), message):
        bad.pose.pose.position.x = math.nan
        with pytest.raises(ValueError, match="no finite numbers"):
            from_pose_msg(bad.pose.pose)


def test_settings_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(SettingsError, match="'progress_s' must be above 0"):
        CrawlSettings(progress_s=0.0)
    with pytest.raises(SettingsError, match="there is nothing to do"):
        CrawlDemoSettings(to_target=False)
    with pytest.raises(SettingsError, match="'distance_m'"):
        CrawlDemoSettings(distance_m=0.0)
