"""Managed node ``navigator``: action ``/navigate`` walks through a maze by what the camera sees.

It owns no device and no network: it asks ``/look_around`` for views, waits for the mapper's
``/map`` of them, asks ``/compute_path`` for a plan and ``/follow_path`` to walk along it as far as
the map is known, and begins again. With a survey there is one look, one plan, one walk. A wall that
was not seen is told on ``/bumps``; a map that leaves no way is doubted once (``/doubt_map``); a
plan of the network that does not arrive is made by A*. A newer goal replaces the one in progress.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from asterias_interfaces.action import ComputePath, FollowPath, Navigate
from asterias_interfaces.srv import LookAround
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PointStamped
from nav_msgs.msg import OccupancyGrid, Odometry, Path
from rclpy.action import ActionClient, CancelResponse, GoalResponse
from rclpy.action.client import ClientGoalHandle
from rclpy.action.server import ServerGoalHandle
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.duration import Duration
from std_srvs.srv import Trigger

from asterias.arrays import Cell
from asterias_nodes.navigation.navigation_messages import from_map_msg, occupancy_of, point_of
from asterias_nodes.runtime.action_client import RefusedError, ask, wait_for
from asterias_nodes.runtime.conversions import to_seconds
from asterias_nodes.runtime.event_action_server import Event, EventActionServer, GoalError
from asterias_nodes.runtime.lifecycle_node import ManagedNode
from asterias_nodes.runtime.parameters import SettingsError, declare_settings
from asterias_nodes.runtime.qos import latched_qos, reliable_qos
from asterias_nodes.runtime.run_node import run_node
from planners.mapping.exploration import next_stop
from planners.mazes.grid_map import GridMap, Point

Result = Navigate.Result
FEEDBACK_PERIOD_S = 0.2
MAX_RETRIES = 5
# What /compute_path says when the network's plan does not arrive.
DOES_NOT_ARRIVE = (
    ComputePath.Result.PATH_COLLIDES,
    ComputePath.Result.PATH_CIRCLES,
    ComputePath.Result.TIMEOUT,
)
NO_WAY = (
    ComputePath.Result.NO_VALID_PATH,
    ComputePath.Result.GOAL_OCCUPIED,
    ComputePath.Result.START_OCCUPIED,
)


@dataclass(frozen=True)
class NavigatorSettings:
    """Parameters of the node."""

    fallback: Annotated[str, "planner id for plans that do not arrive; empty for none"] = "a_star"
    patience_s: Annotated[float, "wall s to wait for views, map and pose"] = 10.0
    max_plans: Annotated[int, "plans after which a goal is given up"] = 2000

    def __post_init__(self) -> None:
        if not self.patience_s > 0 or self.max_plans < 1:
            raise SettingsError("Parameters 'patience_s' and 'max_plans' must be above 0.")


class NavigationError(GoalError):
    """A journey ends before its goal."""


@dataclass
class Journey:
    """A goal in progress."""

    handle: ServerGoalHandle
    result: Navigate.Result = field(default_factory=Navigate.Result)
    started_s: float = field(default_factory=time.monotonic)
    is_replaced: bool = False
    is_stopped: bool = False
    inner: ClientGoalHandle | None = None
    planned_s: float = math.nan
    to_go_m: float = math.nan
    planning_s: float = 0.0
    seeing_s: float = 0.0
    cell: Cell | None = None
    seen: set[Cell] = field(default_factory=set)
    has_survey: bool = False
    has_doubted: bool = False
    retries: int = 0


class Navigator(ManagedNode):
    """Serves ``/navigate``."""

    def __init__(self) -> None:
        super().__init__("navigator")
        self.settings = declare_settings(self, NavigatorSettings)
        self._map: OccupancyGrid | None = None
        self._grid: GridMap | None = None
        self._point: Point | None = None
        self._journey: Journey | None = None
        self._is_active = False
        self._closers: list[Callable[[], Any]] = []

    # -- life cycle -----------------------------------------------------------------------------

    def configure(self) -> None:
        """Open the topics and the action server; goals are refused until activation."""
        self._look_client = self.create_client(LookAround, "/look_around")
        self._doubt_client = self.create_client(Trigger, "/doubt_map")
        self._planner = ActionClient(self, ComputePath, "/compute_path")
        self._follower = ActionClient(self, FollowPath, "/follow_path")
        self._bumps = self.create_publisher(PointStamped, "/bumps", reliable_qos())
        subscriptions = [
            self.create_subscription(OccupancyGrid, "/map", self._on_map, latched_qos()),
            self.create_subscription(Odometry, "/odom", self._on_odometry, reliable_qos(1)),
        ]
        wall = Clock(clock_type=ClockType.STEADY_TIME)
        timer = self.create_timer(FEEDBACK_PERIOD_S, self._tell, clock=wall)
        server = EventActionServer(
            self,
            Navigate,
            "/navigate",
            self._execute,
            goal_callback=lambda goal: (
                GoalResponse.ACCEPT if self._is_active else GoalResponse.REJECT
            ),
            cancel_callback=self._on_cancel,
        )
        self._closers = [
            server.destroy,
            lambda: self.destroy_timer(timer),
            *[lambda topic=topic: self.destroy_subscription(topic) for topic in subscriptions],
            lambda: self.destroy_publisher(self._bumps),
            self._planner.destroy,
            self._follower.destroy,
            lambda: self.destroy_client(self._look_client),
            lambda: self.destroy_client(self._doubt_client),
        ]

    def activate(self) -> None:
        """Accept goals."""
        self._is_active = True

    def deactivate(self) -> None:
        """Refuse goals; the one in progress ends."""
        self._is_active = False
        self._stop(self._journey)

    def cleanup(self) -> None:
        """Close the topics."""
        for close in self._closers:
            close()
        self._closers = []
        self._map = self._grid = self._point = None

    # -- inputs ---------------------------------------------------------------------------------

    def _on_map(self, message: OccupancyGrid) -> None:
        try:
            self._grid, self._map = from_map_msg(message, unknown_is_free=True), message
        except ValueError as error:
            self.get_logger().error(f"A map was dropped: {error}")

    def _on_odometry(self, message: Odometry) -> None:
        self._point = point_of(message.pose.pose)
        journey, grid = self._journey, self._grid
        if journey is None or grid is None:
            return
        cell = grid.cell_at(self._point)
        if journey.cell is not None and cell != journey.cell:
            journey.result.steps += 1
        journey.cell = cell

    def _on_cancel(self, handle: ServerGoalHandle) -> CancelResponse:
        journey = self._journey
        if journey is not None and journey.handle is handle:
            self._stop(journey)
        return CancelResponse.ACCEPT

    def _stop(self, journey: Journey | None) -> None:
        if journey is not None:
            journey.is_stopped = True
            if journey.inner is not None:
                journey.inner.cancel_goal_async()

    # -- one goal -------------------------------------------------------------------------------

    async def _execute(self, handle: ServerGoalHandle) -> Navigate.Result:
        if self._journey is not None:
            self._journey.is_replaced = True
            self._stop(self._journey)
        journey = self._journey = Journey(handle)
        result = journey.result
        try:
            await self._navigate(journey)
        except NavigationError as error:
            result.error_code, result.error_msg = error.code, str(error)
        except RefusedError as error:
            result.error_code, result.error_msg = Result.UNKNOWN, str(error)
        except Exception as error:
            self.get_logger().error(f"Navigation failed: {error!r}")
            result.error_code, result.error_msg = Result.UNKNOWN, str(error)
        if self._journey is journey:
            self._journey = None
        self._finish(journey)
        return result

    def _finish(self, journey: Journey) -> None:
        result = journey.result
        if result.error_code == Result.CANCELED and journey.is_replaced:
            result.error_code = Result.REPLACED
            result.error_msg = "A newer goal took this one's place."
        result.planning_time = _duration(journey.planning_s)
        result.seeing_time = _duration(journey.seeing_s)
        result.duration = _duration(time.monotonic() - journey.started_s)
        if result.error_code == Result.NONE:
            journey.handle.succeed()
        elif result.error_code == Result.CANCELED and journey.handle.is_cancel_requested:
            journey.handle.canceled()
        else:
            journey.handle.abort()

    async def _navigate(self, journey: Journey) -> None:
        """Look, plan and walk until the goal is reached; raises where it cannot be."""
        await self._look(journey, bool(journey.handle.request.survey))
        while journey.result.plans < self.settings.max_plans:
            path = await self._plan(journey)
            if path is None:
                continue  # the map was doubted, and is to be planned on again
            if await self._walk(journey, path):
                return
            if not journey.has_survey:
                await self._look(journey, False)
        text = f"The goal was given up after {journey.result.plans} plans."
        raise NavigationError(Result.FAILED_TO_MAKE_PROGRESS, text)

    async def _look(self, journey: Journey, everywhere: bool) -> None:
        """Look around, and wait for the map of what was seen."""
        started_s = time.monotonic()
        if not await self._until(journey, self._look_client.service_is_ready):
            text = "Nobody looks around: /look_around is not there; is doom_world active?"
            raise NavigationError(Result.NO_VIEWS, text)
        answer = await wait_for(
            self._look_client.call_async(LookAround.Request(everywhere=everywhere))
        )
        if not answer.success:
            raise NavigationError(Result.NO_VIEWS, answer.message)
        await self._wait_for_map(journey, answer.stamp)
        journey.has_survey |= everywhere
        journey.result.looks += 1
        journey.seeing_s += time.monotonic() - started_s
        if self._grid is not None and self._point is not None:
            journey.seen.add(self._grid.cell_at(self._point))

    async def _wait_for_map(self, journey: Journey, stamp: Time) -> None:
        since_s = to_seconds(stamp)

        def has_come() -> bool:
            return self._map is not None and to_seconds(self._map.header.stamp) >= since_s

        if not await self._until(journey, has_come):
            raise NavigationError(
                Result.NO_VIEWS, "No map comes on /map of what was seen; is the mapper active?"
            )

    async def _until(self, journey: Journey, condition: Callable[[], bool]) -> bool:
        """Wait for a condition while other callbacks run; False where it does not come true."""
        deadline_s = time.monotonic() + self.settings.patience_s
        while not condition():
            self._check(journey)
            if time.monotonic() > deadline_s:
                return False
            done = Event()
            wall = Clock(clock_type=ClockType.STEADY_TIME)
            timer = self.create_timer(0.005, done.complete, clock=wall)
            try:
                await done
            finally:
                self.destroy_timer(timer)
        self._check(journey)
        return True

    def _check(self, journey: Journey) -> None:
        if journey.is_stopped or journey.handle.is_cancel_requested:
            raise NavigationError(Result.CANCELED, "The goal was canceled.")

    # -- planning -------------------------------------------------------------------------------

    async def _plan(self, journey: Journey) -> Path | None:
        """A path to the goal; None where the map was doubted instead."""
        request: Navigate.Goal = journey.handle.request
        planned = await self._ask_planner(journey, request.planner_id)
        if planned.error_code in DOES_NOT_ARRIVE and self.settings.fallback:
            planned = await self._ask_planner(journey, self.settings.fallback)
            journey.result.fallbacks += planned.error_code == ComputePath.Result.NONE
        if planned.error_code in NO_WAY and not journey.has_doubted:
            await self._doubt(journey)
            return None
        if planned.error_code == ComputePath.Result.TF_ERROR:
            raise NavigationError(Result.TF_ERROR, planned.error_msg)
        if planned.error_code != ComputePath.Result.NONE:
            code = Result.NO_VALID_PATH if planned.error_code in NO_WAY else Result.UNKNOWN
            raise NavigationError(code, planned.error_msg)
        path: Path = planned.path
        return path

    async def _ask_planner(self, journey: Journey, planner_id: str) -> Any:
        goal = ComputePath.Goal(goal=journey.handle.request.goal, planner_id=planner_id)
        planned = await ask(self._planner, goal, None, lambda inner: self._keep(journey, inner))
        self._check(journey)
        journey.result.plans += 1
        journey.planned_s = time.monotonic()
        journey.planning_s += _seconds(planned.planning_time)
        return planned

    def _keep(self, journey: Journey, inner: ClientGoalHandle | None) -> None:
        journey.inner = inner
        if inner is not None and journey.is_stopped:
            inner.cancel_goal_async()

    async def _doubt(self, journey: Journey) -> None:
        journey.has_doubted = True
        self.get_logger().warning("The map leaves no way to the goal; its walls are doubted.")
        if not await self._until(journey, self._doubt_client.service_is_ready):
            raise NavigationError(Result.NO_VALID_PATH, "The map leaves no way to the goal.")
        before = self._map
        await wait_for(self._doubt_client.call_async(Trigger.Request()))
        await self._until(journey, lambda: self._map is not before)

    # -- walking --------------------------------------------------------------------------------

    async def _walk(self, journey: Journey, path: Path) -> bool:
        """Walk as far as the map is known; returns whether that was to the goal."""
        grid, message = self._grid, self._map
        assert grid is not None and message is not None
        cells = [grid.cell_at(point_of(stamped.pose)) for stamped in path.poses]
        stop = len(cells) - 1
        if not journey.has_survey:
            seen = np.zeros(grid.free.shape, bool)
            for cell in journey.seen:
                seen[cell] = True
            stop = next_stop(cells, seen, occupancy_of(message))
        rest_m = sum(
            math.dist(point_of(a.pose), point_of(b.pose))
            for a, b in zip(path.poses[stop:], path.poses[stop + 1 :], strict=False)
        )
        part = Path(header=path.header, poses=path.poses[: stop + 1])

        def note(feedback: Any) -> None:
            journey.to_go_m = float(feedback.feedback.distance_to_goal) + rest_m

        walked = await ask(
            self._follower,
            FollowPath.Goal(path=part),
            note,
            lambda inner: self._keep(journey, inner),
        )
        journey.result.driven += float(walked.driven)
        self._check(journey)
        codes = FollowPath.Result
        if walked.error_code == codes.NONE:
            return stop == len(cells) - 1
        if walked.error_code == codes.FAILED_TO_MAKE_PROGRESS:
            await self._bump(journey, cells[: stop + 1])
            return False
        if walked.error_code == codes.INVALID_PATH and journey.retries < MAX_RETRIES:
            journey.retries += 1  # the robot is not where the plan began: plan again
            return False
        code = {codes.E_STOP: Result.E_STOP, codes.TF_ERROR: Result.TF_ERROR}
        raise NavigationError(code.get(walked.error_code, Result.UNKNOWN), walked.error_msg)

    async def _bump(self, journey: Journey, cells: list[Cell]) -> None:
        """Tell the mapper of the wall that is in the way: the next cell of the path."""
        grid, point, message = self._grid, self._point, self._map
        assert grid is not None and point is not None and message is not None
        row, column = grid.to_grid(point)
        gaps = [math.dist((row, column), (r + 0.5, c + 0.5)) for r, c in cells]
        nearest = int(np.argmin(gaps))
        if nearest + 1 >= len(cells):
            return
        bump = PointStamped(header=message.header)
        bump.header.stamp = self.get_clock().now().to_msg()
        bump.point.x, bump.point.y = grid.centre_of(cells[nearest + 1])
        self._bumps.publish(bump)
        self.get_logger().warning(
            f"A wall that was not seen is in {cells[nearest + 1][0]},{cells[nearest + 1][1]}."
        )
        await self._until(journey, lambda: self._map is not message)

    # -- reporting ------------------------------------------------------------------------------

    def _tell(self) -> None:
        journey = self._journey
        if journey is None or not journey.handle.is_active or math.isnan(journey.planned_s):
            return
        feedback = Navigate.Feedback(
            distance_to_go=journey.to_go_m,
            steps=journey.result.steps,
            plan_age=_duration(time.monotonic() - journey.planned_s),
            looks=journey.result.looks,
            plans=journey.result.plans,
        )
        journey.handle.publish_feedback(feedback)


def _duration(seconds: float) -> Any:
    return Duration(seconds=seconds).to_msg()


def _seconds(duration: Any) -> float:
    return float(duration.sec) + float(duration.nanosec) * 1e-9


def main() -> None:
    """Run the node until it is told to stop."""
    sys.exit(run_node(Navigator))


if __name__ == "__main__":
    main()
