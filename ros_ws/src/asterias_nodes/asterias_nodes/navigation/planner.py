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
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from asterias_interfaces.action import ComputePath
from geometry_msgs.msg import Pose, PoseStamped
from nav_msgs.msg import OccupancyGrid, Odometry, Path
from rclpy.action import CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration

from asterias_nodes.navigation.navigation_messages import (
    from_map_msg,
    point_of,
    to_path_msg,
    to_value_map_msg,
)
from asterias_nodes.runtime.diagnostics import ERROR, OK, WARN, DiagnosticReport, Diagnostics
from asterias_nodes.runtime.event_action_server import Event, EventActionServer, GoalError
from asterias_nodes.runtime.lifecycle_node import ManagedNode
from asterias_nodes.runtime.parameters import SettingsError, declare_settings
from asterias_nodes.runtime.qos import latched_qos, reliable_qos
from planners.mazes.grid_map import GridMap
from planners.networks.registry import choose_device
from planners.planning.planner import (
    EXACT,
    Budget,
    ExactPlanner,
    LearnedPlanner,
    Path2D,
    Planner,
    Progress,
    Status,
    find_weights,
)

Result = ComputePath.Result
CODES = {
    Status.OPTIMAL: Result.NONE,
    Status.VALID: Result.NONE,
    Status.COLLISION: Result.PATH_COLLIDES,
    Status.TIMEOUT: Result.PATH_CIRCLES,
    Status.NO_PATH: Result.NO_VALID_PATH,
    Status.START_IN_WALL: Result.START_OCCUPIED,
    Status.GOAL_IN_WALL: Result.GOAL_OCCUPIED,
    Status.START_OUTSIDE_MAP: Result.START_OUTSIDE_MAP,
    Status.GOAL_OUTSIDE_MAP: Result.GOAL_OUTSIDE_MAP,
    Status.TIME_LIMIT: Result.TIMEOUT,
    Status.CANCELED: Result.CANCELED,
}
FEEDBACK_PERIOD_S = 0.2
POSE_TIMEOUT_S = 1.0


@dataclass(frozen=True)
class PlannerSettings:
    """Parameters of the node."""

    planners: Annotated[
        list[str],
        "planner ids, the first is the default: a_star, bfs, a model (dt_vin: its weights for the "
        "map's size), weights of planners/weights (dt_vin_35), or ID=FILE.safetensors",
    ] = ("dt_vin", "a_star", "bfs")  # type: ignore[assignment]
    depth: Annotated[int, "layers of learned planners; 0 goes as deep as the way needs"] = 0
    device: Annotated[str, "cpu, cuda, or auto: the GPU if there is one"] = "auto"
    time_limit_s: Annotated[float, "seconds after which a learned planner gives up"] = 60.0
    unknown_is_free: Annotated[bool, "whether to plan through unknown cells of the map"] = False
    occupied_threshold: Annotated[int, "least value of a cell, 1 to 100, that is a wall"] = 50
    patience_s: Annotated[float, "wait for the first map and for the robot's pose so long"] = 2.0

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
            for name in weights_by_id(self.planners).values():
                if name not in EXACT:
                    LearnedPlanner.load(find_weights(name, 0), device="cpu")
        except (ValueError, RuntimeError) as error:
            raise SettingsError(f"Parameters 'planners' and 'device': {error}") from error


class PlanError(GoalError):
    """A goal ends without a path."""


@dataclass
class PlanningGoal:
    """A goal in progress; the worker reads ``stop`` and writes ``progress``."""

    handle: ServerGoalHandle
    stop: threading.Event = field(default_factory=threading.Event)
    is_replaced: bool = False
    progress: Progress | None = None
    started_s: float = field(default_factory=time.monotonic)


def weights_by_id(planners: list[str]) -> dict[str, str]:
    """What each planner id stands for, in the order of the parameter."""
    parts = [entry.partition("=") for entry in planners]
    return {name: weights if equals else name for name, equals, weights in parts}


class PlannerNode(ManagedNode):
    """Serves ``/compute_path``."""

    def __init__(self) -> None:
        super().__init__("planner")
        self.settings = declare_settings(self, PlannerSettings)
        self._ids = weights_by_id(self.settings.planners)
        self._device = choose_device(self.settings.device)
        self._loaded: dict[str, Planner] = {}
        self._map: GridMap | None = None
        self._frame, self._map_error = "", ""
        self._odometry: Odometry | None = None
        self._heard_s = 0.0
        self._job: PlanningGoal | None = None
        self._is_active = False
        self._plans, self._failures, self._last = 0, 0, ""
        self._worker: ThreadPoolExecutor | None = None
        self._closers: list[Any] = []

    # -- life cycle -----------------------------------------------------------------------------

    def configure(self) -> None:
        """Open the topics and the action server; goals are refused until activation."""
        self._warm_up()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="planning")
        self._plan_topic = self.create_publisher(Path, "/plan", latched_qos())
        self._value_topic = self.create_publisher(OccupancyGrid, "/value_map", latched_qos())
        subscriptions = [
            self.create_subscription(OccupancyGrid, "/map", self._on_map, latched_qos()),
            self.create_subscription(Odometry, "/odom", self._on_odometry, reliable_qos(1)),
        ]
        wall = Clock(clock_type=ClockType.STEADY_TIME)
        timer = self.create_timer(FEEDBACK_PERIOD_S, self._tell, clock=wall)
        server = EventActionServer(
            self,
            ComputePath,
            "/compute_path",
            self._execute,
            goal_callback=self._on_goal,
            cancel_callback=self._on_cancel,
        )
        diagnostics = Diagnostics(self, [self._report])
        self._closers = [
            server.destroy,
            diagnostics.close,
            lambda: self.destroy_timer(timer),
            *[lambda topic=topic: self.destroy_subscription(topic) for topic in subscriptions],
            lambda: self.destroy_publisher(self._plan_topic),
            lambda: self.destroy_publisher(self._value_topic),
        ]

    def activate(self) -> None:
        """Accept goals."""
        self._is_active = True
        self.get_logger().info(f"Planners: {', '.join(self._ids)}; networks run on {self._device}.")

    def deactivate(self) -> None:
        """Refuse goals; one in progress is stopped."""
        self._is_active = False
        if self._job is not None:
            self._job.stop.set()

    def cleanup(self) -> None:
        """Wait for the worker, close the topics, forget map and networks."""
        if self._worker is not None:
            self._worker.shutdown(cancel_futures=True)
            self._worker = None
        for close in self._closers:
            close()
        self._closers = []
        self._loaded.clear()
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
        self._odometry, self._heard_s = message, time.monotonic()

    def _on_goal(self, goal: ComputePath.Goal) -> GoalResponse:
        return GoalResponse.ACCEPT if self._is_active else GoalResponse.REJECT

    def _on_cancel(self, handle: ServerGoalHandle) -> CancelResponse:
        if self._job is not None and self._job.handle is handle:
            self._job.stop.set()
        return CancelResponse.ACCEPT

    # -- one goal -------------------------------------------------------------------------------

    async def _execute(self, handle: ServerGoalHandle) -> ComputePath.Result:
        if self._job is not None:
            self._job.is_replaced = True
            self._job.stop.set()
        job = self._job = PlanningGoal(handle)
        result = ComputePath.Result()
        try:
            await self._plan(job, result)
        except PlanError as error:
            result.error_code, result.error_msg = error.code, str(error)
        except Exception as error:
            self.get_logger().error(f"Planning failed: {error!r}")
            result.error_code, result.error_msg = Result.UNKNOWN, f"{error}"
        finally:
            if self._job is job:
                self._job = None
        result.planning_time = _duration(time.monotonic() - job.started_s)
        self._finish(job, result)
        return result

    def _finish(self, job: PlanningGoal, result: ComputePath.Result) -> None:
        if result.error_code == Result.CANCELED and job.is_replaced:
            result.error_code = Result.REPLACED
            result.error_msg = "A newer goal took this one's place."
        self._plans += 1
        self._failures += result.error_code != Result.NONE
        self._last = result.error_msg or result.status
        if result.error_code == Result.NONE:
            job.handle.succeed()
        elif result.error_code == Result.CANCELED and job.handle.is_cancel_requested:
            job.handle.canceled()
        else:
            job.handle.abort()

    async def _plan(self, job: PlanningGoal, result: ComputePath.Result) -> None:
        """Fill in the result and publish the plan."""
        request: ComputePath.Goal = job.handle.request
        name = request.planner_id or next(iter(self._ids))
        if name not in self._ids:
            text = f"There is no planner '{name}'; this server has {', '.join(self._ids)}."
            raise PlanError(Result.INVALID_PLANNER, text)
        await self._wait_for_inputs(job, request.use_start)
        if self._map is None:
            hint = self._map_error or "Publish one with durability transient local."
            raise PlanError(Result.NO_MAP, f"No map has come on /map. {hint}")
        grid, frame = self._map, self._frame
        start = self._start(request, frame)
        goal = self._pose(request.goal, "goal", frame)
        ends = grid.cell_at(point_of(start)), grid.cell_at(point_of(goal))
        plan = await self._in_worker(job, name, grid, *ends)
        result.status, result.layers = plan.status.value, plan.layers
        stamp = self.get_clock().now().to_msg()
        if plan.values is not None:
            self._value_topic.publish(to_value_map_msg(plan.values, grid, stamp, frame))
        if not plan.reached:
            # Planners speak of rows and columns from the top left, callers of metres.
            places = [f"{point_of(end)[0]:.2f},{point_of(end)[1]:.2f}" for end in (start, goal)]
            where = f"(From {places[0]} to {places[1]} m; cells are row,column from the top left.)"
            raise PlanError(CODES[plan.status], f"{_capital(plan.message)} {where}")
        result.path = to_path_msg(plan.cells, grid, start, goal, stamp, frame)
        self._plan_topic.publish(result.path)

    async def _wait_for_inputs(self, job: PlanningGoal, has_start: bool) -> None:
        """Map and pose may still be on their way when a goal comes early."""
        deadline_s = time.monotonic() + self.settings.patience_s
        while time.monotonic() < deadline_s:
            if job.stop.is_set():
                raise PlanError(Result.CANCELED, "The goal was canceled.")
            if self._map is not None and (has_start or self._pose_is_fresh()):
                return
            await self._pause(0.02)

    async def _pause(self, duration_s: float) -> None:
        """Let other callbacks run for ``duration_s`` of wall time."""
        done = Event()
        wall = Clock(clock_type=ClockType.STEADY_TIME)
        timer = self.create_timer(duration_s, done.complete, clock=wall)
        try:
            await done
        finally:
            self.destroy_timer(timer)

    def _pose_is_fresh(self) -> bool:
        return self._odometry is not None and time.monotonic() - self._heard_s < POSE_TIMEOUT_S

    def _start(self, request: ComputePath.Goal, frame: str) -> Pose:
        if request.use_start:
            return self._pose(request.start, "start", frame)
        if not self._pose_is_fresh() or self._odometry is None:
            text = "The robot's pose is not known: nothing comes on /odom; or set use_start."
            raise PlanError(Result.TF_ERROR, text)
        stamped = PoseStamped(header=self._odometry.header, pose=self._odometry.pose.pose)
        return self._pose(stamped, "robot's pose", frame)

    def _pose(self, stamped: PoseStamped, name: str, frame: str) -> Pose:
        if stamped.header.frame_id not in ("", frame):
            text = (
                f"The {name} is in the frame '{stamped.header.frame_id}', the map in '{frame}'; "
                f"give it in '{frame}'."
            )
            raise PlanError(Result.TF_ERROR, text)
        try:
            point_of(stamped.pose)
        except ValueError as error:
            raise PlanError(Result.TF_ERROR, str(error)) from error
        return stamped.pose

    async def _in_worker(self, job: PlanningGoal, name: str, grid: GridMap, *ends: Any) -> Path2D:
        """Plan in the worker's thread and wait for it without blocking this one."""
        done = Event()
        executor = self.executor

        def hand_over(future: Future[Path2D]) -> None:
            # In the worker's thread; events belong to the executor's.
            executor.create_task(lambda: _complete(done, future))

        if self._worker is None:
            raise PlanError(Result.CANCELED, "The planner is shutting down.")
        self._worker.submit(self._work, job, name, grid, *ends).add_done_callback(hand_over)
        plan: Path2D = await done
        return plan

    def _warm_up(self) -> None:
        """Load compiled code now, not in the first goal's time."""
        maze = np.ones((5, 5), np.uint8)
        for name in self._ids:
            self._planner(name, len(maze)).plan(maze, (0, 0), (4, 4))

    # -- in the worker's thread -----------------------------------------------------------------

    def _work(self, job: PlanningGoal, name: str, grid: GridMap, start: Any, goal: Any) -> Path2D:
        if job.stop.is_set():
            return Path2D(Status.CANCELED, (), (), "the goal was canceled.")

        def note(progress: Progress) -> None:
            job.progress = progress

        budget = Budget(self.settings.time_limit_s, job.stop.is_set, note)
        return self._planner(name, max(grid.free.shape)).plan(grid.free, start, goal, budget)

    def _planner(self, name: str, size: int) -> Planner:
        weights = self._ids[name]
        if weights in EXACT:
            return ExactPlanner(weights)
        path = find_weights(weights, size)
        if str(path) not in self._loaded:
            self._loaded[str(path)] = LearnedPlanner.load(
                path, self.settings.depth, self.settings.device
            )
        return self._loaded[str(path)]

    # -- reporting ------------------------------------------------------------------------------

    def _tell(self) -> None:
        job = self._job
        if job is None or job.progress is None or not job.handle.is_active:
            return
        feedback = ComputePath.Feedback(
            layers=job.progress.layers,
            max_layers=job.progress.limit,
            planning_time=_duration(time.monotonic() - job.started_s),
        )
        job.handle.publish_feedback(feedback)

    def _report(self) -> DiagnosticReport:
        size = "none" if self._map is None else " x ".join(map(str, self._map.free.shape))
        values: dict[str, object] = {
            "map_cells": size,
            "planners": ", ".join(self._ids),
            "device": self._device,
            "plans": self._plans,
            "failures": self._failures,
            "last": self._last or "none",
            "planning": self._job is not None,
        }
        level, message = OK, "ok"
        if self._map_error:
            level, message = ERROR, self._map_error
        elif self._map is None:
            level, message = WARN, "no map has come on /map"
        elif not self._is_active:
            level, message = WARN, "not active"
        return DiagnosticReport("planner: planning", level, message, values)


def _complete(done: Event, future: Future[Path2D]) -> None:
    if future.cancelled():
        done.complete(Path2D(Status.CANCELED, (), (), "the planner is shutting down."))
        return
    error = future.exception()
    if error is not None:
        done.fail(error)
    else:
        done.complete(future.result())


def _duration(seconds: float) -> Any:
    return Duration(seconds=seconds).to_msg()


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def make_node() -> PlannerNode:
    """The node, for ``main_late``."""
    return PlannerNode()
