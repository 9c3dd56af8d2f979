"""Managed node ``path_follower``: action ``/follow_path`` drives the robot along a path.

Takes ``/odom`` and ``/e_stop_state``; publishes ``/cmd_vel`` (geometry_msgs/Twist) once per pose
while a goal is in progress, and a stop when it ends, whatever the reason. A newer goal replaces the
one in progress.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Annotated

from asterias_interfaces.action import FollowPath
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from rclpy.action.server import ServerGoalHandle
from std_msgs.msg import Bool

from asterias_nodes.navigation.navigation_messages import point_of, yaw_of
from asterias_nodes.runtime.actions.action_node import FEEDBACK_PERIOD_S, ActionNode, ActiveGoal
from asterias_nodes.runtime.actions.event_action_server import Event, GoalError
from asterias_nodes.runtime.conversions import to_duration_msg, to_seconds
from asterias_nodes.runtime.parameters import SettingsError, declare_settings
from asterias_nodes.runtime.qos import latched_qos, reliable_qos
from asterias_nodes.runtime.run_node import run_node
from planners.mazes.grid_map import Point
from planners.navigation.path_follower import FollowerOptions, PathFollower

Result = FollowPath.Result
CHECK_PERIOD_S = 0.1
# A pose that is nearer to the goal by less than this is no progress: odometry trembles so much.
NEARER_M = 0.01


@dataclass(frozen=True)
class PathFollowerSettings:
    """Parameters of the node."""

    speed_m_s: Annotated[float, "speed on the straight"] = 1.0
    off_path_m: Annotated[float, "how far from the path's start the robot may stand"] = 0.5
    patience_s: Annotated[float, "wall s without a pose before a goal fails"] = 2.0
    progress_s: Annotated[float, "s of the robot's clock without getting nearer, then fail"] = 5.0

    def __post_init__(self) -> None:
        for name in ("speed_m_s", "off_path_m", "patience_s", "progress_s"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"Parameter '{name}' must be above 0.")


class PathGoal(ActiveGoal):
    """A goal in progress; times are of the robot's clock unless they are called wall.

    Attributes:
        frame: of the path; empty: any.
        done: completes at the end of the path, fails with a :class:`GoalError`.
        pose_wall_s: when the newest pose came.
        feedback_wall_s: when feedback was sent.
        first_pose_s: stamp of the first pose.
        now_s: stamp of the newest pose.
        last: the newest place.
        driven_m: distance covered.
        nearest_m: smallest distance to go.
        nearer_s: stamp of the pose at which it became smaller.
    """

    canceled_text = "The drive was canceled."

    def __init__(self, handle: ServerGoalHandle) -> None:
        super().__init__(handle, FollowPath.Result())
        self.frame = str(handle.request.path.header.frame_id)
        self.done = Event()
        self.pose_wall_s = time.monotonic()
        self.feedback_wall_s = 0.0
        self.first_pose_s = self.now_s = math.nan
        self.last: Point | None = None
        self.driven_m = 0.0
        self.nearest_m = math.inf
        self.nearer_s = math.nan

    def on_stop(self) -> None:
        """End the drive."""
        self.done.fail(GoalError(Result.CANCELED, self.canceled_text))


class PathFollowerNode(ActionNode[PathGoal]):
    """Serves ``/follow_path``."""

    action_type = FollowPath
    action_name = "/follow_path"
    internal_error = Result.UNKNOWN

    def __init__(self) -> None:
        super().__init__("path_follower")
        self.settings = declare_settings(self, PathFollowerSettings)
        self._follower: PathFollower | None = None
        self._stopped = False

    # -- life cycle -----------------------------------------------------------------------------

    def open(self) -> None:
        """Open the topics."""
        self._command = self.owned.publisher(Twist, "/cmd_vel", reliable_qos(1))
        self.owned.subscription(Odometry, "/odom", self._on_odometry, reliable_qos(1))
        self.owned.subscription(Bool, "/e_stop_state", self._on_stop, latched_qos())
        self.owned.wall_timer(CHECK_PERIOD_S, self._check)

    # -- inputs ---------------------------------------------------------------------------------

    def _on_stop(self, message: Bool) -> None:
        self._stopped = bool(message.data)
        if self._stopped:
            self._fail(Result.E_STOP, "The emergency stop is engaged.")

    def _on_odometry(self, message: Odometry) -> None:
        goal, follower = self.goal, self._follower
        if goal is None or follower is None:
            return
        if goal.frame not in ("", message.header.frame_id):
            text = f"The path is in the frame '{goal.frame}', /odom in "
            self._fail(Result.TF_ERROR, f"{text}'{message.header.frame_id}'.")
            return
        try:
            self._steer(goal, follower, message)
        except GoalError as error:
            self._fail(error.code, str(error))

    def _steer(self, goal: PathGoal, follower: PathFollower, message: Odometry) -> None:
        """Send the velocity for a pose."""
        pose = message.pose.pose
        point = point_of(pose)
        self._note(goal, follower, point, to_seconds(message.header.stamp))
        command = follower.command(point, yaw_of(pose.orientation))
        if command.is_done:
            goal.done.complete()
            return
        twist = Twist()
        twist.linear.x, twist.linear.y = command.forward_m_s, command.left_m_s
        twist.angular.z = command.turn_rad_s
        self._command.publish(twist)
        if time.monotonic() - goal.feedback_wall_s >= FEEDBACK_PERIOD_S:
            goal.feedback_wall_s = time.monotonic()
            speed = math.hypot(message.twist.twist.linear.x, message.twist.twist.linear.y)
            to_go = follower.distance_to_go_m(point)
            goal.send_feedback(FollowPath.Feedback(distance_to_goal=to_go, speed=speed))

    def _note(self, goal: PathGoal, follower: PathFollower, point: Point, now_s: float) -> None:
        """Update distance and progress.

        Raises:
            GoalError: the robot is off the path or gets no nearer.
        """
        goal.pose_wall_s, goal.now_s = time.monotonic(), now_s
        if goal.last is None:
            off_m = follower.distance_to_path_m(point)
            if off_m > self.settings.off_path_m:
                text = f"The path begins {off_m:.2f} m away from the robot; plan again."
                raise GoalError(Result.INVALID_PATH, text)
            goal.first_pose_s = goal.nearer_s = now_s
        else:
            goal.driven_m += math.dist(goal.last, point)
        goal.last = point
        to_go_m = follower.distance_to_go_m(point)
        if to_go_m < goal.nearest_m - NEARER_M:
            goal.nearest_m, goal.nearer_s = to_go_m, now_s
        if now_s - goal.nearer_s > self.settings.progress_s:
            text = f"The robot did not get nearer to the goal for {self.settings.progress_s:g} s."
            raise GoalError(Result.FAILED_TO_MAKE_PROGRESS, text)

    def _check(self) -> None:
        goal = self.goal
        if goal is not None and time.monotonic() - goal.pose_wall_s > self.settings.patience_s:
            self._fail(Result.TF_ERROR, "The robot's pose is not known: nothing comes on /odom.")

    def _fail(self, code: int, text: str) -> None:
        if self.goal is not None:
            self.goal.done.fail(GoalError(code, text))

    # -- one goal -------------------------------------------------------------------------------

    def make_goal(self, handle: ServerGoalHandle) -> PathGoal:
        """Return the record of a goal."""
        return PathGoal(handle)

    async def on_goal(self, goal: PathGoal) -> None:
        """Drive until the end of the path.

        Raises:
            GoalError: the path is not followed to its end.
        """
        if self._stopped:
            raise GoalError(Result.E_STOP, "The emergency stop is engaged.")
        try:
            points = [point_of(stamped.pose) for stamped in goal.request.path.poses]
            options = FollowerOptions(speed_m_s=self.settings.speed_m_s)
            self._follower = PathFollower(points, options)
        except ValueError as error:
            raise GoalError(Result.INVALID_PATH, str(error)) from error
        await goal.done

    def on_end(self, goal: PathGoal) -> None:
        """Stop the robot and complete the result."""
        self._command.publish(Twist())
        duration_s = goal.now_s - goal.first_pose_s
        goal.result.driven = goal.driven_m
        goal.result.duration = to_duration_msg(duration_s if math.isfinite(duration_s) else 0.0)


def main() -> int:
    """Return the exit code of ``ros2 run asterias_nodes path_follower``."""
    return run_node(PathFollowerNode)
