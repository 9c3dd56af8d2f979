"""Networks of the Deep State Identifier: what a frame shows, then what a clip was worth.

After arXiv 2308.07795: five convolutions and a bidirectional LSTM. Differences: the widths are a
quarter of theirs by default; the predictor pools over time where theirs has a linear layer of all
frames, so that clips may have any length; and its head also gets what the frames show at all,
without which it takes several times as long to learn of moments.
"""

from __future__ import annotations

import torch
from torch import nn


class FrameEncoder(nn.Module):
    """Features of single frames, ``(B, T, C, H, W)`` to ``(B, T, 8 * width)``.

    Args:
        channels: of the pictures.
        width: of the first convolution.
        normalise: with instance normalisation, which takes the brightness out of a picture, and
            so also hides that a camera has gone black.
    """

    def __init__(self, channels: int, width: int, *, normalise: bool = True) -> None:
        super().__init__()
        self.features = 8 * width
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 3, stride=2),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(4 * width, 4 * width, 3, padding=1),
            nn.InstanceNorm2d(4 * width) if normalise else nn.Identity(),
            nn.ReLU(),
            nn.Conv2d(4 * width, self.features, 2),
            nn.ReLU(),
        )

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Return the features."""
        made: torch.Tensor = self.layers(frames.flatten(0, 1)).mean((2, 3))
        return made.view(*frames.shape[:2], self.features)


class ReturnPredictor(nn.Module):
    """Predicts what a clip was worth: logits of classes, or one number.

    Args:
        channels: of the pictures.
        width: of the first convolution.
        units: of the LSTM, per direction.
        outputs: classes, or 1.
        normalise: as for :class:`FrameEncoder`.
    """

    def __init__(
        self, channels: int, width: int, units: int, outputs: int, *, normalise: bool = True
    ) -> None:
        super().__init__()
        self.encoder = FrameEncoder(channels, width, normalise=normalise)
        self.memory = nn.LSTM(self.encoder.features, units, batch_first=True, bidirectional=True)
        self.head = nn.Linear(4 * units + self.encoder.features, outputs)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return ``(B, outputs)`` of frames' features ``(B, T, F)``."""
        told, _ = self.memory(features)
        # What was seen at all, beside what the memory makes of it: moments are learned sooner.
        pooled = torch.cat([told.amax(1), told.mean(1), features.amax(1)], 1)
        out: torch.Tensor = self.head(pooled)
        return out


class CriticalStateDetector(nn.Module):
    """Says of each frame how far it decided, ``(B, T, C, H, W)`` to ``(B, T)`` in [0, 1].

    Args:
        channels: of the pictures.
        width: of the first convolution.
        units: of the LSTM, per direction.
        normalise: as for :class:`FrameEncoder`.
    """

    def __init__(self, channels: int, width: int, units: int, *, normalise: bool = True) -> None:
        super().__init__()
        self.encoder = FrameEncoder(channels, width, normalise=normalise)
        self.memory = nn.LSTM(self.encoder.features, units, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * units, 1)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Return the mask."""
        told, _ = self.memory(self.encoder(frames))
        return torch.sigmoid(self.head(told).squeeze(-1))
