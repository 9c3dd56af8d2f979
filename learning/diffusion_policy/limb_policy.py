"""A diffusion policy of the limb as ``/find_target``, the node ``policy`` and trials run it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from learning.diffusion_policy.demonstrations import LimbEyes
from learning.diffusion_policy.model import DiffusionModel
from learning.diffusion_policy.sampling import ChunkSampler, SamplingSettings
from learning.recordings.episode_data import Floats
from learning.target_finding.env.options import options_from_card
from learning.target_finding.policies.encoder import TileEncoder
from learning.target_finding.policies.linear_policy import save_policy
from learning.target_finding.policies.weight_files import part_of

KIND = "limb_diffusion"

_ENCODER = "encoder."


@dataclass
class LimbDiffusionPolicy:
    """Increments of the servos' commands from chunks, of which the first few are carried out.

    Attributes:
        model: denoiser and scales.
        eyes: what it sees.
        card: how it was trained, with the protocol under ``options`` and, under ``executed``, how
            many increments of a chunk are carried out.
    """

    model: DiffusionModel
    eyes: LimbEyes
    card: Mapping[str, Any]
    # Seconds of work: whoever serves others meanwhile asks it in another thread.
    thinks_long: bool = True
    _sampler: ChunkSampler = field(init=False, repr=False)
    _left: list[Floats] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        self._sampler = self.model.sampler()

    @property
    def increment(self) -> float:
        """Largest increment, to which actions are clipped."""
        return float(self.card["options"]["increment"])

    def start(self) -> None:
        """Forget what is left of the last episode's chunk."""
        self._left = []

    def act(self, observation: Any, rng: np.random.Generator | None) -> Floats:
        """Return ``(n,)`` increments; without ``rng`` the noise is the same each time."""
        if not self._left:
            self._left = list(self.chunk(observation, rng)[: int(self.card["executed"])])
        return self._left.pop(0)

    def chunk(self, observation: Any, rng: np.random.Generator | None) -> Floats:
        """Return ``(H, n)`` increments for an observation of the environment."""
        seed = 0 if rng is None else int(rng.integers(2**63))
        seen = self.model.scales.observation(self.eyes.observation(observation)[None])
        scaled = self._sampler.sample(seen, torch.Generator().manual_seed(seed))
        clipped: Floats = np.clip(
            self.model.scales.actions(scaled)[0], -self.increment, self.increment
        ).astype(np.float32)
        return clipped

    def sampled(self, sampling: SamplingSettings) -> LimbDiffusionPolicy:
        """Return the policy with another sampler or number of steps; not a measured cache."""
        model = replace(self.model, sampling=sampling)
        return LimbDiffusionPolicy(model, self.eyes, {**self.card, **model.card})

    def save(self, path: Path) -> None:
        """Write ``path`` (safetensors) and its card, each whole or not at all."""
        tensors = self.model.tensors
        if self.eyes.encoder is not None:
            tensors |= {_ENCODER + name: v for name, v in self.eyes.encoder.tensors.items()}
        save_policy(path, KIND, tensors, {**self.card, **self.model.card})


def assemble(tensors: dict[str, Any], card: dict[str, Any]) -> LimbDiffusionPolicy:
    """Return the policy of a file and its card.

    Raises:
        ValueError: they do not fit each other.
    """
    options = options_from_card(card["options"])
    parts = part_of(tensors, _ENCODER)
    encoder = TileEncoder.from_tensors(parts) if parts else None
    if (encoder is None) != (options.observe == "commands"):
        raise ValueError("an encoder is there where nothing is seen, or is missing")
    eyes = LimbEyes(len(options.command_range), int(card["cameras"]), encoder)
    model = DiffusionModel.from_tensors(tensors, card)
    shape = model.denoiser.shape
    if shape.groups != eyes.groups or shape.actions != eyes.joints:
        raise ValueError("the denoiser does not fit the limb in the card")
    if not 1 <= int(card["executed"]) <= shape.horizon:
        raise ValueError("executed must be from 1 to the horizon")
    torch.set_num_threads(1)  # one chunk at a time: threads would wait for each other
    return LimbDiffusionPolicy(model, eyes, card)
