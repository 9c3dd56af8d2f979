"""Learners of the two-way task by name, trained once for each seed and kept as files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from asterias.progress import OnProgress
from asterias.registry import Registry
from learning.diffusion_policy.model import DiffusionModel
from learning.diffusion_policy.sampling import SamplingSettings
from learning.diffusion_policy.training import (
    ChunkData,
    DenoiserTraining,
    Scales,
    fit_denoiser,
    has_checkpoint,
)
from learning.diffusion_policy.two_ways.clones import (
    ChunkingTransformer,
    CloneTraining,
    PlainClone,
    fit_clone,
)
from learning.diffusion_policy.two_ways.demonstrators import chunk_data, demonstrate
from learning.diffusion_policy.two_ways.rollout import ChunkMaker
from learning.diffusion_policy.two_ways.task import DEFAULT_TASK, GROUPS, SERVOS
from learning.recordings.episode_data import Floats
from learning.target_finding.policies.linear_policy import save_policy
from learning.target_finding.policies.policy_files import TRAINED
from learning.target_finding.policies.weight_files import read_card, read_tensors

KIND = "two_way_diffusion"
DEMONSTRATIONS = 100
HORIZON = 16
TRANSFORMER = DenoiserTraining("transformer", updates=4000, batch=64)
UNET = DenoiserTraining("unet", width=32, layers=2, updates=4000, batch=64)
# Where trainings are shorter than the learners' own.
UPDATES = {"close": {"transformer": 3000, "unet": 1500, "act": 1500}}
# Seeds of demonstrations are apart from those of trainings and of trials.
_DEMONSTRATED = 1000
SHIPPED = TRAINED / "two_ways" / "two_ways.safetensors"
MODEL_FILE, CLONE_FILE = "policy.safetensors", "clone.safetensors"


@dataclass(frozen=True)
class TwoWayRun:
    """One training: who learns, with which seed, in which folder, which task."""

    learner: str
    seed: int
    folder: Path
    task: str = DEFAULT_TASK

    @property
    def demonstrated(self) -> ChunkData:
        """The demonstrations it learns from."""
        return demonstrated(self.seed, self.task)

    @property
    def updates(self) -> int | None:
        """Updates of its training, where the task has others than the learner's own."""
        return UPDATES.get(self.task, {}).get(self.learner)


def demonstrated(seed: int, task: str = DEFAULT_TASK) -> ChunkData:
    """Return the demonstrations of a seed: 50 on the left, 50 on the right."""
    rng = np.random.default_rng(_DEMONSTRATED + seed)
    return chunk_data(demonstrate(DEMONSTRATIONS, rng, task), HORIZON)


def _fit_diffusion(settings: DenoiserTraining, run: TwoWayRun, on_progress: OnProgress) -> None:
    data = run.demonstrated
    settings = replace(settings, updates=run.updates or settings.updates)
    net, scales, losses = fit_denoiser(
        data,
        GROUPS,
        replace(settings, seed=run.seed),
        folder=run.folder,
        resume=has_checkpoint(run.folder),
        on_updates=lambda done, total, _: on_progress(
            f"{run.learner}, seed {run.seed}", done, total
        ),
    )
    model = DiffusionModel(settings.denoiser, net, scales, SamplingSettings("ddim", 16))
    card: dict[str, Any] = {"learner": run.learner, "seed": run.seed, "losses": losses}
    save_policy(run.folder / MODEL_FILE, KIND, model.tensors, {**card, **model.card})


def load_model(folder: Path) -> DiffusionModel:
    """Return the diffusion policy of a run.

    Passes on the ``UserError`` of a file that is damaged.
    """
    path = folder / MODEL_FILE
    return DiffusionModel.from_tensors(read_tensors(path), read_card(path.with_suffix(".json")))


def shipped_model() -> DiffusionModel:
    """Return the policy of this task that comes with Asterias: seed 1, DDIM 10."""
    return DiffusionModel.from_tensors(
        read_tensors(SHIPPED), read_card(SHIPPED.with_suffix(".json"))
    )


def chunk_maker(model: DiffusionModel, seed: int) -> ChunkMaker:
    """Return what makes chunks for observations; the noise depends on the seed alone."""
    sampler, draws = model.sampler(), torch.Generator().manual_seed(seed)

    def make(observation: Floats) -> Floats:
        return model.scales.actions(sampler.sample(model.scales.observation(observation), draws))

    return make


# -- clones ---------------------------------------------------------------------------------------


def _plain() -> PlainClone:
    return PlainClone(sum(GROUPS), len(SERVOS))


def _chunking() -> ChunkingTransformer:
    return ChunkingTransformer(GROUPS, len(SERVOS), HORIZON, width=64)


_CLONES: dict[str, Callable[[], PlainClone | ChunkingTransformer]] = {
    "cloning": _plain,
    "act": _chunking,
}


def _fit_clone(run: TwoWayRun, on_progress: OnProgress) -> None:
    torch.manual_seed(run.seed)
    torch.set_num_threads(1)
    net = _CLONES[run.learner]()
    settings = CloneTraining(seed=run.seed, batch=64)
    settings = replace(settings, updates=run.updates or settings.updates)
    fit_clone(net, run.demonstrated, settings)
    run.folder.mkdir(parents=True, exist_ok=True)
    save_file(net.state_dict(), run.folder / CLONE_FILE)
    on_progress(f"{run.learner}, seed {run.seed}", 1, 1)


def load_clone(run: TwoWayRun) -> ChunkMaker:
    """Return what makes the chunks of a trained clone."""
    net = _CLONES[run.learner]()
    net.load_state_dict(load_file(run.folder / CLONE_FILE))
    scales = Scales.of(run.demonstrated)

    @torch.inference_mode()
    def make(observation: Floats) -> Floats:
        return scales.actions(net(scales.observation(observation)))

    return make


# -- all ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TwoWayLearner:
    """One learner.

    Attributes:
        summary: as tables name it.
        fit: trains into the run's folder.
        file: that is there once the training is over.
        is_diffusion: its chunks are denoised.
    """

    summary: str
    fit: Callable[[TwoWayRun, OnProgress], None]
    file: str
    is_diffusion: bool = False


LEARNERS: Registry[TwoWayLearner] = Registry("learner of the two-way task")
LEARNERS.register(
    "transformer",
    TwoWayLearner(
        "diffusion policy, transformer", partial(_fit_diffusion, TRANSFORMER), MODEL_FILE, True
    ),
)
LEARNERS.register(
    "level_in_tokens",
    TwoWayLearner(
        "transformer, level also in tokens",
        partial(_fit_diffusion, replace(TRANSFORMER, level_in_tokens=True)),
        MODEL_FILE,
        True,
    ),
)
LEARNERS.register(
    "unet",
    TwoWayLearner("diffusion policy, U-Net", partial(_fit_diffusion, UNET), MODEL_FILE, True),
)
LEARNERS.register("act", TwoWayLearner("chunks in the manner of ACT", _fit_clone, CLONE_FILE))
LEARNERS.register("cloning", TwoWayLearner("plain cloning", _fit_clone, CLONE_FILE))


def two_way_runs(
    out: Path, learners: tuple[str, ...], seeds: int, task: str = DEFAULT_TASK
) -> list[TwoWayRun]:
    """Return all trainings.

    Passes on the ``UserError`` of an unknown learner.
    """
    for name in learners:
        LEARNERS.get(name)
    return [
        TwoWayRun(name, seed, out / f"{name}_{seed}", task)
        for seed in range(seeds)
        for name in learners
    ]


def is_finished(run: TwoWayRun) -> bool:
    """Return whether a training is over."""
    return (run.folder / LEARNERS.get(run.learner).file).is_file()


def complete(runs: list[TwoWayRun], on_progress: OnProgress) -> None:
    """Train what is missing; what was interrupted goes on."""
    for run in runs:
        if not is_finished(run):
            LEARNERS.get(run.learner).fit(run, on_progress)
