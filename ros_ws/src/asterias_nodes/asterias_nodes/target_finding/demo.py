"""Node ``demo``: lets the limb search again and again, and leaves pictures and a summary behind.

A client of ``/find_target``, nothing more: it sends one goal per episode, prints lines of
progress, then a table, and writes ``summary.json`` and ``contact_sheet.png`` into its folder. With
``faults`` it breaks cameras before an episode (``/limb_0/inject_fault``), and tells nobody.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from asterias_interfaces.action import FindTarget
from asterias_interfaces.srv import InjectFault
from rclpy.action import ActionClient
from rclpy.action.client import ClientGoalHandle
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.task import Future
from sensor_msgs.msg import Image

from asterias.arrays import ImageArray
from asterias.files import write_json
from asterias.provenance import provenance
from asterias_nodes.runtime.conversions import from_image_msg, to_seconds
from asterias_nodes.runtime.parameters import SettingsError, declare_settings
from asterias_nodes.runtime.qos import sensor_qos
from asterias_nodes.runtime.run_node import run_node, stop_node
from hardware.description.robot import load_robot
from hardware.perception.apriltag import detect_tags
from hardware.perception.contact_sheet import contact_sheet
from hardware.perception.images import Tile, save_png
from learning.target_finding.env.task import draw_dead_cameras

PROGRESS_PERIOD_S = 2.0
SERVER_PATIENCE_S = 30.0
# Pictures kept per camera: enough to still have those of the find when the result arrives.
KEPT_PICTURES = 60


@dataclass(frozen=True)
class DemoSettings:
    """Parameters of the node."""

    robot: Annotated[str, "name or path of the robot description"] = "limb_p1"
    episodes: Annotated[int, "searches, each from a random pose"] = 20
    required: Annotated[int, "finds below which the demo counts as failed"] = 18
    policy: Annotated[str, "searcher; empty takes the best there is"] = ""
    max_steps: Annotated[int, "steps after which a search is given up"] = 100
    seed: Annotated[int, "seed of the first episode; the next takes the next number"] = 0
    faults: Annotated[str, "cameras that fail in each episode: kill0 (none), kill1, kill12"] = (
        "kill0"
    )
    fault: Annotated[str, "how they fail: off, stuck or garbage"] = "off"
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


class Demo(Node):
    """Sends goals one after the other; ends its process when all are done."""

    def __init__(self) -> None:
        super().__init__("demo")
        self.settings = declare_settings(self, DemoSettings)
        self._folder = Path(self.settings.out).expanduser()
        self._folder.mkdir(parents=True, exist_ok=True)
        robot = load_robot(self.settings.robot)
        self._tag = robot.target.id
        self._pictures: list[deque[tuple[float, ImageArray]]] = []
        for number, camera in enumerate(robot.limbs[0].live_cameras):
            self._pictures.append(deque(maxlen=KEPT_PICTURES))
            topic = f"/limb_0/camera_{number}/image_raw"
            keep = partial(self._keep_picture, number)
            self.create_subscription(Image, topic, keep, sensor_qos(20))
            self.get_logger().debug(f"{topic} is {camera.name}.")
        self._cameras = len(self._pictures)
        self._broken: list[str] = []
        self._calls = 0
        self._episodes: list[Episode] = []
        self._rows: list[list[Tile]] = []
        self._titles: list[str] = []
        self._started_s = time.monotonic()
        self._told_s = 0.0
        self._goal: ClientGoalHandle | None = None
        self._client = ActionClient(self, FindTarget, "/find_target")
        self._injector = self.create_client(InjectFault, "/limb_0/inject_fault")
        wall = Clock(clock_type=ClockType.STEADY_TIME)
        self._start_timer = self.create_timer(0.1, self._try_to_start, clock=wall)

    def _keep_picture(self, camera: int, message: Image) -> None:
        self._pictures[camera].append((to_seconds(message.header.stamp), from_image_msg(message)))

    # -- episodes -------------------------------------------------------------------------------

    def _try_to_start(self) -> None:
        breaks = self.settings.faults != "kill0"
        if self._client.server_is_ready() and (not breaks or self._injector.service_is_ready()):
            self.destroy_timer(self._start_timer)
            self._say(f"Searching for the target in {self.settings.episodes} episodes ...")
            self._prepare_next()
        elif time.monotonic() - self._started_s > SERVER_PATIENCE_S:
            stop_node(self, "No action server /find_target came up; launch target_finder.")

    def _prepare_next(self) -> None:
        """Mend the cameras of the last episode, break those of the next, then search."""
        rng = np.random.default_rng((self.settings.seed, len(self._episodes)))
        dead = draw_dead_cameras(rng, self._cameras, self.settings.faults)
        mended, self._broken = self._broken, [f"camera_{j}" for j in dead]
        calls = [(camera, "ok") for camera in mended if camera not in self._broken]
        calls += [(camera, self.settings.fault) for camera in self._broken]
        self._calls = len(calls)
        for camera, fault in calls:
            request = InjectFault.Request(component=camera, fault=fault)
            self._injector.call_async(request).add_done_callback(self._on_injected)
        if not calls:
            self._send_next()

    def _on_injected(self, answer: Future[Any]) -> None:
        response = answer.result()
        if not response.success:
            stop_node(self, f"The cameras cannot be broken: {response.message}")
            return
        self._calls -= 1
        if self._calls == 0:
            self._send_next()

    def _send_next(self) -> None:
        number = len(self._episodes)
        goal = FindTarget.Goal(
            policy=self.settings.policy,
            max_steps=self.settings.max_steps,
            seed=self.settings.seed + number,
            dead_cameras=[name for name in self.settings.dead_cameras if name],
            random_start=True,
        )
        answer = self._client.send_goal_async(goal, feedback_callback=self._on_feedback)
        answer.add_done_callback(self._on_answer)

    def _on_answer(self, answer: Future[Any]) -> None:
        self._goal = answer.result()
        if self._goal is None or not self._goal.accepted:
            stop_node(self, "The search was refused by the action server.")
            return
        self._goal.get_result_async().add_done_callback(self._on_result)

    def _on_feedback(self, message: Any) -> None:
        if time.monotonic() - self._told_s < PROGRESS_PERIOD_S:
            return
        number, feedback = len(self._episodes) + 1, message.feedback
        doing = f"step {feedback.step}" if feedback.phase != "resetting" else "to a random pose"
        self._say(f"episode {number}/{self.settings.episodes}: {doing}, {self._time_left()}")

    def _on_result(self, result: Future[Any]) -> None:
        self._goal = None
        answer = result.result().result
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
        if answer.error_code in (answer.NO_ROBOT, answer.UNKNOWN_POLICY, answer.BAD_GOAL):
            stop_node(self, answer.error_msg)
            return
        self._episodes.append(episode)
        if episode.found:
            self._rows.append(self._tiles(int(answer.camera.removeprefix("camera_"))))
            self._titles.append(f"episode {episode.episode}, step {episode.steps}")
        outcome = f"found by {episode.camera}" if episode.found else episode.error
        without = f", {' and '.join(self._broken)} broken" if self._broken else ""
        self._say(
            f"episode {episode.episode}/{self.settings.episodes}{without}: {outcome} "
            f"after {episode.steps} steps, {self._time_left()}"
        )
        if len(self._episodes) < self.settings.episodes:
            self._prepare_next()
        else:
            self._finish()

    def _tiles(self, finder: int) -> list[Tile]:
        """All cameras' pictures of the moment at which camera ``finder`` saw the tag."""
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
                tiles.append(Tile(image, f"camera_{number}", found))
        return tiles

    # -- reporting ------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        self._told_s = time.monotonic()
        print(text, flush=True)

    def _time_left(self) -> str:
        done = len(self._episodes)
        if done == 0:
            return "time left: not known yet"
        each_s = (time.monotonic() - self._started_s) / done
        return f"about {each_s * (self.settings.episodes - done):.0f} s left"

    def _finish(self) -> None:
        found = sum(episode.found for episode in self._episodes)
        passed = found >= self.settings.required
        self._write_summary(found, passed)
        heading = f"What the cameras saw: {found} of {len(self._episodes)} found"
        picture = contact_sheet(self._rows, self._titles, heading)
        save_png(str(self._folder / "contact_sheet.png"), picture)
        print(self._table(), flush=True)
        print(f"Wrote contact sheet and summary to {self._folder}/", flush=True)
        if passed:
            stop_node(self, status=0)
        else:
            needed = self.settings.required
            stop_node(self, f"The target was found {found} times; {needed} are required.")

    def _write_summary(self, found: int, passed: bool) -> None:
        steps = [episode.steps for episode in self._episodes if episode.found]
        summary = {
            **provenance(self.settings.seed, command=self._command()),
            "robot": self.settings.robot,
            "policy": self._policies(),
            "faults": self.settings.faults,
            "max_steps": self.settings.max_steps,
            "episodes": [asdict(episode) for episode in self._episodes],
            "found": found,
            "required": self.settings.required,
            "passed": passed,
            "mean_steps_of_finds": round(statistics.fmean(steps), 3) if steps else None,
            "wall_s": round(time.monotonic() - self._started_s, 3),
        }
        write_json(self._folder / "summary.json", summary)

    def _policies(self) -> str:
        """What searched: the server may take another policy when more cameras are dead."""
        return ", ".join(sorted({episode.policy for episode in self._episodes}))

    def _command(self) -> str:
        """What a reader types to run this demo again."""
        options = ("robot", "episodes", "policy", "faults", "fault", "max_steps", "seed")
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

    def close(self) -> None:
        """Cancel a search in progress, so that the limb holds when the demo is interrupted."""
        if self._goal is not None:
            self._goal.cancel_goal_async()


def main() -> None:
    """Run the node until all episodes are done."""
    sys.exit(run_node(Demo))


if __name__ == "__main__":
    main()
