"""Node ``target_finder``: action server ``/find_target``.

Moves one limb by a searcher's choice, through the command multiplexer as its source
``find_target``, waits as the paper does, and looks at what the detector says of each live camera
(``/target/detections``) until one of them sees the tag. Which cameras are alive it sees for itself:
one that is silent, dark, noise or frozen is left out, as are those that the goal names. One goal at
a time; the limb holds when a goal ends, whatever the reason.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from asterias_interfaces.action import FindTarget
from rclpy.action import CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node

from asterias.arrays import FloatArray
from asterias_nodes.recording.episode_client import EpisodeClient, EpisodeError
from asterias_nodes.runtime.event_action_server import EventActionServer
from asterias_nodes.runtime.parameters import declare_settings
from asterias_nodes.runtime.run_node import run_node
from asterias_nodes.target_finding.limb_client import LimbClient, SearchError
from learning.target_finding.env.task import TaskOptions
from learning.target_finding.policies.registry import Searcher, best_policy, make_searcher

# The paper's protocol, as the task without ROS has it.
PROTOCOL = TaskOptions()
TASK = "find the target"


@dataclass(frozen=True)
class TargetFinderSettings:
    """Parameters of the node."""

    robot: Annotated[str, "name or path of the robot description: limits, camera names"] = "limb_p1"
    limb: Annotated[int, "number of the limb that searches"] = 0
    policy: Annotated[str, "searcher for goals that name none; empty takes the best there is"] = ""
    max_steps: Annotated[int, "step limit for goals that give none"] = 200
    wait_s: Annotated[float, "s of the robot's time between a command and the look"] = (
        PROTOCOL.wait_s
    )
    patience_s: Annotated[float, "wall s without joints or pictures before a goal fails"] = 10.0
    record: Annotated[bool, "each search becomes an episode of the recorder, marked by its end"] = (
        False
    )
    source: Annotated[str, "name among the sources of the command multiplexer"] = "find_target"


@dataclass
class Search:
    """A goal in progress.

    Attributes:
        policy: name of the searcher.
        is_free: nobody has named a policy; it is the best for the cameras that are alive.
        wanted: the cameras that the goal does not leave out.
    """

    handle: ServerGoalHandle
    policy: str
    is_free: bool
    searcher: Searcher
    rng: np.random.Generator
    wanted: tuple[int, ...]
    max_steps: int
    steps: int = 0


class TargetFinder(Node):
    """Serves ``/find_target``; goals wait for events, so one thread suffices."""

    def __init__(self) -> None:
        super().__init__("target_finder")
        self.settings = settings = declare_settings(self, TargetFinderSettings)
        self._limb = LimbClient(
            self, settings.robot, settings.limb, settings.source, patience_s=settings.patience_s
        )
        self._running: ServerGoalHandle | None = None
        self._episodes = EpisodeClient(self) if settings.record else None
        self._has_episode = False
        self._server = EventActionServer(
            self,
            FindTarget,
            "/find_target",
            self._execute,
            goal_callback=lambda goal: GoalResponse.ACCEPT,
            cancel_callback=self._on_cancel,
        )

    def _on_cancel(self, handle: ServerGoalHandle) -> CancelResponse:
        if handle is self._running:
            # Only when this has returned is the goal one that is being cancelled.
            error = SearchError(FindTarget.Result.CANCELED, "The search was canceled.")
            self.executor.create_task(lambda: self._limb.fail_look(error))
        return CancelResponse.ACCEPT

    # -- one goal -------------------------------------------------------------------------------

    async def _execute(self, handle: ServerGoalHandle) -> FindTarget.Result:
        if self._running is not None:
            text = "Another search is running; cancel it or wait for its end."
            handle.abort()
            return FindTarget.Result(error_code=FindTarget.Result.BUSY, error_msg=text)
        self._running = handle
        result = FindTarget.Result()
        started_s = self._limb.now_s
        search: Search | None = None
        try:
            await self._limb.wait_for_robot()
            started_s = self._limb.now_s
            search = self._admit(handle)
            seeing = await self._search(search)
            result.found, result.camera = True, self._limb.cameras[seeing[0]]
        except SearchError as error:
            result.error_code, result.error_msg = error.code, str(error)
        except Exception as error:
            self.get_logger().error(f"The search failed: {error!r}")
            result.error_code, result.error_msg = FindTarget.Result.INTERNAL, repr(error)
        finally:
            await self._end_episode(result)
            self._running = None
        if search is not None:
            result.steps, result.policy = search.steps, search.policy
        result.duration_s = self._limb.now_s - started_s
        self._finish(handle, result)
        return result

    async def _begin_episode(self, search: Search) -> None:
        """From here on the search is recorded, if it is to be: its way to the start is not."""
        if self._episodes is None:
            return
        try:
            await self._episodes.begin(f"{TASK} ({search.policy})")
        except EpisodeError as error:
            raise SearchError(FindTarget.Result.INTERNAL, str(error)) from error
        self._has_episode = True

    async def _end_episode(self, result: FindTarget.Result) -> None:
        if self._episodes is None or not self._has_episode:
            return
        self._has_episode = False
        try:
            await self._episodes.end(result.found)
        except EpisodeError as error:
            self.get_logger().error(str(error))

    def _finish(self, handle: ServerGoalHandle, result: FindTarget.Result) -> None:
        if result.found:
            handle.succeed()
            return
        if result.error_code != FindTarget.Result.TAKEN_OVER:
            self._limb.hold()
        if result.error_code == FindTarget.Result.CANCELED and handle.is_cancel_requested:
            handle.canceled()
        else:
            handle.abort()

    def _admit(self, handle: ServerGoalHandle) -> Search:
        goal: FindTarget.Goal = handle.request
        limb = self._limb
        rng = np.random.default_rng(goal.seed % 2**63)
        dead = {self._dead_camera(name) for name in goal.dead_cameras}
        wanted = tuple(j for j in range(len(limb.cameras)) if j not in dead)
        if not wanted:
            text = "All cameras are named as dead; leave at least one alive."
            raise SearchError(FindTarget.Result.NO_CAMERAS, text)
        named = goal.policy or self.settings.policy
        name = named or self._best(wanted)
        try:
            searcher = self._searcher(name, rng)
        except ValueError as error:
            raise SearchError(FindTarget.Result.UNKNOWN_POLICY, str(error)) from error
        steps = goal.max_steps or self.settings.max_steps
        return Search(handle, name, not named, searcher, rng, wanted, steps)

    def _best(self, wanted: tuple[int, ...]) -> str:
        """The best policy for what is alive of these cameras."""
        count, problems = len(self._limb.cameras), self._limb.problems()
        live = [camera for camera in wanted if camera not in problems]
        return best_policy(self._limb.lower.size, count, count - len(live))

    def _searcher(self, name: str, rng: np.random.Generator) -> Searcher:
        limb = self._limb
        return make_searcher(name, limb.lower, limb.upper, rng, cameras=len(limb.cameras))

    async def _search(self, search: Search) -> list[int]:
        """Numbers of the cameras that see the target in the end."""
        if search.handle.request.random_start:
            await self._random_start(search)
        await self._begin_episode(search)
        position = self._limb.last_commanded()
        while search.steps < search.max_steps:
            live = self._limb.working(search.wanted)
            if search.is_free and (best := self._best(search.wanted)) != search.policy:
                search.policy, search.searcher = best, self._searcher(best, search.rng)
            position = await self._limb.ask(search.searcher, position, live)
            search.steps += 1
            self._tell(search, "moving")
            seeing = await self._drive_and_look(search, position, live)
            self._tell(search, "looking")
            if seeing:
                self._tell(search, "done")
                return seeing
        text = f"The target was not seen within {search.max_steps} steps."
        raise SearchError(FindTarget.Result.STEP_LIMIT, text)

    async def _random_start(self, search: Search) -> None:
        """Random poses until no camera, dead ones included, sees the target (paper, version 2)."""
        everything = tuple(range(len(self._limb.cameras)))
        for _ in range(PROTOCOL.max_redraws):
            self._tell(search, "resetting")
            pose = search.rng.uniform(self._limb.lower, self._limb.upper)
            if not await self._drive_and_look(search, pose, everything):
                return
        text = f"After {PROTOCOL.max_redraws} random poses the target was always in sight."
        raise SearchError(FindTarget.Result.BAD_GOAL, text)

    async def _drive_and_look(
        self, search: Search, position_rad: FloatArray, cameras: tuple[int, ...]
    ) -> list[int]:
        if search.handle.is_cancel_requested:
            raise SearchError(FindTarget.Result.CANCELED, "The search was canceled.")
        seeing = await self._limb.drive_and_look(position_rad, cameras, self.settings.wait_s)
        if search.handle.is_cancel_requested:
            raise SearchError(FindTarget.Result.CANCELED, "The search was canceled.")
        return seeing

    # -- helpers --------------------------------------------------------------------------------

    def _tell(self, search: Search, phase: str) -> None:
        limb, problems = self._limb, self._limb.problems()
        measured = [] if limb.measured_rad is None else limb.measured_rad.tolist()
        dead = [j for j in range(len(limb.cameras)) if j not in search.wanted or j in problems]
        search.handle.publish_feedback(
            FindTarget.Feedback(
                step=search.steps,
                positions_rad=measured,
                cameras_seeing=[limb.cameras[j] for j in sorted(limb.seeing) if limb.seeing[j]],
                cameras_dead=[limb.cameras[j] for j in dead],
                phase=phase,
            )
        )

    def _dead_camera(self, name: str) -> int:
        number = self._limb.camera_number(name)
        if number is None:
            known = ", ".join(self._limb.cameras)
            text = f"There is no camera '{name}' to leave out; known are {known}."
            raise SearchError(FindTarget.Result.BAD_GOAL, text)
        return number


def main() -> None:
    """Run the node until it is told to stop."""
    sys.exit(run_node(TargetFinder))


if __name__ == "__main__":
    main()
