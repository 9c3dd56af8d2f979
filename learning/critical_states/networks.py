"""Networks of the Deep State Identifier: what a frame shows, then what a clip was worth.

After arXiv 2308.07795: convolutions and a bidirectional LSTM. Differences: the encoder of frames is
another (:class:`FrameEncoder`), and one for both; the predictor pools over time where theirs has a
linear layer of all frames, so that clips may have any length; and its head also gets what the
frames show at all, without which it takes several times as long to learn of moments.
"""

from __future__ import annotations

import torch
from torch import nn

# Pixels, from 0 to 1, are centred by these to a deviation of about 1.
_MIDDLE, _CONTRAST = 0.3, 3.0


class FrameEncoder(nn.Module):
    """Features of single frames, ``(B, T, C, H, W)`` to ``(B, T, 8 * width)``.

    The paper's encoder has five convolutions, instance normalisation, and the mean over a picture.
    Here there are three with the initial weights of He et al. (2015), the largest value over a
    picture, and a normalisation over features. What is in one place of a picture is lost in a
    mean, and instance normalisation makes noise large where nothing is.

    Args:
        channels: of the pictures.
        width: a quarter of the first convolution's features.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.features = 8 * width
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 2 * width, 3, stride=2),
            nn.ReLU(),
            nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(4 * width, self.features, 3, padding=1),
            nn.ReLU(),
        )
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        self.norm = nn.LayerNorm(self.features)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Return the features."""
        centred = _CONTRAST * (frames.flatten(0, 1) - _MIDDLE)
        made: torch.Tensor = self.norm(self.layers(centred).amax((2, 3)))
        return made.view(*frames.shape[:2], self.features)


class ReturnPredictor(nn.Module):
    """Predicts what a clip was worth: logits of classes, or one number.

    Args:
        channels: of the pictures.
        width: of the first convolution.
        units: of the LSTM, per direction.
        outputs: classes, or 1.
    """

    def __init__(self, channels: int, width: int, units: int, outputs: int) -> None:
        super().__init__()
        self.encoder = FrameEncoder(channels, width)
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
    """Says of each frame how far it decided: features ``(B, T, F)`` to ``(B, T)`` in [0, 1].

    The paper's detector has an encoder of its own; here it gets what the predictor sees in frames,
    which costs a quarter of the time to learn.

    Args:
        features: of a frame.
        units: of the LSTM, per direction.
    """

    def __init__(self, features: int, units: int) -> None:
        super().__init__()
        self.memory = nn.LSTM(features, units, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * units, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the mask."""
        told, _ = self.memory(features)
        return torch.sigmoid(self.head(told).squeeze(-1))
