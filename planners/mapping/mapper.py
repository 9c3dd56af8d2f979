"""The mapper: four views per cell become the probability that each cell is a wall.

The network of DT-VIN's ViZDoom experiment (Wang et al., ICML 2025, Table 6): two convolutions and
a linear layer per view, the four views of a cell side by side as channels, two 3 x 3 convolutions
over the cells. What the paper leaves open is chosen here: ReLU between the layers, binary
cross-entropy. A cell without views, such as every wall, brings zeros, so that one mapper serves
both a whole survey and an agent that has been in a few cells only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from asterias.errors import UserError
from asterias.files import write_bytes, write_json
from planners.mapping.symmetries import SYMMETRIES, mirror_views, turn_back, turned_features
from planners.networks.weights import WEIGHTS_FOLDER as PLANNER_WEIGHTS
from planners.networks.weights import check_fit, read_card, read_tensors

WEIGHTS_FOLDER = PLANNER_WEIGHTS / "doom"
VIEW_SHAPE = (4, 24, 32, 3)
"""Directions north, east, south, west; rows; columns; RGB."""
_CHUNK = 1024  # cells whose views are held as numbers at once


@dataclass(frozen=True)
class MapperConfig:
    """Widths of the layers; the defaults are the paper's."""

    first: int = 32
    """Channels of the 8 x 8 convolution."""
    second: int = 64
    """Channels of the 4 x 4 convolution."""
    per_view: int = 256
    """Numbers that describe one view."""
    cell: int = 64
    """Channels between the convolutions over the cells."""
    symmetric: bool = False
    """Take the mean of the logits over the maze turned and mirrored, eight ways: views of a place
    are joined before anything is decided."""


class Mapper(nn.Module):
    """Maps views ``(B, H, W, 4, 24, 32, 3)`` to logits of walls ``(B, H, W)``.

    Views are uint8; ``given (B, H, W)`` says which cells have any.
    """

    def __init__(self, config: MapperConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or MapperConfig()
        self.width = 4 * config.per_view * (2 if config.symmetric else 1)
        """Features of a cell."""
        self.first = nn.Conv2d(3, config.first, 8, stride=4, padding=1)
        self.second = nn.Conv2d(config.first, config.second, 4, stride=2, padding=1)
        self.per_view = nn.Linear(config.second * 2 * 3, config.per_view)
        self.around = nn.Conv2d(4 * config.per_view, config.cell, 3, padding=1)
        self.wall = nn.Conv2d(config.cell, 1, 3, padding=1)

    def describe(self, views: Tensor) -> Tensor:
        """Return the features ``(N, width)`` of the views ``(N, 4, 24, 32, 3)`` of cells.

        Views are uint8 or floats from 0 to 255.
        """
        if self.config.symmetric:
            both = (self._describe(views), self._describe(mirror_views(views)))
            return torch.cat(both, dim=1)
        return self._describe(views)

    def _describe(self, views: Tensor) -> Tensor:
        pictures = views.flatten(0, 1).movedim(3, 1).float() / 255 - 0.5
        hidden = functional.relu(self.first(pictures.contiguous()))
        hidden = functional.relu(self.second(hidden))
        features: Tensor = functional.relu(self.per_view(hidden.flatten(1)))
        return features.view(len(views), -1)

    def walls(self, features: Tensor) -> Tensor:
        """Return logits ``(B, H, W)`` from the features of cells ``(B, width, H, W)``."""
        if not self.config.symmetric:
            return self._walls(features)
        batch, _, *shape = features.shape
        straight, mirrored = features.view(batch, 2, 4, -1, *shape).unbind(1)
        total = torch.zeros_like(features[:, 0])
        for turned, quarters, is_mirrored in turned_features(straight, mirrored):
            total = total + turn_back(self._walls(turned.flatten(1, 2)), quarters, is_mirrored)
        return total / SYMMETRIES

    def _walls(self, features: Tensor) -> Tensor:
        logits: Tensor = self.wall(functional.relu(self.around(features)))
        return logits.squeeze(1)

    def spread(self, described: Tensor, given: Tensor) -> Tensor:
        """Put the features ``(N, C)`` of the N given cells in their places: ``(B, C, H, W)``.

        Returns:
            The features of all cells; zeros where none were given.
        """
        features = described.new_zeros(*given.shape, described.shape[1])
        features[given] = described
        return features.permute(0, 3, 1, 2)

    def forward(self, views: Tensor, given: Tensor) -> Tensor:
        """Return the logits of walls."""
        return self.walls(self.spread(self.describe(views[given]), given))


@torch.no_grad()
def describe_cells(mapper: Mapper, views: NDArray[np.uint8]) -> Tensor:
    """Return the features of cells' views ``(N, 4, 24, 32, 3)``, some cells at a time."""
    parts = [views[first : first + _CHUNK] for first in range(0, len(views), _CHUNK)]
    if not parts:
        return torch.zeros(0, mapper.width)
    return torch.cat([mapper.describe(torch.from_numpy(part)) for part in parts])


@torch.no_grad()
def wall_probabilities(
    mapper: Mapper, views: NDArray[np.uint8], given: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Return the probability ``(H, W)`` that each cell of one maze is a wall.

    ``views``: ``(H, W, 4, 24, 32, 3)``; ``given``: ``(H, W)``.

    Raises:
        UserError: shapes do not fit.
    """
    if views.shape != (*given.shape, *VIEW_SHAPE):
        raise UserError(
            f"views are {views.shape} for {given.shape} cells: expected (H, W, 4, 24, 32, 3)."
        )
    described = describe_cells(mapper, views[given])
    features = mapper.spread(described, torch.from_numpy(given)[None])
    walls: NDArray[np.float32] = torch.sigmoid(mapper.walls(features))[0].numpy()
    return walls


def save_mapper(mapper: Mapper, path: Path, card: Mapping[str, Any]) -> None:
    """Write ``path`` (safetensors) and its card, ``path`` with the suffix ``.json``."""
    whole = {"model": "mapper", "options": asdict(mapper.config), **card}
    write_json(path.with_suffix(".json"), whole, indent=1)
    tensors = {name: tensor.detach().contiguous() for name, tensor in mapper.state_dict().items()}
    write_bytes(path, save(tensors))


def symmetric(mapper: Mapper, on: bool = True) -> Mapper:
    """Return a mapper of the same weights that averages over the symmetries of the maze, or not."""
    other = Mapper(replace(mapper.config, symmetric=on))
    other.load_state_dict(mapper.state_dict())
    return other.eval()


def _path_of(name: str) -> Path:
    return Path(name) if name.endswith(".safetensors") else WEIGHTS_FOLDER / f"{name}.safetensors"


def card_of(name: str) -> dict[str, Any]:
    """Return the card of a mapper that :func:`load_mapper` knows."""
    return read_card(_path_of(name))


def load_mapper(name: str = "mapper") -> Mapper:
    """Return a mapper, ready for use.

    Args:
        name: a ``.safetensors`` file, or the stem of one in ``planners/weights/doom``.

    Raises:
        UserError: file or card are missing, damaged, or do not fit together.
    """
    path = _path_of(name)
    if not path.is_file() or not path.with_suffix(".json").is_file():
        known = ", ".join(sorted(found.stem for found in WEIGHTS_FOLDER.glob("mapper*.safet*")))
        raise UserError(
            f"there is no mapper {name!r}: choose {known}, or a .safetensors file with its .json "
            "beside it."
        )
    card = read_card(path)
    if card["model"] != "mapper":
        raise UserError(f"{path} holds a {card['model']}, no mapper.")
    tensors = read_tensors(path)
    try:
        config = MapperConfig(**card["options"])
        with torch.device("meta"):  # sizes alone: a card may ask for any amount of memory
            check_fit(Mapper(config), tensors, path)
        mapper = Mapper(config)
    except UserError:
        raise
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        raise UserError(f"{path} and its card do not fit together: {error}.") from error
    mapper.load_state_dict(tensors)
    return mapper.eval()
