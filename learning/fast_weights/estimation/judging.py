"""How far an estimator is off, by share of lost pictures, by joint, and how sure it is."""

from __future__ import annotations

from typing import Any

import numpy as np

from asterias.arrays import FloatArray
from learning.fast_weights.estimation.encoder import CameraEncoder
from learning.fast_weights.estimation.encoder_fit import JointRanges
from learning.fast_weights.estimation.frames import FrameTable, Losses
from learning.fast_weights.estimation.models import SequenceModel
from learning.fast_weights.estimation.sequence_fit import Track, tracked

# Shares of lost pictures.
DROPS = (0.0, 0.2, 0.4, 0.6)
# A picture comes up to 30 ms late, and waits up to 50 ms for the estimator's period.
DELAY_S, CYCLE_S = (0.0, 0.03), (0.05, 0.05)
WITHIN = 2.0  # standard deviations; 95.4 % of a Gaussian's values


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
