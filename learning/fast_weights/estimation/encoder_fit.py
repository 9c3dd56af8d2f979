"""Fitting the camera encoder: joints of a moment from the newest pictures, some lost, some late."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

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

# Drives of a batch, and moments of each.
BATCH_DRIVES, BATCH_MOMENTS = 32, 4
TILES_AT_ONCE = 512


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


def encoder_loss(
    net: CameraEncoder, table: FrameTable, ranges: JointRanges, losses: Losses
) -> LossOf:
    """Return the loss of batches drawn from a table of tiles."""

    def loss_of(rng: np.random.Generator) -> torch.Tensor:
        drives = rng.integers(0, len(table), BATCH_DRIVES)
        found = some_of(arrivals(table, drives, losses, rng), BATCH_MOMENTS, rng)
        seen = seen_at(table, drives, found)
        target = ranges.scaled(table.joints_at(drives, found.times_s))
        tiles = torch.from_numpy(seen.content)
        described = net.describe_tiles(tiles.flatten(0, 2)).reshape(*tiles.shape[:3], -1)
        fused = net.fused(described, torch.from_numpy(seen.ages_s), torch.from_numpy(seen.seen))
        guess = net.guess(fused)
        return spread_loss(guess.mean, guess.log_var, target)

    return loss_of


@torch.no_grad()
def described_table(
    net: CameraEncoder, table: FrameTable, on_rows: Callable[[int, int], Any] = lambda d, t: None
) -> FrameTable:
    """Return the table with each tile's description ``(D, c, K, 48)`` in place of the tile."""
    net.eval()
    shape = table.content.shape[:3]
    described = np.zeros((*shape, net.tile_features), np.float32)
    for row in range(shape[0]):
        there = np.isfinite(table.times_s[row])
        tiles = torch.from_numpy(table.content[row][there])
        parts = [net.describe_tiles(part) for part in torch.split(tiles, TILES_AT_ONCE)]
        described[row][there] = torch.cat(parts).numpy()
        on_rows(row + 1, shape[0])
    return FrameTable(table.times_s, described, table.joints_rad)
