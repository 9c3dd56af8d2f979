"""Network from the pictures of any of a limb's cameras to a guess of its joints, with spread.

One convolutional net sees each tile. Layers over the tiles that are there, how old each is, and
which are missing give the mean and the logarithm of the variance of every joint, and what
networks over time go on with.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from learning.fast_weights.estimation.drives import TILE_PX

TILE_FEATURES = 48
HIDDEN = 256
FUSED = 128
# Of normalised joints: a spread of a hundredth of half a range up to several whole ones.
LEAST_LOG_VAR, MOST_LOG_VAR = -9.0, 3.0
# Ages of frames are given in this unit, one period of the cameras.
AGE_UNIT_S = 0.1


class Guess(NamedTuple):
    """Joints as guessed.

    Attributes:
        mean: ``(..., n)``: 0 is the middle of a joint's range, 1 its upper end.
        log_var: ``(..., n)`` logarithm of the variance, in the same unit.
    """

    mean: torch.Tensor
    log_var: torch.Tensor


class CameraEncoder(nn.Module):
    """Describes tiles one by one, and guesses joints from those that are there.

    Args:
        cameras: number of cameras, c.
        joints: number of servos, n.
    """

    def __init__(self, cameras: int = 4, joints: int = 4) -> None:
        super().__init__()
        self.cameras, self.joints = cameras, joints
        self.tile_features = TILE_FEATURES
        widths = (32, 64, 96)
        self.tile = nn.Sequential(
            nn.Conv2d(3, widths[0], 4, stride=4),
            nn.BatchNorm2d(widths[0]),
            nn.GELU(),
            nn.Conv2d(widths[0], widths[1], 3, stride=2, padding=1),
            nn.BatchNorm2d(widths[1]),
            nn.GELU(),
            nn.Conv2d(widths[1], widths[2], 3, stride=2, padding=1),
            nn.BatchNorm2d(widths[2]),
            nn.GELU(),
            nn.Flatten(),
            nn.Linear(widths[2] * (TILE_PX // 16) ** 2, TILE_FEATURES),
        )
        self.fuse = nn.Sequential(
            nn.Linear(cameras * (TILE_FEATURES + 2), HIDDEN),
            nn.GELU(),
            nn.Linear(HIDDEN, FUSED),
            nn.GELU(),
        )
        self.last = nn.Linear(FUSED, 2 * joints)

    def describe_tiles(self, tiles: torch.Tensor) -> torch.Tensor:
        """Return ``(B, 48)`` descriptions of tiles ``(B, 48, 48, 3)`` uint8."""
        image = tiles.permute(0, 3, 1, 2).to(torch.float32).div_(127.5).sub_(1.0)
        described: torch.Tensor = self.tile(image.contiguous(memory_format=torch.channels_last))
        return described

    def fused(
        self, described: torch.Tensor, ages_s: torch.Tensor, seen: torch.Tensor
    ) -> torch.Tensor:
        """Return ``(..., 128)`` what the tiles tell together.

        Args:
            described: ``(..., c, 48)`` descriptions of the cameras' tiles.
            ages_s: ``(..., c)`` how old each tile is.
            seen: ``(..., c)`` 1 where there is a tile, else 0.
        """
        mask = seen.unsqueeze(-1)
        ages = (ages_s * seen / AGE_UNIT_S).unsqueeze(-1)
        slots = torch.cat([described * mask, mask, ages], dim=-1)
        fused: torch.Tensor = self.fuse(slots.flatten(-2))
        return fused

    def guess(self, fused: torch.Tensor) -> Guess:
        """Return the joints at the time to which the ages refer."""
        mean, log_var = self.last(fused).chunk(2, dim=-1)
        return Guess(mean, log_var.clamp(LEAST_LOG_VAR, MOST_LOG_VAR))


def spread_loss(mean: torch.Tensor, log_var: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the beta-NLL loss of Seitzer et al. (2022, arXiv 2203.09168) with beta 0.5, a scalar.

    The plain likelihood lets what is hard to guess go; weighting it by the spread (without
    gradient) keeps the mean learning there.
    """
    loss = 0.5 * ((target - mean).square() * torch.exp(-log_var) + log_var)
    return (loss * torch.exp(0.5 * log_var.detach())).mean()
