"""Node ``maze_demo``: lets the robot drive through mazes, and leaves pictures and a summary behind.

A client, nothing more. For each maze it asks ``/draw_maze`` for it, ``/compute_path`` for a path
from where the robot is, and ``/follow_path`` to drive it; compares the length with the optimum; and
writes ``maze_<k>.png`` and, at the end, ``summary.json`` into its folder. ``/goal_pose`` shows
viewers where the robot is to go.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path as FilePath
from typing import Annotated, Any

import numpy as np
from asterias_interfaces.action import ComputePath, FollowPath
from asterias_interfaces.srv import DrawMaze
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import OccupancyGrid, Odometry, Path
from rclpy.action import ActionClient

from asterias.errors import UserError
from asterias.files import write_json
from asterias.provenance import provenance
from asterias_nodes.navigation.navigation_messages import from_map_msg, point_of
from asterias_nodes.runtime.actions.action_client import wait_for
from asterias_nodes.runtime.actions.episode_runner import EpisodeRunner
from asterias_nodes.runtime.conversions import duration_s
from asterias_nodes.runtime.parameters import SettingsError, declare_settings
from asterias_nodes.runtime.qos import latched_qos, reliable_qos
from asterias_nodes.runtime.run_node import run_node
from planners.mazes.grid_map import GridMap, Point
from planners.planning.drawing import Drawing, save_drawing
from planners.planning.exact_search import breadth_first

# Spacing of the stored track: finer than a picture can show.
STEP_OF_TRACE_CELLS = 0.1


@dataclass(frozen=True)
class MazeDemoSettings:
    """Parameters of the node."""

    mazes: Annotated[int, "mazes to drive through"] = 1
    required: Annotated[int, "goals reached below which the demo counts as failed; -1: all"] = -1
    planner: Annotated[str, "planner id that the planner node knows"] = "dt_vin"
    seed: Annotated[int, "seed of the first maze; the next takes the next number"] = 0
    out: Annotated[str, "folder for pictures and summary"] = "runs/maze"
    command: Annotated[str, "what to type to run this again; for the summary"] = ""

    def __post_init__(self) -> None:
        if self.mazes < 1 or self.seed < 0:
            raise SettingsError("Parameter 'mazes' must be 1 or more, 'seed' 0 or more.")


@dataclass(frozen=True)
class Trip:
    """How one maze ended."""

    maze: int
    seed: int
    rows: int
    columns: int
    reached: bool
    status: str
    steps: int
    shortest_steps: int
    layers: int
    planning_s: float
    driven_m: float
    drive_robot_s: float
    error_code: int
    error: str


class MazeDemo(EpisodeRunner):
    """Drives through one maze after the other; ends its process when all are done."""

    cure = "launch maze.launch.xml"

    def __init__(self) -> None:
        super().__init__("maze_demo")
        self.settings = declare_settings(self, MazeDemoSettings)
        self._folder = FilePath(self.settings.out).expanduser()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._trips: list[Trip] = []
        self._trace: list[Point] = []
        self._grid: GridMap | None = None
        self._values: OccupancyGrid | None = None
        self._draw = self.create_client(DrawMaze, "/draw_maze")
        self._planner = ActionClient(self, ComputePath, "/compute_path")
        self._follower = ActionClient(self, FollowPath, "/follow_path")
        self._goal_topic = self.create_publisher(PoseStamped, "/goal_pose", latched_qos())
        self.create_subscription(OccupancyGrid, "/value_map", self._on_values, latched_qos())
        self.create_subscription(Odometry, "/odom", self._on_odometry, reliable_qos())

    def _on_values(self, message: OccupancyGrid) -> None:
        self._values = message

    def _on_odometry(self, message: Odometry) -> None:
        if self._grid is None:
            return
        place = self._grid.to_grid(point_of(message.pose.pose))
        if not self._trace or math.dist(place, self._trace[-1]) >= STEP_OF_TRACE_CELLS:
            self._trace.append(place)

    # -- trips ----------------------------------------------------------------------------------

    def servers(self) -> Mapping[str, Callable[[], bool]]:
        """Return the world, the planner and the follower."""
        return {
            "maze_world (/draw_maze)": self._draw.service_is_ready,
            "planner (/compute_path)": self._planner.server_is_ready,
            "path_follower (/follow_path)": self._follower.server_is_ready,
        }

    async def run_episodes(self) -> None:
        """Drive through all mazes, one after the other."""
        for number in range(self.settings.mazes):
            await self._trip(number)
            if self._trips[-1].error_code == FollowPath.Result.E_STOP:
                break  # whoever engaged it wants no further drive
        self._complete()

    async def _trip(self, number: int) -> None:
        seed = self.settings.seed + number
        drawn = await wait_for(self._draw.call_async(DrawMaze.Request(seed=seed)))
        if not drawn.success:
            raise UserError(drawn.message)
        self._grid, self._trace, self._values = from_map_msg(drawn.map), [], None
        self._goal_topic.publish(drawn.goal)
        goal = ComputePath.Goal(goal=drawn.goal, planner_id=self.settings.planner)
        planned = await self.ask(self._planner, goal, self._on_planning)
        codes = ComputePath.Result
        if planned.error_code in (codes.INVALID_PLANNER, codes.UNKNOWN):
            raise UserError(planned.error_msg)
        driven = FollowPath.Result()
        if planned.error_code == codes.NONE:
            steps, best = len(planned.path.poses) - 1, drawn.shortest_steps
            self.report(
                f"maze {number + 1}/{self.settings.mazes}: planned {steps} steps (shortest: {best})"
                f" in {duration_s(planned.planning_time):.2f} s, driving ..."
            )
            goal = FollowPath.Goal(path=planned.path)
            driven = await self.ask(self._follower, goal, self._on_driving)
        self._note(number, drawn, planned, driven)

    def _note(self, number: int, drawn: Any, planned: Any, driven: Any) -> None:
        """Store, report and draw how a maze ended."""
        code, error = planned.error_code, planned.error_msg
        if code == ComputePath.Result.NONE:
            code, error = driven.error_code, driven.error_msg
        trip = Trip(
            maze=number + 1,
            seed=self.settings.seed + number,
            rows=drawn.map.info.height,
            columns=drawn.map.info.width,
            reached=code == ComputePath.Result.NONE,
            status=planned.status,
            steps=max(0, len(planned.path.poses) - 1),
            shortest_steps=drawn.shortest_steps,
            layers=planned.layers,
            planning_s=round(duration_s(planned.planning_time), 4),
            driven_m=round(float(driven.driven), 3),
            drive_robot_s=round(duration_s(driven.duration), 3),
            error_code=code,
            error=error,
        )
        self._trips.append(trip)
        self.report(f"maze {trip.maze}/{self.settings.mazes}: {_outcome(trip)}{self._left()}")
        self._picture(trip, drawn, planned.path)

    def _picture(self, trip: Trip, drawn: Any, path: Path) -> None:
        grid = from_map_msg(drawn.map)
        start, goal = (grid.cell_at(point_of(end.pose)) for end in (drawn.start, drawn.goal))
        values = None
        if self._values is not None:
            shape = self._values.info.height, self._values.info.width
            values = np.asarray(self._values.data, float).reshape(shape)[::-1]
        title = f"{self.settings.planner} on {trip.rows} x {trip.columns} cells, seed {trip.seed}"
        drawing = Drawing(
            grid.free,
            start,
            goal,
            f"{title}\n{_outcome(trip)}",
            [grid.cell_at(point_of(stamped.pose)) for stamped in path.poses],
            breadth_first(grid.free, start, goal),
            values,
            tuple(self._trace) if trip.driven_m else (),
        )
        digits = len(str(self.settings.mazes))
        save_drawing(drawing, self._folder / f"maze_{trip.maze:0{digits}}.png")

    def _on_planning(self, feedback: ComputePath.Feedback) -> None:
        if self.is_report_due:
            self.report(f"planning: {feedback.layers} layers of at most {feedback.max_layers}")

    def _on_driving(self, feedback: FollowPath.Feedback) -> None:
        if self.is_report_due:
            self.report(f"driving: {feedback.distance_to_goal:.1f} m to go")

    # -- reporting ------------------------------------------------------------------------------

    def _left(self) -> str:
        done, total = len(self._trips), self.settings.mazes
        return f", {self.time_left(done, total)}" if done < total else ""

    def _complete(self) -> None:
        """Write the summary, print the table, and end."""
        reached = [trip for trip in self._trips if trip.reached]
        needed = self.settings.required if self.settings.required >= 0 else self.settings.mazes
        passed = len(reached) >= needed
        steps, best = (
            sum(getattr(trip, name) for trip in reached) for name in ("steps", "shortest_steps")
        )
        summary = {
            **provenance(self.settings.seed, command=self.settings.command or None),
            "planner": self.settings.planner,
            "mazes": [asdict(trip) for trip in self._trips],
            "reached": len(reached),
            "optimal": sum(trip.steps == trip.shortest_steps for trip in reached),
            "required": needed,
            "passed": passed,
            "steps_over_shortest": round(steps / best, 5) if best else None,
            "wall_s": round(time.monotonic() - self.started_s, 3),
        }
        write_json(self._folder / "summary.json", summary)
        print(self._table(), flush=True)
        print(f"Wrote pictures and summary to {self._folder}/", flush=True)
        self.finish(passed, f"The goal was reached {len(reached)} times; {needed} are required.")

    def _table(self) -> str:
        lines = ["", "maze  seed  steps  shortest  planning s  driven m  outcome"]
        lines.append("----  ----  -----  --------  ----------  --------  -------")
        for trip in self._trips:
            outcome = trip.status if trip.reached else trip.error
            lines.append(
                f"{trip.maze:4d}  {trip.seed:4d}  {trip.steps:5d}  {trip.shortest_steps:8d}  "
                f"{trip.planning_s:10.2f}  {trip.driven_m:8.1f}  {outcome}"
            )
        count = sum(trip.reached for trip in self._trips)
        lines.append(f"\nreached {count} of {len(self._trips)}\n")
        return "\n".join(lines)


def _outcome(trip: Trip) -> str:
    if not trip.reached:
        return f"not reached: {trip.error.rstrip('.')}"
    length = f"{trip.steps} steps, the shortest path has {trip.shortest_steps}"
    return f"reached; {length}; drove {trip.driven_m:.1f} m in {trip.drive_robot_s:.0f} s"


def main() -> int:
    """Return the exit code of ``ros2 run asterias_nodes maze_demo``."""
    return run_node(MazeDemo)
