"""What a training changes in the views of a maze, so that the mapper does not learn its looks."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from planners.mapping.symmetries import mirror_views, turn_directions

_NEGATIVE, _GREY, _NOISY, _CORNERS = 0.15, 0.25, 0.5, 0.5
"""Shares of mazes whose views become negatives, lose their colours, are noisy, have dark corners;
chosen so that most mazes have one or two of these."""


def jitter(views: Tensor, random: np.random.Generator) -> Tensor:
    """Return one maze's views ``(N, 4, 24, 32, 3)`` with other colours, light and contrast."""
    order = torch.from_numpy(random.permutation(3))
    gain = torch.from_numpy(random.uniform(0.5, 1.5, 3)).float()
    shift = float(random.uniform(-30, 30))
    return (views[..., order].float() * gain + shift).clamp(0, 255)


def strong_jitter(views: Tensor, random: np.random.Generator) -> Tensor:
    """Return one maze's views ``(N, 4, 24, 32, 3)`` as other walls, lamps and cameras show them."""
    order = torch.from_numpy(random.permutation(3))
    seen = views[..., order].float() / 255
    if random.random() < _GREY:
        grey = seen.mean(dim=-1, keepdim=True)
        seen = seen + float(random.random()) * (grey - seen)
    seen = seen ** float(np.exp(random.uniform(-0.6, 0.6)))
    gain = torch.from_numpy(random.uniform(0.4, 1.6, 3)).float()
    seen = seen * gain + float(random.uniform(-0.15, 0.15))
    if random.random() < _NEGATIVE:
        seen = 1 - seen
    if random.random() < _NOISY:
        noise = random.standard_normal(seen.shape, np.float32) * random.uniform(0, 0.1)
        seen = seen + torch.from_numpy(noise.astype(np.float32))
    if random.random() < _CORNERS:
        seen = seen * _light(seen.shape[-3], seen.shape[-2], random)
    return (255 * seen).clamp(0, 255)


def _light(rows: int, columns: int, random: np.random.Generator) -> Tensor:
    """Return a factor of light for each pixel ``(rows, columns, 1)`` that changes smoothly."""
    down = torch.linspace(-1, 1, rows)[:, None]
    right = torch.linspace(-1, 1, columns)[None]
    a, b, c = random.uniform(-0.4, 0.4, 3).tolist()
    light: Tensor = 1 + a * down + b * right - abs(c) * (down**2 + right**2)
    return light.clamp(0.1)[..., None]


def turn_maze(
    maze: NDArray[np.uint8], given: NDArray[np.bool_], views: Tensor, random: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], Tensor]:
    """Turn and mirror a maze with the views of its given cells, one of eight ways.

    Args:
        maze: ``(M, M)``.
        given: ``(M, M)``, True where a cell has views.
        views: ``(N, 4, 24, 32, 3)`` of these cells, row by row.
        random: draws the way.

    Returns:
        The same, turned.
    """
    place = np.full(given.shape, -1)
    place[given] = np.arange(len(views))
    if random.random() < 0.5:
        maze, place, views = maze[:, ::-1], place[:, ::-1], mirror_views(views)
    quarters = int(random.integers(4))
    maze, place = np.rot90(maze, -quarters), np.rot90(place, -quarters)
    views = turn_directions(views, quarters, 1)[torch.from_numpy(place[place >= 0])]
    return maze.copy(), place >= 0, views
