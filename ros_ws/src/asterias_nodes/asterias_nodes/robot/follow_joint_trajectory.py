"""The action FollowJointTrajectory of a limb, as MoveIt and clients of ros2_control use it.

A goal is followed by the limb's own driver, linearly between its points. It is refused while a
source of the command multiplexer has the limb, and ends as soon as somebody else commands the limb
or the emergency stop is engaged. Results carry the standard's codes: INVALID_GOAL for what cannot
be followed, INVALID_JOINTS for joints that the limb does not have, OLD_HEADER_TIMESTAMP for a
trajectory that has passed, and the two tolerances while it moves and at its end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from control_msgs.action import FollowJointTrajectory
from rclpy.action import CancelResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from asterias.arrays import FloatArray
from asterias.errors import HardwareError
from asterias_nodes.robot.multiplexer_watch import MultiplexerWatch
from asterias_nodes.runtime.actions.event_action_server import Event, EventActionServer, GoalError
from asterias_nodes.runtime.conversions import to_seconds
from asterias_nodes.runtime.executor import soon
from asterias_nodes.runtime.owned_entities import OwnedEntities
from hardware.description.frames import prefixed
from hardware.limbs.driver import Clock, LimbState
from hardware.limbs.tolerances import JointTolerances
from hardware.limbs.trajectory import TrajectoryController, Waypoint

Result = FollowJointTrajectory.Result
# Where a goal names none: servos under load rest a few hundredths of a radian off.
GOAL_TOLERANCE_RAD = 0.1
GOAL_TIME_S = 1.0
# Planners round; the driver cuts what is left.
LIMIT_ROUNDING_RAD = 1e-3
FEEDBACK_PERIOD_S = 0.05
ERASED = -1.0


class _Goal:
    """A goal that is being followed."""

    def __init__(
        self,
        handle: ServerGoalHandle,
        columns: list[int],
        duration_s: float,
        path: JointTolerances,
        end: JointTolerances,
    ) -> None:
        self.handle = handle
        self.columns = columns
        self.duration_s = duration_s
        self.path = path
        self.end = end
        allowed_s = to_seconds(handle.request.goal_time_tolerance)
        self.late_s = allowed_s if allowed_s > 0.0 else GOAL_TIME_S
        self.start_s = 0.0
        self.changes = 0
        self.feedback_s = -math.inf
        self.ended = Event()


class FollowJointTrajectoryServer:
    """Serves the action for one limb.

    Args:
        node: the hosting node.
        owned: opens and closes the action.
        number: of the limb on the topics.
        motion: of the limb; its driver is the limb's.
        clock: the driver's clock.
        multiplexer: tells who has the limb.
    """

    def __init__(
        self,
        node: Node,
        owned: OwnedEntities,
        number: int,
        motion: TrajectoryController,
        clock: Clock,
        multiplexer: MultiplexerWatch,
    ) -> None:
        self._node = node
        self._motion = motion
        self._clock = clock
        self._multiplexer = multiplexer
        self._names = list(motion.driver.joint_names)
        # Goals may name joints as joint_states do, or as the URDF does.
        self._columns = {name: i for i, name in enumerate(self._names)}
        self._columns |= {prefixed(number, name): i for i, name in enumerate(self._names)}
        self._stamp_s: float | None = None
        self._goal: _Goal | None = None
        server = EventActionServer(
            node,
            FollowJointTrajectory,
            f"/limb_{number}/follow_joint_trajectory",
            self._execute,
            cancel_callback=self._on_cancel,
        )
        owned.add(server.destroy)
        owned.add(self._on_close)

    def observe(self, stamp: Time, state: LimbState) -> None:
        """Judge the goal in progress by what was just measured, and publish feedback."""
        self._stamp_s = to_seconds(stamp)
        goal = self._goal
        if goal is None:
            return
        elapsed_s = self._clock() - goal.start_s
        target = self._motion.target(elapsed_s)
        if self._motion.changes != goal.changes or target is None:
            self._end(goal, Result.INVALID_GOAL, self._interruption())
            return
        off, speed_off = target - state.position_rad, -state.velocity_rad_s
        if elapsed_s - goal.feedback_s >= FEEDBACK_PERIOD_S:
            goal.feedback_s = elapsed_s
            self._publish_feedback(goal, stamp, elapsed_s, target, state)
        if elapsed_s < goal.duration_s:
            late = goal.path.violation(self._names, off, np.zeros(len(off)))
            if late:
                self._abort(goal, Result.PATH_TOLERANCE_VIOLATED, f"While moving, {late}.")
            return
        left = goal.end.violation(self._names, off, speed_off)
        if not left:
            self._end(goal, Result.SUCCESSFUL, "")
        elif elapsed_s > goal.duration_s + goal.late_s:
            text = f"{goal.late_s:g} s after the end, {left}."
            self._abort(goal, Result.GOAL_TOLERANCE_VIOLATED, text)

    # -- one goal -------------------------------------------------------------------------------

    async def _execute(self, handle: ServerGoalHandle) -> Any:
        try:
            goal = self._begin(handle)
        except GoalError as error:
            handle.abort()
            return Result(error_code=error.code, error_string=str(error))
        code, text = await goal.ended
        if code == Result.SUCCESSFUL and handle.is_cancel_requested:
            handle.canceled()
        elif code == Result.SUCCESSFUL:
            handle.succeed()
        else:
            handle.abort()
        return Result(error_code=code, error_string=text)

    def _begin(self, handle: ServerGoalHandle) -> _Goal:
        """Start to follow a goal, which ends the one in progress.

        Returns:
            The goal.

        Raises:
            GoalError: it cannot be followed, and the one in progress goes on.
        """
        request = handle.request
        if request.multi_dof_trajectory.joint_names or request.multi_dof_trajectory.points:
            raise GoalError(Result.INVALID_JOINTS, "The limb has no joints of several degrees.")
        owner = self._multiplexer.active_source
        if owner:
            text = f"The source '{owner}' has the limb; wait until it lets go."
            raise GoalError(Result.INVALID_GOAL, text)
        trajectory = request.trajectory
        columns = self._columns_of(trajectory.joint_names)
        points = self._waypoints(trajectory, columns)
        count = len(self._names)
        path = self._tolerances(request.path_tolerance, JointTolerances.everywhere(count, np.inf))
        default = JointTolerances.everywhere(count, np.inf)
        default.position_rad[columns] = GOAL_TOLERANCE_RAD
        end = self._tolerances(request.goal_tolerance, default)
        goal = _Goal(handle, columns, points[-1].time_s, path, end)
        try:
            self._motion.follow(points)
        except HardwareError as error:
            raise GoalError(Result.INVALID_GOAL, str(error)) from error
        if self._goal is not None:
            text = "A newer goal took this one's place."
            self._end(self._goal, Result.INVALID_GOAL, text)
        goal.start_s, goal.changes = self._clock(), self._motion.changes
        self._goal = goal
        return goal

    def _abort(self, goal: _Goal, code: int, text: str) -> None:
        self._hold()
        self._end(goal, code, text)

    def _hold(self) -> None:
        try:
            self._motion.abandon()
        except HardwareError as error:
            self._node.get_logger().error(str(error))

    def _end(self, goal: _Goal, code: int, text: str) -> None:
        if self._goal is goal:
            self._goal = None
        goal.ended.complete((code, text))

    def _on_cancel(self, handle: ServerGoalHandle) -> CancelResponse:
        # Only when this callback has returned is the goal one that is being canceled.
        soon(self._node, self._cancel, handle)
        return CancelResponse.ACCEPT

    def _cancel(self, handle: ServerGoalHandle) -> None:
        goal = self._goal
        if goal is not None and goal.handle is handle:
            self._hold()
            self._end(goal, Result.SUCCESSFUL, "The goal was canceled; the limb holds.")

    def _on_close(self) -> None:
        if self._goal is not None:
            self._end(self._goal, Result.INVALID_GOAL, "The limb's driver is closed.")

    def _interruption(self) -> str:
        """Return a sentence about what has ended the motion of a goal."""
        if self._motion.is_stopped:
            return "The emergency stop is engaged; release it first."
        if not self._motion.driver.is_active:
            return f"Limb '{self._motion.driver.name}' is not active any more."
        owner = self._multiplexer.active_source
        return f"{f'The source {owner!r}' if owner else 'Another command'} took the limb."

    # -- what a goal says -----------------------------------------------------------------------

    def _columns_of(self, names: Sequence[str]) -> list[int]:
        """Return the place of each named joint.

        Raises:
            GoalError: a joint is unknown or named twice, or none is named.
        """
        known = f"its joints are {', '.join(self._names)}"
        for name in names:
            if name not in self._columns:
                text = f"The limb has no joint '{name}'; {known}."
                raise GoalError(Result.INVALID_JOINTS, text)
        columns = [self._columns[name] for name in names]
        if not columns or len(set(columns)) < len(columns):
            raise GoalError(Result.INVALID_JOINTS, f"Name each joint of the goal once; {known}.")
        return columns

    def _waypoints(self, trajectory: JointTrajectory, columns: list[int]) -> list[Waypoint]:
        """Return the points that are still to come, from now on; other joints stay.

        Raises:
            GoalError: points are missing, of the wrong size, not finite, out of order or beyond a
                limit, or all of them have passed.
        """
        if not trajectory.points:
            raise GoalError(Result.INVALID_GOAL, "The trajectory has no points.")
        shift_s = self._shift_s(trajectory)
        rest, before_s = self._motion.driver.last_sent_rad, -math.inf
        path: list[Waypoint] = []
        for i, point in enumerate(trajectory.points):
            time_s = to_seconds(point.time_from_start)
            if not 0.0 <= time_s > before_s:
                text = f"Point {i} is out of order: its time, {time_s:g} s, must be above the last."
                raise GoalError(Result.INVALID_GOAL, text)
            before_s = time_s
            target = rest.copy()
            target[columns] = self._positions(i, point, columns)
            if time_s + shift_s >= 0.0:
                path.append(Waypoint(time_s + shift_s, target))
        if not path:
            text = "The trajectory lies in the past; leave its stamp 0 to start now."
            raise GoalError(Result.OLD_HEADER_TIMESTAMP, text)
        return path

    def _shift_s(self, trajectory: JointTrajectory) -> float:
        """Return from now to the start that a goal asks for; 0: now."""
        start_s = to_seconds(trajectory.header.stamp)
        if start_s == 0.0 or self._stamp_s is None:
            return 0.0
        return start_s - self._stamp_s

    def _positions(
        self, number: int, point: JointTrajectoryPoint, columns: list[int]
    ) -> FloatArray:
        """Return the positions of a point.

        Raises:
            GoalError: they are of the wrong size, not finite, or beyond a limit.
        """
        for kind in ("positions", "velocities", "accelerations"):
            values = np.array(getattr(point, kind))
            if (values.size or kind == "positions") and values.size != len(columns):
                text = f"Point {number} has {values.size} {kind} for {len(columns)} joints."
                raise GoalError(Result.INVALID_GOAL, text)
            if not np.isfinite(values).all():
                text = f"Point {number} has {kind} that are not finite."
                raise GoalError(Result.INVALID_GOAL, text)
        positions = np.array(point.positions)
        for column, value in zip(columns, positions.tolist(), strict=True):
            low, high = self._motion.driver.joints[column].limits_rad
            if not low - LIMIT_ROUNDING_RAD <= value <= high + LIMIT_ROUNDING_RAD:
                name = self._names[column]
                text = (
                    f"Point {number} puts {name} at {value:g} rad; it reaches {low:g} to {high:g}."
                )
                raise GoalError(Result.INVALID_GOAL, text)
        return positions

    def _tolerances(self, asked: Sequence[Any], default: JointTolerances) -> JointTolerances:
        """Return tolerances of all joints: 0 leaves the default, -1 allows everything.

        Raises:
            GoalError: a joint is unknown, or a value is neither of those nor above 0.
        """
        position, velocity = default.position_rad.copy(), default.velocity_rad_s.copy()
        for one in asked:
            column = self._columns_of([one.name])[0]
            for values, value in ((position, one.position), (velocity, one.velocity)):
                if value == ERASED:
                    values[column] = np.inf
                elif value > 0.0:
                    values[column] = value
                elif value != 0.0:
                    text = f"The tolerance {value:g} of {one.name} must be above 0, 0 or -1."
                    raise GoalError(Result.INVALID_GOAL, text)
        return JointTolerances(position, velocity)

    def _publish_feedback(
        self, goal: _Goal, stamp: Time, elapsed_s: float, target: FloatArray, state: LimbState
    ) -> None:
        columns, actual = goal.columns, state.position_rad
        feedback = FollowJointTrajectory.Feedback()
        feedback.header.stamp = stamp
        feedback.joint_names = [self._names[column] for column in columns]
        feedback.desired.positions = target[columns].tolist()
        feedback.actual.positions = actual[columns].tolist()
        feedback.actual.velocities = state.velocity_rad_s[columns].tolist()
        feedback.error.positions = (target - actual)[columns].tolist()
        seconds, rest = divmod(elapsed_s, 1.0)
        for point in (feedback.desired, feedback.actual, feedback.error):
            point.time_from_start.sec, point.time_from_start.nanosec = int(seconds), int(rest * 1e9)
        goal.handle.publish_feedback(feedback)
