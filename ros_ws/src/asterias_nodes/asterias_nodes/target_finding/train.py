"""Node ``train``: has one policy trained over ``/train_policy``, tells how far it is, and ends.

When it is stopped before that, the training is cancelled, and its checkpoint kept.
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass
from typing import Annotated, Any

from asterias_interfaces.action import TrainPolicy
from rclpy.action import ActionClient
from rclpy.action.client import ClientGoalHandle
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.task import Future

from asterias_nodes.runtime.parameters import SettingsError, declare_settings
from asterias_nodes.runtime.run_node import run_node, stop_node

SERVER_PATIENCE_S = 30.0
PROGRESS_PERIOD_S = 2.0


@dataclass(frozen=True)
class TrainSettings:
    """Parameters of the node; see the action."""

    robot: Annotated[str, "name or path of a robot description"] = "limb_p1"
    algo: Annotated[str, "algorithm; empty takes the default"] = ""
    faults: Annotated[str, "cameras dead in each episode; empty takes the default"] = ""
    steps: Annotated[int, "steps of the robot; 0 takes the default"] = 0
    seed: Annotated[int, "seed of everything"] = 0
    out: Annotated[str, "folder of the training; empty makes a new one"] = ""
    resume: Annotated[bool, "go on from the checkpoint in out"] = False
    options: Annotated[list[str], "more options of python -m learning train; [''] for none"] = (
        # rclpy cannot tell the type of an empty list.
        ("",)  # type: ignore[assignment]
    )

    def __post_init__(self) -> None:
        if self.steps < 0:
            raise SettingsError("Parameter 'steps' must be 0 or more.")


class TrainClient(Node):
    """A client of ``/train_policy``."""

    def __init__(self) -> None:
        super().__init__("train")
        self.settings = declare_settings(self, TrainSettings)
        self._started_s, self._told_s = time.monotonic(), -math.inf
        self._goal: ClientGoalHandle | None = None
        self._client = ActionClient(self, TrainPolicy, "/train_policy")
        wall = Clock(clock_type=ClockType.STEADY_TIME)
        self._start_timer = self.create_timer(0.1, self._try_to_start, clock=wall)

    def _try_to_start(self) -> None:
        if self._client.server_is_ready():
            self.destroy_timer(self._start_timer)
            self._send()
        elif time.monotonic() - self._started_s > SERVER_PATIENCE_S:
            stop_node(self, "No action server /train_policy came up; launch trainer.")

    def _send(self) -> None:
        settings = self.settings
        goal = TrainPolicy.Goal(
            algorithm=settings.algo,
            faults=settings.faults,
            robot=settings.robot,
            steps=settings.steps,
            seed=settings.seed,
            out=settings.out,
            resume=settings.resume,
            options=[option for option in settings.options if option],
        )
        answer = self._client.send_goal_async(goal, feedback_callback=self._on_feedback)
        answer.add_done_callback(self._on_answer)

    def _on_answer(self, answer: Future[Any]) -> None:
        self._goal = answer.result()
        if self._goal is None or not self._goal.accepted:
            stop_node(self, "The goal was refused by the action server; is trainer active?")
            return
        self._goal.get_result_async().add_done_callback(self._on_result)

    def _on_feedback(self, message: Any) -> None:
        told = message.feedback
        if not told.steps:
            print("The training starts ...", flush=True)
        elif time.monotonic() - self._told_s >= PROGRESS_PERIOD_S:
            self._told_s = time.monotonic()
            left = "" if math.isnan(told.left_s) else f", about {told.left_s:.0f} s left"
            print(
                f"{told.steps}/{told.total} steps, {100 * told.found:.0f} % found in the last "
                f"iteration, return {told.mean_return:.2f}, {told.steps_per_s:.0f} steps/s{left}",
                flush=True,
            )

    def _on_result(self, answer: Future[Any]) -> None:
        self._goal = None
        result = answer.result().result
        if result.error_code != result.NONE:
            stop_node(self, result.error_msg)
            return
        print(
            f"Trained for {result.steps} steps in {result.duration_s:.1f} s; "
            f"{100 * result.found:.0f} % found in the last iteration. Policy: {result.path}",
            flush=True,
        )
        stop_node(self, status=0)

    def close(self) -> None:
        """Cancel a training in progress."""
        if self._goal is not None:
            self._goal.cancel_goal_async()


def main() -> None:
    """Run the node until the policy is trained."""
    sys.exit(run_node(TrainClient))


if __name__ == "__main__":
    main()
