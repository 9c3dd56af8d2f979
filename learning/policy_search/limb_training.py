"""Target finding learned over whole policies: ``python -m learning train --algo pssvf`` and so on.

What is learned from is one number an episode, ``gamma^(steps - 1)`` where the target was found and
0 where it was not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import torch

from asterias.errors import UserError
from asterias.files import write_json
from asterias.progress import TrainingProgress
from asterias.provenance import provenance
from learning.policy_search.common.learner import PolicySearch
from learning.policy_search.common.rollouts import MakeEnv
from learning.policy_search.registry import LEARNERS
from learning.target_finding.algorithms.checkpoint import CHECKPOINT_FILE, refuse_overwriting
from learning.target_finding.algorithms.registry import (
    OnTrainingProgress,
    ShouldStop,
    TrainingRequest,
)
from learning.target_finding.env.environment import TargetFindingEnv
from learning.target_finding.env.options import camera_count, with_command_range
from learning.target_finding.policies.network_policy import NetworkPolicy
from learning.target_finding.policies.policy_files import POLICY_FILE, SUMMARY_FILE

# As many as the paper's PPO takes: 48 iterations of 15 episodes of 5 steps.
STEPS = 3600
# Steps between two reports and savings: an iteration of the paper's PPO.
_REPORT = 75
# Episodes that a report's means are over.
_RECENT = 50
# Of a policy that does not draw, in a file whose policies do.
_NO_SPREAD = -20.0

# A find in the first step is worth 1, in the fifth 0.24; observations are from -1 to 1 already.
COMMON: Mapping[str, Any] = {"gamma": 0.7, "normalise": False}
# PGPE's combine two of six settings that were tried on a nearest-pose copy of the task, with other
# seeds than those of reported runs; the combination itself was not. The others run as they stand.
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "pgpe": {"pairs": 30, "learning_rate": 25.0, "stochastic": True},
    # The best mean of five settings that were tried on the copy with seeds from 100 on. Batches are
    # 15 episodes, as PPO's: some 80 to 120 iterations, over which the deviation falls from 0.6 to
    # 0.06 or to its least.
    "apois": {
        "batch_size": 15,
        "by_step": True,
        "batches": 8,
        "kl": 0.2,
        "trace": 0.5,
        "spread_decay": 0.03,
    },
    # Discounted finds are from 0 to 1.
    "gogepo": {"low": 0.0, "high": 1.0},
    "udrlpg": {"low": 0.0, "high": 1.0},
}
# Learners that run an episode an iteration, so that more processes or worlds would only wait.
_ONE_BY_ONE = ("pssvf", "psvf", "pavf", "gogepo", "udrlpg")
_POLICIES = {"linear": "LinearPolicy", "mlp": "MlpPolicy"}


def train_request(
    request: TrainingRequest,
    on_progress: OnTrainingProgress,
    should_stop: ShouldStop,
    changes: Mapping[str, Any] | None = None,
    make: MakeEnv | None = None,
) -> dict[str, Any]:
    """Train as a person asked; return the summary.

    A ``KeyboardInterrupt`` follows, with the checkpoint saved, where ``should_stop`` says so.

    Args:
        request: what is to be trained.
        on_progress: told after some 75 steps each.
        should_stop: asked then.
        changes: options of the learner in place of those in :data:`SETTINGS`; None: none.
        make: makes what is learned in; None: the simulation.

    Returns:
        The summary, with the history.

    Raises:
        KeyboardInterrupt: it was to stop.
    """
    _check(request)
    refuse_overwriting(request.out, request.resume)
    torch.set_num_threads(1)  # the nets are small; the cores belong to the simulation
    steps = STEPS if request.steps is None else request.steps
    model = make_learner(request, changes, make)
    checkpoint = request.out / CHECKPOINT_FILE
    if request.resume:
        model.restore(checkpoint)
    with model.rollouts.opened():
        while model.num_timesteps < steps:
            left = steps - model.num_timesteps
            model.learn(min(_REPORT, left), reset_num_timesteps=False, checkpoint=checkpoint)
            on_progress(_progress(model, steps))
            if should_stop() and model.num_timesteps < steps:
                raise KeyboardInterrupt
    model.close()
    return _finish(request, model, steps)


def make_learner(
    request: TrainingRequest,
    changes: Mapping[str, Any] | None = None,
    make: MakeEnv | None = None,
) -> PolicySearch:
    """Return the learner for a request, before its first step; the rest is as in training."""
    options = with_command_range(request.options)
    processes = 1 if request.algorithm in _ONE_BY_ONE else request.processes
    model = LEARNERS.get(request.algorithm)(
        _POLICIES[request.network],
        make or partial(TargetFindingEnv, options),
        seed=request.seed,
        processes=processes,
        worlds=0 if request.algorithm in _ONE_BY_ONE else request.worlds,
        **{**COMMON, **SETTINGS.get(request.algorithm, {}), **(changes or {})},
    )
    model.notes = {"options": asdict(options)}
    return model


def export_policy(model: PolicySearch, card: dict[str, Any]) -> NetworkPolicy:
    """Return a learned policy as ``/find_target`` and the node ``policy`` run it.

    The normalisation of observations is folded into the first layer, so that the file is complete.

    Args:
        model: a learner of target finding.
        card: how it was trained, with the protocol under ``options``.
    """
    actor, form = model.actor(), model.architecture
    tensors = {}
    for number, (weight, bias) in enumerate(actor.layers):
        tensors[f"layer_{number}.weight"] = weight.astype(np.float32)
        tensors[f"layer_{number}.bias"] = bias.astype(np.float32)
    spread = form.log_std if form.stochastic else _NO_SPREAD
    tensors["log_std"] = np.full(form.outputs, spread, np.float32)
    return NetworkPolicy(tensors, {**card, "activation": "tanh", "squashed": True})


def _check(request: TrainingRequest) -> None:
    """Refuse what these learners cannot do.

    Raises:
        UserError: the request holds it.
    """
    about, name = request.options, request.algorithm
    if request.network not in _POLICIES:
        raise UserError(f"{name} learns the networks {' and '.join(_POLICIES)}.")
    if about.observe != "commands" or about.goal or about.actions != "increments":
        raise UserError(f"{name} learns from commands and camera flags, and moves by increments.")
    if not about.cap:
        raise UserError(f"{name} needs episodes that end: set cap to 5, for example.")
    if request.padded or request.curiosity or request.recordings is not None:
        raise UserError(f"{name} takes no --padded, --curiosity or --recordings.")
    if request.steps is not None and request.steps < 1:
        raise UserError("--steps must be 1 or more.")


def _progress(model: PolicySearch, total: int) -> TrainingProgress:
    pace = model.num_timesteps / max(model.wall_s, 1e-9)
    return TrainingProgress(
        done=min(model.num_timesteps, total),
        total=total,
        unit="steps",
        mean_steps=float(np.mean(model.lengths[-_RECENT:])),
        mean_return=float(np.mean(model.returns[-_RECENT:])),
        found=float(np.mean(model.returns[-_RECENT:])),  # a find is the reward, 1
        steps_per_s=pace,
        left_s=max(total - model.num_timesteps, 0) / max(pace, 1e-9),
        ess=model.figures.get("ess", math.nan),
        traffic_light=model.traffic_light(),
    )


def _finish(request: TrainingRequest, model: PolicySearch, steps: int) -> dict[str, Any]:
    lengths, found = np.array(model.lengths), np.array(model.returns)
    summary = {
        **provenance(request.seed),
        "algorithm": request.algorithm,
        "net": request.network,
        "steps": steps,
        "options": asdict(with_command_range(request.options)),
        "cameras": camera_count(request.options),
        "settings": asdict(model.settings),
        "parameters": model.architecture.parameters,
        "taken_steps": model.num_timesteps,
        "episodes": model.num_episodes,
        "wall_s": round(model.wall_s, 2),
        "steps_per_s": round(model.num_timesteps / max(model.wall_s, 1e-9), 1),
        "last_50_episodes": {
            "mean_steps": round(float(lengths[-_RECENT:].mean()), 4),
            "found": round(float(found[-_RECENT:].mean()), 4),
        },
        "figures": {name: round(value, 4) for name, value in model.figures.items()},
    }
    # Steps of every episode of training, in order; it was found where they are not the cap's.
    history = {"lengths": lengths.tolist(), "found": found.astype(int).tolist()}
    write_json(request.out / SUMMARY_FILE, {**summary, "history": history})
    export_policy(model, summary).save(request.out / POLICY_FILE)
    return {**summary, "history": history}
