"""Features of pictures by a residual network of basic blocks (arXiv 1512.03385), norms frozen."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

# Blocks in each of the four stages (arXiv 1512.03385, table 1), and channels of each.
BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
CHANNELS = (64, 128, 256, 512)
_EPSILON = 1e-5


class FrozenNorm(nn.Module):
    """Batch normalisation with fixed statistics: one gain and one shift for each channel.

    Args:
        channels: of the picture.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    running_mean: torch.Tensor
    running_var: torch.Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        for name, value in (("weight", 1.0), ("bias", 0.0)):
            self.register_buffer(name, torch.full((channels,), value))
        for name, value in (("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, torch.full((channels,), value))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(B, C, H, W)``."""
        gain = self.weight * (self.running_var + _EPSILON).rsqrt()
        shift = self.bias - self.running_mean * gain
        return x * gain[:, None, None] + shift[:, None, None]


class BasicBlock(nn.Module):
    """Two convolutions of 3 x 3 beside a shortcut.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        stride: of the first convolution.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = FrozenNorm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = FrozenNorm(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), FrozenNorm(outputs)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(B, outputs, H / stride, W / stride)``."""
        inner = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(inner)) + self.downsample(x))


class ResNetFeatures(nn.Module):
    """Pictures to ``(B, 512, H / 32, W / 32)``; names of weights are torchvision's.

    Args:
        name: one of :data:`BLOCKS`.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, CHANNELS[0], 7, 2, 3, bias=False)
        self.bn1 = FrozenNorm(CHANNELS[0])
        before = CHANNELS[0]
        for stage, (blocks, channels) in enumerate(zip(BLOCKS[name], CHANNELS, strict=True)):
            first = BasicBlock(before, channels, 1 if stage == 0 else 2)
            others = [BasicBlock(channels, channels, 1) for _ in range(blocks - 1)]
            self.add_module(f"layer{stage + 1}", nn.Sequential(first, *others))
            before = channels

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return features of ``(B, 3, H, W)`` pictures."""
        x = functional.max_pool2d(functional.relu(self.bn1(self.conv1(pictures))), 3, 2, 1)
        for stage in range(len(CHANNELS)):
            x = self.get_submodule(f"layer{stage + 1}")(x)
        return x
