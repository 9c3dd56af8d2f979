"""Managed node ``planner``: action ``/compute_path`` on the map of ``/map``.

Takes ``/map`` (nav_msgs/OccupancyGrid, transient local, as map_server and SLAM publish it) and, for
goals without a start, ``/odom`` (nav_msgs/Odometry in the frame of the map). Publishes ``/plan``
(nav_msgs/Path), ``/value_map`` (nav_msgs/OccupancyGrid: the ranks of a learned planner's values, to
look at) and ``/diagnostics``. A newer goal replaces the one in progress, as with Nav2. Planning has
its own thread: cancel and the other topics are served meanwhile.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Annotated, Any

from asterias_interfaces.action import ComputePath
from geometry_msgs.msg import Pose, PoseStamped
from nav_msgs.msg import OccupancyGrid, Odometry, Path
from rclpy.action.server import ServerGoalHandle

from asterias_nodes.navigation.navigation_messages import (
    from_map_msg,
    point_of,
    to_path_msg,
    to_value_map_msg,
)
from asterias_nodes.navigation.planning_worker import PlanningWorker, check_planners, weights_by_id
from asterias_nodes.runtime.actions.action_node import ActionNode, ActiveGoal
from asterias_nodes.runtime.actions.event_action_server import GoalError
from asterias_nodes.runtime.actions.waiting import wait_until
from asterias_nodes.runtime.conversions import to_duration_msg
from asterias_nodes.runtime.diagnostics import ERROR, OK, WARN, DiagnosticReport, Diagnostics
from asterias_nodes.runtime.parameters import SettingsError, declare_settings
from asterias_nodes.runtime.qos import latched_qos, reliable_qos
from asterias_nodes.runtime.run_node import run_node
from planners.mazes.grid_map import GridMap
from planners.networks.base import choose_device
from planners.planning.types import GridPlan, PlanProgress, PlanStatus

Result = ComputePath.Result
CODES = {
    PlanStatus.OPTIMAL: Result.NONE,
    PlanStatus.VALID: Result.NONE,
    PlanStatus.COLLISION: Result.PATH_COLLIDES,
    PlanStatus.TIMEOUT: Result.PATH_CIRCLES,
    PlanStatus.NO_PATH: Result.NO_VALID_PATH,
    PlanStatus.START_IN_WALL: Result.START_OCCUPIED,
    PlanStatus.GOAL_IN_WALL: Result.GOAL_OCCUPIED,
    PlanStatus.START_OUTSIDE_MAP: Result.START_OUTSIDE_MAP,
    PlanStatus.GOAL_OUTSIDE_MAP: Result.GOAL_OUTSIDE_MAP,
    PlanStatus.TIME_LIMIT: Result.TIMEOUT,
    PlanStatus.CANCELED: Result.CANCELED,
}
POSE_TIMEOUT_S = 1.0


@dataclass(frozen=True)
class PlannerSettings:
    """Parameters of the node."""

    planners: Annotated[
        list[str],
        "planner ids, the first is the default: a_star, bfs, a model (sparse_dt_vin; dt_vin: its "
        "weights for the map's size), weights of planners/weights (dt_vin_35), or "
        "ID=FILE.safetensors",
    ] = ("sparse_dt_vin", "dt_vin", "a_star", "bfs")  # type: ignore[assignment]
    depth: Annotated[int, "layers of learned planners; 0 goes as deep as the way needs"] = 0
    device: Annotated[str, "cpu, cuda, or auto: the GPU if there is one"] = "auto"
    time_limit_s: Annotated[float, "seconds after which a learned planner gives up"] = 60.0
    unknown_is_free: Annotated[bool, "whether to plan through unknown cells of the map"] = False
    occupied_threshold: Annotated[int, "least value of a cell, 1 to 100, that is a wall"] = 50
    patience_s: Annotated[float, "s to wait for the first map and for the robot's pose"] = 2.0

    def __post_init__(self) -> None:
        if not self.planners or not all(self.planners):
            raise SettingsError("Parameter 'planners' must name at least one planner.")
        if not 1 <= self.occupied_threshold <= 100:
            raise SettingsError("Parameter 'occupied_threshold' must be from 1 to 100.")
        if not self.time_limit_s > 0 or self.depth < 0 or self.patience_s < 0:
            raise SettingsError(
                "Parameter 'time_limit_s' must be above 0, 'depth' and 'patience_s' 0 or more."
            )
        try:
            choose_device(self.device)
            check_planners(self.planners)
        except (ValueError, RuntimeError) as error:
            raise SettingsError(f"Parameters 'planners' and 'device': {error}") from error


class PlanningGoal(ActiveGoal):
    """A goal in progress; the worker reads ``stop_event`` and writes ``progress``."""

    def __init__(self, handle: ServerGoalHandle) -> None:
        super().__init__(handle, ComputePath.Result())
        self.stop_event = threading.Event()
        self.progress: PlanProgress | None = None

    def on_stop(self) -> None:
        """Let the worker end early."""
        self.stop_event.set()

    def take_progress(self, progress: PlanProgress) -> None:
        """Store how far the planning is."""
        self.progress = progress


class PlannerNode(ActionNode[PlanningGoal]):
    """Serves ``/compute_path``."""

    action_type = ComputePath
    action_name = "/compute_path"
    internal_error = Result.UNKNOWN

    def __init__(self) -> None:
        super().__init__("planner")
        self.settings = declare_settings(self, PlannerSettings)
        self._ids = weights_by_id(self.settings.planners)
        self._device = choose_device(self.settings.device)
        self._worker: PlanningWorker | None = None
        self._map: GridMap | None = None
        self._frame, self._map_error = "", ""
        self._odometry: Odometry | None = None
        self._odometry_s = 0.0
        self._plans, self._failures, self._last = 0, 0, ""

    # -- life cycle -----------------------------------------------------------------------------

    def open(self) -> None:
        """Load the planners and open the topics."""
        settings = self.settings
        self._worker = PlanningWorker(
            self, settings.planners, settings.depth, settings.device, settings.time_limit_s
        )
        self._worker.warm_up()
        self._plan_topic = self.owned.publisher(Path, "/plan", latched_qos())
        self._value_topic = self.owned.publisher(OccupancyGrid, "/value_map", latched_qos())
        self.owned.subscription(OccupancyGrid, "/map", self._on_map, latched_qos())
        self.owned.subscription(Odometry, "/odom", self._on_odometry, reliable_qos(1))
        self.owned.add(Diagnostics(self, [self._report]).close)

    def activate(self) -> None:
        """Accept goals."""
        super().activate()
        self.get_logger().info(f"Planners: {', '.join(self._ids)}; networks run on {self._device}.")

    def cleanup(self) -> None:
        """Wait for the worker, close the topics, forget map and networks."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None
        super().cleanup()
        self._map = self._odometry = None

    # -- inputs ---------------------------------------------------------------------------------

    def _on_map(self, message: OccupancyGrid) -> None:
        try:
            self._map = from_map_msg(
                message,
                unknown_is_free=self.settings.unknown_is_free,
                occupied_threshold=self.settings.occupied_threshold,
            )
        except ValueError as error:
            self._map_error = f"A map was dropped: {error}"
            self.get_logger().error(self._map_error)
            return
        self._frame, self._map_error = message.header.frame_id, ""

    def _on_odometry(self, message: Odometry) -> None:
        self._odometry, self._odometry_s = message, time.monotonic()

    # -- one goal -------------------------------------------------------------------------------

    def make_goal(self, handle: ServerGoalHandle) -> PlanningGoal:
        """Return the record of a goal."""
        return PlanningGoal(handle)

    async def on_goal(self, goal: PlanningGoal) -> None:
        """Fill in the result and publish the plan.

        Raises:
            GoalError: there is no path, or planner, map or pose are missing.
        """
        request, result = goal.request, goal.result
        name = request.planner_id or next(iter(self._ids))
        if name not in self._ids:
            text = f"There is no planner '{name}'; this server has {', '.join(self._ids)}."
            raise GoalError(Result.INVALID_PLANNER, text)
        await self._wait_for_inputs(goal)
        if self._map is None:
            hint = self._map_error or "Publish one with durability transient local."
            raise GoalError(Result.NO_MAP, f"No map has come on /map. {hint}")
        if self._worker is None:
            raise GoalError(Result.CANCELED, "The planner is shutting down.")
        grid, frame = self._map, self._frame
        start = self._start(request, frame)
        end = self._pose(request.goal, "goal", frame)
        cells = grid.cell_at(point_of(start)), grid.cell_at(point_of(end))

        def show(plan: GridPlan) -> None:
            """Publish a plan that may still be improved; the result is published last."""
            if not goal.is_stopped:
                stamp = self.get_clock().now().to_msg()
                self._plan_topic.publish(to_path_msg(plan.cells, grid, start, end, stamp, frame))

        plan = await self._worker.plan(
            name, grid, cells, goal.stop_event.is_set, goal.take_progress, show
        )
        result.status, result.layers = plan.status.value, plan.layers
        stamp = self.get_clock().now().to_msg()
        if plan.values is not None:
            self._value_topic.publish(to_value_map_msg(plan.values, grid, stamp, frame))
        if not plan.reached:
            # Planners use rows and columns from the top left, callers metres.
            places = [f"{point_of(pose)[0]:.2f},{point_of(pose)[1]:.2f}" for pose in (start, end)]
            where = f"(From {places[0]} to {places[1]} m; cells are row,column from the top left.)"
            sentence = plan.message[:1].upper() + plan.message[1:]
            raise GoalError(CODES[plan.status], f"{sentence} {where}")
        result.path = to_path_msg(plan.cells, grid, start, end, stamp, frame)
        self._plan_topic.publish(result.path)

    def on_end(self, goal: PlanningGoal) -> None:
        """Complete the result and count it."""
        result = goal.result
        result.planning_time = to_duration_msg(goal.elapsed_s)
        self._plans += 1
        self._failures += result.error_code != Result.NONE
        self._last = result.error_msg or result.status

    def on_feedback_due(self, goal: PlanningGoal) -> None:
        """Publish how many layers are done."""
        if goal.progress is not None:
            goal.send_feedback(
                ComputePath.Feedback(
                    layers=goal.progress.layers,
                    max_layers=goal.progress.limit,
                    planning_time=to_duration_msg(goal.elapsed_s),
                )
            )

    async def _wait_for_inputs(self, goal: PlanningGoal) -> None:
        """Wait for map and pose, which may still be on their way when a goal comes early."""

        def are_there() -> bool:
            goal.raise_if_stopped()
            return self._map is not None and (goal.request.use_start or self._pose_is_fresh())

        await wait_until(self, are_there, self.settings.patience_s)

    def _pose_is_fresh(self) -> bool:
        return self._odometry is not None and time.monotonic() - self._odometry_s < POSE_TIMEOUT_S

    def _start(self, request: Any, frame: str) -> Pose:
        if request.use_start:
            return self._pose(request.start, "start", frame)
        if not self._pose_is_fresh() or self._odometry is None:
            text = "The robot's pose is not known: nothing comes on /odom; or set use_start."
            raise GoalError(Result.TF_ERROR, text)
        stamped = PoseStamped(header=self._odometry.header, pose=self._odometry.pose.pose)
        return self._pose(stamped, "robot's pose", frame)

    def _pose(self, stamped: PoseStamped, name: str, frame: str) -> Pose:
        if stamped.header.frame_id not in ("", frame):
            text = (
                f"The {name} is in the frame '{stamped.header.frame_id}', the map in '{frame}'; "
                f"give it in '{frame}'."
            )
            raise GoalError(Result.TF_ERROR, text)
        try:
            point_of(stamped.pose)
        except ValueError as error:
            raise GoalError(Result.TF_ERROR, str(error)) from error
        return stamped.pose

    # -- reporting ------------------------------------------------------------------------------

    def _report(self) -> DiagnosticReport:
        size = "none" if self._map is None else " x ".join(map(str, self._map.free.shape))
        values: dict[str, object] = {
            "map_cells": size,
            "planners": ", ".join(self._ids),
            "device": self._device,
            "plans": self._plans,
            "failures": self._failures,
            "last": self._last or "none",
            "planning": self.goal is not None,
        }
        level, message = OK, "ok"
        if self._map_error:
            level, message = ERROR, self._map_error
        elif self._map is None:
            level, message = WARN, "no map has come on /map"
        elif not self.is_active:
            level, message = WARN, "not active"
        return DiagnosticReport("planner: planning", level, message, values)


def main() -> int:
    """Return the exit code of ``ros2 run asterias_nodes planner``."""
    return run_node(PlannerNode)
