"""A trained denoiser with its scales, as tensors and a card, and as what makes chunks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from learning.diffusion_policy.caching import CACHES, CacheSettings
from learning.diffusion_policy.denoisers import DENOISERS, Denoiser
from learning.diffusion_policy.sampling import ChunkSampler, SamplingSettings
from learning.diffusion_policy.similarity import Similarity
from learning.diffusion_policy.training import Scales
from learning.diffusion_policy.transformer import HEADS, DenoiserShape
from learning.recordings.episode_data import Floats
from learning.target_finding.policies.encoder import Tensors
from learning.target_finding.policies.weight_files import part_of

_DENOISER, _SCALE, _SIMILARITY = "denoiser.", "scale.", "similarity"
# Largest sizes that a file may ask for, before anything is allocated.
_MOST = {"actions": 256, "horizon": 256, "width": 1024, "layers": 32}
_MOST_GROUPS, _LARGEST_GROUP = 64, 65_536


@dataclass(frozen=True)
class DiffusionModel:
    """A trained denoiser, and how chunks are made with it.

    Attributes:
        name: of the denoiser's kind.
        denoiser: the network.
        scales: of observations and actions.
        sampling: how chunks are made.
        similarity: of block outputs, where the cache needs it.
    """

    name: str
    denoiser: Denoiser
    scales: Scales
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    similarity: Similarity | None = None

    def sampler(self) -> ChunkSampler:
        """Return what makes scaled chunks.

        Passes on the ``UserError`` of steps or a cache that cannot be used.
        """
        return ChunkSampler(self.denoiser, self.sampling, self.similarity)

    def with_sampling(self, sampling: SamplingSettings, observations: Floats) -> DiffusionModel:
        """Return the model with another way to make chunks.

        Args:
            sampling: the way.
            observations: ``(N, F)`` of demonstrations, by which a similarity is measured where the
                cache needs it.
        """
        from learning.diffusion_policy.sampling import measured_similarity

        similarity = None
        if CACHES.get(sampling.cache.name).measured:
            scaled = self.scales.observation(observations).numpy()
            similarity = measured_similarity(self.denoiser, sampling, scaled)
        return replace(self, sampling=sampling, similarity=similarity)

    # -- as a file ------------------------------------------------------------------------------

    @property
    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """All weights and scales."""
        state = self.denoiser.state_dict()
        given = {_DENOISER + name: value.detach().numpy() for name, value in state.items()}
        given |= {_SCALE + name: value for name, value in vars(self.scales).items()}
        if self.similarity is not None:
            given[_SIMILARITY] = self.similarity.values
        return given

    @property
    def card(self) -> dict[str, Any]:
        """What the tensors do not say."""
        return {
            "denoiser": self.name,
            "shape": asdict(self.denoiser.shape),
            "sampling": asdict(self.sampling),
        }

    @classmethod
    def from_tensors(cls, tensors: Tensors, card: Mapping[str, Any]) -> DiffusionModel:
        """Return the model of :attr:`tensors` and :attr:`card`.

        Raises:
            ValueError: they do not fit each other.
        """
        shape = _checked_shape(card["shape"])
        denoiser = DENOISERS.get(card["denoiser"])(shape)
        state = {
            name: torch.from_numpy(np.array(value, np.float32))
            for name, value in part_of(tensors, _DENOISER).items()
        }
        try:
            denoiser.load_state_dict(state)
        except RuntimeError as error:
            raise ValueError("the weights are not those of the denoiser in the card") from error
        sizes = {"mean": sum(shape.groups), "std": sum(shape.groups)}
        sizes |= {"middle": shape.actions, "half": shape.actions}
        for name, size in sizes.items():
            if tensors[_SCALE + name].shape != (size,):
                raise ValueError(f"{_SCALE}{name} does not hold {size} numbers")
        scales = Scales(**{name: tensors[_SCALE + name].astype(np.float32) for name in sizes})
        told = dict(card["sampling"])
        sampling = SamplingSettings(**told | {"cache": CacheSettings(**told["cache"])})
        similarity = Similarity(tensors[_SIMILARITY]) if _SIMILARITY in tensors else None
        model = cls(card["denoiser"], denoiser.eval(), scales, sampling, similarity)
        model.sampler()
        return model


def _checked_shape(told: Mapping[str, Any]) -> DenoiserShape:
    """Return a shape that can be built.

    Raises:
        ValueError: it cannot.
    """
    groups = tuple(told["groups"])
    for name, most in _MOST.items():
        if not (isinstance(told[name], int) and 1 <= told[name] <= most):
            raise ValueError(f"{name} {told[name]!r} is no number from 1 to {most}")
    if told["width"] % (2 * HEADS):
        raise ValueError(f"width {told['width']} is no multiple of {2 * HEADS}")
    if not 1 <= len(groups) <= _MOST_GROUPS or not all(
        isinstance(size, int) and 1 <= size <= _LARGEST_GROUP for size in groups
    ):
        raise ValueError("groups must hold sizes of an observation's parts")
    sizes = {name: int(told[name]) for name in _MOST}
    return DenoiserShape(groups, **sizes, level_in_tokens=bool(told.get("level_in_tokens", False)))
