"""Transformer that denoises chunks of actions, with a place to cache each of its blocks.

Decoder of Diffusion Policy (arXiv 2303.04137): tokens are the chunk's actions; layers of
self-attention, cross-attention to a memory (a token of the noise level, then tokens of the
observation) and feed-forward. The noise level enters by its memory token alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn
from torch.nn import functional

# Kinds of block in each layer, in the order in which they run.
BLOCKS = ("self_attention", "cross_attention", "feed_forward")
HEADS = 4
# Width of the feed-forward's hidden layer, in widths of the network.
HIDDEN = 4


@dataclass(frozen=True)
class DenoiserShape:
    """What a denoiser takes and gives.

    Attributes:
        groups: sizes of the parts of an observation; each part becomes a token.
        actions: numbers in an action, A.
        horizon: actions in a chunk, H.
        width: of tokens, or channels of the U-Net's first level.
        layers: of the transformer, or levels of the U-Net.
        level_in_tokens: the transformer adds the noise level to the chunk's tokens as well, so that
            it is known without cross-attention. Diffusion Policy does not.
    """

    groups: tuple[int, ...]
    actions: int
    horizon: int = 16
    width: int = 64
    layers: int = 3
    level_in_tokens: bool = False


class BlockMemory(Protocol):
    """Decides for each block whether it runs, and keeps what it gave."""

    def run(
        self, layer: int, kind: int, block: nn.Module, *inputs: torch.Tensor | None
    ) -> torch.Tensor:
        """Return what ``block`` gives, or what it gave before."""

    @property
    def keys_values(self) -> KeysValues | None:
        """Keys and values that were made before denoising began."""


class KeysValues:
    """Keys and values of a whole memory, made once: ``(layers, 2, B, heads, 1 + S, d)``.

    Each memory token passes layers of its own, so those of the observation are the same in all
    steps; the noise level's depend on nothing else and come from a table.

    Args:
        of_levels: ``(levels, layers, 2, heads, d)``.
        of_observation: ``(layers, 2, B, heads, S, d)``.
    """

    def __init__(self, of_levels: torch.Tensor, of_observation: torch.Tensor) -> None:
        self._levels = of_levels
        layers, two, batch, heads, _, depth = of_observation.shape
        room = of_observation.new_empty((layers, two, batch, heads, 1, depth))
        self._all = torch.cat([room, of_observation], dim=4)

    def set_level(self, level: int) -> None:
        """Put the noise level's own keys and values in front."""
        self._all[:, :, :, :, 0] = self._levels[level][:, :, None]

    def layer(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return keys and values of a layer, each ``(B, heads, 1 + S, d)``."""
        return self._all[number, 0], self._all[number, 1]


def _heads(x: torch.Tensor) -> torch.Tensor:
    batch, tokens, width = x.shape
    return x.reshape(batch, tokens, HEADS, width // HEADS).transpose(1, 2)


def _together(x: torch.Tensor) -> torch.Tensor:
    return x.transpose(1, 2).flatten(2)


class SelfAttention(nn.Module):
    """Attention of the chunk's tokens to each other, after a norm; without the residual."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(B, H, D)``."""
        query, key, value = self.project(self.norm(x)).chunk(3, dim=-1)
        seen = functional.scaled_dot_product_attention(_heads(query), _heads(key), _heads(value))
        attended: torch.Tensor = self.out(_together(seen))
        return attended


class CrossAttention(nn.Module):
    """Attention of the chunk's tokens to the memory, after a norm; without the residual."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def keys_values(self, memory: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return keys and values of ``(B, S, D)`` memory, each ``(B, heads, S, d)``."""
        key, value = self.key_value(memory).chunk(2, dim=-1)
        return _heads(key), _heads(value)

    def forward(
        self, x: torch.Tensor, key: torch.Tensor, value: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return ``(B, H, D)``; without ``value``, ``key`` is the memory itself."""
        if value is None:
            key, value = self.keys_values(key)
        query = _heads(self.query(self.norm(x)))
        seen = functional.scaled_dot_product_attention(query, key, value)
        attended: torch.Tensor = self.out(_together(seen))
        return attended


class FeedForward(nn.Module):
    """Two layers for each token, after a norm; without the residual."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.hidden = nn.Linear(width, HIDDEN * width)
        self.out = nn.Linear(HIDDEN * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(B, H, D)``."""
        given: torch.Tensor = self.out(functional.gelu(self.hidden(self.norm(x))))
        return given


class DecoderLayer(nn.Module):
    """The three blocks of a layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.own = SelfAttention(width)
        self.cross = CrossAttention(width)
        self.feed = FeedForward(width)

    def forward(self, x: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
        """Return ``(B, H, D)`` for tokens and the memory that they attend to."""
        x = x + self.own(x)
        x = x + self.cross(x, *self.cross.keys_values(memory))
        out: torch.Tensor = x + self.feed(x)
        return out


class LevelToken(nn.Module):
    """Token of a noise level: sines and cosines, then two layers."""

    frequencies: torch.Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        frequencies = torch.exp(-math.log(10_000.0) * torch.arange(half) / (half - 1))
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.net = nn.Sequential(nn.Linear(2 * half, width), nn.Mish(), nn.Linear(width, width))

    def forward(self, level: torch.Tensor) -> torch.Tensor:
        """Return ``(B, D)`` for ``(B,)`` levels."""
        angle = level[:, None].to(torch.float32) * self.frequencies
        token: torch.Tensor = self.net(torch.cat([angle.sin(), angle.cos()], dim=1))
        return token


class ObservationTokens(nn.Module):
    """Tokens of an observation, one for each of its groups, by two layers each."""

    def __init__(self, groups: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.groups = list(groups)
        self.nets = nn.ModuleList(
            nn.Sequential(nn.Linear(size, width), nn.Mish(), nn.Linear(width, width))
            for size in groups
        )

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """Return ``(B, S, D)`` for ``(B, F)`` observations."""
        parts = torch.split(observation, self.groups, dim=1)
        tokens = [net(part) for net, part in zip(self.nets, parts, strict=True)]
        return torch.stack(tokens, dim=1)


class TransformerDenoiser(nn.Module):
    """Predicts the noise in a chunk.

    Args:
        shape: what it takes and gives.
    """

    def __init__(self, shape: DenoiserShape) -> None:
        super().__init__()
        self.shape = shape
        width = shape.width
        self.inlet = nn.Linear(shape.actions, width)
        self.places = nn.Parameter(0.02 * torch.randn(shape.horizon, width))
        self.level = LevelToken(width)
        self.observe = ObservationTokens(shape.groups, width)
        self.blocks = nn.ModuleList(DecoderLayer(width) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(width)
        self.outlet = nn.Linear(width, shape.actions)

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
            blocks: which blocks run in this step; None runs all.
        """
        known = None if blocks is None else blocks.keys_values
        if known is None:
            memory = torch.cat([self.level(level)[:, None], memory], dim=1)
        x = self.inlet(noisy) + self.places
        if self.shape.level_in_tokens:
            x = x + self.level(level)[:, None]
        for number, layer in enumerate(self._layers()):
            if blocks is None:
                x = layer(x, memory)
                continue
            x = x + blocks.run(number, 0, layer.own, x)
            seen = (memory, None) if known is None else known.layer(number)
            x = x + blocks.run(number, 1, layer.cross, x, *seen)
            x = x + blocks.run(number, 2, layer.feed, x)
        noise: torch.Tensor = self.outlet(self.norm(x))
        return noise

    def keys_values(self, memory: torch.Tensor, of_levels: torch.Tensor) -> KeysValues:
        """Return keys and values of an observation's memory and of all levels.

        Args:
            memory: of :meth:`encode`.
            of_levels: of :meth:`level_keys_values`.
        """
        return KeysValues(of_levels, self._project(memory))

    def level_keys_values(self, levels: int) -> torch.Tensor:
        """Return keys and values of all noise levels: ``(levels, layers, 2, heads, d)``."""
        tokens = self.level(torch.arange(levels))[:, None]
        return self._project(tokens)[:, :, :, :, 0].permute(2, 0, 1, 3, 4).contiguous()

    def _project(self, memory: torch.Tensor) -> torch.Tensor:
        """Return ``(layers, 2, B, heads, S, d)``."""
        pairs = [layer.cross.keys_values(memory) for layer in self._layers()]
        return torch.stack([torch.stack(pair) for pair in pairs])

    def _layers(self) -> list[DecoderLayer]:
        return [layer for layer in self.blocks if isinstance(layer, DecoderLayer)]
