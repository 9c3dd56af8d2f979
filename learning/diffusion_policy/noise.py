"""Noise schedule and samplers: DDPM, DDIM, and few steps in the manner of consistency models."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from asterias.errors import UserError
from asterias.registry import Registry

# Levels of noise that denoisers are trained with, as Diffusion Policy has them (arXiv 2303.04137).
LEVELS = 100
# Of the squared-cosine schedule (Nichol and Dhariwal, arXiv 2102.09672, eq. 17).
OFFSET = 0.008
LARGEST_BETA = 0.999


@dataclass(frozen=True)
class NoiseSchedule:
    """How much of a chunk is left at each level of noise.

    Attributes:
        kept: ``(K,)`` share of the signal's variance, falling; "alpha bar" in the papers.
    """

    kept: npt.NDArray[np.float64]

    @classmethod
    def squared_cosine(cls, levels: int = LEVELS) -> NoiseSchedule:
        """Return the schedule of Nichol and Dhariwal with that many levels."""
        at = (np.arange(levels + 1) / levels + OFFSET) / (1 + OFFSET)
        cosine = np.cos(at * math.pi / 2) ** 2
        beta = np.minimum(1 - cosine[1:] / cosine[:-1], LARGEST_BETA)
        return cls(np.cumprod(1 - beta))

    @property
    def levels(self) -> int:
        """Number of levels, K."""
        return len(self.kept)

    def noised(self, clean: torch.Tensor, noise: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        """Return ``(B, H, A)`` chunks at ``(B,)`` levels of noise."""
        kept = torch.as_tensor(self.kept, dtype=clean.dtype)[level].reshape(-1, 1, 1)
        return kept.sqrt() * clean + (1 - kept).sqrt() * noise

    def spread(self, count: int) -> list[int]:
        """Return ``count`` levels from the noisiest to the cleanest, evenly spread.

        Raises:
            UserError: there are not so many.
        """
        if not 1 <= count <= self.levels:
            raise UserError(f"Steps of denoising must be from 1 to {self.levels}, not {count}.")
        return [int(level) for level in np.linspace(self.levels - 1, 0, count).round()]


@dataclass(frozen=True)
class DenoisingSampler:
    """A way from noise to a chunk.

    Attributes:
        summary: one line for people.
        fresh: share of the largest possible fresh noise in each step: 0 for none, 1 for DDPM's
            (eta of arXiv 2010.02502, eq. 16), infinite for a step that keeps the estimate alone.
        takes_all: it needs all levels.
    """

    summary: str
    fresh: float
    takes_all: bool = False

    def step(
        self,
        schedule: NoiseSchedule,
        levels: tuple[int, int],
        noisy: torch.Tensor,
        predicted: torch.Tensor,
        fresh: torch.Tensor | None,
    ) -> torch.Tensor:
        """Return the chunk one step cleaner (DDIM, arXiv 2010.02502, eq. 12; for DDPM eta is 1).

        The estimate of the clean chunk is clipped to [-1, 1], in which actions are scaled.

        Args:
            schedule: of the training.
            levels: of ``noisy``, and the next one; -1 is no noise.
            noisy: ``(B, H, A)``.
            predicted: ``(B, H, A)`` noise that the denoiser sees in it.
            fresh: ``(B, H, A)`` noise to add, where the sampler adds some.
        """
        here, there = float(schedule.kept[levels[0]]), 1.0
        if levels[1] >= 0:
            there = float(schedule.kept[levels[1]])
        clean = (noisy - math.sqrt(1 - here) * predicted) / math.sqrt(here)
        clean = clean.clamp(-1.0, 1.0)
        if levels[1] < 0:
            return clean
        variance = 1 - there
        if math.isfinite(self.fresh):
            variance = self.fresh**2 * (1 - there) / (1 - here) * (1 - here / there)
        noise = (noisy - math.sqrt(here) * clean) / math.sqrt(1 - here)
        cleaner = math.sqrt(there) * clean + math.sqrt(max(1 - there - variance, 0.0)) * noise
        return cleaner if fresh is None else cleaner + math.sqrt(variance) * fresh


SAMPLERS: Registry[DenoisingSampler] = Registry("sampler", "asterias.diffusion_samplers")
SAMPLERS.register("ddpm", DenoisingSampler("all levels, fresh noise in each step", 1.0, True))
SAMPLERS.register("ddim", DenoisingSampler("any number of steps, without fresh noise", 0.0))
SAMPLERS.register(
    "consistency",
    DenoisingSampler(
        "few steps: estimate the chunk, noise it less, again; for a distilled denoiser", math.inf
    ),
)
