"""What learners are compared on in compute classes; simulating it is part of the time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from asterias.registry import Registry
from learning.policy_search.common.rollouts import MakeEnv, make_environment
from learning.policy_search.limb_training import COMMON, SETTINGS
from learning.target_finding.env.environment import TargetFindingEnv
from learning.target_finding.env.options import TargetFindingOptions, with_command_range


@dataclass(frozen=True)
class ClassTask:
    """One task.

    Attributes:
        title: for tables and plots.
        score: what is compared, in words.
        make: makes the environment.
        episodes: of an evaluation, whose time does not count.
        is_length: the score is an episode's length, the fewer steps the better; else its return.
        search: options that all learners of policy search get.
        settings: options by method.
        highest: score that no policy can pass: an evaluation with it has solved the task. None: not
            known, or never reached for sure.
    """

    title: str
    score: str
    make: MakeEnv
    episodes: int
    is_length: bool = False
    search: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    highest: float | None = None

    def is_solved(self, score: float) -> bool:
        """Return whether all episodes of an evaluation had the highest score there is."""
        return self.highest is not None and score >= self.highest


TASKS: Registry[ClassTask] = Registry("task of compute classes", "asterias.compute_class_tasks")
TASKS.register(
    "cartpole",
    ClassTask(
        "CartPole-v1",
        "return",
        partial(make_environment, "CartPole-v1"),
        20,
        search={"normalise": False},
        highest=500.0,  # the environment's limit of steps, each with reward 1
    ),
)
TASKS.register(
    "mountain_car",
    ClassTask(
        "MountainCarContinuous-v0",
        "return",
        partial(make_environment, "MountainCarContinuous-v0"),
        10,
    ),
)
TASKS.register(
    "swimmer", ClassTask("Swimmer-v5", "return", partial(make_environment, "Swimmer-v5"), 5)
)
# The paper's iteration of 75 steps and its discount; the fields of stable-baselines3.
_ON_POLICY = {"n_steps": 75, "gamma": 0.9, "gae_lambda": 0.95}
for _faults, _dead in (("kill0", "no camera dead"), ("kill1", "one camera dead")):
    TASKS.register(
        f"target_finding_{_faults}",
        ClassTask(
            f"target finding, {_dead}",
            "steps until the target is found",
            partial(
                TargetFindingEnv,
                with_command_range(TargetFindingOptions(faults=_faults)),  # type: ignore[arg-type]
            ),
            100,
            is_length=True,
            search=COMMON,
            settings={
                "ppo": {**_ON_POLICY, "batch_size": 25},
                "trpo": {**_ON_POLICY, "batch_size": 25},
                **SETTINGS,
            },
        ),
    )
