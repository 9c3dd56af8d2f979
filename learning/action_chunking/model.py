"""A trained ACT network with its scales: what makes chunks in rad from joints and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from learning.action_chunking.network import ACTIVATIONS, ActNetwork, ActShape
from learning.action_chunking.resnet import BLOCKS
from learning.recordings.episode_data import Floats
from learning.target_finding.policies.encoder import Tensors
from learning.target_finding.policies.weight_files import part_of

STATE, ENVIRONMENT, ACTION = "state", "environment", "action"
# What did not change in training is not told from its mean afterwards.
LEAST_WIDTH = 1e-6
_NETWORK, _SCALE = "network.", "scale."
# Largest sizes that a file may ask for, before anything is allocated.
_MOST = {
    "state": 256,
    "environment": 4096,
    "actions": 256,
    "chunk": 1000,
    "width": 2048,
    "heads": 64,
    "hidden": 16_384,
    "encoders": 32,
    "decoders": 32,
    "style": 1024,
    "style_encoders": 32,
}
_MAY_BE_NONE = ("environment", "style_encoders")
_MOST_PICTURES, _LARGEST_PICTURE = 64, 2048


@dataclass(frozen=True)
class FeatureScale:
    """Scale of one feature: scaled = (value - offset) / width + base.

    Attributes:
        offset, width: of each number, or of each channel of a picture.
        base: -1 where a range is mapped to [-1, 1], 0 where mean and deviation are.
    """

    offset: Floats
    width: Floats
    base: float = 0.0

    @classmethod
    def of(cls, values: npt.NDArray[Any]) -> FeatureScale:
        """Return the scale of ``(N, n)`` values: mean 0, deviation 1."""
        return cls(values.mean(axis=0).astype(np.float32), values.std(axis=0).astype(np.float32))

    def scaled(self, values: npt.NDArray[Any]) -> torch.Tensor:
        """Return ``(B, n)``, ``(B, H, n)`` or pictures ``(B, c, H, W)`` as the network has them."""
        shape = (-1, 1, 1) if values.ndim == 4 else (-1,)
        offset, width = self.offset.reshape(shape), self.width.reshape(shape)
        changes = width > LEAST_WIDTH
        ratio = np.where(changes, (values - offset) / np.where(changes, width, 1.0), 0.0)
        return torch.from_numpy((ratio + self.base).astype(np.float32))

    def values(self, scaled: torch.Tensor) -> Floats:
        """Return ``(B, H, n)`` values of what the network gives."""
        given = (scaled.numpy() - self.base) * self.width + self.offset
        return np.asarray(given, np.float32)


@dataclass(frozen=True)
class ActModel:
    """A trained network.

    Attributes:
        network: the network.
        scales: of ``state``, ``environment`` and ``action``, and of ``picture_0`` and so on.
    """

    network: ActNetwork
    scales: Mapping[str, FeatureScale]

    @property
    def shape(self) -> ActShape:
        """What it takes and gives."""
        return self.network.shape

    @torch.inference_mode()
    def chunk(
        self,
        state: npt.NDArray[Any],
        environment: npt.NDArray[Any] | None = None,
        pictures: npt.NDArray[Any] | None = None,
    ) -> Floats:
        """Return the chunks ``(B, H, A)``, rad.

        Args:
            state: ``(B, n)`` joints, rad.
            environment: ``(B, e)``, where the network takes it.
            pictures: ``(B, c, 3, H, W)`` from 0 to 1, where it takes some.
        """
        around = None
        if environment is not None and self.shape.environment:
            around = self.scales[ENVIRONMENT].scaled(environment)
        seen = []
        if pictures is not None:
            seen = [
                self.scales[f"picture_{j}"].scaled(pictures[:, j])
                for j in range(len(self.shape.pictures))
            ]
        scaled = self.network(self.scales[STATE].scaled(state), around, seen)
        return self.scales[ACTION].values(scaled)

    # -- as a file ------------------------------------------------------------------------------

    @property
    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """All weights and scales."""
        state = self.network.state_dict()
        given = {_NETWORK + name: value.detach().numpy() for name, value in state.items()}
        for name, scale in self.scales.items():
            given[f"{_SCALE}{name}.offset"], given[f"{_SCALE}{name}.width"] = (
                scale.offset,
                scale.width,
            )
        return given

    @property
    def card(self) -> dict[str, Any]:
        """What the tensors do not say."""
        bases = {name: scale.base for name, scale in self.scales.items()}
        return {"shape": asdict(self.shape), "bases": bases}

    @classmethod
    def from_tensors(cls, tensors: Tensors, card: Mapping[str, Any]) -> ActModel:
        """Return the model of :attr:`tensors` and :attr:`card`.

        Raises:
            ValueError: they do not fit each other.
        """
        shape = checked_shape(card["shape"])
        network = network_of(shape, tensors, _NETWORK)
        scales = {}
        for name, size in scale_sizes(shape).items():
            offset, width = (tensors[f"{_SCALE}{name}.{part}"] for part in ("offset", "width"))
            if offset.shape != (size,) or width.shape != (size,):
                raise ValueError(f"{_SCALE}{name} does not hold {size} numbers")
            scales[name] = FeatureScale(
                offset.astype(np.float32), width.astype(np.float32), float(card["bases"][name])
            )
        return cls(network, scales)


def scale_sizes(shape: ActShape) -> dict[str, int]:
    """Return how many numbers the scale of each feature has."""
    sizes = {STATE: shape.state, ACTION: shape.actions}
    if shape.environment:
        sizes[ENVIRONMENT] = shape.environment
    return sizes | {f"picture_{j}": size[0] for j, size in enumerate(shape.pictures)}


def network_of(shape: ActShape, tensors: Tensors, prefix: str) -> ActNetwork:
    """Return the network whose weights' names begin with ``prefix``.

    Raises:
        ValueError: the weights are those of another network.
    """
    network = ActNetwork(shape)
    state = {
        name: torch.from_numpy(np.array(value, np.float32))
        for name, value in part_of(tensors, prefix).items()
    }
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError("the weights are not those of the network that is described") from error
    return network.eval()


def checked_shape(told: Mapping[str, Any]) -> ActShape:
    """Return a shape that can be built.

    Raises:
        ValueError: it cannot.
    """
    for name, most in _MOST.items():
        least = 0 if name in _MAY_BE_NONE else 1
        value = told[name]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"{name} {value!r} is no number from {least} to {most}")
    if told["width"] % told["heads"] or told["width"] % 4:
        raise ValueError(f"width {told['width']} is no multiple of 4 and of its heads")
    pictures = tuple(tuple(int(one) for one in size) for size in told["pictures"])
    if len(pictures) > _MOST_PICTURES or not all(
        len(size) == 3 and size[0] == 3 and max(size) <= _LARGEST_PICTURE and min(size) > 0
        for size in pictures
    ):
        raise ValueError("pictures must be (3, height, width) each")
    for name, known in (("activation", ACTIVATIONS), ("backbone", BLOCKS)):
        if told[name] not in known:
            raise ValueError(f"{name} {told[name]!r} is none of {', '.join(known)}")
    sizes = {name: int(told[name]) for name in _MOST}
    return ActShape(
        **sizes,
        pictures=tuple((size[0], size[1], size[2]) for size in pictures),
        activation=str(told["activation"]),
        norm_first=bool(told["norm_first"]),
        backbone=str(told["backbone"]),
        dropout=float(told["dropout"]),
    )
