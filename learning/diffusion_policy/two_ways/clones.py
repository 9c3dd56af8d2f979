"""What the diffusion policy stands beside: plain cloning, and chunks in the manner of ACT."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from learning.diffusion_policy.training import ChunkData, Scales
from learning.diffusion_policy.transformer import DecoderLayer, ObservationTokens
from learning.diffusion_policy.two_ways.rollout import ChunkMaker
from learning.recordings.episode_data import Floats

HIDDEN, LAYERS = 128, 3
# Numbers of the style, and weight of its divergence from a standard normal (ACT, arXiv 2304.13705).
STYLE, DIVERGENCE_WEIGHT = 8, 10.0


@dataclass(frozen=True)
class CloneTraining:
    """Settings of a clone's training; a learning rate that falls with a cosine."""

    updates: int = 3000
    batch: int = 128
    learning_rate: float = 1e-3
    seed: int = 0


class PlainClone(nn.Module):
    """Two hidden layers from an observation to the next position: one answer to each question."""

    def __init__(self, inputs: int, actions: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(inputs, HIDDEN),
            nn.Mish(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.Mish(),
            nn.Linear(HIDDEN, actions),
        )

    def loss(self, observation: torch.Tensor, chunk: torch.Tensor) -> torch.Tensor:
        """Return the mean squared error of the chunk's first action."""
        return functional.mse_loss(self.net(observation), chunk[:, 0])

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """Return ``(B, 1, A)``."""
        action: torch.Tensor = self.net(observation)[:, None]
        return action


class ChunkingTransformer(nn.Module):
    """Chunks by a variational autoencoder with a style, in the manner of ACT.

    In training an encoder sees the demonstrated chunk and draws the style; when it runs, the style
    is 0, the mean of all. Smaller than ACT, and without its ensemble over time.
    """

    def __init__(self, groups: tuple[int, ...], actions: int, horizon: int, width: int) -> None:
        super().__init__()
        self.observe = ObservationTokens(groups, width)
        self.encoder = nn.Sequential(
            nn.Linear(sum(groups) + horizon * actions, HIDDEN),
            nn.Mish(),
            nn.Linear(HIDDEN, 2 * STYLE),
        )
        self.style = nn.Linear(STYLE, width)
        self.places = nn.Parameter(0.02 * torch.randn(horizon, width))
        self.blocks = nn.ModuleList(DecoderLayer(width) for _ in range(LAYERS))
        self.norm, self.outlet = nn.LayerNorm(width), nn.Linear(width, actions)

    def loss(self, observation: torch.Tensor, chunk: torch.Tensor) -> torch.Tensor:
        """Return the mean absolute error of the chunk, and the style's divergence, weighted."""
        told = torch.cat([observation, chunk.flatten(1)], dim=1)
        mean, log_variance = self.encoder(told).chunk(2, dim=1)
        style = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        apart = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1).mean()
        error = functional.l1_loss(self._decode(observation, style), chunk)
        weighted: torch.Tensor = error + DIVERGENCE_WEIGHT * apart
        return weighted

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """Return ``(B, H, A)`` for the style 0."""
        return self._decode(observation, torch.zeros(len(observation), STYLE))

    def _decode(self, observation: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        memory = torch.cat([self.style(style)[:, None], self.observe(observation)], dim=1)
        x = self.places.expand(len(observation), -1, -1)
        for layer in self.blocks:
            x = layer(x, memory)
        chunk: torch.Tensor = self.outlet(self.norm(x))
        return chunk


def fit_clone(
    net: PlainClone | ChunkingTransformer, data: ChunkData, settings: CloneTraining
) -> ChunkMaker:
    """Train a clone.

    Returns:
        What makes its chunks.
    """
    draws = torch.Generator().manual_seed(settings.seed)
    scales = Scales.of(data)
    observations, chunks = scales.observation(data.observations), scales.chunk(data.chunks)
    optimizer = torch.optim.AdamW(net.parameters(), lr=settings.learning_rate, weight_decay=1e-4)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.updates)
    for _ in range(settings.updates):
        chosen = torch.randint(len(chunks), (settings.batch,), generator=draws)
        loss = net.loss(observations[chosen], chunks[chosen])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        falling.step()
    net.eval()

    @torch.inference_mode()
    def make(observation: Floats) -> Floats:
        return scales.actions(net(scales.observation(observation)))

    return make
