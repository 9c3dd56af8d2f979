"""Managed node ``maze_world``: a maze and a point robot in it, in simulated time.

Publishes ``/map`` (nav_msgs/OccupancyGrid, latched), ``/odom`` (nav_msgs/Odometry: the true pose of
``base_link`` in the frame ``map``), the same on ``/tf`` by way of the frame ``odom``,
``/robot_description``, ``/clock`` and ``/diagnostics``; takes ``/cmd_vel``
(geometry_msgs/Twist: forward, left and turn of the robot), which times out after half a second;
serves ``/e_stop`` with its latched state ``/e_stop_state``, and ``/draw_maze``, which puts another
maze in the world and the robot at its start.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol

from asterias_interfaces.srv import DrawMaze
from geometry_msgs.msg import Twist
from nav_msgs.msg import OccupancyGrid, Odometry
from rclpy.duration import Duration
from rclpy.timer import Timer
from rosgraph_msgs.msg import Clock

from asterias.arrays import Cell
from asterias.pacing import Pacer
from asterias_nodes.navigation.navigation_messages import to_map_msg, to_pose, to_pose_stamped
from asterias_nodes.robot.emergency_stop import EmergencyStop
from asterias_nodes.runtime.conversions import to_time_msg
from asterias_nodes.runtime.diagnostics import OK, WARN, DiagnosticReport, Diagnostics
from asterias_nodes.runtime.lifecycle_node import ManagedNode
from asterias_nodes.runtime.parameters import SettingsError, declare_settings
from asterias_nodes.runtime.qos import latched_qos, reliable_qos
from asterias_nodes.runtime.run_node import run_node
from asterias_nodes.transforms.mobile_robot import MobileFrames, mobile_robot_urdf
from hardware.description.frames import BASE_FRAME, MAP_FRAME, FixedFrame
from planners.mazes.datasets import MazeRule
from planners.mazes.grid_map import Point
from planners.mazes.problems import PlanningProblem, draw_problem, problem_from_file
from planners.navigation.point_robot import PointRobot, PointRobotLimits

FRAME, ROBOT_FRAME = MAP_FRAME, BASE_FRAME
# Of the robot's picture: a point has no size of its own.
BODY_RADIUS_CELLS, BODY_HEIGHT_CELLS = 0.3, 0.4
# How long a new map may take to reach those who plan on it.
DELIVERY_S = 2.0


@dataclass(frozen=True)
class MazeWorldSettings:
    """Parameters of the node."""

    size: Annotated[int, "rows and columns of the maze"] = 35
    kind: Annotated[str, "depth_first, kruskal, wilson, obstacles or rooms"] = "depth_first"
    openness: Annotated[float, "greatest share, 0 to 1, of inner walls taken out of a maze"] = 1.0
    maze: Annotated[str, "picture, ROS map (.yaml) or .npz to use instead; empty draws one"] = ""
    seed: Annotated[int, "seed of the maze and of the goal"] = 0
    start: Annotated[str, "where the robot begins: farthest (from the goal) or random"] = "farthest"
    resolution_m: Annotated[float, "side of a cell; a ROS map brings its own"] = 0.5
    control_rate_hz: Annotated[float, "steps, poses and clock ticks per simulated s"] = 20.0
    real_time_factor: Annotated[float, "simulated s per s, above 0"] = 1.0
    max_speed_m_s: Annotated[float, "the robot's greatest speed"] = 1.0
    cmd_vel_timeout_s: Annotated[float, "simulated s after which a command ends"] = 0.5

    def __post_init__(self) -> None:
        positive = ("resolution_m", "control_rate_hz", "max_speed_m_s", "cmd_vel_timeout_s")
        for name in (*positive, "real_time_factor"):
            if not 0 < getattr(self, name) < float("inf"):
                raise SettingsError(f"Parameter '{name}' must be above 0.")
        if self.start not in ("farthest", "random"):
            raise SettingsError("Parameter 'start' must be farthest or random.")
        if not 0 <= self.openness <= 1:
            raise SettingsError("Parameter 'openness' must be from 0 to 1.")
        try:
            self.rule()
        except ValueError as error:
            raise SettingsError(f"Parameters 'size' and 'kind': {error}") from error

    def rule(self) -> MazeRule:
        """Return how mazes are drawn."""
        return MazeRule(self.size, self.kind, (0.0, self.openness))  # type: ignore[arg-type]


class Robot(Protocol):
    """What the world asks of its robot."""

    @property
    def stopped(self) -> bool:
        """Whether the emergency stop is engaged."""

    @property
    def velocity(self) -> tuple[float, float, float]:
        """Forward and left in m/s, turn in rad/s."""

    @property
    def point(self) -> Point:
        """Place in m."""

    @property
    def yaw_rad(self) -> float:
        """Rotation about z."""

    @property
    def cell(self) -> Cell:
        """Row and column."""

    @property
    def touches(self) -> bool:
        """Whether the robot touches a wall."""

    def command(self, forward_m_s: float, left_m_s: float, turn_rad_s: float) -> bool:
        """Return whether a velocity is taken."""

    def stop(self, engaged: bool, /) -> None:
        """Engage or release the emergency stop."""

    def step(self, period_s: float) -> None:
        """Advance by a period."""


class MazeWorldNode(ManagedNode):
    """The maze and its robot on topics; one thread steps, publishes and takes commands."""

    map_topic = "/map"

    def __init__(
        self,
        name: str = "maze_world",
        settings_type: type[MazeWorldSettings] = MazeWorldSettings,
    ) -> None:
        super().__init__(name)
        self.settings = declare_settings(self, settings_type)
        self._course: PlanningProblem | None = None
        self._robot: Robot | None = None
        self._pacer: Pacer | None = None
        self._time_s = 0.0
        self._rejected = 0
        self._timer: Timer | None = None

    # -- life cycle -----------------------------------------------------------------------------

    def configure(self) -> None:
        """Draw the first maze and open the topics."""
        settings = self.settings
        self._pacer = Pacer(1.0 / settings.control_rate_hz, settings.real_time_factor)
        self._course = self._draw(settings.seed)
        self._robot = self._make_robot(self._course, settings.seed)
        self._map = self.owned.publisher(OccupancyGrid, self.map_topic, latched_qos())
        self._odometry = self.owned.publisher(Odometry, "/odom", reliable_qos())
        self._clock_topic = self.owned.publisher(Clock, "/clock", reliable_qos())
        fixed = self._fixed_frames(self._course.grid.resolution_m)
        self._frames = MobileFrames(self.owned, self._urdf(self._course, fixed), fixed)
        self.owned.subscription(Twist, "/cmd_vel", self._on_command, reliable_qos(1))
        self.owned.service(DrawMaze, "/draw_maze", self._on_draw)
        self.owned.add(EmergencyStop(self, [self._robot], "robot").close)
        self.owned.add(Diagnostics(self, [self._report]).close)
        self._map.publish(self._map_msg(self._course))

    def activate(self) -> None:
        """Let time pass, and accept commands."""
        pacer = self._paced()
        pacer.restart()
        self._timer = self.create_timer(max(pacer.wall_period_s, 1e-3), self._tick)
        rows, columns = self._drawn().grid.free.shape
        self.get_logger().info(
            f"A maze of {rows} x {columns} cells of {self._drawn().grid.resolution_m:g} m; the "
            f"shortest path has {self._drawn().shortest_steps} steps; real-time factor "
            f"{pacer.real_time_factor:g}."
        )

    def deactivate(self) -> None:
        """Stop time; the robot stands."""
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None

    def cleanup(self) -> None:
        """Close the topics and forget the maze."""
        super().cleanup()
        self._course = self._robot = self._pacer = None

    # -- what other worlds do differently -------------------------------------------------------

    def _make_robot(self, course: PlanningProblem, seed: int) -> Robot:
        settings = self.settings
        limits = PointRobotLimits(
            speed_m_s=settings.max_speed_m_s, command_timeout_s=settings.cmd_vel_timeout_s
        )
        return PointRobot(course.grid, course.start, limits)

    def _fixed_frames(self, cell_m: float) -> list[FixedFrame]:
        """Return frames that are fixed on the robot, for cells of ``cell_m``."""
        return []

    def _urdf(self, course: PlanningProblem, fixed: list[FixedFrame]) -> str:
        cell_m = course.grid.resolution_m
        radius_m, height_m = BODY_RADIUS_CELLS * cell_m, BODY_HEIGHT_CELLS * cell_m
        return mobile_robot_urdf(self.get_name(), radius_m, height_m, fixed)

    def _put(self, course: PlanningProblem, seed: int) -> None:
        """Put another maze in the world, and the robot at its start."""
        robot = self._placed()
        assert isinstance(robot, PointRobot)
        robot.place(course.grid, course.start)

    def _more_values(self) -> dict[str, object]:
        """Return what else the diagnostics say."""
        return {"wall_contacts": getattr(self._placed(), "contacts", 0)}

    # -- the world ------------------------------------------------------------------------------

    def _draw(self, seed: int) -> PlanningProblem:
        settings, farthest = self.settings, self.settings.start == "farthest"
        if settings.maze:
            drawn = problem_from_file(Path(settings.maze), seed, farthest, settings.resolution_m)
            self.get_logger().info(f"{settings.maze}: {drawn.note}")
            return drawn
        return draw_problem(settings.rule(), seed, farthest, settings.resolution_m)

    def _tick(self) -> None:
        pacer = self._paced()
        for _ in range(pacer.due()):
            self._placed().step(pacer.period_s)
            self._time_s += pacer.period_s
            self._publish()

    def _publish(self) -> None:
        """Clock first, so that who hears the pose knows the time."""
        stamp = to_time_msg(self._time_s)
        self._clock_topic.publish(Clock(clock=stamp))
        robot, message = self._placed(), Odometry(child_frame_id=ROBOT_FRAME)
        message.header.stamp, message.header.frame_id = stamp, FRAME
        message.pose.pose = to_pose(robot.point, robot.yaw_rad)
        twist = message.twist.twist
        twist.linear.x, twist.linear.y, twist.angular.z = robot.velocity
        self._odometry.publish(message)
        self._frames.publish(stamp, robot.point, robot.yaw_rad)

    def _map_msg(self, course: PlanningProblem) -> OccupancyGrid:
        return to_map_msg(course.grid, to_time_msg(self._time_s), FRAME)

    # -- inputs ---------------------------------------------------------------------------------

    def _on_command(self, message: Twist) -> None:
        linear, angular = message.linear, message.angular
        if self._timer is None or not self._placed().command(linear.x, linear.y, angular.z):
            self._rejected += 1

    def _on_draw(self, request: DrawMaze.Request, response: DrawMaze.Response) -> DrawMaze.Response:
        try:
            course = self._draw(request.seed)
        except (ValueError, OSError) as error:
            response.message = str(error)
            return response
        self._course = course
        self._put(course, request.seed)
        stamp = to_time_msg(self._time_s)
        response.map = self._map_msg(course)
        response.start = to_pose_stamped(course.grid.centre_of(course.start), stamp, FRAME)
        response.goal = to_pose_stamped(course.grid.centre_of(course.goal), stamp, FRAME)
        response.shortest_steps = course.shortest_steps
        self._map.publish(response.map)
        self._publish()
        # Who asks a planner next must not be answered on the map of before.
        for topic in (self._map, self._odometry):
            topic.wait_for_all_acked(Duration(seconds=DELIVERY_S))
        response.success = True
        rows, columns = course.grid.free.shape
        response.message = f"A maze of {rows} x {columns} cells, seed {request.seed}."
        return response

    # -- helpers --------------------------------------------------------------------------------

    def _drawn(self) -> PlanningProblem:
        if self._course is None:
            raise RuntimeError("The maze world is not configured yet.")
        return self._course

    def _placed(self) -> Robot:
        if self._robot is None:
            raise RuntimeError("The maze world is not configured yet.")
        return self._robot

    def _paced(self) -> Pacer:
        if self._pacer is None:
            raise RuntimeError("The maze world is not configured yet.")
        return self._pacer

    def _report(self) -> DiagnosticReport:
        robot, pacer = self._placed(), self._paced()
        values: dict[str, object] = {
            "time_s": round(self._time_s, 3),
            "real_time_factor": round(pacer.measured_factor(), 3),
            "dropped_periods": pacer.dropped,
            "cell": f"{robot.cell[0]},{robot.cell[1]}",
            **self._more_values(),
            "rejected_commands": self._rejected,
            "e_stop": robot.stopped,
        }
        level, message = OK, "ok"
        if robot.touches:
            level, message = WARN, "the robot touches a wall"
        if robot.stopped:
            level, message = WARN, "emergency stop engaged"
        return DiagnosticReport(f"{self.get_name()}: robot", level, message, values)


def main() -> int:
    """Return the exit code of ``ros2 run asterias_nodes maze_world``."""
    return run_node(MazeWorldNode)
