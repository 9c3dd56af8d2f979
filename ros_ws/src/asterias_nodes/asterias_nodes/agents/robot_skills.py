"""A limb as skills of language agents use it: actions, and commands through the multiplexer.

They run in the agents' thread as coroutines of its event loop; what they ask of ROS is done in the
executor's thread.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np
from asterias_interfaces.action import FindTarget
from rclpy.action import ActionClient
from rclpy.node import Node
from std_msgs.msg import Float64MultiArray

from asterias.arrays import FloatArray, ImageArray
from asterias_nodes.agents.robot_state_monitor import RobotStateMonitor
from asterias_nodes.runtime.qos import reliable_qos
from learning.agents.messages import AgentError, Answer, FailureKind
from learning.agents.skills.registry import SKILLS
from learning.agents.skills.skill import SearchResult, Skill, SkillCall
from learning.agents.skills.skill_gate import Perform
from learning.agents.tasks.camera_witnesses import TileReport

SOURCE = "language_agent"
_PERIOD_S = 0.05  # between repeated commands
_MOVE_S = 6.0  # wall time for a move
_LOOK_S = 3.0  # wall time for a new picture, or joint states
_THERE_RAD = 0.06
_REST_LOOKS, _RESTS_RAD = 20, 0.005
T = TypeVar("T")


async def in_executor(node: Node, function: Callable[[], T]) -> T:
    """Call a function in the executor's thread.

    Returns:
        What the function returns.
    """
    done: concurrent.futures.Future[T] = concurrent.futures.Future()

    def work() -> None:
        try:
            done.set_result(function())
        except Exception as error:
            done.set_exception(error)

    node.executor.create_task(work)
    return await asyncio.wrap_future(done)


async def until(condition: Callable[[], Any], timeout_s: float) -> bool:
    """Return whether a condition holds within ``timeout_s`` of wall time; wait until it does."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        await asyncio.sleep(0.01)
    return True


class RobotSkills:
    """The limb as skills use it; see :class:`learning.agents.skills.skill.SkillBody`.

    Args:
        node: the hosting node.
        state: what is known of the robot.
        limb: number of the limb.
    """

    def __init__(self, node: Node, state: RobotStateMonitor, limb: int) -> None:
        self._node, self._state = node, state
        self.joints, self.cameras = state.joints, state.cameras
        self.broken: dict[str, str] = {}
        topic = f"/limb_{limb}/sources/{SOURCE}"
        self._commands = node.create_publisher(Float64MultiArray, topic, reliable_qos())
        self._finder = ActionClient(node, FindTarget, "/find_target")

    @property
    def by_name(self) -> dict[str, Perform]:
        """All skills of the registry, for the gate."""
        return {name: partial(self._perform, skill) for name, skill in SKILLS.items()}

    async def _perform(self, skill: Skill, call: SkillCall) -> Answer:
        """Return the answer of a skill; it begins when the joints are known, soon after a start."""
        await until(lambda: self._state.position_rad is not None, _LOOK_S)
        return await skill.routine(self, call)

    def close(self) -> None:
        """Take the topics down."""
        self._finder.destroy()
        self._node.destroy_publisher(self._commands)

    def witness_look(self, camera: str) -> Callable[[], Awaitable[TileReport]]:
        """Return a function that waits for what a camera's next picture shows."""

        async def look() -> TileReport:
            return await self._next_tile(camera)

        return look

    # -- what skills use ----------------------------------------------------------------------

    def position_rad(self) -> FloatArray:
        """Return a copy of the measured joints ``(n,)``.

        Raises:
            AgentError: none come.
        """
        position = self._state.position_rad
        if position is None:
            text = "No joint states come from the limb; launch the robot and activate it."
            raise AgentError(FailureKind.ERROR, text)
        return position.copy()

    def last_images(self) -> dict[str, ImageArray]:
        """Return the newest image of each camera that gives some."""
        return {camera: one.image for camera, one in self._state.pictures.items()}

    async def sees_target(self, camera: str) -> bool:
        """Return whether a camera's next image shows the target."""
        return (await self._next_tile(camera)).sees

    async def search(self, max_steps: int, seed: int | None, attempt: int) -> SearchResult:
        """Search with ``/find_target``, without the cameras that are known to be broken.

        Returns:
            Whether, where and by which camera the target was found.
        """
        start = time.time_ns() % 2**31 if seed is None else seed
        result = await self._search(
            FindTarget.Goal(
                max_steps=max_steps, seed=start + attempt, dead_cameras=list(self.broken)
            )
        )
        return SearchResult(
            bool(result.found), str(result.camera), int(result.steps), str(result.error_msg)
        )

    async def rest(self) -> None:
        """Wait until the joints have stopped."""
        for _ in range(_REST_LOOKS):
            before = self.position_rad()
            await asyncio.sleep(2 * _PERIOD_S)
            if np.abs(self.position_rad() - before).max() < _RESTS_RAD:
                return

    async def send(self, position_rad: FloatArray) -> None:
        """Command joint positions once.

        Raises:
            AgentError: the emergency stop is engaged.
        """
        if self._state.is_stopped:
            raise AgentError(FailureKind.REFUSED, "The emergency stop is engaged.")
        message = Float64MultiArray(data=position_rad.tolist())
        await in_executor(self._node, lambda: self._commands.publish(message))

    async def move(self, goal_rad: FloatArray) -> FloatArray:
        """Command joint positions until they are reached.

        Returns:
            Where the joints then are, rad.

        Raises:
            AgentError: they are not reached in time.
        """
        deadline_s = time.monotonic() + _MOVE_S
        while True:
            here = self.position_rad()
            if np.abs(here - goal_rad).max() < _THERE_RAD:
                return here
            if time.monotonic() > deadline_s:
                owner = self._state.active_source or "nobody"
                off = self._state.joints[int(np.abs(here - goal_rad).argmax())]
                text = f"The limb did not get there: {off} is off; {owner} commands the limb."
                raise AgentError(FailureKind.ERROR, text)
            await self.send(goal_rad)
            await asyncio.sleep(_PERIOD_S)

    async def new_images(self) -> dict[str, ImageArray]:
        """Return an image of each camera taken from now on, without cameras that give none."""
        now_s = self._state.robot_time_s

        def is_new(camera: str) -> bool:
            picture = self._state.pictures.get(camera)
            return picture is not None and picture.time_s > now_s

        await until(lambda: all(map(is_new, self.cameras)), _LOOK_S)
        return {c: self._state.pictures[c].image for c in self.cameras if is_new(c)}

    # -- parts --------------------------------------------------------------------------------

    async def _next_tile(self, camera: str) -> TileReport:
        now_s = self._state.robot_time_s

        def is_new() -> bool:
            stamp_s, _ = self._state.tiles.get(camera, (-np.inf, None))
            return bool(stamp_s > now_s)

        if not await until(is_new, _LOOK_S):
            text = f"No pictures come from {camera}, or the detector does not run."
            raise AgentError(FailureKind.ERROR, text)
        return self._state.tiles[camera][1]

    async def _search(self, goal: FindTarget.Goal) -> FindTarget.Result:
        """Send a goal and wait for its result; cancelled with the task that waits.

        Returns:
            The result.

        Raises:
            AgentError: there is no action server, or it refused the goal.
            CancelledError: the waiting task is cancelled.
        """
        if not await until(self._finder.server_is_ready, _LOOK_S):
            raise AgentError(
                FailureKind.ERROR, "No action server /find_target; launch target_finder."
            )
        handle = await self._await_ros(lambda: self._finder.send_goal_async(goal))
        if not handle.accepted:
            raise AgentError(FailureKind.ERROR, "The action server /find_target refused the goal.")
        try:
            answer = await self._await_ros(handle.get_result_async)
        except asyncio.CancelledError:
            self._node.executor.create_task(handle.cancel_goal_async)
            raise
        return answer.result

    async def _await_ros(self, start: Callable[[], Any]) -> Any:
        """Start something in the executor that gives a future of rclpy, and wait for that.

        Returns:
            The future's result.
        """
        done: concurrent.futures.Future[Any] = concurrent.futures.Future()

        def hand_over(future: Any) -> None:
            if not done.cancelled():
                done.set_result(future.result())

        await in_executor(self._node, lambda: start().add_done_callback(hand_over))
        return await asyncio.wrap_future(done)
