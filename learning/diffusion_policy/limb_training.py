"""``--algo diffusion``: a diffusion policy of the limb from recorded demonstrations."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from asterias.errors import UserError
from asterias.files import write_json
from asterias.progress import TrainingProgress
from asterias.provenance import Clock, provenance
from learning.diffusion_policy.caching import CacheSettings
from learning.diffusion_policy.demonstrations import LimbEyes, chunks_of, read_demonstrations
from learning.diffusion_policy.limb_policy import LimbDiffusionPolicy
from learning.diffusion_policy.model import DiffusionModel
from learning.diffusion_policy.sampling import SamplingSettings
from learning.diffusion_policy.training import ChunkData, DenoiserTraining, fit_denoiser
from learning.target_finding.algorithms.registry import (
    OnTrainingProgress,
    ShouldStop,
    TrainingRequest,
)
from learning.target_finding.algorithms.self_supervised import find_encoder
from learning.target_finding.env.options import camera_count, with_command_range
from learning.target_finding.policies.policy_files import POLICY_FILE, SUMMARY_FILE

# Increments in a chunk, and how many of them are carried out: a search looks after every step.
HORIZON, EXECUTED = 4, 1
UPDATES = 1500
SETTINGS = DenoiserTraining(updates=UPDATES, width=64, layers=2, batch=64, jitter=0.1)
SAMPLING = SamplingSettings("ddim", 10, CacheSettings("exact"))


def train_request(
    request: TrainingRequest, on_progress: OnTrainingProgress, should_stop: ShouldStop
) -> dict[str, Any]:
    """Clone by diffusion as a person asked; ``--steps`` counts updates of the weights.

    A ``KeyboardInterrupt`` follows where ``should_stop`` says so; ``--resume`` goes on.

    Returns:
        The summary.

    Raises:
        UserError: there are no demonstrations, they do not fit, or the task is another one.
    """
    _check(request)
    request = replace(request, options=with_command_range(request.options))
    images = request.options.observe == "images"
    encoder = find_encoder(request.encoder) if images else None
    options = request.options
    eyes = LimbEyes(len(options.command_range), camera_count(options), encoder)
    if encoder is not None and (encoder.cameras, encoder.joints) != (eyes.cameras, eyes.joints):
        raise UserError(
            f"The encoder '{request.encoder}' is for {encoder.cameras} cameras and "
            f"{encoder.joints} joints; this limb has {eyes.cameras} and {eyes.joints}."
        )
    assert request.recordings is not None
    with_criticality = request.replay.by == "criticality"
    shown = read_demonstrations(request.recordings, options, with_criticality=with_criticality)
    data = chunks_of(shown, eyes, HORIZON)
    return fit_limb_policy(request, eyes, data, len(shown), on_progress, should_stop)


def fit_limb_policy(
    request: TrainingRequest,
    eyes: LimbEyes,
    data: ChunkData,
    demonstrations: int,
    on_progress: OnTrainingProgress,
    should_stop: ShouldStop,
) -> dict[str, Any]:
    """Train, and write policy, card and summary.

    Args:
        request: what was asked for, with a command range.
        eyes: what is seen.
        data: observations and chunks, from so many ``demonstrations``.
        demonstrations: see ``data``.
        on_progress: gets the progress.
        should_stop: says whether to stop.

    Returns:
        The summary.
    """
    clock = Clock()
    updates = request.steps or UPDATES
    settings = replace(SETTINGS, seed=request.seed, updates=updates, replay=request.replay)

    def on_updates(done: int, total: int, loss: float) -> None:
        pace = done / max(clock.elapsed()[0], 1e-9)
        left_s = (total - done) / pace
        on_progress(TrainingProgress(done, total, "updates", 0.0, 0.0, 0.0, pace, left_s))
        if should_stop() and done < total:
            raise KeyboardInterrupt

    net, scales, losses = fit_denoiser(
        data,
        eyes.groups,
        settings,
        folder=request.out,
        resume=request.resume,
        on_updates=on_updates,
    )
    largest = float(np.abs(data.chunks).max())
    summary = {
        **provenance(request.seed),
        "algorithm": "diffusion",
        "cameras": eyes.cameras,
        "options": asdict(replace(request.options, increment=round(largest + 5e-4, 3))),
        "demonstrations": demonstrations,
        "steps": len(data.chunks),
        "updates": settings.updates,
        "replay": request.replay.told,
        "executed": EXECUTED,
        "loss": losses[-1],
        "losses": losses,
        "wall_s": round(clock.elapsed()[0], 1),
    }
    model = DiffusionModel(settings.denoiser, net, scales, SAMPLING)
    policy = LimbDiffusionPolicy(model, eyes, summary)
    policy.save(request.out / POLICY_FILE)
    write_json(request.out / SUMMARY_FILE, {**summary, **model.card})
    return summary


def _check(request: TrainingRequest) -> None:
    """Refuse what cannot be cloned.

    Raises:
        UserError: the request holds it.
    """
    about = request.options
    if request.recordings is None:
        raise UserError("--algo diffusion needs --recordings: demonstrations to learn from.")
    if about.observe == "both" or about.goal or about.actions != "increments":
        raise UserError(
            "diffusion observes commands or images, has no goals, and moves by increments."
        )
    if request.padded or request.curiosity:
        raise UserError("diffusion imitates; it takes no --padded or --curiosity.")
    if (request.out / POLICY_FILE).exists():
        raise UserError(f"{request.out} holds a policy; choose another --out.")
