"""Node ``crawl_demo``: lets the robot crawl, and leaves a film and a summary behind.

A client of ``/crawl_to``, nothing more. The first run goes to the target that the cameras see, the
others to places all round the robot. It prints lines of progress and a table, and writes
``summary.json`` and ``crawl.webp`` (the first run from outside, its way, and what the cameras see)
into its folder.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
from asterias_interfaces.action import CrawlTo
from rclpy.action import ActionClient

from asterias.errors import UserError
from asterias.files import write_json
from asterias.provenance import provenance
from asterias_nodes.crawling.moments import MomentCollector
from asterias_nodes.runtime.actions.episode_runner import EpisodeRunner
from asterias_nodes.runtime.conversions import duration_s
from asterias_nodes.runtime.parameters import SettingsError, declare_settings
from asterias_nodes.runtime.run_node import run_node
from hardware.description.frames import BASE_FRAME
from hardware.description.robot import load_robot
from learning.crawling.way_film import WayFilm, save_film
from sim.standing_world import TARGET_SIZE_M, TARGET_XY_M, standing_target

FILM_HZ = 12.5


@dataclass(frozen=True)
class CrawlDemoSettings:
    """Parameters of the node."""

    robot: Annotated[str, "name or path of the robot description"] = "starfish"
    gait: Annotated[str, "name or path of the gait; empty takes the server's"] = ""
    to_target: Annotated[bool, "the first run goes to the target that the cameras see"] = True
    around: Annotated[int, "further runs, to places all round the robot"] = 0
    distance_m: Annotated[float, "of these places from where the robot then is"] = 1.0
    required: Annotated[int, "arrivals below which the demo counts as failed; -1: all"] = -1
    target_xy_m: Annotated[list[float], "where the target stands; for the film"] = field(
        default_factory=lambda: list(TARGET_XY_M)
    )
    target_size_m: Annotated[float, "edge of the target; for the film"] = TARGET_SIZE_M
    film: Annotated[bool, "film the first run"] = True
    seed: Annotated[int, "of the simulation; for the summary"] = 0
    out: Annotated[str, "folder for film and summary"] = "runs/starfish"
    command: Annotated[str, "what to type to run this again; for the summary"] = ""

    def __post_init__(self) -> None:
        if self.around < 0 or not (self.to_target or self.around):
            raise SettingsError("Set to_target, or around to 1 or more: there is nothing to do.")
        if not 0.0 < self.distance_m < math.inf:
            raise SettingsError("Parameter 'distance_m' must be above 0.")


@dataclass(frozen=True)
class CrawlRun:
    """How one run ended; ``bearing_deg`` is None on the way to the target."""

    run: int
    bearing_deg: float | None
    arrived: bool
    robot_s: float
    crawled_m: float
    distance_m: float
    error_code: int
    error: str


class CrawlDemo(EpisodeRunner):
    """Sends goals one after the other; ends its process when all are done."""

    server_timeout_s = 120.0  # where the cache is cold, contact is compiled for a minute
    cure = "launch starfish.launch.xml"

    def __init__(self) -> None:
        super().__init__("crawl_demo")
        self.settings = declare_settings(self, CrawlDemoSettings)
        self._folder = Path(self.settings.out).expanduser()
        self._folder.mkdir(parents=True, exist_ok=True)
        robot = load_robot(self.settings.robot)
        target = standing_target(
            robot.target, self.settings.target_xy_m, self.settings.target_size_m
        )
        self._robot = robot.model_copy(update={"target": target})
        middle = np.mean([limb.base.xyz for limb in robot.limbs], axis=0)
        self._middle_m = float(middle[0]), float(middle[1])
        self._runs: list[CrawlRun] = []
        self._goal_m = np.array(self.settings.target_xy_m)
        self._client = ActionClient(self, CrawlTo, "/crawl_to")
        self._moments = MomentCollector(self, self._robot, FILM_HZ) if self.settings.film else None

    @property
    def _total(self) -> int:
        return int(self.settings.to_target) + self.settings.around

    def servers(self) -> Mapping[str, Callable[[], bool]]:
        """Return the crawling server, and the robot where it is filmed."""
        servers = {"crawl (/crawl_to)": self._client.server_is_ready}
        if self._moments is not None:
            servers["the robot's pose, joints and cameras"] = self._moments.is_complete
        return servers

    # -- runs -----------------------------------------------------------------------------------

    async def run_episodes(self) -> None:
        """Crawl all runs, then write film and summary."""
        while len(self._runs) < self._total:
            await self._run_once()
            if self._runs[-1].error_code == CrawlTo.Result.E_STOP:
                break  # whoever engaged it wants no further crawl
        self._complete()

    async def _run_once(self) -> None:
        number, settings = len(self._runs), self.settings
        to_target = settings.to_target and number == 0
        goal = CrawlTo.Goal(seen=to_target, gait=settings.gait)
        bearing = None
        if not to_target:
            step = number - int(settings.to_target)
            bearing = 2.0 * math.pi * step / settings.around
            goal.target.header.frame_id = BASE_FRAME
            goal.target.point.x = self._middle_m[0] + settings.distance_m * math.cos(bearing)
            goal.target.point.y = self._middle_m[1] + settings.distance_m * math.sin(bearing)
        is_filmed = self._moments is not None and number == 0
        if self._moments is not None:
            self._moments.is_collecting = is_filmed
        answer = await self.ask(self._client, goal, self._on_feedback)
        if self._moments is not None:
            self._moments.is_collecting = False
        codes = CrawlTo.Result
        if answer.error_code in (codes.BAD_GOAL, codes.UNKNOWN_GAIT, codes.NO_ROBOT, codes.NO_POSE):
            raise UserError(answer.error_msg)
        run = CrawlRun(
            run=number + 1,
            bearing_deg=None if bearing is None else round(math.degrees(bearing), 1),
            arrived=bool(answer.arrived),
            robot_s=round(duration_s(answer.duration), 3),
            crawled_m=round(float(answer.crawled), 3),
            distance_m=round(float(answer.distance), 3),
            error_code=int(answer.error_code),
            error=str(answer.error_msg),
        )
        self._runs.append(run)
        outcome = f"arrived after {run.robot_s:.1f} s" if run.arrived else run.error
        left = self.time_left(len(self._runs), self._total)
        self.report(f"run {run.run}/{self._total}: {outcome}, {left}")
        if is_filmed:
            self._write_film()

    def _on_feedback(self, feedback: CrawlTo.Feedback) -> None:
        if len(self._runs) == 0:
            self._goal_m = np.array(feedback.target)
        if self.is_report_due:
            where = f"{feedback.distance:.2f} m to go, limb {feedback.leading_limb} leads"
            self.report(f"run {len(self._runs) + 1}/{self._total}: {where}")

    # -- reporting ------------------------------------------------------------------------------

    def _write_film(self) -> None:
        if self._moments is None or len(self._moments.moments) < 2:
            return
        moments = self._moments.moments
        self.report(f"Drawing the film, {len(moments)} pictures ...")
        gait = self.settings.gait or "the server's"
        film = WayFilm(self._robot, self._goal_m, moments, f"gait {gait}, over ROS 2")
        path = self._folder / "crawl.webp"
        save_film(path, [film.frame(k) for k in range(len(moments))], FILM_HZ)
        self.report(f"Wrote the film to {path}")

    def _complete(self) -> None:
        """Write the summary, print the table, and end."""
        arrived = [run for run in self._runs if run.arrived]
        needed = self.settings.required if self.settings.required >= 0 else self._total
        times = [run.robot_s for run in arrived]
        summary = {
            **provenance(self.settings.seed, command=self.settings.command or None),
            "robot": self.settings.robot,
            "gait": self.settings.gait,
            "distance_m": self.settings.distance_m,
            "runs": [asdict(run) for run in self._runs],
            "arrived": len(arrived),
            "required": needed,
            "passed": len(arrived) >= needed,
            "median_s": round(statistics.median(times), 2) if times else None,
            "longest_s": max(times) if times else None,
            "wall_s": round(time.monotonic() - self.started_s, 3),
        }
        write_json(self._folder / "summary.json", summary)
        print(self._table(), flush=True)
        print(f"Wrote the summary to {self._folder}/", flush=True)
        told = f"The robot arrived {len(arrived)} times; {needed} are required."
        self.finish(len(arrived) >= needed, told)

    def _table(self) -> str:
        lines = ["", "run  bearing deg  time s  crawled m  outcome"]
        lines.append("---  -----------  ------  ---------  -------")
        for run in self._runs:
            bearing = "target" if run.bearing_deg is None else f"{run.bearing_deg:.0f}"
            outcome = "arrived" if run.arrived else run.error
            lines.append(
                f"{run.run:3d}  {bearing:>11}  {run.robot_s:6.1f}  {run.crawled_m:9.2f}  {outcome}"
            )
        arrived = sum(run.arrived for run in self._runs)
        lines.append(f"\narrived {arrived} of {len(self._runs)}\n")
        return "\n".join(lines)


def main() -> int:
    """Return the exit code of ``ros2 run asterias_nodes crawl_demo``."""
    return run_node(CrawlDemo)
