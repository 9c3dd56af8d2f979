"""Managed node ``trainer``: action ``/train_policy``, policies that find the target.

Each goal is a ``python -m learning train`` of its own, which simulates in further processes; this
one only listens to it, so that cancel and the other topics are served meanwhile. One goal at a
time. A goal that was cancelled, or whose node was killed, goes on with ``resume``.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from asterias_interfaces.action import TrainPolicy
from rclpy.action.server import ServerGoalHandle

from asterias_nodes.runtime.actions.action_node import ActionNode, ActiveGoal
from asterias_nodes.runtime.actions.event_action_server import Event, GoalError
from asterias_nodes.runtime.diagnostics import DiagnosticReport, Diagnostics
from asterias_nodes.runtime.executor import soon
from asterias_nodes.runtime.parameters import declare_settings
from asterias_nodes.runtime.run_node import run_node
from learning.training.subprocess import BAD_OPTIONS, STOPPED, TrainingEnd, TrainingProcess

Result = TrainPolicy.Result
# Options that are fields of the goal; every other one may be given in its list of options.
OWN_OPTIONS = ("algo", "faults", "robot", "steps", "seed", "out", "resume", "progress")
CHECKPOINT = "checkpoint.safetensors"
POLICY = "policy.safetensors"
# A launch waits five seconds before it kills; a kill costs no more than the present iteration.
CLOSE_S = 3.0


@dataclass(frozen=True)
class TrainerSettings:
    """Parameters of the node."""

    robot: Annotated[str, "robot description for goals that name none"] = "limb_p1"
    folder: Annotated[str, "where goals that name no folder get one"] = "runs"


class TrainingGoal(ActiveGoal):
    """A goal in progress.

    Attributes:
        folder: where the training writes.
        ended: completes with how the process ended.
        progress: the newest line of progress of the process.
        process: ``python -m learning train``.
    """

    def __init__(self, handle: ServerGoalHandle, folder: Path) -> None:
        super().__init__(handle, Result())
        self.folder = folder
        self.ended = Event()
        self.progress: Mapping[str, Any] = {"steps": 0, "total": handle.request.steps}
        self.process: TrainingProcess | None = None

    def on_stop(self) -> None:
        """Ask the training to end."""
        if self.process is not None:
            self.process.stop()


class TrainerNode(ActionNode[TrainingGoal]):
    """Serves ``/train_policy``, one goal at a time."""

    action_type = TrainPolicy
    action_name = "/train_policy"
    replaces = False
    busy_text = "Another policy is being trained; cancel that goal or wait for its end."
    internal_error = Result.INTERNAL

    def __init__(self) -> None:
        super().__init__("trainer")
        self.settings = declare_settings(self, TrainerSettings)
        self._trained = self._failed = 0

    # -- life cycle -----------------------------------------------------------------------------

    def open(self) -> None:
        """Open the diagnostics."""
        self.owned.add(Diagnostics(self, [self._report]).close)

    def activate(self) -> None:
        """Accept goals."""
        super().activate()
        self.get_logger().info("Ready to train policies: send a goal to /train_policy.")

    def cleanup(self) -> None:
        """End a training in progress, close the action."""
        if self.goal is not None and self.goal.process is not None:
            self.goal.process.close(CLOSE_S)
        super().cleanup()

    # -- one goal -------------------------------------------------------------------------------

    def make_goal(self, handle: ServerGoalHandle) -> TrainingGoal:
        """Return the record of a goal."""
        return TrainingGoal(handle, self._folder(handle.request))

    async def on_goal(self, goal: TrainingGoal) -> None:
        """Train in a process, and wait for its end.

        Raises:
            GoalError: an option is wrong, or the training ends without a policy.
        """
        try:
            options = self._options(goal)
        except ValueError as error:
            raise GoalError(Result.BAD_GOAL, str(error)) from error
        goal.process = TrainingProcess(
            options,
            on_progress=lambda progress: soon(self, self._send_progress, goal, progress),
            on_end=lambda end: soon(self, goal.ended.complete, end),
        )
        self.get_logger().info(f"Training in {goal.folder}, process {goal.process.pid}.")
        self._send_progress(goal, goal.progress)
        self._judge(goal, await goal.ended)

    def on_end(self, goal: TrainingGoal) -> None:
        """Complete the result and count it."""
        result = goal.result
        result.duration_s = goal.elapsed_s
        self._trained += result.error_code == Result.NONE
        self._failed += result.error_code not in (Result.NONE, Result.CANCELED)

    def _folder(self, goal: TrainPolicy.Goal) -> Path:
        if goal.out:
            return Path(goal.out).expanduser()
        name = "-".join(filter(None, (goal.algorithm, goal.faults, f"seed{goal.seed}")))
        stamp = time.strftime("%Y-%m-%d-%H%M%S")
        return Path(self.settings.folder).expanduser() / f"{stamp}-{name}"

    def _options(self, goal: TrainingGoal) -> list[str]:
        """Return the goal as a command line.

        Raises:
            ValueError: an option stands for a field of the goal.
        """
        request: TrainPolicy.Goal = goal.request
        for option in request.options:
            name = option.removeprefix("--").removeprefix("no-").partition("=")[0]
            if option.startswith("--") and name in OWN_OPTIONS:
                raise ValueError(f"Option '{option}' is a field of the goal; set it there.")
        named = {
            "--algo": request.algorithm,
            "--faults": request.faults,
            "--robot": request.robot or self.settings.robot,
            "--steps": str(request.steps or ""),
            "--seed": str(request.seed),
            "--out": str(goal.folder),
        }
        options = [word for name, value in named.items() if value for word in (name, value)]
        return [*options, *(["--resume"] if request.resume else []), *request.options]

    def _send_progress(self, goal: TrainingGoal, progress: Mapping[str, Any]) -> None:
        """Publish the feedback of an iteration."""
        goal.progress = progress
        is_done = 0 < progress["total"] <= progress["steps"]
        left_s = 0.0 if is_done else progress.get("left_s")
        goal.send_feedback(
            TrainPolicy.Feedback(
                steps=progress["steps"],
                total=progress["total"],
                mean_return=float(progress.get("mean_return", 0.0)),
                found=float(progress.get("found", 0.0)),
                steps_per_s=float(progress.get("steps_per_s", 0.0)),
                left_s=math.nan if left_s is None else float(left_s),
                ess=float(progress.get("ess", math.nan)),
                traffic_light=str(progress.get("traffic_light", "")),
            )
        )

    def _judge(self, goal: TrainingGoal, end: TrainingEnd) -> None:
        """Fill in the result.

        Raises:
            GoalError: there is no policy.
        """
        result, progress = goal.result, goal.progress
        result.steps = progress["steps"]
        result.mean_return = float(progress.get("mean_return", 0.0))
        result.found = float(progress.get("found", 0.0))
        if end.status == 0:
            result.path = str(goal.folder / POLICY)
            return
        checkpoint = goal.folder / CHECKPOINT
        if goal.is_stopped or end.status == STOPPED:
            if not checkpoint.is_file():
                raise GoalError(Result.CANCELED, "Stopped before the first checkpoint.")
            result.path = str(checkpoint)
            raise GoalError(
                Result.CANCELED,
                f"Stopped after {progress['steps']} steps; the checkpoint in {goal.folder} is "
                "kept, resume goes on from it.",
            )
        code = Result.BAD_GOAL if end.status == BAD_OPTIONS else Result.FAILED
        raise GoalError(code, end.error_text or f"The training ended with status {end.status}.")

    # -- reporting ------------------------------------------------------------------------------

    def _report(self) -> DiagnosticReport:
        values: dict[str, object] = {"trained": self._trained, "failed": self._failed}
        goal = self.goal
        if goal is None:
            return DiagnosticReport(f"{self.get_name()}: training", message="idle", values=values)
        values |= {"folder": str(goal.folder), **goal.progress}
        return DiagnosticReport(f"{self.get_name()}: training", message="training", values=values)


def main() -> None:
    """Run the node until it is stopped."""
    sys.exit(run_node(TrainerNode))


if __name__ == "__main__":
    main()
