"""Managed node ``trainer``: action ``/train_policy``, policies that find the target.

Each goal is a ``python -m learning train`` of its own, which simulates in further processes; this
one only listens to it, so that cancel and the other topics are served meanwhile. One goal at a
time. A goal that was cancelled, or whose node was killed, goes on with ``resume``.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from asterias_interfaces.action import TrainPolicy
from rclpy.action import CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle

from asterias_nodes.runtime.diagnostics import DiagnosticReport, Diagnostics
from asterias_nodes.runtime.event_action_server import Event, EventActionServer
from asterias_nodes.runtime.lifecycle_node import ManagedNode
from asterias_nodes.runtime.parameters import declare_settings
from asterias_nodes.runtime.run_node import run_node
from learning.training.subprocess import BAD_OPTIONS, STOPPED, TrainingEnd, TrainingProcess

Result = TrainPolicy.Result
# What /train_policy calls them; every other option may be given as one.
OWN_OPTIONS = ("algo", "faults", "robot", "steps", "seed", "out", "resume", "progress")
CHECKPOINT = "checkpoint.safetensors"
POLICY = "policy.safetensors"
# A launch is patient for five seconds; a kill costs no more than the iteration that runs.
CLOSE_S = 3.0


@dataclass(frozen=True)
class TrainerSettings:
    """Parameters of the node."""

    robot: Annotated[str, "robot description for goals that name none"] = "limb_p1"
    folder: Annotated[str, "where goals that name no folder get one"] = "runs"


@dataclass
class TrainingGoal:
    """A goal in progress."""

    handle: ServerGoalHandle
    folder: Path
    started_s: float = field(default_factory=time.monotonic)
    ended: Event = field(default_factory=Event)
    told: Mapping[str, Any] = field(default_factory=dict)
    process: TrainingProcess | None = None
    is_stopped: bool = False

    def stop(self) -> None:
        """Ask the training to end, once."""
        if not self.is_stopped and self.process is not None:
            self.process.stop()
        self.is_stopped = True


class TrainerNode(ManagedNode):
    """Serves ``/train_policy``, one goal at a time."""

    def __init__(self) -> None:
        super().__init__("trainer")
        self.settings = declare_settings(self, TrainerSettings)
        self._job: TrainingGoal | None = None
        self._is_active = False
        self._trained = self._failed = 0
        self._closers: list[Callable[[], None]] = []

    # -- life cycle -----------------------------------------------------------------------------

    def configure(self) -> None:
        """Open the action; goals are refused until activation."""
        server = EventActionServer(
            self,
            TrainPolicy,
            "/train_policy",
            self._execute,
            goal_callback=self._on_goal,
            cancel_callback=self._on_cancel,
        )
        self._closers = [server.destroy, Diagnostics(self, [self._report]).close]

    def activate(self) -> None:
        """Accept goals."""
        self._is_active = True
        self.get_logger().info("Ready to train policies: send a goal to /train_policy.")

    def deactivate(self) -> None:
        """Refuse goals; a training in progress is asked to stop."""
        self._is_active = False
        if self._job is not None:
            self._job.stop()

    def cleanup(self) -> None:
        """End a training in progress, close the action."""
        if self._job is not None and self._job.process is not None:
            self._job.process.close(CLOSE_S)
        for close in self._closers:
            close()
        self._closers = []

    # -- one goal -------------------------------------------------------------------------------

    def _on_goal(self, goal: TrainPolicy.Goal) -> GoalResponse:
        return GoalResponse.ACCEPT if self._is_active else GoalResponse.REJECT

    def _on_cancel(self, handle: ServerGoalHandle) -> CancelResponse:
        if self._job is not None and self._job.handle is handle:
            self._job.stop()
        return CancelResponse.ACCEPT

    async def _execute(self, handle: ServerGoalHandle) -> TrainPolicy.Result:
        if self._job is not None:
            text = "Another policy is being trained; cancel that goal or wait for its end."
            handle.abort()
            return Result(error_code=Result.BUSY, error_msg=text)
        job = self._job = TrainingGoal(handle, self._folder(handle.request))
        try:
            result = await self._train(job)
        except ValueError as error:
            result = Result(error_code=Result.BAD_GOAL, error_msg=str(error))
        except Exception as error:
            self.get_logger().error(f"The training failed: {error!r}")
            result = Result(error_code=Result.INTERNAL, error_msg=repr(error))
        finally:
            self._job = None
        result.duration_s = time.monotonic() - job.started_s
        if result.error_code == Result.NONE:
            self._trained += 1
            handle.succeed()
        elif result.error_code == Result.CANCELED and handle.is_cancel_requested:
            handle.canceled()
        else:
            self._failed += 1
            handle.abort()
        return result

    async def _train(self, job: TrainingGoal) -> TrainPolicy.Result:
        executor = self.executor
        job.process = TrainingProcess(
            self._options(job),
            on_progress=lambda told: executor.create_task(lambda: self._tell(job, told)),
            on_end=lambda end: executor.create_task(lambda: job.ended.complete(end)),
        )
        text = f"Training in {job.folder}, process {job.process.pid}."
        self.get_logger().info(text)
        self._tell(job, {"steps": 0, "total": job.handle.request.steps})
        return self._to_result(job, await job.ended)

    def _folder(self, goal: TrainPolicy.Goal) -> Path:
        if goal.out:
            return Path(goal.out).expanduser()
        name = "-".join(filter(None, (goal.algorithm, goal.faults, f"seed{goal.seed}")))
        stamp = time.strftime("%Y-%m-%d-%H%M%S")
        return Path(self.settings.folder).expanduser() / f"{stamp}-{name}"

    def _options(self, job: TrainingGoal) -> list[str]:
        """The goal as a command line.

        Raises:
            ValueError: an option stands for a field of the goal.
        """
        goal: TrainPolicy.Goal = job.handle.request
        for option in goal.options:
            name = option.removeprefix("--").removeprefix("no-").partition("=")[0]
            if option.startswith("--") and name in OWN_OPTIONS:
                raise ValueError(f"Option '{option}' is a field of the goal; set it there.")
        named = {
            "--algo": goal.algorithm,
            "--faults": goal.faults,
            "--robot": goal.robot or self.settings.robot,
            "--steps": str(goal.steps or ""),
            "--seed": str(goal.seed),
            "--out": str(job.folder),
        }
        options = [word for name, value in named.items() if value for word in (name, value)]
        return [*options, *(["--resume"] if goal.resume else []), *goal.options]

    def _tell(self, job: TrainingGoal, told: Mapping[str, Any]) -> None:
        """Feedback of an iteration."""
        job.told = told
        if not job.handle.is_active:
            return
        is_done = 0 < told["total"] <= told["steps"]
        left_s = 0.0 if is_done else told.get("left_s")
        job.handle.publish_feedback(
            TrainPolicy.Feedback(
                steps=told["steps"],
                total=told["total"],
                mean_return=float(told.get("mean_return", 0.0)),
                found=float(told.get("found", 0.0)),
                steps_per_s=float(told.get("steps_per_s", 0.0)),
                left_s=math.nan if left_s is None else float(left_s),
            )
        )

    def _to_result(self, job: TrainingGoal, end: TrainingEnd) -> TrainPolicy.Result:
        told = job.told
        result = Result(
            steps=told["steps"],
            mean_return=float(told.get("mean_return", 0.0)),
            found=float(told.get("found", 0.0)),
        )
        if end.status == 0:
            result.path = str(job.folder / POLICY)
            return result
        checkpoint = job.folder / CHECKPOINT
        if job.is_stopped or end.status == STOPPED:
            kept = checkpoint.is_file()
            result.path = str(checkpoint) if kept else ""
            result.error_code = Result.CANCELED
            result.error_msg = (
                f"Stopped after {told['steps']} steps; the checkpoint in {job.folder} is kept, "
                "resume goes on from it."
                if kept
                else "Stopped before the first checkpoint."
            )
            return result
        result.error_code = Result.BAD_GOAL if end.status == BAD_OPTIONS else Result.FAILED
        result.error_msg = end.last_words or f"The training ended with status {end.status}."
        return result

    # -- reporting ------------------------------------------------------------------------------

    def _report(self) -> DiagnosticReport:
        values: dict[str, object] = {"trained": self._trained, "failed": self._failed}
        job = self._job
        if job is None:
            return DiagnosticReport(f"{self.get_name()}: training", message="idle", values=values)
        values |= {"folder": str(job.folder), **job.told}
        return DiagnosticReport(f"{self.get_name()}: training", message="training", values=values)


def main() -> None:
    """Run the node until it is told to stop."""
    sys.exit(run_node(TrainerNode))


if __name__ == "__main__":
    main()
