"""Node ``train``: trains one policy over ``/train_policy``, reports progress, and ends.

When it is stopped before that, the training is cancelled, and its checkpoint kept.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from asterias_interfaces.action import TrainPolicy
from rclpy.action import ActionClient

from asterias_nodes.runtime.actions.episode_runner import EpisodeRunner
from asterias_nodes.runtime.parameters import SettingsError, declare_settings
from asterias_nodes.runtime.run_node import run_node
from learning.target_finding.algorithms.registry import ALGORITHMS

ALGORITHM_NAMES = ", ".join(ALGORITHMS.names())


@dataclass(frozen=True)
class TrainSettings:
    """Parameters of the node; see the action."""

    robot: Annotated[str, "name or path of a robot description"] = "limb_p1"
    algo: Annotated[str, f"one of {ALGORITHM_NAMES}; empty takes the default"] = ""
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


class TrainClient(EpisodeRunner):
    """A client of ``/train_policy``."""

    server_timeout_s = 30.0
    cure = "launch train.launch.xml"

    def __init__(self) -> None:
        super().__init__("train")
        self.settings = declare_settings(self, TrainSettings)
        self._client = ActionClient(self, TrainPolicy, "/train_policy")

    def servers(self) -> Mapping[str, Callable[[], bool]]:
        """Return the trainer."""
        return {"trainer (/train_policy)": self._client.server_is_ready}

    async def run_episodes(self) -> None:
        """Train one policy and end."""
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
        result = await self.ask(self._client, goal, self._on_feedback)
        if result.error_code == result.NONE:
            self.report(
                f"Trained for {result.steps} steps in {result.duration_s:.1f} s; "
                f"{100 * result.found:.0f} % found in the last iteration. Policy: {result.path}"
            )
        self.finish(result.error_code == result.NONE, result.error_msg)

    def _on_feedback(self, feedback: TrainPolicy.Feedback) -> None:
        if not feedback.steps:
            print("The training starts ...", flush=True)
        elif self.is_report_due:
            left = "" if math.isnan(feedback.left_s) else f", about {feedback.left_s:.0f} s left"
            light = f"; data: {feedback.traffic_light}" if feedback.traffic_light else ""
            self.report(
                f"{feedback.steps}/{feedback.total} steps, {100 * feedback.found:.0f} % found in "
                f"the last iteration, return {feedback.mean_return:.2f}, "
                f"{feedback.steps_per_s:.0f} steps/s{left}{light}"
            )


def main() -> None:
    """Run the node until the policy is trained."""
    sys.exit(run_node(TrainClient))


if __name__ == "__main__":
    main()
