"""Managed node ``crawl``: action ``/crawl_to`` crawls to a place, or to the target cameras see.

Runs a gait that was learned: while a goal is in progress it commands all limbs 12.5 times a second
of the robot's clock through the command multiplexer, as its source ``crawl``. Takes ``/odom``,
``/limb_<i>/joint_states``, ``/e_stop_state`` and, for goals that ask for it, the corners in
``/target/detections``. When a goal ends, whatever the reason, the limbs hold. A newer goal replaces
the one in progress.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from asterias_interfaces.action import CrawlTo
from asterias_interfaces.msg import TagDetections
from nav_msgs.msg import Odometry
from rclpy.action.server import ServerGoalHandle
from std_msgs.msg import Float64MultiArray

from asterias.arrays import FloatArray
from asterias.errors import UserError
from asterias_nodes.crawling.crawl_goal import CrawlGoal
from asterias_nodes.robot.limb_state_monitor import NOBODY, LimbStateMonitor
from asterias_nodes.runtime.actions.action_node import ActionNode
from asterias_nodes.runtime.actions.event_action_server import GoalError
from asterias_nodes.runtime.actions.waiting import wait_until
from asterias_nodes.runtime.conversions import from_pose_msg, to_seconds
from asterias_nodes.runtime.parameters import SettingsError, declare_settings
from asterias_nodes.runtime.qos import reliable_qos
from asterias_nodes.runtime.run_node import run_node
from hardware.description.frames import BASE_FRAME, MAP_FRAME
from hardware.description.robot import load_robot
from learning.crawling.gaits import load_gait
from learning.crawling.limb_modes import CONTROL_HZ
from learning.crawling.pilot import GaitPilot
from learning.crawling.sighting import TargetSighting

Result = CrawlTo.Result
CHECK_PERIOD_S = 0.1
# A tag's middle stands so high above its place on the ground that no limb reaches it; the robot
# stops where its limbs do.
SEEN_TOLERANCE_M = 0.45


@dataclass(frozen=True)
class CrawlSettings:
    """Parameters of the node."""

    robot: Annotated[str, "name or path of the robot description"] = "starfish"
    gait: Annotated[str, "gait for goals that name none: a name, or a file .json"] = "rowing"
    tolerance_m: Annotated[float, "how near counts as arrived, for goals that do not say"] = 0.08
    farthest_m: Annotated[float, "targets beyond this distance are refused"] = 20.0
    target_size_m: Annotated[float, "edge of the target's black square"] = 0.3
    patience_s: Annotated[float, "wall s without a pose, joints or a sight before a goal fails"] = (
        5.0
    )
    progress_s: Annotated[float, "s of the robot's clock without getting nearer, then fail"] = 8.0
    source: Annotated[str, "name among the sources of the command multiplexer"] = "crawl"

    def __post_init__(self) -> None:
        names = ("tolerance_m", "farthest_m", "target_size_m", "patience_s", "progress_s")
        for name in names:
            if not 0.0 < getattr(self, name) < float("inf"):
                raise SettingsError(f"Parameter '{name}' must be above 0.")


class CrawlNode(ActionNode[CrawlGoal]):
    """Serves ``/crawl_to``."""

    action_type = CrawlTo
    action_name = "/crawl_to"
    internal_error = Result.INTERNAL

    def __init__(self) -> None:
        super().__init__("crawl")
        self.settings = declare_settings(self, CrawlSettings)
        self._robot = load_robot(self.settings.robot)
        self._middle_m = np.mean([limb.base.xyz for limb in self._robot.limbs], axis=0)
        self._sighting = TargetSighting(self._robot, self.settings.target_size_m)
        self._pilot(self.settings.gait)  # refuses at once what would fail with each goal
        self._monitors: list[LimbStateMonitor] = []
        self._pose: tuple[FloatArray, FloatArray] | None = None
        self._pose_wall_s = -np.inf

    # -- life cycle -----------------------------------------------------------------------------

    def open(self) -> None:
        """Open the topics."""
        own = self.owned
        self._monitors = [
            LimbStateMonitor(self, self._robot, number, on_stop=self._on_stop)
            for number in range(len(self._robot.limbs))
        ]
        for monitor in self._monitors:
            own.add(monitor.close)
        topics = [f"/limb_{k}/sources/{self.settings.source}" for k in range(len(self._monitors))]
        self._commands = [own.publisher(Float64MultiArray, t, reliable_qos()) for t in topics]
        own.subscription(Odometry, "/odom", self._on_odometry, reliable_qos(1))
        own.subscription(
            TagDetections, "/target/detections", self._on_detections, reliable_qos(100)
        )
        own.wall_timer(CHECK_PERIOD_S, self._check)

    def _pilot(self, name: str) -> GaitPilot:
        """Return the pilot of a gait.

        Passes on ``UserError``: there is none, or it does not fit.
        """
        return GaitPilot(self._robot, load_gait(name))

    # -- inputs ---------------------------------------------------------------------------------

    def _on_stop(self, is_engaged: bool) -> None:
        if is_engaged and self.goal is not None:
            self.goal.fail(Result.E_STOP, "The emergency stop is engaged.")

    def _on_odometry(self, message: Odometry) -> None:
        if message.child_frame_id != BASE_FRAME or message.header.frame_id != MAP_FRAME:
            return
        try:
            self._pose = from_pose_msg(message.pose.pose)
        except ValueError:
            return
        self._pose_wall_s = time.monotonic()
        goal = self.goal
        if goal is not None and goal.is_steered:
            self._steer(goal, to_seconds(message.header.stamp))

    def _middle(self) -> FloatArray:
        """Return ``(2,)`` where the robot's middle is in the map."""
        assert self._pose is not None
        rotation, position = self._pose
        return (rotation @ self._middle_m + position)[:2]

    def _on_detections(self, message: TagDetections) -> None:
        goal = self.goal
        if goal is None or not goal.request.seen or self._pose is None:
            return
        try:
            limb = int(message.limb.removeprefix("limb_"))
            camera = int(message.camera.removeprefix("camera_"))
            position = self._monitors[limb].position_rad
        except (ValueError, IndexError):
            return
        for found in message.detections:
            if found.id != self._robot.target.id or position is None:
                continue
            place = self._sighting.position_m(limb, camera, found.corners_px, position)
            if place is not None:
                rotation, shift = self._pose
                goal.sees((rotation @ place + shift)[:2])

    # -- steering -------------------------------------------------------------------------------

    def _steer(self, goal: CrawlGoal, now_s: float) -> None:
        """Command all limbs where it is time to, and end a goal that has arrived or is stuck."""
        assert self._pose is not None and goal.target_m is not None and goal.pilot is not None
        rotation, _ = self._pose
        distance_m = goal.note(self._middle(), now_s)
        if distance_m <= goal.tolerance_m:
            goal.done.complete()
            return
        if goal.stuck_s > self.settings.progress_s:
            text = f"The robot got no nearer to the target for {self.settings.progress_s:g} s."
            goal.fail(Result.FAILED_TO_MAKE_PROGRESS, text)
            return
        if not goal.is_command_due(1.0 / CONTROL_HZ):
            return
        way = rotation[:2, :2].T @ (goal.target_m - self._middle())
        bearing = float(np.arctan2(way[1], way[0]))
        for topic, command in zip(
            self._commands, goal.pilot.commands(goal.elapsed_robot_s, bearing), strict=True
        ):
            topic.publish(Float64MultiArray(data=command.tolist()))

    def _check(self) -> None:
        goal, patience_s = self.goal, self.settings.patience_s
        if goal is None or not goal.is_steered:
            return
        if time.monotonic() - max(self._pose_wall_s, goal.started_s) > patience_s:
            goal.fail(Result.NO_POSE, "The robot's pose is not known any more: no /odom comes.")
        for number, monitor in enumerate(self._monitors):
            if monitor.active_source not in (NOBODY, self.settings.source):
                text = f"'{monitor.active_source}' has taken limb_{number}; try again later."
                goal.fail(Result.TAKEN_OVER, text)

    def on_feedback_due(self, goal: CrawlGoal) -> None:
        """Tell how far it is."""
        if goal.is_steered:
            goal.send_feedback(goal.feedback())

    # -- one goal -------------------------------------------------------------------------------

    def make_goal(self, handle: ServerGoalHandle) -> CrawlGoal:
        """Return the record of a goal."""
        return CrawlGoal(handle)

    async def on_goal(self, goal: CrawlGoal) -> None:
        """Crawl until the robot is there.

        Raises:
            GoalError: it does not get there.
        """
        self._admit(goal)
        await self._wait_for_robot(goal)
        seen = goal.request.seen
        target_m = await self._wait_for_sight(goal) if seen else self._place_of(goal)
        goal.target_m = target_m
        distance_m = float(np.linalg.norm(target_m - self._middle()))
        if distance_m > self.settings.farthest_m:
            text = f"The target is {distance_m:.1f} m away; at most {self.settings.farthest_m:g} m."
            raise GoalError(Result.BAD_GOAL, text)
        goal.is_steered = True
        await goal.done

    def _admit(self, goal: CrawlGoal) -> None:
        """Check a request, and complete the goal's record.

        Raises:
            GoalError: it cannot be used.
        """
        request: CrawlTo.Goal = goal.request
        frame, point = request.target.header.frame_id, request.target.point
        if not np.isfinite([point.x, point.y, request.tolerance]).all() or request.tolerance < 0:
            text = "Target and tolerance must be finite numbers, the tolerance 0 or more."
            raise GoalError(Result.BAD_GOAL, text)
        if frame not in ("", MAP_FRAME, BASE_FRAME):
            text = f"The target is in the frame '{frame}'; use {MAP_FRAME} or {BASE_FRAME}."
            raise GoalError(Result.BAD_GOAL, text)
        usual_m = SEEN_TOLERANCE_M if request.seen else self.settings.tolerance_m
        goal.tolerance_m = request.tolerance or usual_m
        try:
            goal.pilot = self._pilot(request.gait or self.settings.gait)
        except UserError as error:
            raise GoalError(Result.UNKNOWN_GAIT, str(error)) from error

    async def _wait_for_robot(self, goal: CrawlGoal) -> None:
        """Wait for a pose, joints and the multiplexer.

        Raises:
            GoalError: something does not come.
        """
        if any(monitor.is_stopped for monitor in self._monitors):
            raise GoalError(Result.E_STOP, "The emergency stop is engaged.")
        asked_s = time.monotonic()

        def is_there() -> bool:
            goal.raise_if_stopped()
            return self._pose_wall_s > asked_s and self._missing() is None

        if await wait_until(self, is_there, self.settings.patience_s):
            return
        raise self._missing() or GoalError(
            Result.NO_POSE,
            "The robot's pose is not known: nothing comes on /odom; launch it with ground:=true.",
        )

    def _missing(self) -> GoalError | None:
        """Return which limb is not there, with the cure."""
        for number, monitor in enumerate(self._monitors):
            if not monitor.is_fresh:
                text = f"No joint states come from limb_{number}; launch the robot and activate it."
                return GoalError(Result.NO_ROBOT, text)
            if not self._commands[number].get_subscription_count():
                topic = self._commands[number].topic_name
                text = f"Nobody listens to {topic}; launch command_multiplexer with this source."
                return GoalError(Result.NO_ROBOT, text)
        return None

    async def _wait_for_sight(self, goal: CrawlGoal) -> FloatArray:
        """Return ``(2,)`` where the target is in the map, once a camera sees it.

        Raises:
            GoalError: none does.
        """

        def is_seen() -> bool:
            goal.raise_if_stopped()
            return goal.target_m is not None

        await wait_until(self, is_seen, self.settings.patience_s)
        if goal.target_m is None:
            text = f"No camera saw the target within {self.settings.patience_s:g} s; turn the robot"
            raise GoalError(Result.NOT_SEEN, f"{text}, move the target, or try /find_target.")
        return goal.target_m

    def _place_of(self, goal: CrawlGoal) -> FloatArray:
        """Return ``(2,)`` where the goal's target is in the map."""
        target = goal.request.target
        place = np.array([target.point.x, target.point.y])
        if target.header.frame_id != BASE_FRAME:
            return place
        assert self._pose is not None
        rotation = self._pose[0]
        ahead = np.arctan2(rotation[1, 0], rotation[0, 0])
        turn = np.array([[np.cos(ahead), -np.sin(ahead)], [np.sin(ahead), np.cos(ahead)]])
        return self._middle() + turn @ (place - self._middle_m[:2])

    def on_end(self, goal: CrawlGoal) -> None:
        """Let all limbs hold where they are, unless somebody else has them; complete the result."""
        goal.is_steered = False
        if goal.result.error_code not in (Result.TAKEN_OVER, Result.E_STOP, Result.REPLACED):
            for topic, monitor in zip(self._commands, self._monitors, strict=True):
                if goal.has_moved and monitor.position_rad is not None:
                    topic.publish(Float64MultiArray(data=monitor.position_rad.tolist()))
        goal.complete()


def main() -> int:
    """Return the exit code of ``ros2 run asterias_nodes crawl``."""
    return run_node(CrawlNode)
