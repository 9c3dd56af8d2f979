"""What makes a map of a noisy one or of a picture, cell by cell in log odds of being free."""

from __future__ import annotations

from collections.abc import Callable
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


def mean_of_views(odds_of: Callable[[Tensor], Tensor], mazes: Tensor) -> Tensor:
    """Return the mean of what is said of the eight turned and mirrored views of maps.

    Mazes are as likely as their turned and mirrored selves, so that the views differ by nothing but
    the errors of what judges them. What depends on the lattice needs odd sizes.

    Args:
        odds_of: from maps ``(B, H, W)`` to log odds.
        mazes: ``(B, H, W)``.

    Returns:
        The mean ``(B, H, W)``.
    """
    total = torch.zeros_like(mazes)
    for turns in range(4):
        turned = torch.rot90(mazes, turns, (1, 2))
        total += torch.rot90(odds_of(turned), -turns, (1, 2))
        total += torch.rot90(odds_of(turned.flip(2)).flip(2), -turns, (1, 2))
    return total / 8


def random_view(odds_of: Callable[[Tensor], Tensor], mazes: Tensor) -> Tensor:
    """Return what is said of maps ``(B, H, W)`` from one turned or mirrored view of them."""
    turns, mirrored = divmod(int(torch.randint(8, ())), 2)
    turned = torch.rot90(mazes, turns, (1, 2))
    odds = odds_of(turned.flip(2)).flip(2) if mirrored else odds_of(turned)
    return torch.rot90(odds, -turns, (1, 2))


class _Residual(nn.Module):
    """Two convolutions beside what they begin with; the mean over the map is added to each place.

    The mean tells how many walls of a maze are missing, which no window tells as well.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.whole = nn.Linear(channels, channels)
        # A block begins as what lets all through.
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, places: Tensor) -> Tensor:
        """Return ``(B, C, H, W)`` of the same shape."""
        around = functional.relu(places)
        mean: Tensor = self.whole(around.mean(dim=(2, 3)))
        inner = functional.relu(self.first(around) + mean[..., None, None])
        added: Tensor = self.second(inner)
        return places + added


class FoldedCleaner(nn.Module):
    """A residual CNN over blocks of 2 x 2 cells, from noisy maps to what is added to the log odds.

    Folding a map makes a place of a room, the two passages behind it and the pillar between them:
    a quarter of the places, each with its own lattice, so that nine layers see 37 x 37 cells around
    each. A map is filled up with walls to even sizes.

    Args:
        channels: of each place.
        blocks: residual ones, of two convolutions; each sees 8 cells further.
    """

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.start = nn.Conv2d(4, channels, 3, padding=1)
        self.blocks = nn.Sequential(*(_Residual(channels) for _ in range(blocks)))
        self.end = nn.Conv2d(channels, 4, 1)

    def forward(self, mazes: Tensor) -> Tensor:
        """Return what is added to the log odds ``(B, 1, H, W)`` of maps of that shape."""
        height, width = mazes.shape[2:]
        even = functional.pad(mazes, (0, width % 2, 0, height % 2))
        places = self.blocks(self.start(functional.pixel_unshuffle(even, 2)))
        unfolded = functional.pixel_shuffle(self.end(functional.relu(places)), 2)
        return unfolded[..., :height, :width]


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
