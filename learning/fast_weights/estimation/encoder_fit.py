"""Fitting the camera encoder, in two parts.

First all of it, on stills, or on drives where there are no stills; then, on descriptions of tiles
that were made once, only what puts them together: joints of a moment from the newest pictures, some
lost, some late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from asterias.arrays import FloatArray
from learning.fast_weights.estimation.encoder import CameraEncoder, spread_loss
from learning.fast_weights.estimation.fitting import LossOf
from learning.fast_weights.estimation.frames import (
    FrameTable,
    Losses,
    arrivals,
    seen_at,
    some_of,
)
from learning.fast_weights.estimation.stills import Stills

# Drives of a batch, and moments of each.
BATCH_DRIVES, BATCH_MOMENTS = 32, 4
# The same where tiles are described already.
FUSED_MOMENTS = 16
BATCH_STILLS = 96
# Of half of the stills each picture is lost with this chance.
LOST_OF_STILLS = 0.3
# Weight of where the cameras stand, and from where on its loss is linear.
EYE_WEIGHT, EYE_BETA = 1.0, 0.1
TILES_AT_ONCE = 512
# What AdamW fits where Muon fits the matrices.
PLAIN = ("tile.0.", "eye.", "last.")


class JointRanges:
    """Joints in half ranges: 0 is the middle of the range, 1 its upper end.

    Args:
        lower_rad: ``(n,)``.
        upper_rad: ``(n,)``.
    """

    def __init__(self, lower_rad: FloatArray, upper_rad: FloatArray) -> None:
        self.middle = 0.5 * (np.asarray(lower_rad) + np.asarray(upper_rad))
        self.half = 0.5 * (np.asarray(upper_rad) - np.asarray(lower_rad))

    def scaled(self, joints_rad: FloatArray) -> torch.Tensor:
        """Return joints ``(..., n)`` in half ranges, float32."""
        return torch.from_numpy(((joints_rad - self.middle) / self.half).astype(np.float32))


def stills_loss(net: CameraEncoder, stills: Stills, ranges: JointRanges) -> LossOf:
    """Return the loss of batches of stills: their joints, and where each camera stands."""

    def loss_of(rng: np.random.Generator) -> torch.Tensor:
        rows = np.sort(rng.integers(0, len(stills), BATCH_STILLS))
        is_lossy = rng.random((len(rows), 1)) < 0.5
        lost = (rng.random((len(rows), net.cameras)) < LOST_OF_STILLS) & is_lossy
        described = _described(net, torch.from_numpy(stills.tiles[rows]))
        seen = torch.from_numpy((~lost).astype(np.float32))
        guess = net.guess(described, torch.zeros_like(seen), seen)
        target = ranges.scaled(stills.joints_rad[rows].astype(np.float64))
        joints = spread_loss(guess.mean, guess.log_var, target)
        eyes = torch.from_numpy(stills.eyes[rows])
        placed = nn.functional.smooth_l1_loss(net.eyes(described), eyes, beta=EYE_BETA)
        return joints + EYE_WEIGHT * placed

    return loss_of


def encoder_loss(
    net: CameraEncoder, table: FrameTable, ranges: JointRanges, losses: Losses
) -> LossOf:
    """Return the loss of batches drawn from a table of tiles, or of descriptions ``(..., 128)``."""
    are_tiles = table.content.ndim > 4
    moments = BATCH_MOMENTS if are_tiles else FUSED_MOMENTS

    def loss_of(rng: np.random.Generator) -> torch.Tensor:
        drives = rng.integers(0, len(table), BATCH_DRIVES)
        found = some_of(arrivals(table, drives, losses, rng), moments, rng)
        seen = seen_at(table, drives, found)
        target = ranges.scaled(table.joints_at(drives, found.times_s))
        content = torch.from_numpy(seen.content)
        described = _described(net, content) if are_tiles else content
        guess = net.guess(described, torch.from_numpy(seen.ages_s), torch.from_numpy(seen.seen))
        return spread_loss(guess.mean, guess.log_var, target)

    return loss_of


def _described(net: CameraEncoder, tiles: torch.Tensor) -> torch.Tensor:
    """Return descriptions ``(..., c, 128)`` of ``(..., c, 48, 48, 3)``, computed in 16 bits."""
    flat = tiles.flatten(0, -4)
    numbers = torch.arange(net.cameras).repeat(len(flat) // net.cameras)
    with torch.autocast("cpu", torch.bfloat16):
        described = net.describe_tiles(flat, numbers)
    return described.float().reshape(*tiles.shape[:-3], -1)


@contextmanager
def described_once(net: CameraEncoder) -> Iterator[CameraEncoder]:
    """Give the encoder to a fit that leaves its descriptions of tiles as they are.

    Yields:
        The encoder, whose other weights can be fitted.
    """
    held = [*net.tile.parameters(), *net.describe.parameters(), *net.eye.parameters()]
    for weight in held:
        weight.requires_grad_(False)
    try:
        yield net
    finally:
        for weight in held:
            weight.requires_grad_(True)


@torch.no_grad()
def described_table(
    net: CameraEncoder, table: FrameTable, on_rows: Callable[[int, int], Any] = lambda d, t: None
) -> FrameTable:
    """Return the table with each tile's description ``(D, c, K, 128)`` in place of the tile."""
    net.eval()
    shape = table.content.shape[:3]
    described = np.zeros((*shape, net.tile_features), np.float32)
    for row in range(shape[0]):
        there = np.isfinite(table.times_s[row])
        tiles = torch.from_numpy(table.content[row][there])
        numbers = torch.from_numpy(np.nonzero(there)[0])
        parts = [
            net.describe_tiles(part, own)
            for part, own in zip(
                torch.split(tiles, TILES_AT_ONCE), torch.split(numbers, TILES_AT_ONCE), strict=True
            )
        ]
        described[row][there] = torch.cat(parts).numpy()
        on_rows(row + 1, shape[0])
    return FrameTable(table.times_s, described, table.joints_rad)
