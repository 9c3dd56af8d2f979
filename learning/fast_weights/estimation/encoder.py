"""Network from the pictures of any of a limb's cameras to a guess of its joints, with spread.

One residual convolutional net sees each tile, and a layer of its camera describes it; where that
camera stands can be read off the description, which is only asked for in training. Layers over the
tiles that are there, how old each is, and which are missing give the mean and the logarithm of the
variance of every joint, with which networks over time go on.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from learning.fast_weights.estimation.drives import TILE_PX

TILE_FEATURES = 128
WIDTHS = (48, 96, 128)
HIDDEN = 384
FUSED = 128
# Numbers of a camera's pose: two axes of its rotation, and its place.
EYE_NUMBERS = 9
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


class Residual(nn.Module):
    """A convolution beside which its input goes on."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return ``(B, w, H, W)`` of ``(B, w, H, W)``."""
        return image + torch.relu(self.norm(self.convolution(image)))


def _narrowing(before: int, after: int, kernel: int, stride: int) -> list[nn.Module]:
    padding = 0 if kernel == stride else kernel // 2
    return [
        nn.Conv2d(before, after, kernel, stride=stride, padding=padding, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
    ]


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
        self.tile = nn.Sequential(
            *_narrowing(3, WIDTHS[0], 4, 4),
            *_narrowing(WIDTHS[0], WIDTHS[1], 3, 2),
            Residual(WIDTHS[1]),
            *_narrowing(WIDTHS[1], WIDTHS[2], 3, 2),
            Residual(WIDTHS[2]),
            nn.Flatten(),
        )
        flat = WIDTHS[2] * (TILE_PX // 16) ** 2
        self.describe = nn.ModuleList(nn.Linear(flat, TILE_FEATURES) for _ in range(cameras))
        self.eye = nn.ModuleList(nn.Linear(TILE_FEATURES, EYE_NUMBERS) for _ in range(cameras))
        self.fuse = nn.Sequential(
            nn.Linear(cameras * (TILE_FEATURES + 2), HIDDEN),
            nn.GELU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.GELU(),
            nn.Linear(HIDDEN, FUSED),
            nn.GELU(),
        )
        self.last = nn.Linear(FUSED, 2 * joints)

    def describe_tiles(self, tiles: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        """Return ``(B, 128)`` descriptions of tiles ``(B, 48, 48, 3)`` uint8.

        Args:
            tiles: the tiles.
            numbers: ``(B,)`` of their cameras, int64.
        """
        # Whole numbers up to 128 are exact in 16 bits, too.
        image = tiles.permute(0, 3, 1, 2).to(torch.float32).sub_(128.0)
        flat = self.tile(image.contiguous(memory_format=torch.channels_last))
        parts = [numbers == number for number in range(self.cameras)]
        order = torch.cat([part.nonzero()[:, 0] for part in parts])
        described = [layer(flat[part]) for layer, part in zip(self.describe, parts, strict=True)]
        return nn.functional.gelu(torch.cat(described))[torch.argsort(order)]

    def eyes(self, described: torch.Tensor) -> torch.Tensor:
        """Return poses ``(..., c, 9)`` of the cameras of descriptions ``(..., c, 128)``."""
        return torch.stack(
            [layer(described[..., number, :]) for number, layer in enumerate(self.eye)], -2
        )

    def guess(self, described: torch.Tensor, ages_s: torch.Tensor, seen: torch.Tensor) -> Guess:
        """Return the joints at the time to which the ages refer.

        Args:
            described: ``(..., c, 128)`` descriptions of the cameras' tiles.
            ages_s: ``(..., c)`` how old each tile is.
            seen: ``(..., c)`` 1 where there is a tile, else 0.
        """
        mask = seen.unsqueeze(-1)
        ages = (ages_s * seen / AGE_UNIT_S).unsqueeze(-1)
        slots = torch.cat([described * mask, mask, ages], dim=-1)
        mean, log_var = self.last(self.fuse(slots.flatten(-2))).chunk(2, dim=-1)
        return Guess(mean, log_var.clamp(LEAST_LOG_VAR, MOST_LOG_VAR))


def spread_loss(mean: torch.Tensor, log_var: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the beta-NLL loss of Seitzer et al. (2022, arXiv 2203.09168) with beta 0.5, a scalar.

    The plain likelihood lets what is hard to guess go; weighting it by the spread (without
    gradient) keeps the mean learning there.
    """
    loss = 0.5 * ((target - mean).square() * torch.exp(-log_var) + log_var)
    return (loss * torch.exp(0.5 * log_var.detach())).mean()
