"""Managed node ``navigator``: action ``/navigate`` walks through a maze by what the camera sees.

It owns no device and no network: it asks ``/look_around`` for views, waits for the mapper's
``/map`` of them, asks ``/compute_path`` for a plan and ``/follow_path`` to walk along it as far as
the map is known, and begins again. With a survey there is one look, one plan, one walk. A wall that
was not seen is told on ``/bumps``; a map that leaves no way is doubted once (``/doubt_map``); a
plan of the network that does not arrive is made by A*. A newer goal replaces the one in progress.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from asterias_interfaces.action import ComputePath, FollowPath, Navigate
from asterias_interfaces.srv import LookAround
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PointStamped
from nav_msgs.msg import OccupancyGrid, Odometry, Path
from rclpy.action import ActionClient
from rclpy.action.client import ClientGoalHandle
from rclpy.action.server import ServerGoalHandle
from std_srvs.srv import Trigger

from asterias.arrays import Cell
from asterias_nodes.navigation.navigation_messages import from_map_msg, occupancy_of, point_of
from asterias_nodes.runtime.actions.action_client import RefusedError, ask, wait_for
from asterias_nodes.runtime.actions.action_node import ActionNode, ActiveGoal
from asterias_nodes.runtime.actions.event_action_server import GoalError
from asterias_nodes.runtime.actions.waiting import wait_until
from asterias_nodes.runtime.conversions import duration_s, to_duration_msg, to_seconds
from asterias_nodes.runtime.parameters import SettingsError, declare_settings
from asterias_nodes.runtime.qos import latched_qos, reliable_qos
from asterias_nodes.runtime.run_node import run_node
from planners.mapping.frontiers import next_stop
from planners.mazes.grid_map import GridMap, Point

Result = Navigate.Result
POLL_PERIOD_S = 0.005
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


class NavigationGoal(ActiveGoal):
    """A goal in progress.

    Attributes:
        inner: the goal of the planner or the follower that is waited for.
        planned_s: monotonic time of the newest plan.
        to_go_m: distance to go as the follower says, and beyond its part of the path.
        planning_s: wall time of all plans.
        seeing_s: wall time of all looks.
        cell: where the robot is.
        seen: cells in which the robot has looked around.
        has_survey: whether all views were given.
        has_doubted: whether the map was doubted; that is done once.
        retries: plans that began where the robot was not.
    """

    def __init__(self, handle: ServerGoalHandle) -> None:
        super().__init__(handle, Navigate.Result())
        self.inner: ClientGoalHandle | None = None
        self.planned_s = math.nan
        self.to_go_m = math.nan
        self.planning_s = self.seeing_s = 0.0
        self.cell: Cell | None = None
        self.seen: set[Cell] = set()
        self.has_survey = self.has_doubted = False
        self.retries = 0

    def on_stop(self) -> None:
        """Cancel the goal that is waited for."""
        if self.inner is not None:
            self.inner.cancel_goal_async()

    def hold(self, inner: ClientGoalHandle | None) -> None:
        """Store the goal that is waited for; None: it has ended."""
        self.inner = inner
        if inner is not None and self.is_stopped:
            inner.cancel_goal_async()


class Navigator(ActionNode[NavigationGoal]):
    """Serves ``/navigate``."""

    action_type = Navigate
    action_name = "/navigate"
    internal_error = Result.UNKNOWN

    def __init__(self) -> None:
        super().__init__("navigator")
        self.settings = declare_settings(self, NavigatorSettings)
        self._map: OccupancyGrid | None = None
        self._grid: GridMap | None = None
        self._point: Point | None = None

    # -- life cycle -----------------------------------------------------------------------------

    def open(self) -> None:
        """Open the topics and the clients."""
        self._look_client = self.owned.client(LookAround, "/look_around")
        self._doubt_client = self.owned.client(Trigger, "/doubt_map")
        self._planner = self.owned.action_client(ComputePath, "/compute_path")
        self._follower = self.owned.action_client(FollowPath, "/follow_path")
        self._bumps = self.owned.publisher(PointStamped, "/bumps", reliable_qos())
        self.owned.subscription(OccupancyGrid, "/map", self._on_map, latched_qos())
        self.owned.subscription(Odometry, "/odom", self._on_odometry, reliable_qos(1))

    def cleanup(self) -> None:
        """Close the topics, forget the map."""
        super().cleanup()
        self._map = self._grid = self._point = None

    # -- inputs ---------------------------------------------------------------------------------

    def _on_map(self, message: OccupancyGrid) -> None:
        try:
            self._grid, self._map = from_map_msg(message, unknown_is_free=True), message
        except ValueError as error:
            self.get_logger().error(f"A map was dropped: {error}")

    def _on_odometry(self, message: Odometry) -> None:
        self._point = point_of(message.pose.pose)
        goal, grid = self.goal, self._grid
        if goal is None or grid is None:
            return
        cell = grid.cell_at(self._point)
        if goal.cell is not None and cell != goal.cell:
            goal.result.steps += 1
        goal.cell = cell

    # -- one goal -------------------------------------------------------------------------------

    def make_goal(self, handle: ServerGoalHandle) -> NavigationGoal:
        """Return the record of a goal."""
        return NavigationGoal(handle)

    def on_end(self, goal: NavigationGoal) -> None:
        """Complete the result."""
        goal.result.planning_time = to_duration_msg(goal.planning_s)
        goal.result.seeing_time = to_duration_msg(goal.seeing_s)
        goal.result.duration = to_duration_msg(goal.elapsed_s)

    def on_feedback_due(self, goal: NavigationGoal) -> None:
        """Publish how far the robot is, once there is a plan."""
        if not math.isnan(goal.planned_s):
            goal.send_feedback(
                Navigate.Feedback(
                    distance_to_go=goal.to_go_m,
                    steps=goal.result.steps,
                    plan_age=to_duration_msg(time.monotonic() - goal.planned_s),
                    looks=goal.result.looks,
                    plans=goal.result.plans,
                )
            )

    async def on_goal(self, goal: NavigationGoal) -> None:
        """Look, plan and walk until the goal is reached.

        Raises:
            GoalError: it cannot be reached.
        """
        try:
            await self._navigate(goal)
        except RefusedError as error:
            raise GoalError(Result.UNKNOWN, str(error)) from error

    async def _navigate(self, goal: NavigationGoal) -> None:
        await self._look(goal, bool(goal.request.survey))
        while goal.result.plans < self.settings.max_plans:
            path = await self._plan(goal)
            if path is None:
                continue  # the map was doubted, and is to be planned on again
            if await self._walk(goal, path):
                return
            if not goal.has_survey:
                await self._look(goal, False)
        text = f"The goal was given up after {goal.result.plans} plans."
        raise GoalError(Result.FAILED_TO_MAKE_PROGRESS, text)

    async def _look(self, goal: NavigationGoal, everywhere: bool) -> None:
        """Look around, and wait for the map of what was seen.

        Raises:
            GoalError: no views or no map come.
        """
        started_s = time.monotonic()
        if not await self._until(goal, self._look_client.service_is_ready):
            text = "Nobody looks around: /look_around is not there; is doom_world active?"
            raise GoalError(Result.NO_VIEWS, text)
        answer = await wait_for(
            self._look_client.call_async(LookAround.Request(everywhere=everywhere))
        )
        if not answer.success:
            raise GoalError(Result.NO_VIEWS, answer.message)
        await self._wait_for_map(goal, answer.stamp)
        goal.has_survey |= everywhere
        goal.result.looks += 1
        goal.seeing_s += time.monotonic() - started_s
        if self._grid is not None and self._point is not None:
            goal.seen.add(self._grid.cell_at(self._point))

    async def _wait_for_map(self, goal: NavigationGoal, stamp: Time) -> None:
        since_s = to_seconds(stamp)

        def has_come() -> bool:
            return self._map is not None and to_seconds(self._map.header.stamp) >= since_s

        if not await self._until(goal, has_come):
            raise GoalError(
                Result.NO_VIEWS, "No map comes on /map of what was seen; is the mapper active?"
            )

    async def _until(self, goal: NavigationGoal, condition: Callable[[], bool]) -> bool:
        """Return whether a condition comes true in time, while other callbacks run."""

        def holds() -> bool:
            goal.raise_if_stopped()
            return condition()

        return await wait_until(self, holds, self.settings.patience_s, period_s=POLL_PERIOD_S)

    async def _require(
        self, goal: NavigationGoal, client: ActionClient, action: str, node: str
    ) -> None:
        """Wait for an action server; what is sent before it is there would be lost.

        Raises:
            GoalError: it does not come up.
        """
        if not await self._until(goal, client.server_is_ready):
            text = f"Nobody serves {action}; is {node} active?"
            raise GoalError(Result.UNKNOWN, text)

    # -- planning -------------------------------------------------------------------------------

    async def _plan(self, goal: NavigationGoal) -> Path | None:
        """Return a path to the goal; None where the map was doubted instead.

        Raises:
            GoalError: there is no path.
        """
        planned = await self._ask_planner(goal, goal.request.planner_id)
        if planned.error_code in DOES_NOT_ARRIVE and self.settings.fallback:
            planned = await self._ask_planner(goal, self.settings.fallback)
            goal.result.fallbacks += planned.error_code == ComputePath.Result.NONE
        if planned.error_code in NO_WAY and not goal.has_doubted:
            await self._doubt(goal)
            return None
        if planned.error_code == ComputePath.Result.TF_ERROR:
            raise GoalError(Result.TF_ERROR, planned.error_msg)
        if planned.error_code != ComputePath.Result.NONE:
            code = Result.NO_VALID_PATH if planned.error_code in NO_WAY else Result.UNKNOWN
            raise GoalError(code, planned.error_msg)
        path: Path = planned.path
        return path

    async def _ask_planner(self, goal: NavigationGoal, planner_id: str) -> Any:
        request = ComputePath.Goal(goal=goal.request.goal, planner_id=planner_id)
        await self._require(goal, self._planner, "/compute_path", "planner")
        planned = await ask(self._planner, request, None, goal.hold)
        goal.raise_if_stopped()
        goal.result.plans += 1
        goal.planned_s = time.monotonic()
        goal.planning_s += duration_s(planned.planning_time)
        return planned

    async def _doubt(self, goal: NavigationGoal) -> None:
        goal.has_doubted = True
        self.get_logger().warning("The map leaves no way to the goal; its walls are doubted.")
        if not await self._until(goal, self._doubt_client.service_is_ready):
            raise GoalError(Result.NO_VALID_PATH, "The map leaves no way to the goal.")
        before = self._map
        await wait_for(self._doubt_client.call_async(Trigger.Request()))
        await self._until(goal, lambda: self._map is not before)

    # -- walking --------------------------------------------------------------------------------

    async def _walk(self, goal: NavigationGoal, path: Path) -> bool:
        """Return whether the goal is reached, after walking as far as the map is known.

        Raises:
            GoalError: the path cannot be followed.
        """
        grid, message = self._grid, self._map
        assert grid is not None and message is not None
        cells = [grid.cell_at(point_of(stamped.pose)) for stamped in path.poses]
        stop = len(cells) - 1
        if not goal.has_survey:
            seen = np.zeros(grid.free.shape, bool)
            for cell in goal.seen:
                seen[cell] = True
            stop = next_stop(cells, seen, occupancy_of(message))
        rest_m = sum(
            math.dist(point_of(a.pose), point_of(b.pose))
            for a, b in zip(path.poses[stop:], path.poses[stop + 1 :], strict=False)
        )
        part = Path(header=path.header, poses=path.poses[: stop + 1])

        def note(feedback: Any) -> None:
            goal.to_go_m = float(feedback.feedback.distance_to_goal) + rest_m

        await self._require(goal, self._follower, "/follow_path", "path_follower")
        walked = await ask(
            self._follower,
            FollowPath.Goal(path=part),
            note,
            goal.hold,
        )
        goal.result.driven += float(walked.driven)
        goal.raise_if_stopped()
        codes = FollowPath.Result
        if walked.error_code == codes.NONE:
            return stop == len(cells) - 1
        if walked.error_code == codes.FAILED_TO_MAKE_PROGRESS:
            await self._bump(goal, cells[: stop + 1])
            return False
        if walked.error_code == codes.INVALID_PATH and goal.retries < MAX_RETRIES:
            goal.retries += 1  # the robot is not where the plan began: plan again
            return False
        code = {codes.E_STOP: Result.E_STOP, codes.TF_ERROR: Result.TF_ERROR}
        raise GoalError(code.get(walked.error_code, Result.UNKNOWN), walked.error_msg)

    async def _bump(self, goal: NavigationGoal, cells: list[Cell]) -> None:
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
        await self._until(goal, lambda: self._map is not message)


def main() -> int:
    """Return the exit code of ``ros2 run asterias_nodes navigator``."""
    return run_node(Navigator)
