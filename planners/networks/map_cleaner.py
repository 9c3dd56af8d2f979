"""What makes a map of a noisy one or of a picture, cell by cell in log odds of being free."""

from __future__ import annotations

from itertools import cycle, islice

import torch
from torch import Tensor, nn
from torch.nn import functional

# Of the soft threshold: with noise of a variance of 0.04, the log odds of a cell that is as often
# free as a wall rise by 1 / 0.04 for each unit of its value.
_STEEPNESS = 25.0
# Log odds beyond which a cell counts as known: with noise of a variance of 0.04 a cell's own value
# gives 12.5 at most.
MOST_LOG_ODDS = 15.0
# Of layers between the first and the last: five layers with these see 15 x 15 cells.
_DILATIONS = (1, 2, 2)


def cleaning_layers(channels: int, layers: int) -> nn.Sequential:
    """Return a CNN from maps ``(B, 1, H, W)`` to what is added to the log odds of each cell.

    Args:
        channels: of each layer but the last.
        layers: two see 5 x 5 cells around a cell; five see 15 x 15, and with them the lattice of
            a maze and how many of its walls are missing.
    """
    modules: list[nn.Module] = [nn.Conv2d(1, channels, 3, padding=1), nn.ReLU()]
    for dilation in islice(cycle(_DILATIONS), layers - 2):
        modules += [nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)]
        modules += [nn.ReLU()]
    return nn.Sequential(*modules, nn.Conv2d(channels, 1, 3, padding=1))


def log_odds(cleaner: nn.Module, mazes: Tensor) -> Tensor:
    """Return the log odds of being free ``(B, H, W)`` of the cells of noisy mazes."""
    around: Tensor = cleaner(mazes.unsqueeze(1)).squeeze(1)
    return _STEEPNESS * (mazes - 0.5) + around


class PictureMapper(nn.Module):
    """A CNN from pictures of terrain to the log odds of its cells being free.

    Pixels are averaged by twos, two strided convolutions, each with its ReLU, lead from 9 x 9 of
    them to one place a cell, and convolutions over the cells follow, so that a cell is judged
    beside its neighbours.
    """

    def __init__(self, channels: int, layers: int) -> None:
        super().__init__()
        self.pixels = nn.Sequential(
            nn.AvgPool2d(2),
            nn.Conv2d(1, channels, 3, stride=3),
            nn.ReLU(),
            nn.Conv2d(channels, 2 * channels, 3, stride=3),
            nn.ReLU(),
        )
        modules: list[nn.Module] = []
        for _ in range(layers):
            modules += [nn.Conv2d(2 * channels, 2 * channels, 3, padding=1), nn.ReLU()]
        self.cells = nn.Sequential(*modules, nn.Conv2d(2 * channels, 1, 1))

    def forward(self, pictures: Tensor) -> Tensor:
        """Return log odds ``(B, H, W)`` of pictures ``(B, 18 H, 18 W)`` with tones from 0 to 1."""
        odds: Tensor = self.cells(self.pixels(pictures.unsqueeze(1) - 0.5)).squeeze(1)
        return odds


def known_goal(odds: Tensor, goals: Tensor) -> Tensor:
    """Return log odds within their bounds, of goals (one-hot) the highest: one is never a wall."""
    bounded = odds.clamp(-MOST_LOG_ODDS, MOST_LOG_ODDS)
    return torch.where(goals > 0, torch.full_like(odds, MOST_LOG_ODDS), bounded)


def surprise(odds: Tensor) -> Tensor:
    """Return log p of being free, 0 where it is sure and ``-MOST_LOG_ODDS`` in a sure wall."""
    return functional.logsigmoid(odds)
