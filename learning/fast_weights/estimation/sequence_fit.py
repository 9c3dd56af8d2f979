"""Fitting and judging networks over time, on descriptions of tiles that were made once.

They are judged by how far they are off, by share of lost pictures, by joint, and how sure they are.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from asterias.arrays import FloatArray
from learning.fast_weights.estimation.encoder import CameraEncoder, Guess, spread_loss
from learning.fast_weights.estimation.encoder_fit import JointRanges
from learning.fast_weights.estimation.fitting import LossOf
from learning.fast_weights.estimation.frames import (
    JOINT_PERIOD_S,
    Arrivals,
    FrameTable,
    IndexArray,
    Losses,
    arrivals,
    seen_at,
)
from learning.fast_weights.estimation.joint_filter import JointState
from learning.fast_weights.estimation.models import SequenceModel

BATCH = 64
# Moments of a training sequence, about 1.6 s.
WINDOW = 32
# Shares of lost pictures.
DROPS = (0.0, 0.2, 0.4, 0.6)
# A picture comes up to 30 ms late, and waits up to 50 ms for the estimator's period.
DELAY_S, CYCLE_S = (0.0, 0.03), (0.05, 0.05)
WITHIN = 2.0  # standard deviations; 95.4 % of a Gaussian's values
# Between two pictures a joint is asked for up to so long after the first.
LONGEST_SINCE_S = 0.4


class Moments(NamedTuple):
    """What the encoder makes of moments ``(B, N)``, as tensors; see :class:`Arrivals`."""

    guess: Guess
    fresh_guess: Guess
    ages_s: torch.Tensor
    fresh: torch.Tensor
    times_s: torch.Tensor


@torch.no_grad()
def encoded(
    encoder: CameraEncoder, table: FrameTable, drives: IndexArray, found: Arrivals
) -> Moments:
    """Return what the encoder says at moments, from a table of descriptions."""
    seen = seen_at(table, drives, found)
    content, ages = torch.from_numpy(seen.content), torch.from_numpy(seen.ages_s)
    fresh = torch.from_numpy(seen.fresh)
    times = torch.from_numpy(found.times_s.astype(np.float32))
    guess = encoder.guess(content, ages, torch.from_numpy(seen.seen))
    fresh_guess = encoder.guess(content, ages, fresh)
    return Moments(guess, fresh_guess, ages, fresh, times)


def _followed(model: SequenceModel, at: Moments, times_s: torch.Tensor) -> JointState:
    """Return the filter's states ``(B, N, n)`` at moments whose stamps count from any time."""
    samples = model.sample_of(at.guess, at.fresh_guess, at.ages_s, at.fresh)
    return model.filter.follow(model.remember(samples, times_s), samples, times_s)


def _window(found: Arrivals, rng: np.random.Generator) -> Arrivals:
    """Return :data:`WINDOW` moments in a row of each drive, or as many as there are."""
    size = min(WINDOW, found.times_s.shape[1])
    room = np.maximum(found.counts - size, 0)
    start = (rng.random(len(room)) * (room + 1)).astype(np.int64)
    rows, places = np.arange(len(room))[:, None], start[:, None] + np.arange(size)
    places = np.minimum(places, found.times_s.shape[1] - 1)
    return Arrivals(
        found.times_s[rows, places],
        np.minimum(found.counts, size),
        found.frames[rows, places],
        found.fresh[rows, places],
    )


def sequence_loss(
    model: SequenceModel,
    encoder: CameraEncoder,
    table: FrameTable,
    ranges: JointRanges,
    losses: Losses,
) -> LossOf:
    """Return the loss of batches: joints at the moments, and at a time between each two."""

    def loss_of(rng: np.random.Generator) -> torch.Tensor:
        drives = rng.integers(0, len(table), BATCH)
        found = _window(arrivals(table, drives, losses, rng), rng)
        at = encoded(encoder, table, drives, found)
        gaps = np.diff(found.times_s, axis=1, append=found.times_s[:, -1:] + LONGEST_SINCE_S)
        since = rng.random(gaps.shape) * np.minimum(gaps, LONGEST_SINCE_S)
        states = _followed(model, at, at.times_s - at.times_s[:, :1])
        total = torch.zeros(())
        for later in (np.zeros_like(since), since):
            joints = model.filter.at(states, torch.from_numpy(later.astype(np.float32)))
            target = ranges.scaled(table.joints_at(drives, found.times_s + later))
            total = total + spread_loss(joints.mean, joints.log_var, target)
        return 0.5 * total

    return loss_of


class Track(NamedTuple):
    """Estimates on the grid of the joints: ``(D, T, n)`` rad, and ``(T,)`` times."""

    times_s: FloatArray
    mean_rad: FloatArray
    std_rad: FloatArray
    truth_rad: FloatArray


@torch.no_grad()
def tracked(
    model: SequenceModel,
    encoder: CameraEncoder,
    table: FrameTable,
    ranges: JointRanges,
    losses: Losses,
    *,
    seed: int = 0,
    from_s: float = 1.0,
) -> Track:
    """Return what an estimator that runs online says every 20 ms, from ``from_s`` on."""
    model.eval()
    encoder.eval()
    drives = np.arange(len(table))
    found = arrivals(table, drives, losses, np.random.default_rng(seed))
    at = encoded(encoder, table, drives, found)
    states = _followed(model, at, at.times_s)
    grid: FloatArray = np.arange(table.joints_rad.shape[1], dtype=np.float64) * JOINT_PERIOD_S
    keep = np.nonzero(grid >= from_s - 1e-9)[0]
    places = np.stack(
        [np.searchsorted(own, grid[keep] + 1e-9, side="right") - 1 for own in found.times_s]
    )
    # The moments after a drive's last one are repetitions.
    places = np.clip(places, 0, np.maximum(found.counts - 1, 0)[:, None])
    rows = torch.from_numpy(drives)[:, None]
    columns = torch.from_numpy(places)
    since = grid[keep] - np.take_along_axis(found.times_s, places, 1)
    then = JointState(*(part[rows, columns] for part in states))
    guess = model.filter.at(then, torch.from_numpy(since.astype(np.float32)))
    mean = guess.mean.numpy().astype(np.float64) * ranges.half + ranges.middle
    std = np.exp(0.5 * guess.log_var.numpy().astype(np.float64)) * ranges.half
    return Track(grid[keep], mean, std, table.joints_rad[:, keep])


# -- how far off ----------------------------------------------------------------------------------


def rmse_deg(track: Track) -> float:
    """Return the root of the mean squared error over drives, times and joints, in degrees."""
    wrong = track.mean_rad - track.truth_rad
    return float(np.rad2deg(np.sqrt(np.mean(wrong**2))))


def track_at(
    model: SequenceModel,
    encoder: CameraEncoder,
    table: FrameTable,
    ranges: JointRanges,
    drop: float,
) -> Track:
    """Return the estimates every 20 ms with a share of pictures lost; the same for all models."""
    return tracked(model, encoder, table, ranges, Losses((drop, drop), DELAY_S, CYCLE_S), seed=1)


def judged(
    model: SequenceModel, encoder: CameraEncoder, table: FrameTable, ranges: JointRanges
) -> dict[str, Any]:
    """Return errors on a table of descriptions.

    Returns:
        By share of lost pictures: ``rmse_deg``, ``median_deg``, ``by_joint_deg`` (a list each) and
        ``within_2_std``, the share of joints that are within two standard deviations.
    """
    tracks = {f"{drop:g}": track_at(model, encoder, table, ranges, drop) for drop in DROPS}
    return {
        "rmse_deg": {drop: round(rmse_deg(track), 3) for drop, track in tracks.items()},
        "median_deg": {
            drop: round(float(np.rad2deg(np.median(_wrong(track)))), 3)
            for drop, track in tracks.items()
        },
        "by_joint_deg": {
            drop: np.rad2deg(np.sqrt(np.mean(_wrong(track) ** 2, axis=(0, 1)))).round(3).tolist()
            for drop, track in tracks.items()
        },
        "within_2_std": {
            drop: round(float(np.mean(_wrong(track) <= WITHIN * track.std_rad)), 3)
            for drop, track in tracks.items()
        },
    }


def _wrong(track: Track) -> FloatArray:
    return np.abs(track.mean_rad - track.truth_rad)
