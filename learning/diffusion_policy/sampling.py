"""From noise to a chunk of actions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

from asterias.errors import UserError
from asterias.registry import Registry
from learning.diffusion_policy.caching import CACHES, CacheSettings, Plan, StepMemory, all_blocks
from learning.diffusion_policy.denoisers import Denoiser
from learning.diffusion_policy.noise import SAMPLERS, NoiseSchedule
from learning.diffusion_policy.runtimes.onnx_runtime import onnx_session
from learning.diffusion_policy.similarity import Similarity
from learning.diffusion_policy.transformer import BLOCKS, TransformerDenoiser

# Observations by which similarity is measured where nothing else is said.
OBSERVATIONS = 64


def _as_it_is(denoiser: Denoiser) -> Callable[..., torch.Tensor]:
    return denoiser


def _in_onnx(denoiser: Denoiser) -> Callable[..., torch.Tensor]:
    shape = denoiser.shape
    noisy = torch.zeros((2, shape.horizon, shape.actions))
    with torch.no_grad():
        memory = denoiser.encode(torch.zeros((2, sum(shape.groups))))
    return onnx_session(denoiser, (noisy, torch.zeros(2, dtype=torch.long), memory))


RUNTIMES: Registry[Callable[[Denoiser], Callable[..., torch.Tensor]]] = Registry("runtime")
RUNTIMES.register("pytorch", _as_it_is)
RUNTIMES.register("onnx", _in_onnx)


@dataclass(frozen=True)
class SamplingSettings:
    """How chunks are made.

    Attributes:
        sampler: name of the sampler.
        steps: of denoising.
        cache: what is not computed anew.
        runtime: what the denoiser runs in: ``pytorch``, or ``onnx`` (extra ``onnx``), which is
            faster where no block is left out.
    """

    sampler: str = "ddim"
    steps: int = 10
    cache: CacheSettings = field(default_factory=CacheSettings)
    runtime: str = "pytorch"


class ChunkSampler:
    """Makes chunks with one denoiser in one way.

    Args:
        denoiser: the network.
        settings: how.
        similarity: measured for these steps; only some caches need it.

    Raises:
        UserError: sampler, steps or cache cannot be used.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        settings: SamplingSettings,
        similarity: Similarity | None = None,
    ) -> None:
        self.denoiser, self.settings = denoiser, settings
        self._schedule = NoiseSchedule.squared_cosine()
        self._sampler = SAMPLERS.get(settings.sampler)
        if self._sampler.takes_all and settings.steps != self._schedule.levels:
            raise UserError(
                f"{settings.sampler} takes {self._schedule.levels} steps, not {settings.steps}; "
                "take ddim for fewer."
            )
        self._levels = self._schedule.spread(settings.steps)
        self._cache = CACHES.get(settings.cache.name)
        is_unet = not isinstance(denoiser, TransformerDenoiser)
        if is_unet and settings.cache.name not in ("none", "exact"):
            raise UserError(
                f"The cache '{settings.cache.name}' needs a transformer; a U-Net has no attention."
            )
        self._step: Callable[..., torch.Tensor] = RUNTIMES.get(settings.runtime)(denoiser)
        self._is_onnx = settings.runtime != "pytorch"
        if self._is_onnx and settings.cache.name not in ("none", "exact"):
            raise UserError(
                f"The runtime '{settings.runtime}' computes all blocks; the cache "
                f"'{settings.cache.name}' needs the runtime pytorch."
            )
        layers = denoiser.shape.layers
        self.plan: Plan = self._cache.plan(settings.cache, layers, settings.steps, similarity)

    @cached_property
    def _of_levels(self) -> torch.Tensor:
        assert isinstance(self.denoiser, TransformerDenoiser)
        return self.denoiser.level_keys_values(self._schedule.levels)

    @torch.inference_mode()
    def sample(self, observation: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
        """Return chunks ``(B, H, A)`` in [-1, 1] for ``(B, F)`` observations.

        Samplers draw alike: with the same generator, the same noise at the start.
        """
        return self._denoise(observation, draws, self._memory(observation))

    @torch.inference_mode()
    def similarity(self, observation: torch.Tensor, draws: torch.Generator) -> Similarity:
        """Return how alike block outputs are over the steps, for ``(B, F)`` observations.

        Raises:
            UserError: the denoiser has no blocks of attention.
        """
        if not isinstance(self.denoiser, TransformerDenoiser):
            raise UserError("A U-Net has no attention whose similarity could be measured.")
        steps, layers = self.settings.steps, self.denoiser.shape.layers
        outputs: dict[tuple[int, int], list[torch.Tensor]] = {}

        def watch(step: int, layer: int, kind: int, given: torch.Tensor) -> None:
            unit = torch.nn.functional.normalize(given.flatten(1), dim=1)
            outputs.setdefault((layer, kind), []).append(unit)

        plan = all_blocks(self.settings.cache, layers, steps, None)
        memory = replace(self._memory(observation), plan=plan, watch=watch)
        self._denoise(observation, draws, memory)
        values = np.empty((layers, len(BLOCKS), steps, steps), np.float32)
        for (layer, kind), rows in outputs.items():
            stack = torch.stack(rows, dim=1)  # (B, steps, H * D)
            values[layer, kind] = (stack @ stack.transpose(1, 2)).mean(dim=0).numpy()
        return Similarity(values)

    def _memory(self, observation: torch.Tensor) -> StepMemory:
        memory = StepMemory(self.plan)
        if (
            self._cache.exact
            and not self._is_onnx
            and isinstance(self.denoiser, TransformerDenoiser)
        ):
            encoded = self.denoiser.encode(observation)
            memory.keys_values = self.denoiser.keys_values(encoded, self._of_levels)
        return memory

    def _denoise(
        self, observation: torch.Tensor, draws: torch.Generator, memory: StepMemory
    ) -> torch.Tensor:
        shape, batch = self.denoiser.shape, len(observation)
        size = (batch, shape.horizon, shape.actions)
        noisy = torch.randn(size, generator=draws)
        # Once for a chunk, unless nothing is to be cached.
        encoded = self.denoiser.encode(observation)
        is_plain = self.settings.cache.name == "none"
        for step, level in enumerate(self._levels):
            if is_plain and step:
                encoded = self.denoiser.encode(observation)
            memory.begin(step, level)
            levels = torch.full((batch,), level)
            given = (noisy, levels, encoded)
            predicted = self._step(*given) if self._is_onnx else self._step(*given, memory)
            last = step + 1 == len(self._levels)
            following = -1 if last else self._levels[step + 1]
            fresh = None
            if self._sampler.fresh and not last:
                fresh = torch.randn(size, generator=draws)
            noisy = self._sampler.step(self._schedule, (level, following), noisy, predicted, fresh)
        return noisy


def measured_similarity(
    denoiser: Denoiser, settings: SamplingSettings, observations: npt.NDArray[np.float32]
) -> Similarity:
    """Return the similarity that the cache ``schedule`` needs, for steps and sampler of a policy.

    Args:
        denoiser: the network.
        settings: how chunks are made; the cache does not matter.
        observations: ``(N, F)`` scaled ones, of the demonstrations; some of them are taken.
    """
    plain = replace(settings, cache=CacheSettings("exact"))
    every = max(len(observations) // OBSERVATIONS, 1)
    chosen = torch.from_numpy(np.ascontiguousarray(observations[::every]))
    return ChunkSampler(denoiser, plain).similarity(chosen, torch.Generator().manual_seed(0))
