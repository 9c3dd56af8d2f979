"""The person of a soak: orders searches, asks agents, breaks devices, and presses the stop."""

from __future__ import annotations

import random
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from asterias_interfaces.action import Ask, FindTarget
from asterias_interfaces.srv import InjectFault
from builtin_interfaces.msg import Duration
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import SetBool
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from asterias_nodes.robot.limb_state_monitor import LimbStateMonitor
from asterias_nodes.runtime.qos import reliable_qos
from hardware.description.robot import RobotDescription
from hardware.faults.models import FAULT_MODELS
from hardware.faults.words import Fault

CALL_TIMEOUT_S = 10.0
PAGE_TIMEOUT_S = 5.0
# After a stop the limb swings out; then it has to rest.
SETTLE_S = 1.5
WATCH_S = 3.0
FAULTS = tuple(word for word in FAULT_MODELS.names() if word != Fault.OK)
ORDERS = ("find the target", "which camera sees the target?", "go home", "what can you do?")


class Person:
    """A client of the robot, in a node of its own.

    Args:
        robot: the description.
        limb: number of the limb.
        page: address of the page.
        seed: of what it does.

    Attributes:
        done: how often each action was done, with its outcome.
        moved_rad: the largest motion while the emergency stop was engaged.
        watched_stops: how often a stopped limb was provoked and measured.
        unwatched_stops: how often it could not be measured.
        forgotten_stops: stops that were not engaged any more after a restart.
    """

    def __init__(self, robot: RobotDescription, limb: int, page: str, seed: int) -> None:
        self.done: Counter[str] = Counter()
        self.moved_rad = 0.0
        self.watched_stops = self.unwatched_stops = 0
        self.forgotten_stops = 0
        self._page, self._rng = page, random.Random(seed)
        self._node, self._executor = Node("soak_bench"), SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._joints = robot.limbs[limb].joints
        self._components = [joint.name for joint in self._joints] + [
            f"camera_{number}" for number in range(len(robot.limbs[limb].live_cameras))
        ]
        self._broken: set[str] = set()
        self._state = LimbStateMonitor(self._node, robot, limb)
        node, prefix = self._node, f"/limb_{limb}"
        self._stop = node.create_client(SetBool, "/e_stop")
        self._faults = node.create_client(InjectFault, f"{prefix}/inject_fault")
        self._find = ActionClient(node, FindTarget, "/find_target")
        self._ask = ActionClient(node, Ask, "/ask")
        self._commands = node.create_publisher(
            Float64MultiArray, f"{prefix}/commands", reliable_qos()
        )
        self._moves = node.create_publisher(
            JointTrajectory, f"{prefix}/sources/policy/joint_trajectory", reliable_qos()
        )

    def close(self) -> None:
        """Leave the domain."""
        self._executor.shutdown()
        self._find.destroy()
        self._ask.destroy()
        self._node.destroy_node()

    def spin(self, seconds: float) -> None:
        """Serve callbacks for a while."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=min(left_s, 0.05))

    def until(self, condition: Callable[[], object], timeout_s: float) -> bool:
        """Return whether a condition comes true in time, while callbacks are served."""
        end_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end_s:
                return False
            self._executor.spin_once(timeout_sec=0.05)
        return True

    def wait_for_robot(self, timeout_s: float) -> bool:
        """Return whether the robot is there in time."""
        return self.until(lambda: self._state.is_fresh and self._stop.service_is_ready(), timeout_s)

    def do_something(self) -> None:
        """Do one random thing that people do."""
        actions = (self._search, self._question, self._break, self._repair, self._look_at_page)
        self._rng.choice(actions)()

    # -- what people do -------------------------------------------------------------------------

    def _search(self) -> None:
        goal = FindTarget.Goal(max_steps=4, seed=self._rng.randrange(1000), random_start=False)
        self._note("search", self._goal(self._find, goal, 20.0))

    def _question(self) -> None:
        goal = Ask.Goal(task=self._rng.choice(ORDERS), timeout_s=15.0)
        self._note("question", self._goal(self._ask, goal, 20.0))

    def _break(self) -> None:
        component = self._rng.choice(self._components)
        self._broken.add(component)
        self._inject(component, self._rng.choice(FAULTS))

    def _repair(self) -> None:
        for component in sorted(self._broken):
            if self._inject(component, "ok"):
                self._broken.discard(component)

    def _look_at_page(self) -> None:
        try:
            with urllib.request.urlopen(self._page, timeout=PAGE_TIMEOUT_S) as answer:
                self._note("page", f"status {answer.status}")
        except (urllib.error.URLError, OSError):
            self._note("page", "no answer")

    def _inject(self, component: str, fault: str) -> bool:
        """Return whether the component now has the fault."""
        request = InjectFault.Request(component=component, fault=fault)
        response = self._call(self._faults, request)
        self._note("fault", "no answer" if response is None else str(response.success))
        return response is not None and bool(response.success)

    def _goal(self, client: ActionClient, goal: Any, timeout_s: float) -> str:
        """Return how a goal ended, in a word; one that takes too long is canceled."""
        if not client.server_is_ready():
            return "no server"
        sent = client.send_goal_async(goal)
        if not self.until(sent.done, CALL_TIMEOUT_S) or not sent.result().accepted:
            return "refused"
        handle = sent.result()
        result = handle.get_result_async()
        if not self.until(result.done, timeout_s):
            handle.cancel_goal_async()
            return "canceled" if self.until(result.done, CALL_TIMEOUT_S) else "no result"
        return f"error {result.result().result.error_code}"

    def _call(self, client: Any, request: Any) -> Any:
        """Return the response of a service, or None."""
        if not client.service_is_ready():
            return None
        future = client.call_async(request)
        if not self.until(future.done, CALL_TIMEOUT_S):
            client.remove_pending_request(future)
            return None
        return future.result()

    def _note(self, action: str, outcome: str) -> None:
        self.done[f"{action}: {outcome}"] += 1

    # -- the stop -------------------------------------------------------------------------------

    def stop_drill(self, disturb: Callable[[], None]) -> None:
        """Engage the stop, try everything that could move the limb, and release it.

        Args:
            disturb: called while the stop is engaged; it may kill and restart the robot.
        """
        self._repair()  # a joint that measures wrongly would seem to move
        if self._broken:
            self._note("stop", "not tried: a fault could not be ended")
            return
        if self._call(self._stop, SetBool.Request(data=True)) is None:
            self._note("stop", "no answer")
            return
        self._rest()
        self._provoke()
        disturb()
        self.spin(0.5)  # what the robot sent before its end
        ended_s = time.monotonic()
        if not self.until(lambda: self._state.age_s < time.monotonic() - ended_s, 60.0):
            self._note("stop", "the robot did not come back")
            return
        self.spin(1.0)
        if not self._state.is_stopped:
            self.forgotten_stops += 1
        self._rest()
        self._provoke()
        answer = self._call(self._stop, SetBool.Request(data=False))
        self._note("stop", "no answer to the release" if answer is None else "released")

    def _rest(self) -> None:
        self.spin(SETTLE_S)

    def _provoke(self) -> None:
        """Command the limb in every way and again press the stop; store by how much it moves."""
        before = self._state.position_rad
        end_s = time.monotonic() + WATCH_S
        while time.monotonic() < end_s:
            pose = [self._rng.uniform(*joint.limits_rad) for joint in self._joints]
            self._commands.publish(Float64MultiArray(data=pose))
            point = JointTrajectoryPoint(positions=pose, time_from_start=Duration(sec=1))
            names = [joint.name for joint in self._joints]
            self._moves.publish(JointTrajectory(joint_names=names, points=[point]))
            self._call(self._stop, SetBool.Request(data=True))
            self.spin(0.2)
            after = self._state.position_rad
            if before is not None and after is not None:
                self.moved_rad = max(self.moved_rad, float(np.abs(after - before).max()))
        if before is None or self._state.position_rad is None:
            self.unwatched_stops += 1
        else:
            self.watched_stops += 1
