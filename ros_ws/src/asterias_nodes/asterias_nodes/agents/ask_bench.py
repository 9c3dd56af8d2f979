"""Asks the launched robot to find the target, with one broken camera, and checks the answer.

``ros2 run asterias_nodes ask_bench --json results/agents/ask.json``: before each trial the limb
goes to a random pose and one camera breaks. After the answer that camera is mended, and the camera
that was named must then see the target: what the agents say is compared with what is so.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from asterias_interfaces.action import Ask
from asterias_interfaces.msg import TagDetections
from asterias_interfaces.srv import InjectFault
from builtin_interfaces.msg import Duration
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from asterias_nodes.robot.limb_state_monitor import LimbStateMonitor
from asterias_nodes.runtime.bench import BenchOptions, run_bench
from asterias_nodes.runtime.conversions import to_seconds
from asterias_nodes.runtime.launched_robot import LaunchedRobot
from asterias_nodes.runtime.qos import reliable_qos

FAULTS = ("off", "stuck", "garbage", "wrong")
_PATIENCE_S = 30.0


@dataclass(frozen=True)
class AskBench(BenchOptions):
    """Options of the measurement."""

    trials: int = 20
    """Questions."""
    required: int = 18
    """True answers below which the exit code is 1."""
    task: str = "find the target and tell me which camera saw it"
    """What is asked."""
    seed: int = 0
    """Of poses and broken cameras."""
    real_time_factor: float = 5.0
    """Simulated seconds per second."""


class Trials:
    """A client of the robot, in a node of its own."""

    def __init__(self, options: AskBench) -> None:
        self._options = options
        self._rng = np.random.default_rng(options.seed)
        about = options.limb_description()
        self._joints = about.joints
        self._cameras = [f"camera_{j}" for j in range(len(about.live_cameras))]
        self._tag = options.description().target.id
        self._prefix = f"/limb_{options.limb}"
        self._node, self._executor = Node("ask_bench"), SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._sees: dict[str, tuple[float, bool]] = {}
        node = self._node
        self._state = LimbStateMonitor(node, options.description(), options.limb)
        node.create_subscription(
            TagDetections, "/target/detections", self._on_detections, reliable_qos(100)
        )
        self._moves = node.create_publisher(
            JointTrajectory, f"{self._prefix}/joint_trajectory", reliable_qos()
        )
        self._faults = node.create_client(InjectFault, f"{self._prefix}/inject_fault")
        self._ask = ActionClient(node, Ask, "/ask")

    def close(self) -> None:
        """Leave the domain."""
        self._executor.shutdown()
        self._ask.destroy()
        self._node.destroy_node()

    def wait_for_robot(self) -> None:
        """Until everything that is needed is there."""
        self._until(lambda: self._state.is_fresh and self._sees, "the robot")
        self._until(self._ask.server_is_ready, "/ask")
        self._until(self._faults.service_is_ready, f"{self._prefix}/inject_fault")

    def run(self, number: int) -> dict[str, Any]:
        """Run one trial.

        Returns:
            Its row of the result file.
        """
        camera = self._cameras[number % len(self._cameras)]
        fault = str(self._rng.choice(FAULTS))
        self._go_to(np.array([self._rng.uniform(*joint.limits_rad) for joint in self._joints]))
        self._inject(camera, fault)
        started_s = time.monotonic()
        result = self._answer()
        wall_s = time.monotonic() - started_s
        self._inject(camera, "ok")
        accused = [c for c in self._cameras if f"{c} is broken" in result.answer]
        is_seen = bool(result.choice) and self._truly_sees(result.choice)
        return {
            "trial": number + 1,
            "broken": camera,
            "fault": fault,
            "error": result.error_msg,
            "answer": result.answer,
            "camera": result.choice,
            "camera_truly_sees": is_seen,
            "accused_without_cause": [c for c in accused if c != camera],
            "true": result.error_code == result.NONE and is_seen and set(accused) <= {camera},
            "wall_s": round(wall_s, 2),
        }

    # -- parts --------------------------------------------------------------------------------

    def _until(self, condition: Callable[[], Any], what: str) -> None:
        deadline_s = time.monotonic() + _PATIENCE_S
        while not condition():
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"Nothing came from {what} within {_PATIENCE_S:g} s.")
            self._executor.spin_once(timeout_sec=0.05)

    def _on_detections(self, message: TagDetections) -> None:
        sees = any(tag.id == self._tag for tag in message.detections)
        self._sees[message.camera] = (to_seconds(message.header.stamp), sees)

    def _go_to(self, goal_rad: Any) -> None:
        point = JointTrajectoryPoint(positions=goal_rad, time_from_start=Duration(sec=1))
        self._until(self._moves.get_subscription_count, f"{self._prefix}/joint_trajectory")
        self._moves.publish(JointTrajectory(joint_names=self._state.names, points=[point]))

        def is_there() -> bool:
            here = self._state.position_rad
            return here is not None and bool(np.abs(here - goal_rad).max() < 0.1)

        self._until(is_there, "the limb on its way")

    def _inject(self, camera: str, fault: str) -> None:
        future = self._faults.call_async(InjectFault.Request(component=camera, fault=fault))
        self._until(future.done, f"{self._prefix}/inject_fault")
        if not future.result().success:
            raise ValueError(future.result().message)

    def _answer(self) -> Ask.Result:
        sent = self._ask.send_goal_async(Ask.Goal(task=self._options.task))
        self._until(sent.done, "/ask")
        result = sent.result().get_result_async()
        deadline_s = time.monotonic() + 150.0
        while not result.done() and time.monotonic() < deadline_s:
            self._executor.spin_once(timeout_sec=0.05)
        return result.result().result

    def _truly_sees(self, camera: str) -> bool:
        """Return whether a camera, healthy by now, sees the target while the limb holds."""
        now_s = self._state.robot_time_s
        self._until(lambda: self._sees[camera][0] > now_s + 0.2, camera)
        return self._sees[camera][1]


def measure(options: AskBench) -> list[dict[str, Any]]:
    """Run all trials; print one line for each.

    Returns:
        The rows of the result file.
    """
    robot = LaunchedRobot(
        "launch/agents.launch.xml",
        f"robot:={options.robot}",
        f"limb:={options.limb}",
        "enable_faults:=true",
        f"real_time_factor:={options.real_time_factor}",
        f"seed:={options.seed}",
    )
    trials = Trials(options)
    rows: list[dict[str, Any]] = []
    started_s = time.monotonic()
    try:
        trials.wait_for_robot()
        for number in range(options.trials):
            rows.append(trials.run(number))
            left_s = (time.monotonic() - started_s) / len(rows) * (options.trials - len(rows))
            row = rows[-1]
            state = "true" if row["true"] else f"NOT true ({row['error'] or row['answer']})"
            trial = f"{row['broken']} {row['fault']}; says {row['camera'] or 'nothing'}: {state}"
            print(
                f"trial {number + 1}/{options.trials}: {trial}, about {left_s:.0f} s left",
                flush=True,
            )
    finally:
        trials.close()
        robot.stop()
    return rows


def run(options: AskBench) -> int:
    """Measure, print, write the result file if asked for.

    Returns:
        The exit code: 1 if too few answers are true.
    """
    rows = measure(options)
    right = sum(row["true"] for row in rows)
    print(f"{right} of {len(rows)} answers are true")
    data = {"task": options.task, "trials": len(rows), "true": right, "rows": rows}
    options.write("ask_bench", data, options.seed)
    return 0 if right >= options.required else 1


def main() -> int:
    """Run the bench from the command line.

    Returns:
        The exit code.
    """
    return run_bench(AskBench, "ask_bench", __doc__ or "", run)


if __name__ == "__main__":
    sys.exit(main())
