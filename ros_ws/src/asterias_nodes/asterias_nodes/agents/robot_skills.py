"""The skills of a language agent, over ROS 2: actions, and commands through the multiplexer.

They run in the agents' thread as coroutines of its event loop; what they ask of ROS is done in the
executor's thread. Each answers only when the effect was seen.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import numpy as np
from asterias_interfaces.action import FindTarget
from rclpy.action import ActionClient
from rclpy.node import Node
from std_msgs.msg import Float64MultiArray

from asterias.arrays import FloatArray
from asterias_nodes.agents.robot_state_monitor import Picture, RobotStateMonitor
from asterias_nodes.runtime.qos import reliable_qos
from learning.agents.graph.messages import AgentError, Answer, FailureKind
from learning.agents.skills.skills import Perform, SkillCall
from learning.agents.tasks.camera_witnesses import TileReport, diagnose

SOURCE = "language_agent"
_PERIOD_S = 0.05  # between repeated commands
_MOVE_S = 6.0  # wall time for a move
_LOOK_S = 3.0  # wall time for a new picture
_THERE_RAD = 0.06
_AMPLITUDE_RAD = 0.2
_SEARCH_STEPS, _SEARCHES = 100, 3
_REST_LOOKS, _RESTS_RAD = 20, 0.005
T = TypeVar("T")


async def in_executor(node: Node, function: Callable[[], T]) -> T:
    """Call a function in the executor's thread and wait for what it returns."""
    done: concurrent.futures.Future[T] = concurrent.futures.Future()

    def work() -> None:
        try:
            done.set_result(function())
        except Exception as error:
            done.set_exception(error)

    node.executor.create_task(work)
    return await asyncio.wrap_future(done)


async def until(condition: Callable[[], Any], timeout_s: float) -> bool:
    """Wait until a condition holds; False when it has not within ``timeout_s`` of wall time."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        await asyncio.sleep(0.01)
    return True


class RobotSkills:
    """What the robot can do for a language agent.

    Args:
        node: the hosting node.
        eyes: what is known of the robot.
        limb: number of the limb.
    """

    def __init__(self, node: Node, eyes: RobotStateMonitor, limb: int) -> None:
        self._node, self._eyes = node, eyes
        self._broken: dict[str, str] = {}
        topic = f"/limb_{limb}/sources/{SOURCE}"
        self._commands = node.create_publisher(Float64MultiArray, topic, reliable_qos())
        self._finder = ActionClient(node, FindTarget, "/find_target")

    @property
    def by_name(self) -> dict[str, Perform]:
        """All skills, for the gate."""
        return {
            "check_cameras": self.check_cameras,
            "find_target": self.find_target,
            "move_joints": self.move_joints,
            "hold": self.hold,
        }

    def close(self) -> None:
        """Take the topics down."""
        self._finder.destroy()
        self._node.destroy_publisher(self._commands)

    def witness_look(self, camera: str) -> Callable[[], Awaitable[TileReport]]:
        """What a camera's next picture shows."""

        async def look() -> TileReport:
            return await self._next_tile(camera)

        return look

    # -- skills -------------------------------------------------------------------------------

    async def move_joints(self, call: SkillCall) -> Answer:
        """Move the named joints to positions in rad."""
        if not call.numbers:
            raise AgentError(FailureKind.REFUSED, "move_joints names no joint.")
        goal = self._where()
        for name, value in call.numbers.items():
            goal[self._eyes.joints.index(name)] = value
        reached = await self._move(goal)
        told = ", ".join(
            f"{name} is at {reached[self._eyes.joints.index(name)]:.2f} rad"
            for name in call.numbers
        )
        return Answer(f"I moved: {told}")

    async def hold(self, call: SkillCall) -> Answer:
        """Stay where the limb is."""
        here = self._where()
        await self._send(here)
        return Answer("I hold")

    async def check_cameras(self, call: SkillCall) -> Answer:
        """Move a little and back, and see which cameras notice."""
        start = self._where()
        before = dict(self._eyes.pictures)
        swing = call.numbers.get("amplitude_rad", _AMPLITUDE_RAD)
        # Every joint towards its middle: a horizon, for one, looks the same from any bearing.
        await self._move(start - np.copysign(swing, start))
        after = await self._new_pictures()
        await self._move(start)
        self._broken = {}
        for camera in self._eyes.cameras:
            wrong = diagnose(_image(before.get(camera)), _image(after.get(camera)))
            if wrong:
                self._broken[camera] = wrong
        told = ", ".join(f"{camera} is broken ({wrong})" for camera, wrong in self._broken.items())
        return Answer(told or "All cameras work", {"broken": dict(self._broken)})

    async def find_target(self, call: SkillCall) -> Answer:
        """Search with ``/find_target``, without the cameras that are known to be broken.

        A find counts when the camera still sees the tag once the limb has come to rest; a soft limb
        may swing past it. Then the search goes on.
        """
        steps = 0
        for number in range(_SEARCHES):
            found = await self._search(self._goal(call, number))
            steps += int(found.steps)
            if not found.found:
                text = f"The target was not found in {steps} steps: {found.error_msg}"
                raise AgentError(FailureKind.ERROR, text)
            camera = str(found.camera)
            await self._rest()
            if (await self._next_tile(camera)).sees:
                text = f"I found the target after {steps} steps"
                return Answer(text, {"camera": camera, "steps": steps})
        text = f"The search says that {camera} found the target, but its picture shows no tag."
        raise AgentError(FailureKind.ERROR, text)

    # -- parts --------------------------------------------------------------------------------

    def _goal(self, call: SkillCall, number: int) -> FindTarget.Goal:
        seed = call.numbers.get("seed", time.time_ns() % 2**31)
        return FindTarget.Goal(
            max_steps=int(call.numbers.get("max_steps", _SEARCH_STEPS)),
            seed=int(seed) + number,
            dead_cameras=list(self._broken),
        )

    async def _rest(self) -> None:
        """Until the joints have stopped."""
        for _ in range(_REST_LOOKS):
            before = self._where()
            await asyncio.sleep(2 * _PERIOD_S)
            if np.abs(self._where() - before).max() < _RESTS_RAD:
                return

    def _where(self) -> FloatArray:
        position = self._eyes.position_rad
        if position is None:
            text = "No joint states come from the limb; launch the robot and activate it."
            raise AgentError(FailureKind.ERROR, text)
        return position.copy()

    async def _send(self, position_rad: FloatArray) -> None:
        if self._eyes.is_stopped:
            raise AgentError(FailureKind.REFUSED, "The emergency stop is engaged.")
        message = Float64MultiArray(data=position_rad.tolist())
        await in_executor(self._node, lambda: self._commands.publish(message))

    async def _move(self, goal: FloatArray) -> FloatArray:
        """Command until the joints are there; where they are then."""
        deadline_s = time.monotonic() + _MOVE_S
        while True:
            here = self._where()
            if np.abs(here - goal).max() < _THERE_RAD:
                return here
            if time.monotonic() > deadline_s:
                owner = self._eyes.active_source or "nobody"
                off = self._eyes.joints[int(np.abs(here - goal).argmax())]
                text = f"The limb did not get there: {off} is off; {owner} commands the limb."
                raise AgentError(FailureKind.ERROR, text)
            await self._send(goal)
            await asyncio.sleep(_PERIOD_S)

    async def _new_pictures(self) -> dict[str, Picture]:
        """A picture of each camera taken from now on; cameras that give none are left out."""
        now_s = self._eyes.robot_time_s

        def is_new(camera: str) -> bool:
            picture = self._eyes.pictures.get(camera)
            return picture is not None and picture.time_s > now_s

        await until(lambda: all(map(is_new, self._eyes.cameras)), _LOOK_S)
        return {c: self._eyes.pictures[c] for c in self._eyes.cameras if is_new(c)}

    async def _next_tile(self, camera: str) -> TileReport:
        now_s = self._eyes.robot_time_s

        def is_new() -> bool:
            stamp_s, _ = self._eyes.tiles.get(camera, (-np.inf, None))
            return bool(stamp_s > now_s)

        if not await until(is_new, _LOOK_S):
            text = f"No pictures come from {camera}, or the detector does not run."
            raise AgentError(FailureKind.ERROR, text)
        return self._eyes.tiles[camera][1]

    async def _search(self, goal: FindTarget.Goal) -> FindTarget.Result:
        """Send a goal and wait for its result; cancelled with the task that waits."""
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
        """Start something in the executor that gives a future of rclpy, and wait for that."""
        done: concurrent.futures.Future[Any] = concurrent.futures.Future()

        def hand_over(future: Any) -> None:
            if not done.cancelled():
                done.set_result(future.result())

        await in_executor(self._node, lambda: start().add_done_callback(hand_over))
        return await asyncio.wrap_future(done)


def _image(picture: Picture | None) -> Any:
    return None if picture is None else picture.image
