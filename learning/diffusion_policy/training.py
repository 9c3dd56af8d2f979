"""Training of a denoiser: noise of all levels, AdamW, and an average of the weights (EMA)."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import mse_loss

from asterias.errors import UserError
from learning.diffusion_policy.denoisers import DENOISERS, Denoiser
from learning.diffusion_policy.noise import NoiseSchedule
from learning.diffusion_policy.transformer import DenoiserShape
from learning.recordings.episode_data import Floats
from learning.target_finding.algorithms.checkpoint import (
    CHECKPOINT_FILE,
    load_checkpoint,
    save_checkpoint,
)
from learning.training.replay_options import ReplayOptions
from learning.training.replay_priority import draw_examples, priority_of

# Fewer steps than this in all demonstrations say nothing about what people do.
FEWEST_STEPS = 8
# Smallest deviation by which observations are divided, and smallest range of an action: what
# hardly changes in the demonstrations must not be blown up.
LEAST_SPREAD = 1e-2
# The average's decay grows to the one that is set, as in Diffusion Policy: (1 + n) / (10 + n).
EMA_START = 10

# Updates done, updates in all, mean loss of the last ones.
OnUpdates = Callable[[int, int, float], None]


@dataclass(frozen=True)
class ChunkData:
    """What is learned from: ``(N, F)`` observations and ``(N, H, A)`` chunks that follow them.

    Attributes:
        observations, chunks: see above.
        criticality: ``(N,)`` how far each chunk decided, from 0 to 1; None where nobody asks.
    """

    observations: Floats
    chunks: Floats
    criticality: npt.NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if len(self.observations) < FEWEST_STEPS:
            raise UserError(
                f"The demonstrations hold {len(self.observations)} steps in all; a diffusion "
                f"policy needs {FEWEST_STEPS} at least: record more."
            )


@dataclass(frozen=True)
class Scales:
    """Scales of observations (mean 0, deviation 1) and actions (-1 to 1).

    Attributes:
        mean, std: ``(F,)`` of observations.
        middle, half: ``(A,)`` of actions: middle and half of their range.
    """

    mean: Floats
    std: Floats
    middle: Floats
    half: Floats

    @classmethod
    def of(cls, data: ChunkData) -> Scales:
        """Return the scales of demonstrations."""
        rows = data.chunks.reshape(-1, data.chunks.shape[-1])
        low, high = rows.min(axis=0), rows.max(axis=0)
        return cls(
            data.observations.mean(axis=0),
            np.maximum(data.observations.std(axis=0), LEAST_SPREAD),
            (low + high) / 2,
            np.maximum((high - low) / 2, LEAST_SPREAD),
        )

    def observation(self, values: Floats) -> torch.Tensor:
        """Return ``(B, F)`` observations as the denoiser takes them."""
        return torch.from_numpy(((values - self.mean) / self.std).astype(np.float32))

    def chunk(self, values: Floats) -> torch.Tensor:
        """Return ``(B, H, A)`` chunks as the denoiser takes them."""
        return torch.from_numpy(((values - self.middle) / self.half).astype(np.float32))

    def actions(self, scaled: torch.Tensor) -> Floats:
        """Return the ``(B, H, A)`` actions of what the denoiser gives."""
        given: Floats = scaled.numpy() * self.half + self.middle
        return given


@dataclass(frozen=True)
class DenoiserTraining:
    """Settings of a training.

    Attributes:
        denoiser: name of the network.
        width, layers, level_in_tokens: of the network.
        updates: of the weights.
        batch: chunks in an update.
        learning_rate: after a warm-up; falls to 0 with a cosine.
        warm_up: updates.
        weight_decay: of AdamW.
        jitter: noise that is added to observations, in their deviations; few demonstrations are
            learned by heart without it.
        ema: decay of the average of the weights, which is what is used.
        seed: of everything.
        replay: how chunks are drawn.
    """

    denoiser: str = "transformer"
    width: int = 64
    layers: int = 3
    level_in_tokens: bool = False
    updates: int = 3000
    batch: int = 128
    learning_rate: float = 1e-3
    warm_up: int = 100
    weight_decay: float = 1e-4
    jitter: float = 0.0
    ema: float = 0.995
    seed: int = 0
    replay: ReplayOptions = field(default_factory=ReplayOptions)

    def rate(self, update: int) -> float:
        """Return the learning rate of an update."""
        if update < self.warm_up:
            return self.learning_rate * (update + 1) / self.warm_up
        share = (update - self.warm_up) / max(self.updates - self.warm_up, 1)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))


def fit_denoiser(
    data: ChunkData,
    groups: tuple[int, ...],
    settings: DenoiserTraining,
    *,
    folder: Path | None = None,
    resume: bool = False,
    every: int = 250,
    on_updates: OnUpdates = lambda done, total, loss: None,
) -> tuple[Denoiser, Scales, list[float]]:
    """Train a denoiser.

    Args:
        data: demonstrations.
        groups: sizes of the parts of an observation.
        settings: of the training.
        folder: for checkpoints; None writes none.
        resume: go on from the checkpoint in ``folder``.
        every: updates between two checkpoints.
        on_updates: gets the progress, after each checkpoint; what it raises ends the training.

    Returns:
        The averaged network, the scales, and the mean loss of every tenth of the training.
    """
    torch.manual_seed(settings.seed)
    torch.set_num_threads(1)
    _, horizon, actions = data.chunks.shape
    sizes = settings.width, settings.layers, settings.level_in_tokens
    shape = DenoiserShape(groups, actions, horizon, *sizes)
    run = _Run(DENOISERS.get(settings.denoiser)(shape), data, settings)
    if resume and folder is not None:
        run.load(folder)
    while run.done < settings.updates:
        run.update()
        if run.done % every == 0 or run.done == settings.updates:
            if folder is not None:
                run.save(folder)
            on_updates(run.done, settings.updates, float(np.mean(run.losses[-100:])))
    parts = np.array_split(np.array(run.losses), 10)
    return run.average.eval(), run.scales, [round(float(p.mean()), 5) for p in parts if p.size]


class _Run:
    """One training."""

    def __init__(self, net: Denoiser, data: ChunkData, settings: DenoiserTraining) -> None:
        self.net, self.settings = net, settings
        self.scales = Scales.of(data)
        self.average = copy.deepcopy(net).requires_grad_(False)
        self.losses: list[float] = []
        self._schedule = NoiseSchedule.squared_cosine()
        self._observations = self.scales.observation(data.observations)
        self._chunks = self.scales.chunk(data.chunks)
        self._priority = priority_of(settings.replay, data.criticality)
        self._optimizer = torch.optim.AdamW(
            net.parameters(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            betas=(0.95, 0.999),  # Diffusion Policy's
        )
        # A generator of its own: an update is the same, resumed or not.
        self._draws = torch.Generator().manual_seed(settings.seed)

    @property
    def done(self) -> int:
        """Updates so far."""
        return len(self.losses)

    def update(self) -> None:
        """Make one update of the weights and of their average."""
        size = min(self.settings.batch, len(self._chunks))
        chosen, weights = draw_examples(len(self._chunks), size, self._priority, self._draws)
        level = torch.randint(self._schedule.levels, (size,), generator=self._draws)
        clean = self._chunks[chosen]
        noise = torch.randn(clean.shape, generator=self._draws)
        noisy = self._schedule.noised(clean, noise, level)
        seen = self._observations[chosen]
        if self.settings.jitter:
            seen = seen + self.settings.jitter * torch.randn(seen.shape, generator=self._draws)
        predicted = self.net(noisy, level, self.net.encode(seen))
        loss = mse_loss(predicted, noise)
        if self._priority is not None:
            errors = mse_loss(predicted, noise, reduction="none").mean(dim=(1, 2))
            loss = (errors * weights).mean()
        for group in self._optimizer.param_groups:
            group["lr"] = self.settings.rate(self.done)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self._optimizer.step()
        self.losses.append(float(loss.detach()))
        self._follow()

    @torch.no_grad()
    def _follow(self) -> None:
        decay = min(self.settings.ema, (1 + self.done) / (EMA_START + self.done))
        for average, value in zip(self.average.parameters(), self.net.parameters(), strict=True):
            average.lerp_(value, 1 - decay)

    def save(self, folder: Path) -> None:
        """Write a checkpoint."""
        state = {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "draws": self._draws.get_state(),
        }
        save_checkpoint(folder, state, self._about, {"losses": self.losses})

    def load(self, folder: Path) -> None:
        """Go on from a checkpoint of the same settings and data."""
        state, progress = load_checkpoint(folder, self._about, {"replay": ReplayOptions().told})
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._draws.set_state(state["draws"])
        self.losses = list(progress["losses"])

    @property
    def _about(self) -> dict[str, Any]:
        about = {**vars(self.settings), "replay": self.settings.replay.told}
        return {**about, "chunks": list(self._chunks.shape)}


def has_checkpoint(folder: Path) -> bool:
    """Return whether a training can be resumed."""
    return (folder / CHECKPOINT_FILE).is_file()
