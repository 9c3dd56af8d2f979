"""Node ``demo``: lets the limb search again and again, and leaves pictures and a summary behind.

A client of ``/find_target``, nothing more: it sends one goal per episode, prints lines of
progress, then a table, and writes ``summary.json`` and ``contact_sheet.png`` into its folder. With
``faults`` it breaks cameras before an episode (``/limb_<i>/inject_fault``); the searcher is not
informed.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
from asterias_interfaces.action import FindTarget
from asterias_interfaces.srv import InjectFault
from rclpy.action import ActionClient
from sensor_msgs.msg import Image

from asterias.arrays import ImageArray
from asterias.errors import UserError
from asterias.files import write_json
from asterias.provenance import provenance
from asterias_nodes.runtime.actions.action_client import wait_for
from asterias_nodes.runtime.actions.episode_runner import EpisodeRunner
from asterias_nodes.runtime.conversions import from_image_msg, to_seconds
from asterias_nodes.runtime.parameters import SettingsError, declare_settings
from asterias_nodes.runtime.qos import sensor_qos
from asterias_nodes.runtime.run_node import run_node
from hardware.description.robot import load_robot
from hardware.perception.apriltag import detect_tags
from hardware.perception.contact_sheet import contact_sheet
from hardware.perception.images import Tile, save_png
from learning.target_finding.env.task import draw_dead_cameras

# Pictures kept per camera: enough to still have those of the find when the result arrives.
KEPT_PICTURES = 60


@dataclass(frozen=True)
class DemoSettings:
    """Parameters of the node."""

    robot: Annotated[str, "name or path of the robot description"] = "limb_p1"
    limb: Annotated[int, "number of the limb that searches"] = 0
    episodes: Annotated[int, "searches, each from a random pose"] = 20
    required: Annotated[int, "finds below which the demo counts as failed"] = 18
    policy: Annotated[str, "searcher; empty takes the best there is"] = ""
    max_steps: Annotated[int, "steps after which a search is given up"] = 100
    seed: Annotated[int, "seed of the first episode; the next takes the next number"] = 0
    faults: Annotated[str, "cameras that fail in each episode: kill0 (none), kill1, kill12"] = (
        "kill0"
    )
    fault: Annotated[str, "how they fail: off, stuck or garbage"] = "off"
    joint_fault: Annotated[str, "how all joints fail from the start on; empty: they work"] = ""
    dead_cameras: Annotated[list[str], "names of cameras to leave out; [''] for none"] = (
        # rclpy cannot tell the type of an empty list.
        ("",)  # type: ignore[assignment]
    )
    out: Annotated[str, "folder for pictures and summary"] = "runs/demo"
    command: Annotated[str, "beginning of what a reader types to run this again"] = (
        "ros2 launch launch/demo.launch.xml"
    )

    def __post_init__(self) -> None:
        if self.episodes < 1 or self.max_steps < 1:
            raise SettingsError("Parameters 'episodes' and 'max_steps' must be 1 or more.")
        if self.fault not in ("off", "stuck", "garbage"):
            raise SettingsError(f"Parameter 'fault' is '{self.fault}'; take off, stuck or garbage.")
        try:
            draw_dead_cameras(np.random.default_rng(0), 4, self.faults)
        except ValueError as error:
            raise SettingsError(f"Parameter 'faults': {error}") from error


@dataclass(frozen=True)
class Episode:
    """How one search ended."""

    episode: int
    found: bool
    policy: str
    steps: int
    camera: str
    broken_cameras: list[str]
    robot_time_s: float
    error: str


class DemoNode(EpisodeRunner):
    """Sends goals one after the other; ends its process when all are done."""

    server_timeout_s = 30.0
    cure = "launch demo.launch.xml"

    def __init__(self) -> None:
        super().__init__("demo")
        self.settings = declare_settings(self, DemoSettings)
        self._folder = Path(self.settings.out).expanduser()
        self._folder.mkdir(parents=True, exist_ok=True)
        robot = load_robot(self.settings.robot)
        limb = self.settings.limb
        if not 0 <= limb < len(robot.limbs):
            last = len(robot.limbs) - 1
            raise SettingsError(f"Parameter 'limb' must be from 0 to {last}, not {limb}.")
        self._tag = robot.target.id
        self._joints = [joint.name for joint in robot.limbs[limb].joints]
        self._pictures: list[deque[tuple[float, ImageArray]]] = []
        for number, camera in enumerate(robot.limbs[limb].live_cameras):
            self._pictures.append(deque(maxlen=KEPT_PICTURES))
            topic = f"/limb_{limb}/camera_{number}/image_raw"
            keep = partial(self._keep_picture, number)
            self.create_subscription(Image, topic, keep, sensor_qos(20))
            self.get_logger().debug(f"{topic} is {camera.name}.")
        self._cameras = len(self._pictures)
        self._broken: list[str] = []
        self._episodes: list[Episode] = []
        self._rows: list[list[Tile]] = []
        self._titles: list[str] = []
        self._client = ActionClient(self, FindTarget, "/find_target")
        self._injector = self.create_client(InjectFault, f"/limb_{limb}/inject_fault")

    def _keep_picture(self, camera: int, message: Image) -> None:
        self._pictures[camera].append((to_seconds(message.header.stamp), from_image_msg(message)))

    # -- episodes -------------------------------------------------------------------------------

    def servers(self) -> Mapping[str, Callable[[], bool]]:
        """Return the target finder, and the fault service where it is needed."""
        servers = {"target_finder (/find_target)": self._client.server_is_ready}
        if self.settings.faults != "kill0" or self.settings.joint_fault:
            servers[f"the robot ({self._injector.srv_name})"] = self._injector.service_is_ready
        return servers

    async def run_episodes(self) -> None:
        """Search in all episodes, then write pictures and summary."""
        self.report(f"Searching for the target in {self.settings.episodes} episodes ...")
        if self.settings.joint_fault:
            await self._inject([(name, self.settings.joint_fault) for name in self._joints])
        while len(self._episodes) < self.settings.episodes:
            await self._prepare()
            await self._search()
        self._complete()

    async def _prepare(self) -> None:
        """Repair the cameras of the last episode and break those of the next."""
        rng = np.random.default_rng((self.settings.seed, len(self._episodes)))
        dead = draw_dead_cameras(rng, self._cameras, self.settings.faults)
        repaired, self._broken = self._broken, [f"camera_{j}" for j in dead]
        calls = [(camera, "ok") for camera in repaired if camera not in self._broken]
        calls += [(camera, self.settings.fault) for camera in self._broken]
        await self._inject(calls)

    async def _inject(self, calls: Sequence[tuple[str, str]]) -> None:
        """Make components fail.

        Raises:
            UserError: faults are refused.
        """
        for component, fault in calls:
            request = InjectFault.Request(component=component, fault=fault)
            response = await wait_for(self._injector.call_async(request))
            if not response.success:
                raise UserError(f"{component} cannot be broken: {response.message}")

    async def _search(self) -> None:
        """Search once, and store how it ended.

        Raises:
            UserError: no search is possible.
        """
        goal = FindTarget.Goal(
            policy=self.settings.policy,
            max_steps=self.settings.max_steps,
            seed=self.settings.seed + len(self._episodes),
            dead_cameras=[name for name in self.settings.dead_cameras if name],
            random_start=True,
        )
        answer = await self.ask(self._client, goal, self._on_feedback)
        if answer.error_code in (answer.NO_ROBOT, answer.UNKNOWN_POLICY, answer.BAD_GOAL):
            raise UserError(answer.error_msg)
        episode = Episode(
            episode=len(self._episodes) + 1,
            found=answer.found,
            policy=answer.policy,
            steps=answer.steps,
            camera=answer.camera,
            broken_cameras=list(self._broken),
            robot_time_s=round(answer.duration_s, 3),
            error=answer.error_msg,
        )
        self._episodes.append(episode)
        if episode.found:
            self._rows.append(self._tiles(int(answer.camera.removeprefix("camera_"))))
            self._titles.append(f"episode {episode.episode}, step {episode.steps}")
        outcome = f"found by {episode.camera}" if episode.found else episode.error
        without = f", {' and '.join(self._broken)} broken" if self._broken else ""
        self.report(
            f"episode {episode.episode}/{self.settings.episodes}{without}: {outcome} "
            f"after {episode.steps} steps, {self._left()}"
        )

    def _on_feedback(self, feedback: FindTarget.Feedback) -> None:
        if self.is_report_due:
            number, step = len(self._episodes) + 1, f"step {feedback.step}"
            doing = step if feedback.phase != "resetting" else "to a random pose"
            self.report(f"episode {number}/{self.settings.episodes}: {doing}, {self._left()}")

    def _left(self) -> str:
        return self.time_left(len(self._episodes), self.settings.episodes)

    def _tiles(self, finder: int) -> list[Tile]:
        """Return all cameras' pictures of the moment at which camera ``finder`` saw the tag."""
        moment_s = 0.0
        for stamp_s, image in reversed(self._pictures[finder]):
            if detect_tags(image, [self._tag]):
                moment_s = stamp_s
                break
        tiles = []
        for number, kept in enumerate(self._pictures):
            if kept:
                # A frame may have been lost on the way: then its neighbour in time stands in.
                image = min(kept, key=lambda entry: abs(entry[0] - moment_s))[1]
                found = tuple(detect_tags(image, [self._tag]))
                name = f"camera_{number}"
                fails = name in {*self._broken, *self.settings.dead_cameras}
                tiles.append(Tile(image, f"{name} fails" if fails else name, found, dead=fails))
        return tiles

    # -- reporting ------------------------------------------------------------------------------

    def _complete(self) -> None:
        """Write pictures and summary, print the table, and end."""
        found = sum(episode.found for episode in self._episodes)
        passed = found >= self.settings.required
        self._write_summary(found, passed)
        heading = f"What the cameras saw: {found} of {len(self._episodes)} found"
        picture = contact_sheet(self._rows, self._titles, heading)
        save_png(str(self._folder / "contact_sheet.png"), picture)
        print(self._table(), flush=True)
        print(f"Wrote contact sheet and summary to {self._folder}/", flush=True)
        needed = self.settings.required
        self.finish(passed, f"The target was found {found} times; {needed} are required.")

    def _write_summary(self, found: int, passed: bool) -> None:
        steps = [episode.steps for episode in self._episodes if episode.found]
        summary = {
            **provenance(self.settings.seed, command=self._command()),
            "robot": self.settings.robot,
            "policy": self._policies(),
            "faults": self.settings.faults,
            "joint_fault": self.settings.joint_fault,
            "max_steps": self.settings.max_steps,
            "episodes": [asdict(episode) for episode in self._episodes],
            "found": found,
            "required": self.settings.required,
            "passed": passed,
            "mean_steps_of_finds": round(statistics.fmean(steps), 3) if steps else None,
            "wall_s": round(time.monotonic() - self.started_s, 3),
        }
        write_json(self._folder / "summary.json", summary)

    def _policies(self) -> str:
        """Return what searched: the server may take another policy when more cameras are dead."""
        chosen = {episode.policy for episode in self._episodes} - {""}  # "": ended before a choice
        return ", ".join(sorted(chosen)) or self.settings.policy

    def _command(self) -> str:
        """Return what a reader types to run this demo again."""
        options = (
            "robot",
            *(("limb",) if self.settings.limb else ()),
            "episodes",
            "policy",
            "faults",
            "fault",
            "joint_fault",
            "max_steps",
            "seed",
        )
        values = ((name, getattr(self.settings, name)) for name in options)
        given = [f"{name}:={value}" for name, value in values if value != ""]
        return " ".join([self.settings.command, *given])

    def _table(self) -> str:
        lines = ["", "episode  steps  found by", "-------  -----  --------"]
        for episode in self._episodes:
            outcome = episode.camera if episode.found else f"- ({episode.error})"
            lines.append(f"{episode.episode:7d}  {episode.steps:5d}  {outcome}")
        found = [episode for episode in self._episodes if episode.found]
        mean = statistics.fmean(e.steps for e in found) if found else float("nan")
        lines.append(
            f"\nfound {len(found)} of {len(self._episodes)} by {self._policies()}, "
            f"{mean:.1f} steps on average\n"
        )
        return "\n".join(lines)


def main() -> None:
    """Run the node until all episodes are done."""
    sys.exit(run_node(DemoNode))


if __name__ == "__main__":
    main()
