"""The network of ACT (arXiv 2304.13705): one forward pass from an observation to a chunk.

A transformer encoder takes a token of the style, one of the joints, one of the environment and one
for each place of the pictures' features; a decoder asks them once for each action of the chunk. In
training a second encoder sees the demonstrated chunk and draws the style; when the network runs,
the style is 0. Names of weights are those of LeRobot's files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from learning.action_chunking.resnet import CHANNELS, ResNetFeatures

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": functional.relu,
    "gelu": functional.gelu,
}
# Longest wave of the places' sines, in radians (arXiv 1706.03762).
_LONGEST_WAVE = 10_000.0


@dataclass(frozen=True)
class ActShape:
    """What a network takes and gives.

    Attributes:
        state: joints, n.
        environment: numbers of the environment; 0 for none.
        pictures: ``(channels, height, width)`` of each camera's pictures.
        actions: numbers in an action.
        chunk: actions in a chunk.
        width, heads, hidden: of the transformer and of its feed-forward layers.
        encoders, decoders: layers of each.
        style: numbers of the style.
        style_encoders: layers of the encoder of the style; 0: trained without a style.
        activation: of the feed-forward layers.
        norm_first: norms are before each block, not after it.
        backbone: network of the pictures.
        dropout: in training.
    """

    state: int
    environment: int
    pictures: tuple[tuple[int, int, int], ...]
    actions: int
    chunk: int
    width: int = 64
    heads: int = 4
    hidden: int = 128
    encoders: int = 2
    decoders: int = 1
    style: int = 8
    style_encoders: int = 1
    activation: str = "relu"
    norm_first: bool = False
    backbone: str = "resnet18"
    dropout: float = 0.1


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward.

    Args:
        shape: of the network.
    """

    def __init__(self, shape: ActShape) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(
            shape.width, shape.heads, shape.dropout, batch_first=True
        )
        self.linear1 = nn.Linear(shape.width, shape.hidden)
        self.linear2 = nn.Linear(shape.hidden, shape.width)
        self.norm1, self.norm2 = nn.LayerNorm(shape.width), nn.LayerNorm(shape.width)
        self.drop = nn.Dropout(shape.dropout)
        self._first, self._activate = shape.norm_first, ACTIVATIONS[shape.activation]

    def forward(
        self, x: torch.Tensor, places: torch.Tensor, padded: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return ``(B, S, D)``; ``places`` are added to queries and keys, not to values."""
        seen = self.norm1(x) if self._first else x
        x = x + self.drop(_attend(self.self_attn, seen + places, seen + places, seen, padded))
        x = x if self._first else self.norm1(x)
        seen = self.norm2(x) if self._first else x
        x = x + self.drop(self.linear2(self.drop(self._activate(self.linear1(seen)))))
        return x if self._first else self.norm2(x)


class ActDecoderLayer(nn.Module):
    """Self-attention, attention to the encoder's tokens, and feed-forward.

    Args:
        shape: of the network.
    """

    def __init__(self, shape: ActShape) -> None:
        super().__init__()
        width, heads = shape.width, shape.heads
        self.self_attn = nn.MultiheadAttention(width, heads, shape.dropout, batch_first=True)
        self.multihead_attn = nn.MultiheadAttention(width, heads, shape.dropout, batch_first=True)
        self.linear1, self.linear2 = nn.Linear(width, shape.hidden), nn.Linear(shape.hidden, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width)
        self.drop = nn.Dropout(shape.dropout)
        self._first, self._activate = shape.norm_first, ACTIVATIONS[shape.activation]

    def forward(
        self, x: torch.Tensor, places: torch.Tensor, memory: torch.Tensor, known: torch.Tensor
    ) -> torch.Tensor:
        """Return ``(B, H, D)``.

        Args:
            x: ``(B, H, D)`` the chunk's tokens.
            places: ``(H, D)`` of these.
            memory: ``(B, S, D)`` the encoder's tokens.
            known: ``(S, D)`` places of these.
        """
        seen = self.norm1(x) if self._first else x
        x = x + self.drop(_attend(self.self_attn, seen + places, seen + places, seen))
        x = x if self._first else self.norm1(x)
        seen = self.norm2(x) if self._first else x
        x = x + self.drop(_attend(self.multihead_attn, seen + places, memory + known, memory))
        x = x if self._first else self.norm2(x)
        seen = self.norm3(x) if self._first else x
        x = x + self.drop(self.linear2(self.drop(self._activate(self.linear1(seen)))))
        return x if self._first else self.norm3(x)


def _attend(
    attention: nn.MultiheadAttention,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    padded: torch.Tensor | None = None,
) -> torch.Tensor:
    given: torch.Tensor = attention(query, key, value, key_padding_mask=padded, need_weights=False)[
        0
    ]
    return given


class Layers(nn.Module):
    """Layers, and the norm behind them where there is one.

    Args:
        layers: the layers.
        norm: width of the norm; 0 for none.
    """

    def __init__(self, layers: Sequence[nn.Module], norm: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.norm: nn.Module = nn.LayerNorm(norm) if norm else nn.Identity()

    def forward(self, x: torch.Tensor, *others: torch.Tensor | None) -> torch.Tensor:
        """Return what the last layer gives; all get ``others`` as they are."""
        for layer in self.layers:
            x = layer(x, *others)
        normed: torch.Tensor = self.norm(x)
        return normed


class ActNetwork(nn.Module):
    """From an observation to a chunk.

    Args:
        shape: what it takes and gives.
    """

    vae_encoder_pos_enc: torch.Tensor

    def __init__(self, shape: ActShape) -> None:
        super().__init__()
        self.shape = shape
        width, last = shape.width, shape.width if shape.norm_first else 0
        if shape.style_encoders:
            self._add_style_encoder(last)
        if shape.pictures:
            self.backbone = ResNetFeatures(shape.backbone)
            self.encoder_img_feat_input_proj = nn.Conv2d(CHANNELS[-1], width, 1)
        self.encoder = Layers([EncoderLayer(shape) for _ in range(shape.encoders)], last)
        self.decoder = Layers([ActDecoderLayer(shape) for _ in range(shape.decoders)], width)
        self.encoder_robot_state_input_proj = nn.Linear(shape.state, width)
        if shape.environment:
            self.encoder_env_state_input_proj = nn.Linear(shape.environment, width)
        self.encoder_latent_input_proj = nn.Linear(shape.style, width)
        self.encoder_1d_feature_pos_embed = nn.Embedding(2 + bool(shape.environment), width)
        self.decoder_pos_embed = nn.Embedding(shape.chunk, width)
        self.action_head = nn.Linear(width, shape.actions)

    def _add_style_encoder(self, last: int) -> None:
        shape, width = self.shape, self.shape.width
        layers = [EncoderLayer(shape) for _ in range(shape.style_encoders)]
        self.vae_encoder = Layers(layers, last)
        self.vae_encoder_cls_embed = nn.Embedding(1, width)
        self.vae_encoder_robot_state_input_proj = nn.Linear(shape.state, width)
        self.vae_encoder_action_input_proj = nn.Linear(shape.actions, width)
        self.vae_encoder_latent_output_proj = nn.Linear(width, 2 * shape.style)
        self.register_buffer("vae_encoder_pos_enc", sines(2 + shape.chunk, width)[None])

    def style(
        self, state: torch.Tensor, chunk: torch.Tensor, padded: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and log variance ``(B, style)`` of the style of demonstrated chunks.

        Args:
            state: ``(B, n)``.
            chunk: ``(B, H, A)``.
            padded: ``(B, H)`` True behind the end of the demonstration.
        """
        first = self.vae_encoder_cls_embed.weight.expand(len(state), 1, -1)
        joints = self.vae_encoder_robot_state_input_proj(state)[:, None]
        tokens = torch.cat([first, joints, self.vae_encoder_action_input_proj(chunk)], dim=1)
        hidden = functional.pad(padded, (2, 0), value=False)
        told = self.vae_encoder(tokens, self.vae_encoder_pos_enc, hidden)[:, 0]
        mean, log_variance = self.vae_encoder_latent_output_proj(told).chunk(2, dim=1)
        return mean, log_variance

    def forward(
        self,
        state: torch.Tensor,
        environment: torch.Tensor | None = None,
        pictures: Sequence[torch.Tensor] = (),
        style: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return chunks ``(B, H, A)``.

        Args:
            state: ``(B, n)``.
            environment: ``(B, e)``, where the network takes it.
            pictures: ``(B, 3, H, W)`` of each camera.
            style: ``(B, style)``; 0 where it is not given.
        """
        if style is None:
            style = state.new_zeros(len(state), self.shape.style)
        tokens = [self.encoder_latent_input_proj(style)]
        tokens.append(self.encoder_robot_state_input_proj(state))
        if self.shape.environment and environment is not None:
            tokens.append(self.encoder_env_state_input_proj(environment))
        seen, places = [torch.stack(tokens, dim=1)], [self.encoder_1d_feature_pos_embed.weight]
        for picture in pictures:
            features = self.backbone(picture)
            places.append(plane_sines(features.shape[2], features.shape[3], self.shape.width))
            seen.append(self.encoder_img_feat_input_proj(features).flatten(2).transpose(1, 2))
        known = torch.cat(places)
        memory = self.encoder(torch.cat(seen, dim=1), known)
        asked = self.decoder_pos_embed.weight
        blank = torch.zeros_like(asked).expand(len(state), -1, -1)
        chunk: torch.Tensor = self.action_head(self.decoder(blank, asked, memory, known))
        return chunk


def sines(count: int, width: int) -> torch.Tensor:
    """Return places in a row ``(count, width)`` (arXiv 1706.03762, section 3.5)."""
    angle = torch.arange(count, dtype=torch.float64)[:, None] / _waves(width)
    return torch.where(torch.arange(width) % 2 == 0, angle.sin(), angle.cos()).float()


def plane_sines(height: int, width: int, channels: int) -> torch.Tensor:
    """Return places in a plane ``(height * width, channels)``: rows, then columns.

    Each runs from one step above 0 to one whole turn (DETR, arXiv 2005.12872, appendix A.4).
    """
    half = channels // 2
    rows, columns = (
        torch.arange(1, count + 1, dtype=torch.float32) / (count + 1e-6) * 2 * math.pi
        for count in (height, width)
    )
    parts = []
    for turns in (rows[:, None].expand(height, width), columns.expand(height, width)):
        angle = turns[..., None] / _waves(half).float()
        parts.append(torch.where(torch.arange(half) % 2 == 0, angle.sin(), angle.cos()))
    return torch.cat(parts, dim=2).flatten(0, 1)


def _waves(width: int) -> torch.Tensor:
    """Return the length of each number's wave, in pairs of sine and cosine."""
    pairs = torch.arange(width, dtype=torch.float64) // 2
    waves: torch.Tensor = _LONGEST_WAVE ** (2 * pairs / width)
    return waves
