"""Node ``doom_demo``: sends the robot through mazes in ViZDoom, and leaves a video and a summary.

A client, nothing more. For each maze it asks ``/draw_maze`` for it and ``/navigate`` to walk to the
goal. Its folder gets ``run.mp4`` (what the camera saw, beside the map with the plan and the track),
``contact_sheet.png`` (four moments of each maze) and ``summary.json``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path as FilePath
from typing import Annotated, Any

import cv2
import numpy as np
from asterias_interfaces.action import ComputePath, FollowPath, Navigate
from asterias_interfaces.srv import DrawMaze
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import OccupancyGrid, Odometry, Path
from rclpy.action import ActionClient
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from sensor_msgs.msg import Image

from asterias.arrays import ImageArray
from asterias.errors import UserError
from asterias.files import write_json
from asterias.provenance import provenance
from asterias_nodes.navigation.navigation_messages import (
    from_map_msg,
    occupancy_of,
    point_of,
    yaw_of,
)
from asterias_nodes.runtime.actions.action_client import wait_for
from asterias_nodes.runtime.actions.episode_runner import EpisodeRunner
from asterias_nodes.runtime.conversions import duration_s, from_image_msg
from asterias_nodes.runtime.parameters import SettingsError, declare_settings
from asterias_nodes.runtime.qos import latched_qos, reliable_qos, sensor_qos
from asterias_nodes.runtime.run_node import run_node
from hardware.perception.images import save_png
from planners.mazes.grid_map import GridMap, Point
from sim.doom.pictures import MapPicture, beside, sheet_of

STEP_OF_TRACE_CELLS = 0.1
MOMENTS = 4


@dataclass(frozen=True)
class DoomDemoSettings:
    """Parameters of the node."""

    mazes: Annotated[int, "mazes to walk through"] = 1
    required: Annotated[int, "goals reached below which the demo counts as failed; -1: all"] = -1
    planner: Annotated[str, "planner id that the planner node knows"] = "dt_vin"
    views: Annotated[str, "all: those of all cells are given at first; explore: none are"] = "all"
    seed: Annotated[int, "seed of the first maze; the next takes the next number"] = 0
    video_rate_hz: Annotated[float, "pictures per wall s of the video; 0 for no video"] = 10.0
    out: Annotated[str, "folder for video, pictures and summary"] = "runs/doom"
    command: Annotated[str, "what to type to run this again; for the summary"] = ""

    def __post_init__(self) -> None:
        if self.mazes < 1 or self.seed < 0 or self.video_rate_hz < 0:
            raise SettingsError(
                "Parameter 'mazes' must be 1 or more, 'seed' and 'video_rate_hz' 0 or more."
            )
        if self.views not in ("all", "explore"):
            raise SettingsError("Parameter 'views' must be all or explore.")


@dataclass(frozen=True)
class DoomTrip:
    """How one maze ended."""

    maze: int
    seed: int
    size: int
    reached: bool
    steps: int
    shortest_steps: int
    looks: int
    plans: int
    fallbacks: int
    planning_s: float
    seeing_s: float
    duration_s: float
    driven_m: float
    error_code: int
    error: str


class DoomDemo(EpisodeRunner):
    """Sends the robot through one maze after the other; ends its process when all are done."""

    cure = "launch doom.launch.xml"

    def __init__(self) -> None:
        super().__init__("doom_demo")
        self.settings = declare_settings(self, DoomDemoSettings)
        self._folder = FilePath(self.settings.out).expanduser()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._walks: list[DoomTrip] = []
        self._walking_since_s: float | None = None
        self._reset(None)
        self._frames = self._tics = self._restarts = 0
        self._film: list[ImageArray] = []
        self._moments: list[ImageArray] = []
        self._video: Any = None
        self._title = ""
        self._draw = self.create_client(DrawMaze, "/draw_maze")
        self._navigator = ActionClient(self, Navigate, "/navigate")
        # The navigator's own servers: a first walk without them ends before it begins.
        self._planner = ActionClient(self, ComputePath, "/compute_path")
        self._follower = ActionClient(self, FollowPath, "/follow_path")
        self._goal_topic = self.create_publisher(PoseStamped, "/goal_pose", latched_qos())
        self._subscribe()
        if self.settings.video_rate_hz:
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            self.create_timer(1 / self.settings.video_rate_hz, self._add_frame, clock=steady)

    def _subscribe(self) -> None:
        latched = (OccupancyGrid, "/map", self._on_map), (Path, "/plan", self._on_plan)
        for kind, topic, callback in latched:
            self.create_subscription(kind, topic, callback, latched_qos())
        self.create_subscription(Odometry, "/odom", self._on_odometry, reliable_qos())
        self.create_subscription(Image, "/camera/image_raw", self._on_image, sensor_qos())
        self.create_subscription(
            DiagnosticArray, "/diagnostics", self._on_diagnostics, reliable_qos()
        )

    def _reset(self, grid: GridMap | None) -> None:
        """Forget what belongs to the maze of before."""
        self._grid = grid
        self._image: ImageArray | None = None
        self._map: OccupancyGrid | None = None
        self._plan: Path | None = None
        self._pose: Any = None
        self._target: Point | None = None
        self._trace: list[Point] = []

    # -- inputs ---------------------------------------------------------------------------------

    def _on_map(self, message: OccupancyGrid) -> None:
        self._map = message

    def _on_plan(self, message: Path) -> None:
        self._plan = message

    def _on_image(self, message: Image) -> None:
        self._image = from_image_msg(message)
        self._frames += self._walking_since_s is not None

    def _on_odometry(self, message: Odometry) -> None:
        self._tics += self._walking_since_s is not None
        self._pose = message.pose.pose
        if self._grid is not None:
            place = self._grid.to_grid(point_of(self._pose))
            if not self._trace or math.dist(place, self._trace[-1]) >= STEP_OF_TRACE_CELLS:
                self._trace.append(place)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            for pair in status.values:
                if pair.key == "game_restarts" and int(pair.value) > self._restarts:
                    self._restarts = int(pair.value)
                    self.report(
                        f"the game had died and was started again ({self._restarts} so far)"
                    )

    # -- mazes ----------------------------------------------------------------------------------

    def servers(self) -> Mapping[str, Callable[[], bool]]:
        """Return the world, the navigator, and the servers that it asks."""
        return {
            "doom_world (/draw_maze)": self._draw.service_is_ready,
            "planner (/compute_path)": self._planner.server_is_ready,
            "path_follower (/follow_path)": self._follower.server_is_ready,
            "navigator (/navigate)": self._navigator.server_is_ready,
        }

    async def run_episodes(self) -> None:
        """Walk through all mazes, one after the other."""
        started_s = time.monotonic()
        for number in range(self.settings.mazes):
            await self._maze(number)
            if self._walks[-1].error_code == Navigate.Result.E_STOP:
                break  # whoever engaged it wants no further walk
        self._complete(time.monotonic() - started_s)

    async def _maze(self, number: int) -> None:
        seed = self.settings.seed + number
        drawn = await wait_for(self._draw.call_async(DrawMaze.Request(seed=seed)))
        if not drawn.success:
            raise UserError(drawn.message)
        grid = from_map_msg(drawn.map)
        self._reset(grid)
        self._target = grid.to_grid(point_of(drawn.goal.pose))
        self._title = f"maze {number + 1}/{self.settings.mazes}, {self.settings.planner}"
        self._film = []
        self._goal_topic.publish(drawn.goal)
        goal = Navigate.Goal(
            goal=drawn.goal,
            planner_id=self.settings.planner,
            survey=self.settings.views == "all",
        )
        self._walking_since_s = time.monotonic()
        found = await self.ask(self._navigator, goal, self._on_feedback)
        self._walking_since_s = None
        self._note(number, drawn, found)

    def _note(self, number: int, drawn: Any, found: Any) -> None:
        """Store, report and draw how a maze ended."""
        walk = DoomTrip(
            maze=number + 1,
            seed=self.settings.seed + number,
            size=drawn.map.info.height,
            reached=found.error_code == Navigate.Result.NONE,
            steps=found.steps,
            shortest_steps=drawn.shortest_steps,
            looks=found.looks,
            plans=found.plans,
            fallbacks=found.fallbacks,
            planning_s=round(duration_s(found.planning_time), 4),
            seeing_s=round(duration_s(found.seeing_time), 4),
            duration_s=round(duration_s(found.duration), 3),
            driven_m=round(float(found.driven), 3),
            error_code=found.error_code,
            error=found.error_msg,
        )
        self._walks.append(walk)
        self._add_frame()
        if self._film:
            places = np.linspace(0, len(self._film) - 1, MOMENTS).round().astype(int)
            self._moments += [self._film[place] for place in places]
        done, total = len(self._walks), self.settings.mazes
        left = f", {self.time_left(done, total)}" if done < total else ""
        self.report(f"maze {walk.maze}/{total}: {_outcome(walk)}{left}")

    def _on_feedback(self, feedback: Navigate.Feedback) -> None:
        if self.is_report_due:
            age_s = duration_s(feedback.plan_age)
            self.report(
                f"walking: {feedback.distance_to_go:.1f} m to go, {feedback.steps} steps, plan of "
                f"{age_s:.1f} s ago"
            )

    # -- pictures -------------------------------------------------------------------------------

    def _add_frame(self) -> None:
        """Add a picture to the video."""
        grid, message, image = self._grid, self._map, self._image
        if grid is None or image is None or message is None or self._pose is None:
            return
        occupancy = occupancy_of(message)
        if occupancy.shape != grid.free.shape:
            return
        plan = [] if self._plan is None else self._plan.poses
        shown = MapPicture(
            occupancy,
            self._target,
            grid.to_grid(point_of(self._pose)),
            yaw_of(self._pose.orientation),
            [grid.to_grid(point_of(stamped.pose)) for stamped in plan],
            tuple(self._trace),
        )
        picture = beside(image, shown, self._title)
        self._film.append(picture)
        if len(self._film) > 400:
            self._film = self._film[::2]  # the sheet needs a few moments only
        if self.settings.video_rate_hz:
            self._write(picture)

    def _write(self, picture: ImageArray) -> None:
        if self._video is None:
            size = picture.shape[1], picture.shape[0]
            code = cv2.VideoWriter.fourcc(*"mp4v")
            name = str(self._folder / ".run.mp4")
            self._video = cv2.VideoWriter(name, code, self.settings.video_rate_hz, size)
            self._video_size = size
        if (picture.shape[1], picture.shape[0]) == self._video_size:
            self._video.write(np.ascontiguousarray(picture[..., ::-1]))

    # -- reporting ------------------------------------------------------------------------------

    def _complete(self, wall_s: float) -> None:
        """Write video, sheet and summary, print the table, and end."""
        reached = [walk for walk in self._walks if walk.reached]
        needed = self.settings.required if self.settings.required >= 0 else self.settings.mazes
        passed = len(reached) >= needed
        steps, best = (
            sum(getattr(walk, name) for walk in reached) for name in ("steps", "shortest_steps")
        )
        walking_s = max(1e-9, sum(walk.duration_s for walk in self._walks))
        plans = max(1, sum(walk.plans for walk in self._walks))
        summary = {
            **provenance(self.settings.seed, command=self.settings.command or None),
            "planner": self.settings.planner,
            "views": self.settings.views,
            "mazes": [asdict(walk) for walk in self._walks],
            "reached": len(reached),
            "required": needed,
            "passed": passed,
            "steps_over_shortest": round(steps / best, 4) if best else None,
            "frames_per_s": round(self._frames / walking_s, 2),
            "game_tics_per_s": round(self._tics / walking_s, 2),
            "planning_s_per_plan": round(sum(w.planning_s for w in self._walks) / plans, 5),
            "seeing_s_per_maze": round(
                sum(walk.seeing_s for walk in self._walks) / len(self._walks), 4
            ),
            "game_restarts": self._restarts,
            "wall_s": round(wall_s, 3),
        }
        self._close_video()
        if self._moments:
            title = (
                f"Walks through ViZDoom mazes: {len(reached)} of {len(self._walks)} goals reached"
            )
            sheet = sheet_of(self._moments, MOMENTS, title)
            save_png(str(self._folder / "contact_sheet.png"), sheet)
        write_json(self._folder / "summary.json", summary)
        print(self._table(summary), flush=True)
        print(f"Wrote video, contact sheet and summary to {self._folder}/", flush=True)
        self.finish(passed, f"The goal was reached {len(reached)} times; {needed} are required.")

    def _table(self, summary: dict[str, Any]) -> str:
        lines = ["", "maze  seed  steps  shortest  looks  plans  planning s  wall s  outcome"]
        lines.append("----  ----  -----  --------  -----  -----  ----------  ------  -------")
        for walk in self._walks:
            lines.append(
                f"{walk.maze:4d}  {walk.seed:4d}  {walk.steps:5d}  {walk.shortest_steps:8d}  "
                f"{walk.looks:5d}  {walk.plans:5d}  {walk.planning_s:10.2f}  "
                f"{walk.duration_s:6.1f}  {'reached' if walk.reached else walk.error}"
            )
        lines.append(
            f"\nreached {summary['reached']} of {len(self._walks)} in {summary['wall_s']:.0f} s; "
            f"{summary['frames_per_s']:.0f} frames/s, "
            f"{1e3 * summary['planning_s_per_plan']:.0f} ms per plan; "
            f"{summary['game_restarts']} restarts of the game\n"
        )
        return "\n".join(lines)

    def _close_video(self) -> None:
        if self._video is not None:
            self._video.release()
            self._video = None
            (self._folder / ".run.mp4").replace(self._folder / "run.mp4")

    def close(self) -> None:
        """Cancel what is in progress and complete the video."""
        super().close()
        self._close_video()


def _outcome(walk: DoomTrip) -> str:
    if not walk.reached:
        return f"not reached: {walk.error.rstrip('.')}"
    length = f"{walk.steps} steps, the shortest path has {walk.shortest_steps}"
    return f"reached; {length}; {walk.looks} looks, {walk.plans} plans; {walk.duration_s:.1f} s"


def main() -> int:
    """Return the exit code of ``ros2 run asterias_nodes doom_demo``."""
    return run_node(DoomDemo)
