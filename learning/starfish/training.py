"""``python -m learning train --env Asterias/StarfishTargetFinding-v0``: policies for a whole body.

They learn in the geometry of sight (:mod:`learning.starfish.searches`), and are measured in the
simulation with its pictures (``python -m learning evaluate``).
"""

from __future__ import annotations

import importlib
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from asterias.errors import UserError
from asterias.files import write_json
from asterias.progress import TrainingProgress
from asterias.provenance import provenance
from hardware.description.robot import load_robot
from learning.starfish.body_sight import BodySight
from learning.starfish.options import BodySearchOptions
from learning.starfish.policy import POLICY_FILE, BodyPolicy
from learning.starfish.searches import BodySearches
from learning.starfish.settings import FAILURES, WITHIN, BodyTraining, OnBodyProgress
from learning.target_finding.algorithms.registry import (
    BODY,
    OnTrainingProgress,
    ShouldStop,
    TrainingRequest,
)
from learning.target_finding.policies.policy_files import SUMMARY_FILE

STEPS = 300_000
_TESTED, _TARGETS, _TEST_SEED = 100, 16, 1_000_003


@dataclass(frozen=True)
class _Learner:
    """Where a learner is, and its hidden layers."""

    train: str
    hidden: tuple[int, ...]


_HERE = "learning.starfish.learners"
LEARNERS: dict[str, _Learner] = {
    "pathwise": _Learner(f"{_HERE}.pathwise:train_pathwise", (128, 128)),
    "ppo": _Learner(f"{_HERE}.ppo:train_ppo", (64, 64)),
    "pgpe": _Learner(f"{_HERE}.evolution:train_pgpe", ()),
}


def train_request(
    request: TrainingRequest, on_progress: OnTrainingProgress, should_stop: ShouldStop
) -> dict[str, Any]:
    """Train as a person asked; return the summary.

    A ``KeyboardInterrupt`` follows, with nothing written, where ``should_stop`` says so.

    Args:
        request: what is to be trained.
        on_progress: told after each batch of searches.
        should_stop: asked then.

    Returns:
        The summary.
    """
    training = training_of(request)
    torch.set_num_threads(1)  # the nets are small
    robot = load_robot(training.options.robot)
    sight, begun = BodySight(robot), time.perf_counter()

    def told(done: int, found: float) -> None:
        spent = max(time.perf_counter() - begun, 1e-9)
        pace = max(done / spent, 1e-9)
        left = training.steps - done
        at = TrainingProgress(done, training.steps, "steps", 0.0, found, found, pace, left / pace)
        on_progress(at)
        if should_stop() and left > 0:
            raise KeyboardInterrupt

    policy = train_policy(training, sight, told)
    summary = {
        **provenance(request.seed),
        "env": BODY,
        "algorithm": training.algorithm,
        "steps": training.steps,
        "options": asdict(training.options),
        "wall_s": round(time.perf_counter() - begun, 1),
        "found_by_geometry": {
            name: found_within(policy, sight, replace(training.options, **changes))
            for name, changes in FAILURES.items()
        },
        "within": WITHIN,
    }
    replace(policy, card=summary).save(request.out / POLICY_FILE)
    write_json(request.out / SUMMARY_FILE, summary)
    return {**summary, "sharing": policy.sharing, "parameters": policy.parameters}


def refuse_limb(
    request: TrainingRequest, on_progress: OnTrainingProgress, should_stop: ShouldStop
) -> dict[str, Any]:
    """Refuse to train a limb alone.

    Raises:
        UserError: always.
    """
    raise UserError(f"{request.algorithm} trains whole bodies: add --env {BODY}.")


def training_of(request: TrainingRequest) -> BodyTraining:
    """Return what a request asks for.

    Raises:
        UserError: whole bodies do not take an option, or nothing of the kind is learned.
    """
    if request.algorithm not in LEARNERS:
        known = ", ".join(LEARNERS)
        raise UserError(f"Whole bodies learn by {known}, not by {request.algorithm}.")
    if request.padded or request.curiosity or request.recordings is not None or request.worlds:
        raise UserError("Whole bodies take no --padded, --curiosity, --recordings or --worlds.")
    if request.resume:
        raise UserError("Trainings of whole bodies take minutes and begin anew: omit --resume.")
    if request.steps is not None and request.steps < 1:
        raise UserError("--steps must be 1 or more.")
    if (request.out / POLICY_FILE).exists():
        raise UserError(f"{request.out} holds a policy; choose another --out.")
    return BodyTraining(
        request.algorithm,
        request.sharing,
        request.seed,
        request.steps or STEPS,
        LEARNERS[request.algorithm].hidden,
        BodySearchOptions(**request.body),
    )


def train_policy(training: BodyTraining, sight: BodySight, told: OnBodyProgress) -> BodyPolicy:
    """Return the policy of a training."""
    module, _, name = LEARNERS[training.algorithm].train.partition(":")
    learn: Any = getattr(importlib.import_module(module), name)
    policy: BodyPolicy = learn(training, sight, told)
    return policy


def found_within(policy: BodyPolicy, sight: BodySight, options: BodySearchOptions) -> list[float]:
    """Return the shares found within 1, 2 and 3 steps of fresh searches, by geometry."""
    searches = BodySearches(sight, [options], _TESTED, _TARGETS, _TEST_SEED)
    observation, shares = searches.observation(), []
    for _ in range(WITHIN):
        observation, _ = searches.step(policy.act(observation))
        shares.append(round(float(np.mean(1.0 - searches.left)), 4))
    return shares
