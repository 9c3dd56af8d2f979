"""Managed node ``target_finder``: action server ``/find_target``.

Moves one limb, or all of them at once, by a searcher's choice, through the command multiplexer as
its source ``find_target``, waits as the paper does, and reads the detections of each live camera
(``/target/detections``) until one of them sees the tag. Cameras that are silent, dark, noise or
frozen are left out, as are those that the goal names. One goal at
a time; the limb holds when a goal ends, whatever the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from asterias_interfaces.action import FindTarget
from rclpy.action.server import ServerGoalHandle

from asterias.arrays import FloatArray
from asterias_nodes.recording.episode_client import EpisodeClient, EpisodeError
from asterias_nodes.robot.limb_state_monitor import JOINTS_HELP, check_joints
from asterias_nodes.runtime.actions.action_node import ActionNode, ActiveGoal
from asterias_nodes.runtime.parameters import declare_settings
from asterias_nodes.runtime.run_node import run_node
from asterias_nodes.target_finding.body_client import BodyClient
from asterias_nodes.target_finding.limb_client import LimbClient, SearchError
from learning.target_finding.env.task import TaskOptions
from learning.target_finding.policies.registry import Searcher, best_policy

Result = FindTarget.Result
# The paper's protocol, as the task without ROS has it.
PROTOCOL = TaskOptions()
TASK = "find the target"
WHOLE_BODY = -1


@dataclass(frozen=True)
class TargetFinderSettings:
    """Parameters of the node."""

    robot: Annotated[str, "name or path of the robot description: limits, camera names"] = "limb_p1"
    limb: Annotated[
        int, "number of the limb that searches; -1: the whole body, all limbs at once"
    ] = 0
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
    joints: Annotated[str, JOINTS_HELP] = "measured"

    def __post_init__(self) -> None:
        check_joints(self.joints)


class SearchGoal(ActiveGoal):
    """A goal in progress.

    Attributes:
        limb: the limb that searches, or the body.
        policy: name of the searcher.
        is_free: nobody has named a policy; it is the best for the cameras that are alive.
        wanted: the cameras that the goal does not leave out.
        steps: moves so far.
        has_episode: whether the recorder records it.
    """

    canceled_text = "The search was canceled."

    def __init__(self, handle: ServerGoalHandle, limb: LimbClient | BodyClient) -> None:
        super().__init__(handle, Result())
        self.limb = limb
        self.rng = np.random.default_rng(handle.request.seed % 2**63)
        self.policy = ""
        self.is_free = True
        self.wanted: tuple[int, ...] = ()
        self.max_steps = self.steps = 0
        self.has_episode = False
        self.robot_started_s = limb.now_s

    def on_stop(self) -> None:
        """End the wait for pictures."""
        self.limb.fail_look(SearchError(Result.CANCELED, self.canceled_text))


class TargetFinder(ActionNode[SearchGoal]):
    """Serves ``/find_target``; goals wait for events, so one thread suffices."""

    action_type = FindTarget
    action_name = "/find_target"
    replaces = False
    busy_text = "Another search is running; cancel it or wait for its end."
    internal_error = Result.INTERNAL

    def __init__(self) -> None:
        super().__init__("target_finder")
        self.settings = declare_settings(self, TargetFinderSettings)
        self._client: LimbClient | BodyClient | None = None
        self._episodes: EpisodeClient | None = None

    def open(self) -> None:
        """Open the topics of the limb, and the recorder's services."""
        settings = self.settings
        waits: dict[str, Any] = {"patience_s": settings.patience_s, "joints": settings.joints}
        if settings.limb == WHOLE_BODY:
            self._client = BodyClient(self, settings.robot, settings.source, **waits)
        else:
            self._client = LimbClient(self, settings.robot, settings.limb, settings.source, **waits)
        self.owned.add(self._client.close)
        if settings.record:
            self._episodes = EpisodeClient(self)
            self.owned.add(self._episodes.close)

    @property
    def _limb(self) -> LimbClient | BodyClient:
        assert self._client is not None, "a goal is accepted only after configure()"
        return self._client

    # -- one goal -------------------------------------------------------------------------------

    def make_goal(self, handle: ServerGoalHandle) -> SearchGoal:
        """Return the record of a goal."""
        return SearchGoal(handle, self._limb)

    async def on_goal(self, goal: SearchGoal) -> None:
        """Search until a camera sees the target.

        Passes on ``GoalError``: the search ends without a find.
        """
        try:
            await self._limb.wait_for_robot()
            goal.robot_started_s = self._limb.now_s
            searcher = self._admit(goal)
            seeing = await self._search(goal, searcher)
            goal.result.found, goal.result.camera = True, self._limb.cameras[seeing[0]]
        finally:
            await self._end_episode(goal)

    def on_end(self, goal: SearchGoal) -> None:
        """Hold the limb unless it has found the target or another source has it."""
        result = goal.result
        result.steps, result.policy = goal.steps, goal.policy
        result.duration_s = self._limb.now_s - goal.robot_started_s
        if not result.found and result.error_code != Result.TAKEN_OVER:
            self._limb.hold()

    async def _begin_episode(self, goal: SearchGoal) -> None:
        """Record the search from here on, if it is to be: the move to its start is not.

        Raises:
            SearchError: nothing can be recorded.
        """
        if self._episodes is None:
            return
        try:
            await self._episodes.begin(f"{TASK} ({goal.policy})")
        except EpisodeError as error:
            raise SearchError(Result.INTERNAL, str(error)) from error
        goal.has_episode = True

    async def _end_episode(self, goal: SearchGoal) -> None:
        if self._episodes is None or not goal.has_episode:
            return
        goal.has_episode = False
        try:
            await self._episodes.end(bool(goal.result.found))
        except EpisodeError as error:
            self.get_logger().error(str(error))

    def _admit(self, goal: SearchGoal) -> Searcher:
        """Return the searcher of a goal, whose record is completed.

        Raises:
            SearchError: the goal names no live camera, or an unknown policy.
        """
        request: FindTarget.Goal = goal.request
        dead = {self._dead_camera(name) for name in request.dead_cameras}
        goal.wanted = tuple(j for j in range(len(self._limb.cameras)) if j not in dead)
        if not goal.wanted:
            text = "All cameras are named as dead; leave at least one alive."
            raise SearchError(Result.NO_CAMERAS, text)
        named = request.policy or self.settings.policy
        name = named or self._best(goal.wanted)
        try:
            searcher = self._searcher(name, goal.rng)
        except ValueError as error:
            raise SearchError(Result.UNKNOWN_POLICY, str(error)) from error
        goal.policy, goal.is_free = name, not named
        goal.max_steps = request.max_steps or self.settings.max_steps
        return searcher

    def _best(self, wanted: tuple[int, ...]) -> str:
        """Return the best policy for those of these cameras that are alive."""
        if isinstance(self._limb, BodyClient):
            return self._limb.best_policy()
        count, problems = len(self._limb.cameras), self._limb.problems()
        live = [camera for camera in wanted if camera not in problems]
        return best_policy(self._limb.lower.size, count, count - len(live))

    def _searcher(self, name: str, rng: np.random.Generator) -> Searcher:
        limb = self._limb
        return limb.make_searcher(name, rng)

    async def _search(self, goal: SearchGoal, searcher: Searcher) -> list[int]:
        """Return the numbers of the cameras that see the target in the end.

        Raises:
            SearchError: none does within the limit of steps.
        """
        if goal.request.random_start:
            await self._random_start(goal)
        await self._begin_episode(goal)
        position = self._limb.last_commanded()
        while goal.steps < goal.max_steps:
            live = self._limb.working(goal.wanted)
            if goal.is_free and (best := self._best(goal.wanted)) != goal.policy:
                goal.policy, searcher = best, self._searcher(best, goal.rng)
            position = await self._limb.ask(searcher, position, live)
            goal.steps += 1
            self._send_phase(goal, "moving")
            seeing = await self._drive_and_look(goal, position, live)
            self._send_phase(goal, "looking")
            if seeing:
                self._limb.tell_found(searcher, position, live, seeing)
                self._send_phase(goal, "done")
                return seeing
        text = f"The target was not seen within {goal.max_steps} steps."
        raise SearchError(Result.STEP_LIMIT, text)

    async def _random_start(self, goal: SearchGoal) -> None:
        """Go to random poses until no camera, dead or alive, sees the target (paper, version 2).

        Raises:
            SearchError: the target is always in sight.
        """
        everything = tuple(range(len(self._limb.cameras)))
        for _ in range(PROTOCOL.max_redraws):
            self._send_phase(goal, "resetting")
            pose = goal.rng.uniform(self._limb.lower, self._limb.upper)
            if not await self._drive_and_look(goal, pose, everything):
                return
        text = f"After {PROTOCOL.max_redraws} random poses the target was always in sight."
        raise SearchError(Result.BAD_GOAL, text)

    async def _drive_and_look(
        self, goal: SearchGoal, position_rad: FloatArray, cameras: tuple[int, ...]
    ) -> list[int]:
        goal.raise_if_stopped()
        seeing = await self._limb.drive_and_look(position_rad, cameras, self.settings.wait_s)
        goal.raise_if_stopped()
        return seeing

    # -- helpers --------------------------------------------------------------------------------

    def _send_phase(self, goal: SearchGoal, phase: str) -> None:
        """Publish feedback."""
        limb, problems = self._limb, self._limb.problems()
        measured = [] if limb.measured_rad is None else limb.measured_rad.tolist()
        dead = [j for j in range(len(limb.cameras)) if j not in goal.wanted or j in problems]
        goal.send_feedback(
            FindTarget.Feedback(
                step=goal.steps,
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
            raise SearchError(Result.BAD_GOAL, text)
        return number


def main() -> int:
    """Return the exit code of ``ros2 run asterias_nodes target_finder``."""
    return run_node(TargetFinder)
