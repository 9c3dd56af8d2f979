"""Node ``target_finder``: action server ``/find_target``.

Moves one limb by a searcher's choice (``/limb_<i>/joint_trajectory``), waits as the paper does,
and looks at what the detector says of each live camera (``/target/detections``) until one of them
sees the tag. One goal at a time; the limb holds when a goal ends, whatever the reason.

"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from asterias_interfaces.action import FindTarget
from asterias_interfaces.msg import TagDetections
from rclpy.action import CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from asterias_nodes.conversions import to_seconds
from asterias_nodes.episode_client import EpisodeClient, EpisodeError
from asterias_nodes.event_action_server import Event, EventActionServer
from asterias_nodes.qos import latched_qos, reliable_qos
from asterias_nodes.run_node import run_node
from asterias_nodes.settings import declare_settings
from hardware.description import load_robot
from hardware.limb import FloatArray
from learning.target_finding.policies import DEFAULT_POLICY, Searcher, make_searcher
from learning.target_finding.task import TaskOptions

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


class SearchError(Exception):
    """A search ends without a find; holds the action's error code and a sentence."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass
class Search:
    """A goal in progress."""

    handle: ServerGoalHandle
    searcher: Searcher
    rng: np.random.Generator
    live: tuple[int, ...]
    max_steps: int
    name: str = DEFAULT_POLICY
    steps: int = 0


@dataclass
class Look:
    """Waiting for a picture of each camera in ``cameras`` taken at ``time_s`` or later."""

    time_s: float
    cameras: tuple[int, ...]
    answers: dict[int, bool]
    deadline_s: float
    done: Event


class TargetFinder(Node):
    """Serves ``/find_target``; goals wait for events, so one thread suffices."""

    def __init__(self) -> None:
        super().__init__("target_finder")
        self.settings = declare_settings(self, TargetFinderSettings)
        self._number = self.settings.limb
        self._describe(self.settings.robot)
        self._commanded: FloatArray | None = None
        self._measured: FloatArray | None = None
        self._heard_s = -np.inf
        self._stopped = False
        self._running: ServerGoalHandle | None = None
        self._look: Look | None = None
        self._seeing: dict[int, bool] = {}
        self._episodes = EpisodeClient(self) if self.settings.record else None
        self._has_episode = False
        prefix = f"/limb_{self._number}"
        self._trajectory = self.create_publisher(
            JointTrajectory, f"{prefix}/joint_trajectory", reliable_qos()
        )
        self.create_subscription(
            JointState, f"{prefix}/joint_states", self._on_joints, reliable_qos()
        )
        self.create_subscription(
            TagDetections, "/target/detections", self._on_detections, reliable_qos(100)
        )
        self.create_subscription(Bool, "/e_stop_state", self._on_stop, latched_qos())
        # Patience is measured on the wall: simulated time may stand still.
        wall = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(0.1, self._check_wait, clock=wall)
        self._server = EventActionServer(
            self,
            FindTarget,
            "/find_target",
            self._execute,
            goal_callback=lambda goal: GoalResponse.ACCEPT,
            cancel_callback=lambda handle: CancelResponse.ACCEPT,
        )

    def _describe(self, robot: str) -> None:
        description = load_robot(robot)
        if not 0 <= self._number < len(description.limbs):
            raise ValueError(f"Robot {robot} has no limb {self._number}; set the parameter limb.")
        limb = description.limbs[self._number]
        self._names = [joint.name for joint in limb.joints]
        self._lower = np.array([joint.limits_rad[0] for joint in limb.joints])
        self._upper = np.array([joint.limits_rad[1] for joint in limb.joints])
        self._speed = np.array([joint.velocity_limit_rad_s for joint in limb.joints])
        self._cameras = [camera.name for camera in limb.live_cameras]
        self._tag = description.target.id

    # -- inputs ---------------------------------------------------------------------------------

    def _on_joints(self, message: JointState) -> None:
        position = dict(zip(message.name, message.position, strict=False))
        if all(name in position for name in self._names):
            self._measured = np.array([position[name] for name in self._names])
            self._heard_s = time.monotonic()

    def _on_stop(self, message: Bool) -> None:
        self._stopped = bool(message.data)
        if self._stopped:
            self._fail_look(SearchError(FindTarget.Result.E_STOP, "The emergency stop is engaged."))

    def _on_detections(self, message: TagDetections) -> None:
        camera = self._camera_number(message.camera)
        if message.limb != f"limb_{self._number}" or camera is None:
            return
        sees = any(found.id == self._tag for found in message.detections)
        self._seeing[camera] = sees
        look = self._look
        if look is None or camera not in look.cameras or camera in look.answers:
            return
        # Half a millisecond of tolerance: stamps come rounded from different clocks.
        if to_seconds(message.header.stamp) >= look.time_s - 5e-4:
            look.answers[camera] = sees
            if len(look.answers) == len(look.cameras):
                self._look = None
                look.done.complete(sorted(j for j, found in look.answers.items() if found))

    def _check_wait(self) -> None:
        if self._running is not None and self._running.is_cancel_requested:
            self._fail_look(SearchError(FindTarget.Result.CANCELED, "The search was canceled."))
        if self._look is not None and time.monotonic() > self._look.deadline_s:
            missing = [j for j in self._look.cameras if j not in self._look.answers]
            names = ", ".join(f"camera_{j}" for j in missing)
            text = f"No picture came from {names}; is the robot active and the detector running?"
            self._fail_look(SearchError(FindTarget.Result.NO_CAMERAS, text))

    def _fail_look(self, error: SearchError) -> None:
        look, self._look = self._look, None
        if look is not None:
            look.done.fail(error)

    # -- one goal -------------------------------------------------------------------------------

    async def _execute(self, handle: ServerGoalHandle) -> FindTarget.Result:
        if self._running is not None:
            text = "Another search is running; cancel it or wait for its end."
            handle.abort()
            return FindTarget.Result(error_code=FindTarget.Result.BUSY, error_msg=text)
        self._running = handle
        result = FindTarget.Result()
        started_s = self._now_s()
        search: Search | None = None
        try:
            await self._wait_for_robot()
            started_s = self._now_s()
            search = self._admit(handle)
            seeing = await self._search(search)
            result.found, result.camera = True, f"camera_{seeing[0]}"
        except SearchError as error:
            result.error_code, result.error_msg = error.code, str(error)
        except Exception as error:
            self.get_logger().error(f"The search failed: {error!r}")
            result.error_code, result.error_msg = FindTarget.Result.INTERNAL, repr(error)
        finally:
            await self._end_episode(result)
            self._running = None
        result.steps = search.steps if search is not None else 0
        result.duration_s = self._now_s() - started_s
        self._finish(handle, result)
        return result

    async def _begin_episode(self, search: Search) -> None:
        """From here on the search is recorded, if it is to be: its way to the start is not."""
        if self._episodes is None:
            return
        try:
            await self._episodes.begin(f"{TASK} ({search.name})")
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
        if self._measured is not None and not self._stopped:
            self._move(self._measured)
        if result.error_code == FindTarget.Result.CANCELED:
            handle.canceled()
        else:
            handle.abort()

    async def _wait_for_robot(self) -> None:
        """Joint states and simulated time may still be on their way when a goal comes early."""
        patience_s = self.settings.patience_s
        deadline_s = time.monotonic() + patience_s
        while time.monotonic() - self._heard_s > 1.0 or self._now_s() <= 0.0:
            if time.monotonic() > deadline_s:
                text = (
                    f"No joint states come from limb_{self._number}; "
                    "launch the robot and activate it."
                )
                raise SearchError(FindTarget.Result.NO_ROBOT, text)
            await self._pause(0.05)

    async def _pause(self, duration_s: float) -> None:
        """Let other callbacks run for ``duration_s`` of wall time."""
        done = Event()
        wall = Clock(clock_type=ClockType.STEADY_TIME)
        timer = self.create_timer(duration_s, done.complete, clock=wall)
        try:
            await done
        finally:
            self.destroy_timer(timer)

    def _admit(self, handle: ServerGoalHandle) -> Search:
        goal: FindTarget.Goal = handle.request
        rng = np.random.default_rng(goal.seed % 2**63)
        dead = {self._dead_camera(name) for name in goal.dead_cameras}
        live = tuple(j for j in range(len(self._cameras)) if j not in dead)
        if not live:
            text = "All cameras are named as dead; leave at least one alive."
            raise SearchError(FindTarget.Result.NO_CAMERAS, text)
        name = goal.policy or self.settings.policy
        try:
            searcher = make_searcher(
                name, self._lower, self._upper, rng, cameras=len(self._cameras)
            )
        except ValueError as error:
            raise SearchError(FindTarget.Result.UNKNOWN_POLICY, str(error)) from error
        steps = goal.max_steps or self.settings.max_steps
        return Search(handle, searcher, rng, live, steps, name or DEFAULT_POLICY)

    async def _search(self, search: Search) -> list[int]:
        """Numbers of the cameras that see the target in the end."""
        if search.handle.request.random_start:
            await self._random_start(search)
        await self._begin_episode(search)
        position = self._last_commanded()
        while search.steps < search.max_steps:
            position = search.searcher.act(position, search.live)
            search.steps += 1
            self._tell(search, "moving")
            seeing = await self._drive_and_look(search, position, search.live)
            self._tell(search, "looking")
            if seeing:
                self._tell(search, "done")
                return seeing
        text = f"The target was not seen within {search.max_steps} steps."
        raise SearchError(FindTarget.Result.STEP_LIMIT, text)

    async def _random_start(self, search: Search) -> None:
        """Random poses until no camera, dead ones included, sees the target (paper, version 2)."""
        everything = tuple(range(len(self._cameras)))
        for _ in range(PROTOCOL.max_redraws):
            self._tell(search, "resetting")
            pose = search.rng.uniform(self._lower, self._upper)
            if not await self._drive_and_look(search, pose, everything):
                return
        text = f"After {PROTOCOL.max_redraws} random poses the target was always in sight."
        raise SearchError(FindTarget.Result.BAD_GOAL, text)

    async def _drive_and_look(
        self, search: Search, position_rad: FloatArray, cameras: tuple[int, ...]
    ) -> list[int]:
        """Command, wait ``wait_s`` of the robot's time, and say which ``cameras`` see the tag."""
        self._raise_if_ended(search)
        self._commanded = position_rad
        self._move(position_rad)
        done = Event()
        self._look = Look(
            time_s=self._now_s() + self.settings.wait_s,
            cameras=cameras,
            answers={},
            deadline_s=time.monotonic() + self.settings.patience_s,
            done=done,
        )
        seeing: list[int] = await done
        self._raise_if_ended(search)
        return seeing

    def _raise_if_ended(self, search: Search) -> None:
        if search.handle.is_cancel_requested:
            raise SearchError(FindTarget.Result.CANCELED, "The search was canceled.")
        if self._stopped:
            raise SearchError(FindTarget.Result.E_STOP, "The emergency stop is engaged.")

    # -- helpers --------------------------------------------------------------------------------

    def _move(self, position_rad: FloatArray) -> None:
        """Send a timed move that the slowest joint can follow at nine tenths of its speed."""
        start = self._measured if self._measured is not None else position_rad
        duration_s = max(float(np.max(np.abs(position_rad - start) / (0.9 * self._speed))), 0.1)
        point = JointTrajectoryPoint(
            positions=position_rad.tolist(), time_from_start=Duration(seconds=duration_s).to_msg()
        )
        self._trajectory.publish(JointTrajectory(joint_names=self._names, points=[point]))

    def _last_commanded(self) -> FloatArray:
        if self._commanded is not None:
            return self._commanded
        if self._measured is None:
            raise SearchError(FindTarget.Result.NO_ROBOT, "The limb's position is not known yet.")
        return np.clip(self._measured, self._lower, self._upper)

    def _tell(self, search: Search, phase: str) -> None:
        measured = [] if self._measured is None else self._measured.tolist()
        search.handle.publish_feedback(
            FindTarget.Feedback(
                step=search.steps,
                positions_rad=measured,
                cameras_seeing=[f"camera_{j}" for j in sorted(self._seeing) if self._seeing[j]],
                phase=phase,
            )
        )

    def _camera_number(self, name: str) -> int | None:
        """Number of ``camera_<j>`` or of a camera's own name; None when there is none."""
        names = [f"camera_{j}" for j in range(len(self._cameras))]
        for choices in (names, self._cameras):
            if name in choices:
                return choices.index(name)
        return None

    def _dead_camera(self, name: str) -> int:
        number = self._camera_number(name)
        if number is None:
            known = ", ".join(f"camera_{j}" for j in range(len(self._cameras)))
            text = f"There is no camera '{name}' to leave out; known are {known}."
            raise SearchError(FindTarget.Result.BAD_GOAL, text)
        return number

    def _now_s(self) -> float:
        return float(self.get_clock().now().nanoseconds) * 1e-9


def main() -> None:
    """Run the node until it is told to stop."""
    sys.exit(run_node(TargetFinder))


if __name__ == "__main__":
    main()
