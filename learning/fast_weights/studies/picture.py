"""Pictures of the studies: errors by share of lost pictures, and one drive as it was estimated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from learning.fast_weights.estimation.estimator import TrainedEstimator
from learning.fast_weights.estimation.models import SEQUENCE_MODELS, SequenceModel
from learning.fast_weights.estimation.sequence_fit import track_at
from learning.fast_weights.studies.limb import LimbTables
from learning.target_finding.algorithms.checkpoint import load_state

NAMES = {
    "delta_ode": "Delta, ODE",
    "delta_cde": "Delta, CDE",
    "oja_ode": "Oja, ODE",
    "oja_cde": "Oja, CDE",
    "hebb_ode": "Hebb, ODE",
    "hebb_cde": "Hebb, CDE",
    "gru_d": "GRU-D",
    "gru_gaps": "GRU with time gaps",
    "neural_cde": "neural CDE",
    "nearest_frame": "nearest frame",
}
# The share of lost pictures at which one drive is drawn, and which joint.
SHOWN_DROP, SHOWN_JOINT, SHOWN_DRIVE = 0.6, 0, 3


def draw_limb(
    rows: Sequence[dict[str, Any]],
    results: Sequence[dict[str, Any]],
    trained: TrainedEstimator,
    tables: LimbTables,
    folder: Path,
    path: Path,
) -> None:
    """Draw errors over the share of lost pictures, and a joint of one drive.

    Args:
        rows: over seeds.
        results: of each training.
        trained: the estimator with the encoder.
        tables: of the study.
        folder: of the trainings, whose networks are read.
        path: of the picture.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(14, 5), layout="constrained")
    _draw_errors(left, rows)
    shown = [row["model"] for row in rows if row["model"] in ("nearest_frame", "gru_gaps")]
    fast = [row for row in rows if row["model"].rpartition("_")[0] in ("delta", "oja", "hebb")]
    if fast:
        best = min(fast, key=lambda row: float(row["rmse_deg"][f"{SHOWN_DROP:g}"]["mean"]))
        shown.append(best["model"])
    _draw_drive(right, shown, results, trained, tables, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _draw_errors(axis: Any, rows: Sequence[dict[str, Any]]) -> None:
    for number, row in enumerate(rows):
        drops = [100 * float(drop) for drop in row["rmse_deg"]]
        own = list(row["rmse_deg"].values())
        # Ten colours are told apart; what all others are held against is black.
        colour = "k" if row["model"] == "nearest_frame" else f"C{number % 10}"
        is_fast = row["model"].endswith(("_ode", "_cde")) and row["model"] != "neural_cde"
        line = "-" if is_fast else "--"
        axis.plot(
            drops,
            [point["mean"] for point in own],
            f"o{line}",
            color=colour,
            markersize=4,
            label=NAMES.get(row["model"], row["model"]),
        )
        axis.fill_between(
            drops,
            [point["least"] for point in own],
            [point["most"] for point in own],
            color=colour,
            alpha=0.12,
            linewidth=0,
        )
    axis.set(
        xlabel="pictures lost, %",
        ylabel="root of mean squared error, degrees",
        title="Joints every 20 ms from four cameras: mean and range of seeds",
        xticks=[0, 20, 40, 60],
        ylim=(0, None),
    )
    axis.grid(alpha=0.25)
    axis.legend(fontsize=8)


def _draw_drive(
    axis: Any,
    shown: Sequence[str],
    results: Sequence[dict[str, Any]],
    trained: TrainedEstimator,
    tables: LimbTables,
    folder: Path,
) -> None:
    drive = min(SHOWN_DRIVE, len(tables.judged) - 1)
    for number, name in enumerate(shown):
        own = next(result for result in results if result["model"] == name)
        model = _fitted(own, trained, folder)
        track = track_at(model, trained.encoder, tables.judged, trained.ranges, SHOWN_DROP)
        mean = np.rad2deg(track.mean_rad[drive, :, SHOWN_JOINT])
        std = np.rad2deg(track.std_rad[drive, :, SHOWN_JOINT])
        colour = f"C{number}"
        axis.plot(track.times_s, mean, color=colour, label=NAMES.get(name, name))
        if number == len(shown) - 1:
            axis.fill_between(
                track.times_s, mean - 2 * std, mean + 2 * std, color=colour, alpha=0.2, linewidth=0
            )
            truth = np.rad2deg(track.truth_rad[drive, :, SHOWN_JOINT])
            axis.plot(track.times_s, truth, "k--", linewidth=1, label="true")
    axis.set(
        xlabel="time, s",
        ylabel=f"{trained.joints[SHOWN_JOINT]}, degrees",
        title="One drive, 60 % of pictures lost; band: 2 standard deviations",
    )
    axis.grid(alpha=0.25)
    axis.legend(fontsize=8)


def _fitted(result: dict[str, Any], trained: TrainedEstimator, folder: Path) -> SequenceModel:
    """Return the network of a training."""
    encoder = trained.encoder
    model = SEQUENCE_MODELS.get(result["model"])(encoder.joints, encoder.cameras)
    path = folder / f"{result['model']}_{result['updates']}_{result['seed']}.safetensors"
    if path.is_file():
        state, _ = load_state(path, {})
        model.load_state_dict({k: torch.as_tensor(v) for k, v in state["net"].items()})
    return model.eval()
