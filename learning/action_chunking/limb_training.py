"""``--algo act``: chunks by a transformer with a style (ACT), from recorded demonstrations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from asterias.errors import UserError
from asterias.files import write_json
from asterias.progress import TrainingProgress
from asterias.provenance import Clock, provenance
from learning.action_chunking.limb_policy import LimbActPolicy, unit_of
from learning.action_chunking.model import ACTION, ENVIRONMENT, STATE, ActModel, FeatureScale
from learning.action_chunking.network import ActNetwork, ActShape
from learning.diffusion_policy.demonstrations import chosen_episodes, limb_columns
from learning.recordings.episode_data import EpisodeData, Floats
from learning.target_finding.algorithms.checkpoint import load_checkpoint, save_checkpoint
from learning.target_finding.algorithms.registry import (
    OnTrainingProgress,
    ShouldStop,
    TrainingRequest,
)
from learning.target_finding.env.observation import observe
from learning.target_finding.env.options import camera_count, with_command_range
from learning.target_finding.policies.policy_files import POLICY_FILE, SUMMARY_FILE
from learning.training.replay_options import ReplayOptions
from learning.training.replay_priority import draw_examples, priority_of, window_means

# Frames a second at which demonstrations are read, and in a chunk: two steps of a search.
FPS, CHUNK = 5, 10
UPDATES, BATCH, LEARNING_RATE, WEIGHT_DECAY = 2000, 64, 5e-4, 1e-4
# Of the style's divergence from a standard normal (arXiv 2304.13705).
DIVERGENCE_WEIGHT = 10.0
_SAVE_EVERY = 250


@dataclass(frozen=True)
class Frames:
    """Demonstrated frames.

    Attributes:
        states: ``(N, n)`` joints, rad.
        chunks: ``(N, H, n)`` commands from there on, rad.
        padded: ``(N, H)`` True behind the end of the demonstration.
        step_s: s between two commands, in the median.
        criticality: ``(N,)`` how far the frames of each chunk decided; None where nobody asks.
    """

    states: Floats
    chunks: Floats
    padded: npt.NDArray[np.bool_]
    step_s: float
    criticality: npt.NDArray[np.float64] | None = None


def train_request(
    request: TrainingRequest, on_progress: OnTrainingProgress, should_stop: ShouldStop
) -> dict[str, Any]:
    """Clone as a person asked; ``--steps`` counts updates of the weights.

    A ``KeyboardInterrupt`` follows where ``should_stop`` says so; ``--resume`` goes on.

    Returns:
        The summary.
    """
    _check(request)
    request = replace(request, options=with_command_range(request.options))
    assert request.recordings is not None
    episodes = chosen_episodes(request.recordings, request.options, FPS)
    columns = limb_columns(episodes[0], request.options)
    frames = frames_of(episodes, columns)
    if request.replay.by == "criticality":
        frames = replace(frames, criticality=criticality_of(episodes))
    cameras = camera_count(request.options)
    joints = frames.states.shape[1]
    shape = ActShape(joints, cameras, (), joints, CHUNK)
    clock = Clock()
    training = _Training(frames, shape, request)

    def tell(done: int, total: int) -> None:
        pace = done / max(clock.elapsed()[0], 1e-9)
        left_s = (total - done) / pace
        on_progress(TrainingProgress(done, total, "updates", 0.0, 0.0, 0.0, pace, left_s))
        if should_stop() and done < total:
            raise KeyboardInterrupt

    training.run(tell)
    policy = _policy_of(training, frames, request, len(episodes), clock.elapsed()[0])
    policy.save(request.out / POLICY_FILE)
    write_json(request.out / SUMMARY_FILE, dict(policy.card))
    return dict(policy.card)


def frames_of(episodes: Sequence[EpisodeData], columns: slice) -> Frames:
    """Return all frames of demonstrations, each with the chunk of commands that follows it."""
    states, chunks, padded, gaps = [], [], [], []
    for episode in episodes:
        actions = episode.actions[:, columns].astype(np.float32)
        length = len(actions)
        at = np.arange(length)[:, None] + np.arange(CHUNK)
        states.append(episode.states[:length, columns].astype(np.float32))
        chunks.append(actions[np.minimum(at, length - 1)])
        padded.append(at >= length)
        changed = np.flatnonzero(np.abs(np.diff(actions, axis=0)).max(axis=1) > 1e-3)
        gaps += np.diff(changed).tolist()
    step_s = float(np.median(gaps)) / episodes[0].fps if gaps else 1.0
    joined = np.concatenate(states), np.concatenate(chunks), np.concatenate(padded)
    return Frames(*joined, step_s)


def criticality_of(episodes: Sequence[EpisodeData]) -> npt.NDArray[np.float64]:
    """Return ``(N,)`` how far the frames of each chunk decided, in the order of `frames_of`."""
    parts = [window_means(e.criticality()[: len(e.actions)], CHUNK) for e in episodes]
    return np.concatenate(parts)


class _Training:
    """One training."""

    def __init__(self, frames: Frames, shape: ActShape, request: TrainingRequest) -> None:
        torch.manual_seed(request.seed)
        torch.set_num_threads(1)
        self.updates, self.losses = request.steps or UPDATES, list[float]()
        self.network = ActNetwork(shape)
        flags = observe(np.zeros(0), range(shape.environment), shape.environment)
        self.scales = {
            STATE: FeatureScale.of(frames.states),
            ENVIRONMENT: FeatureScale(flags, np.zeros_like(flags)),
            ACTION: FeatureScale.of(frames.chunks.reshape(-1, shape.actions)),
        }
        self._request = request
        self._states = self.scales[STATE].scaled(frames.states)
        self._chunks = self.scales[ACTION].scaled(frames.chunks)
        self._padded = torch.from_numpy(frames.padded)
        self._priority = priority_of(request.replay, frames.criticality)
        self._around = torch.zeros(1, shape.environment)  # nothing of it changes here
        self._adam = torch.optim.AdamW(
            self.network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY
        )
        self._schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self._adam, self.updates)

    def run(self, tell: Callable[[int, int], None]) -> None:
        """Train to the end."""
        if self._request.resume:
            self._load()
        self.network.train()
        while len(self.losses) < self.updates:
            self._update()
            done = len(self.losses)
            if done % _SAVE_EVERY == 0 or done == self.updates:
                self._save()
                tell(done, self.updates)
        self.network.eval()

    def _update(self) -> None:
        # Seeded by its number: an update is the same, resumed or not.
        torch.manual_seed(self._request.seed * 1_000_003 + len(self.losses))
        chosen, weights = draw_examples(len(self._states), BATCH, self._priority)
        loss = chunk_loss(
            self.network,
            self._states[chosen],
            self._around.expand(BATCH, -1),
            (self._chunks[chosen], self._padded[chosen]),
            weights,
        )
        self._adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._adam.step()
        self._schedule.step()
        self.losses.append(float(loss.detach()))

    @property
    def _told(self) -> dict[str, Any]:
        return {
            "seed": self._request.seed,
            "updates": self.updates,
            "replay": self._request.replay.told,
            "frames": len(self._states),
            "shape": asdict(self.network.shape),
        }

    def _save(self) -> None:
        state = {
            "network": self.network.state_dict(),
            "adam": self._adam.state_dict(),
            "schedule": self._schedule.state_dict(),
        }
        save_checkpoint(self._request.out, state, self._told, {"losses": self.losses})

    def _load(self) -> None:
        state, about = load_checkpoint(
            self._request.out, self._told, {"replay": ReplayOptions().told}
        )
        self.network.load_state_dict(state["network"])
        self._adam.load_state_dict(state["adam"])
        self._schedule.load_state_dict(state["schedule"])
        self.losses = list(about["losses"])


def chunk_loss(
    network: ActNetwork,
    state: torch.Tensor,
    around: torch.Tensor,
    shown: tuple[torch.Tensor, torch.Tensor],
    weights: torch.Tensor,
) -> torch.Tensor:
    """Return the mean absolute error of chunks and the style's divergence (arXiv 2304.13705).

    Args:
        network: in training.
        state: ``(B, n)``.
        around: ``(B, e)``.
        shown: ``(B, H, A)`` demonstrated chunks, and ``(B, H)`` where they are padded.
        weights: ``(B,)`` of the examples in the mean; 1 where they were drawn evenly.
    """
    chunk, padded = shown
    mean, log_variance = network.style(state, chunk, padded)
    style = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
    apart = (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1) * weights
    error = functional.l1_loss(network(state, around, style=style), chunk, reduction="none")
    counted = error * ~padded[..., None] * weights[:, None, None]
    weighted: torch.Tensor = counted.mean() + DIVERGENCE_WEIGHT * 0.5 * apart.mean()
    return weighted


def _policy_of(
    training: _Training,
    frames: Frames,
    request: TrainingRequest,
    demonstrations: int,
    wall_s: float,
) -> LimbActPolicy:
    unit = unit_of(request.options)
    commanded = unit.command(frames.chunks.astype(np.float64))
    steps = commanded - unit.command(frames.states.astype(np.float64))[:, None]
    largest = float(np.abs(steps[~frames.padded]).max())
    parts = np.array_split(np.array(training.losses), 10)
    card = {
        **provenance(request.seed),
        "algorithm": "act",
        "cameras": training.network.shape.environment,
        "options": asdict(replace(request.options, increment=round(largest + 5e-4, 3))),
        "demonstrations": demonstrations,
        "steps": len(frames.states),
        "updates": training.updates,
        "replay": request.replay.told,
        "fps": FPS,
        "step_s": frames.step_s,
        "loss": round(float(parts[-1].mean()), 5),
        "losses": [round(float(part.mean()), 5) for part in parts if part.size],
        "wall_s": round(wall_s, 1),
    }
    return LimbActPolicy(ActModel(training.network, training.scales), unit, card)


def _check(request: TrainingRequest) -> None:
    """Refuse what cannot be cloned.

    Raises:
        UserError: the request holds it.
    """
    about = request.options
    if request.recordings is None:
        raise UserError("--algo act needs --recordings: demonstrations to learn from.")
    if about.observe != "commands" or about.goal or about.actions != "increments":
        raise UserError(
            "act observes commands, has no goals, and moves by increments; a network that sees "
            "pictures is trained by LeRobot and imported."
        )
    if request.padded or request.curiosity:
        raise UserError("act imitates; it takes no --padded or --curiosity.")
    if (request.out / POLICY_FILE).exists():
        raise UserError(f"{request.out} holds a policy; choose another --out.")
