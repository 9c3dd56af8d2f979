"""1-D U-Net that denoises chunks of actions: convolutions over time, no attention.

Diffusion Policy's other denoiser (arXiv 2303.04137): residual blocks of two convolutions, the
condition (noise level and observation) as a scale and a shift of each channel (FiLM).
"""

from __future__ import annotations

import torch
from torch import nn

from learning.diffusion_policy.transformer import (
    BlockMemory,
    DenoiserShape,
    LevelToken,
    ObservationTokens,
)

KERNEL = 5
# Channels in each group that is normalised together.
CHANNELS_PER_GROUP = 8


class ConvolutionBlock(nn.Module):
    """Two convolutions with a residual; between them the condition's scale and shift."""

    def __init__(self, inputs: int, outputs: int, condition: int) -> None:
        super().__init__()
        groups = outputs // CHANNELS_PER_GROUP
        self.first = nn.Sequential(
            nn.Conv1d(inputs, outputs, KERNEL, padding=KERNEL // 2),
            nn.GroupNorm(groups, outputs),
            nn.Mish(),
        )
        self.film = nn.Sequential(nn.Mish(), nn.Linear(condition, 2 * outputs))
        self.second = nn.Sequential(
            nn.Conv1d(outputs, outputs, KERNEL, padding=KERNEL // 2),
            nn.GroupNorm(groups, outputs),
            nn.Mish(),
        )
        self.past = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """Return ``(B, outputs, H)`` for ``(B, inputs, H)`` and ``(B, condition)``."""
        scale, shift = self.film(condition)[:, :, None].chunk(2, dim=1)
        given: torch.Tensor = self.second(self.first(x) * (1 + scale) + shift) + self.past(x)
        return given


class UNetDenoiser(nn.Module):
    """Predicts the noise in a chunk.

    Args:
        shape: what it takes and gives; the horizon is divided by 2 below each level but the last.

    Raises:
        ValueError: the horizon cannot be divided so often.
    """

    def __init__(self, shape: DenoiserShape) -> None:
        super().__init__()
        if shape.horizon % 2 ** (shape.layers - 1):
            raise ValueError(f"a horizon of {shape.horizon} has no {shape.layers} levels")
        self.shape = shape
        width, levels = shape.width, shape.layers
        self.level = LevelToken(width)
        self.observe = ObservationTokens(shape.groups, width)
        condition = width * (1 + len(shape.groups))
        channels = [width * min(2**i, 2) for i in range(levels)]
        inputs = [shape.actions, *channels[:-1]]
        pairs = list(zip(inputs, channels, strict=True))
        self.down = nn.ModuleList(ConvolutionBlock(i, o, condition) for i, o in pairs)
        self.shrink = nn.ModuleList(nn.Conv1d(c, c, 3, stride=2, padding=1) for c in channels[:-1])
        self.middle = ConvolutionBlock(channels[-1], channels[-1], condition)
        above = list(zip(channels[:0:-1], channels[-2::-1], strict=True))
        self.grow = nn.ModuleList(nn.ConvTranspose1d(i, o, 4, 2, 1) for i, o in above)
        self.up = nn.ModuleList(ConvolutionBlock(2 * o, o, condition) for _, o in above)
        self.outlet = nn.Conv1d(width, shape.actions, 1)

    def encode(self, observation: torch.Tensor) -> torch.Tensor:
        """Return the memory ``(B, S, D)`` of ``(B, F)`` observations, the same in all steps."""
        memory: torch.Tensor = self.observe(observation)
        return memory

    def forward(
        self,
        noisy: torch.Tensor,
        level: torch.Tensor,
        memory: torch.Tensor,
        blocks: BlockMemory | None = None,
    ) -> torch.Tensor:
        """Return the noise ``(B, H, A)`` that is seen in ``noisy`` chunks.

        Args:
            noisy: ``(B, H, A)`` chunks.
            level: ``(B,)`` levels of noise.
            memory: of :meth:`encode`.
            blocks: None: there is no block to cache.
        """
        condition = torch.cat([self.level(level), memory.flatten(1)], dim=1)
        x, beside = noisy.transpose(1, 2), []
        for number, block in enumerate(self.down):
            x = block(x, condition)
            if number < len(self.shrink):
                beside.append(x)
                x = self.shrink[number](x)
        x = self.middle(x, condition)
        for grow, block in zip(self.grow, self.up, strict=True):
            x = block(torch.cat([grow(x), beside.pop()], dim=1), condition)
        noise: torch.Tensor = self.outlet(x).transpose(1, 2)
        return noise
