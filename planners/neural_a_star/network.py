"""The encoder of Neural A*, and A* that gradients pass.

The encoder sees a map with start and goal and gives each cell a guidance cost between 0 and 1. A*
over those costs is written with matrices (Sec. 3 of the paper): the cell to expand is a softmax
over the open list, of which the largest is taken in the forward pass. Trained so that what the
search closes is the shortest path and little else: the loss is their L1 distance.
"""

from __future__ import annotations

import math
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional

from asterias.errors import UserError

WEIGHTS = Path(__file__).parent / "weights.safetensors"
_CHANNELS, _LAYERS = 16, 5
# From the paper: half the weight on what is spent, and a tie broken by the Euclidean distance.
_TIE = 1e-3
_CROSS = torch.tensor([[0.0, 1, 0], [1, 0, 1], [0, 1, 0]]).view(1, 1, 3, 3)


class GuidanceEncoder(nn.Module):
    """A CNN of five layers whose dilations see 35 x 35 cells, from maps to guidance costs."""

    def __init__(self) -> None:
        super().__init__()
        modules: list[nn.Module] = []
        for layer in range(_LAYERS):
            dilation, seen = (1, 2, 4, 8, 2)[layer], 3 if layer == 0 else _CHANNELS
            modules += [nn.Conv2d(seen, _CHANNELS, 3, padding=dilation, dilation=dilation)]
            modules += [nn.ReLU()]
        self.layers = nn.Sequential(*modules, nn.Conv2d(_CHANNELS, 1, 1))

    def forward(self, mazes: Tensor, starts: Tensor, goals: Tensor) -> Tensor:
        """Return costs ``(B, H, W)`` of maps, 1 = free, and one-hot starts and goals."""
        costs: Tensor = self.layers(torch.stack((mazes, starts, goals), dim=1)).squeeze(1)
        return costs.sigmoid()


def heuristic(goals: Tensor) -> Tensor:
    """Return the steps to one-hot goals on an empty map, ties broken, ``(B, H, W)``."""
    rows, columns = goals.shape[1:]
    row = (goals.sum(dim=2) * torch.arange(rows)).sum(dim=1).view(-1, 1, 1)
    column = (goals.sum(dim=1) * torch.arange(columns)).sum(dim=1).view(-1, 1, 1)
    down = (torch.arange(rows).view(1, -1, 1) - row).abs()
    right = (torch.arange(columns).view(1, 1, -1) - column).abs()
    return down + right + _TIE * (down**2 + right**2).sqrt()


def closed_cells(costs: Tensor, mazes: Tensor, starts: Tensor, goals: Tensor, most: int) -> Tensor:
    """Return what differentiable A* closes ``(B, H, W)``: 1 for each cell that was expanded.

    Args:
        costs: guidance costs ``(B, H, W)``.
        mazes: 1 = free.
        starts: one-hot.
        goals: one-hot.
        most: expansions at most.
    """
    ahead = heuristic(goals) + costs
    temperature = math.sqrt(costs.shape[2])
    opened, closed = starts.clone(), torch.zeros_like(starts)
    spent = torch.zeros_like(starts)
    for _ in range(most):
        chances = torch.exp(-(spent + ahead) / 2 / temperature) * opened
        chances = chances / chances.sum(dim=(1, 2), keepdim=True).clamp(min=1e-12)
        flat = chances.detach().flatten(1)
        hard = functional.one_hot(flat.argmax(dim=1), flat.shape[1]).view_as(chances).float()
        chosen = hard + chances - chances.detach()  # straight through
        arrived = (hard * goals).sum(dim=(1, 2), keepdim=True)
        closed = (closed + chosen).clamp(max=1)
        opened = (opened - (1 - arrived) * chosen).clamp(0, 1).detach()
        around = _expand(hard) * mazes
        new = _expand((spent + costs) * chosen)
        better = (1 - opened) * (1 - closed) + opened * (spent > new).float()
        better = (around * better).detach()
        spent = (new * better + spent * (1 - better)).detach()
        opened = (opened + better).clamp(0, 1).detach()
        if bool((arrived > 0).all()):
            break
    return closed


def _expand(maps: Tensor) -> Tensor:
    spread: Tensor = functional.conv2d(maps.unsqueeze(1), _CROSS, padding=1)
    return spread.squeeze(1)


def load_encoder(path: Path = WEIGHTS) -> GuidanceEncoder:
    """Return the encoder of a file.

    Raises:
        UserError: there is no such file.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing: make it by `python -m planners neural-a-star`.")
    encoder = GuidanceEncoder()
    encoder.load_state_dict(safetensors.torch.load_file(path))
    return encoder.eval()
