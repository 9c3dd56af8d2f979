"""Managed node ``path_follower``: action ``/follow_path`` drives the robot along a path.

Takes ``/odom`` and ``/e_stop_state``; publishes ``/cmd_vel`` (geometry_msgs/Twist) once per pose
while a goal is in progress, and a stop when it ends, whatever the reason. A newer goal replaces the
one in progress.
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass, field
from typing import Annotated

from asterias_interfaces.action import FollowPath
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from rclpy.action import CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription
from rclpy.timer import Timer
from std_msgs.msg import Bool

from asterias_nodes.navigation.navigation_messages import point_of, yaw_of
from asterias_nodes.runtime.conversions import to_seconds
from asterias_nodes.runtime.event_action_server import Event, EventActionServer, GoalError
from asterias_nodes.runtime.lifecycle_node import ManagedNode
from asterias_nodes.runtime.parameters import SettingsError, declare_settings
from asterias_nodes.runtime.qos import latched_qos, reliable_qos
from asterias_nodes.runtime.run_node import run_node
from planners.mazes.grid_map import Point
from planners.navigation.path_follower import FollowerOptions, PathFollower

Result = FollowPath.Result
FEEDBACK_PERIOD_S = 0.2


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


class FollowError(GoalError):
    """A path is not followed to its end."""


@dataclass
class Drive:
    """A goal in progress; times are of the robot's clock unless they are called wall."""

    handle: ServerGoalHandle
    follower: PathFollower
    frame: str
    done: Event = field(default_factory=Event)
    heard_wall_s: float = field(default_factory=time.monotonic)
    told_wall_s: float = 0.0
    started_s: float = math.nan
    now_s: float = math.nan
    last: Point | None = None
    driven_m: float = 0.0
    nearest_m: float = math.inf
    nearer_s: float = math.nan


class PathFollowerNode(ManagedNode):
    """Serves ``/follow_path``."""

    def __init__(self) -> None:
        super().__init__("path_follower")
        self.settings = declare_settings(self, PathFollowerSettings)
        self._drive: Drive | None = None
        self._is_active, self._stopped = False, False
        self._server: EventActionServer | None = None
        self._command: Publisher | None = None
        self._subscriptions: list[Subscription] = []
        self._timer: Timer | None = None

    # -- life cycle -----------------------------------------------------------------------------

    def configure(self) -> None:
        """Open the topics and the action server; goals are refused until activation."""
        self._command = self.create_publisher(Twist, "/cmd_vel", reliable_qos(1))
        self._subscriptions = [
            self.create_subscription(Odometry, "/odom", self._on_odometry, reliable_qos(1)),
            self.create_subscription(Bool, "/e_stop_state", self._on_stop, latched_qos()),
        ]
        wall = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self.create_timer(0.1, self._check, clock=wall)
        self._server = EventActionServer(
            self,
            FollowPath,
            "/follow_path",
            self._execute,
            goal_callback=lambda goal: (
                GoalResponse.ACCEPT if self._is_active else GoalResponse.REJECT
            ),
            cancel_callback=lambda handle: CancelResponse.ACCEPT,
        )

    def activate(self) -> None:
        """Accept goals."""
        self._is_active = True

    def deactivate(self) -> None:
        """Refuse goals; the robot stops."""
        self._is_active = False
        self._fail(Result.CANCELED, "The follower was deactivated.")

    def cleanup(self) -> None:
        """Close the topics."""
        if self._server is not None:
            self._server.destroy()
            self._server = None
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None
        for subscription in self._subscriptions:
            self.destroy_subscription(subscription)
        self._subscriptions = []
        if self._command is not None:
            self.destroy_publisher(self._command)
            self._command = None

    # -- inputs ---------------------------------------------------------------------------------

    def _on_stop(self, message: Bool) -> None:
        self._stopped = bool(message.data)
        if self._stopped:
            self._fail(Result.E_STOP, "The emergency stop is engaged.")

    def _on_odometry(self, message: Odometry) -> None:
        drive = self._drive
        if drive is None:
            return
        if drive.handle.is_cancel_requested:
            self._fail(Result.CANCELED, "The drive was canceled.")
            return
        if drive.frame not in ("", message.header.frame_id):
            text = f"The path is in the frame '{drive.frame}', /odom in "
            self._fail(Result.TF_ERROR, f"{text}'{message.header.frame_id}'.")
            return
        try:
            self._steer(drive, message)
        except FollowError as error:
            self._fail(error.code, str(error))

    def _steer(self, drive: Drive, message: Odometry) -> None:
        """Send the velocity for a pose."""
        pose = message.pose.pose
        point = point_of(pose)
        self._note(drive, point, to_seconds(message.header.stamp))
        command = drive.follower.command(point, yaw_of(pose.orientation))
        if command.is_done:
            drive.done.complete()
            return
        twist = Twist()
        twist.linear.x, twist.linear.y = command.forward_m_s, command.left_m_s
        twist.angular.z = command.turn_rad_s
        self._send(twist)
        if time.monotonic() - drive.told_wall_s >= FEEDBACK_PERIOD_S:
            drive.told_wall_s = time.monotonic()
            speed = math.hypot(message.twist.twist.linear.x, message.twist.twist.linear.y)
            to_go = drive.follower.distance_to_go_m(point)
            drive.handle.publish_feedback(FollowPath.Feedback(distance_to_goal=to_go, speed=speed))

    def _note(self, drive: Drive, point: Point, now_s: float) -> None:
        """Keep account of way and progress; raises where there is none."""
        drive.heard_wall_s, drive.now_s = time.monotonic(), now_s
        if drive.last is None:
            off_m = drive.follower.distance_to_path_m(point)
            if off_m > self.settings.off_path_m:
                text = f"The path begins {off_m:.2f} m away from the robot; plan again."
                raise FollowError(Result.INVALID_PATH, text)
            drive.started_s = drive.nearer_s = now_s
        else:
            drive.driven_m += math.dist(drive.last, point)
        drive.last = point
        to_go_m = drive.follower.distance_to_go_m(point)
        if to_go_m < drive.nearest_m - 0.01:
            drive.nearest_m, drive.nearer_s = to_go_m, now_s
        if now_s - drive.nearer_s > self.settings.progress_s:
            text = f"The robot did not get nearer to the goal for {self.settings.progress_s:g} s."
            raise FollowError(Result.FAILED_TO_MAKE_PROGRESS, text)

    def _check(self) -> None:
        drive = self._drive
        if drive is None:
            return
        if drive.handle.is_cancel_requested:
            self._fail(Result.CANCELED, "The drive was canceled.")
        elif time.monotonic() - drive.heard_wall_s > self.settings.patience_s:
            self._fail(Result.TF_ERROR, "The robot's pose is not known: nothing comes on /odom.")

    def _fail(self, code: int, text: str) -> None:
        if self._drive is not None:
            self._drive.done.fail(FollowError(code, text))

    # -- one goal -------------------------------------------------------------------------------

    async def _execute(self, handle: ServerGoalHandle) -> FollowPath.Result:
        self._fail(Result.REPLACED, "A newer goal took this one's place.")
        result = FollowPath.Result()
        drive: Drive | None = None
        try:
            drive = self._drive = self._admit(handle)
            await drive.done
        except FollowError as error:
            result.error_code, result.error_msg = error.code, str(error)
        except Exception as error:
            self.get_logger().error(f"The drive failed: {error!r}")
            result.error_code, result.error_msg = Result.UNKNOWN, str(error)
        if self._drive is drive:
            self._drive = None
        self._send(Twist())
        if drive is not None:
            result.driven = drive.driven_m
            duration_s = drive.now_s - drive.started_s
            result.duration = Duration(
                seconds=duration_s if math.isfinite(duration_s) else 0.0
            ).to_msg()
        if result.error_code == Result.NONE:
            handle.succeed()
        elif handle.is_cancel_requested:
            handle.canceled()
        else:
            handle.abort()
        return result

    def _admit(self, handle: ServerGoalHandle) -> Drive:
        if self._stopped:
            raise FollowError(Result.E_STOP, "The emergency stop is engaged.")
        path = handle.request.path
        try:
            points = [point_of(stamped.pose) for stamped in path.poses]
            options = FollowerOptions(speed_m_s=self.settings.speed_m_s)
            return Drive(handle, PathFollower(points, options), path.header.frame_id)
        except ValueError as error:
            raise FollowError(Result.INVALID_PATH, str(error)) from error

    def _send(self, twist: Twist) -> None:
        if self._command is not None:
            self._command.publish(twist)


def main() -> None:
    """Run the node until it is told to stop."""
    sys.exit(run_node(PathFollowerNode))


if __name__ == "__main__":
    main()
