"""Joint angles of a limb from four cameras, with pictures lost and late: estimators side by side.

The encoder is one for all and is not touched; its descriptions of all pictures are made once. What
is trained are the networks over time, each with the same drives, batches and number of updates.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from asterias.errors import UserError
from asterias.files import read_training, write_bytes, write_json
from learning.fast_weights.estimation.babbling import Babbling, babble
from learning.fast_weights.estimation.encoder_fit import described_table
from learning.fast_weights.estimation.estimator import TrainedEstimator
from learning.fast_weights.estimation.fitting import FitPlan, fit
from learning.fast_weights.estimation.frames import FrameTable, Losses, joined, table_of
from learning.fast_weights.estimation.gathering import PIECE_S
from learning.fast_weights.estimation.models import SEQUENCE_MODELS
from learning.fast_weights.estimation.sequence_fit import judged, rmse_deg, sequence_loss, track_at
from learning.fast_weights.estimation.training import SEQUENCE_RATE

# Seeds of the drives, which no training of an encoder has.
LEARNED_SEED, JUDGED_SEED, STEPS_SEED = 900_001, 900_002, 900_003
UPDATES = 600
BATCH_OF_DRIVES = 25


@dataclass(frozen=True)
class LimbTables:
    """Descriptions of drives: learned from, judged on, and judged on with sudden moves."""

    learned: FrameTable
    judged: FrameTable
    sudden: FrameTable


@dataclass(frozen=True)
class EstimatorRun:
    """One training: network, seed, number of batches."""

    model: str
    seed: int
    updates: int = UPDATES

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.model}_{self.updates}_{self.seed}.json"


def limb_tables(
    trained: TrainedEstimator,
    folder: Path,
    learned: int,
    judged: int,
    on_tables: Callable[[int, int], None] = lambda done, total: None,
) -> LimbTables:
    """Babble and describe, or take what is in the folder.

    Returns:
        The tables.
    """
    check_encoder(trained, folder)
    smooth, sudden = Babbling(), Babbling(step_share=1.0)
    wanted = (
        ("learned", smooth, learned, LEARNED_SEED),
        ("judged", smooth, judged, JUDGED_SEED),
        ("sudden", sudden, max(judged // 2, 1), STEPS_SEED),
    )
    tables, done = [], 0
    total = sum(count for _, _, count, _ in wanted)
    for name, babbling, count, seed in wanted:
        path = folder / f"{name}_{count}.safetensors"
        if not path.is_file():
            _describe(trained, babbling, count, seed, path)
        done += count
        on_tables(done, total)
        arrays = load_file(path)
        tables.append(FrameTable(arrays["times_s"], arrays["content"], arrays["joints_rad"]))
    return LimbTables(*tables)


def check_encoder(trained: TrainedEstimator, folder: Path) -> None:
    """Note whose descriptions a folder holds.

    Args:
        trained: the estimator with the encoder.
        folder: of the study.

    Raises:
        UserError: they are by another encoder.
    """
    digest = hashlib.sha256()
    for weights in trained.encoder.state_dict().values():
        digest.update(weights.numpy().tobytes())
    note = folder / "encoder.sha256"
    if not note.is_file():
        write_bytes(note, digest.hexdigest().encode())
    elif note.read_text() != digest.hexdigest():
        raise UserError(
            f"{folder} holds descriptions and trainings with another estimator's encoder; choose "
            "another --out."
        )


def _describe(
    trained: TrainedEstimator, babbling: Babbling, count: int, seed: int, path: Path
) -> None:
    """Write a table of descriptions; a few drives at a time, since pictures take memory."""
    parts = []
    for number in range(0, count, BATCH_OF_DRIVES):
        drives = list(babble(babbling, min(BATCH_OF_DRIVES, count - number), seed + number))
        parts.append(described_table(trained.encoder, table_of(drives, PIECE_S)))
    table = joined(parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {key: getattr(table, key) for key in ("times_s", "content", "joints_rad")}
    save_file(arrays, path)


def complete_runs(
    runs: Sequence[EstimatorRun],
    trained: TrainedEstimator,
    tables: LimbTables,
    folder: Path,
    on_runs: Callable[[int, int], None] = lambda done, total: None,
    on_updates: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> list[dict[str, Any]]:
    """Train what is missing in the folder.

    Returns:
        A dictionary each.
    """
    results = []
    for number, run in enumerate(runs):
        path = folder / run.name
        if not path.is_file():
            write_json(path, _run(run, trained, tables, folder, on_updates))
        results.append(read_training(path, "rmse_deg"))
        on_runs(number + 1, len(runs))
    return results


def _run(
    run: EstimatorRun,
    trained: TrainedEstimator,
    tables: LimbTables,
    folder: Path,
    on_updates: Callable[[str, int, int], None],
) -> dict[str, Any]:
    torch.manual_seed(run.seed)
    torch.set_num_threads(1)
    encoder, ranges = trained.encoder, trained.ranges
    model = SEQUENCE_MODELS.get(run.model)(encoder.joints, encoder.cameras)
    started_s = time.process_time()
    size = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if size:
        fit(
            model,
            sequence_loss(model, encoder, tables.learned, ranges, Losses()),
            FitPlan(run.updates, SEQUENCE_RATE, run.seed),
            checkpoint=folder / f"{run.model}_{run.updates}_{run.seed}.safetensors",
            on_steps=lambda done, total: on_updates(f"{run.model} {run.seed}", done, total),
        )
    seconds = time.process_time() - started_s
    return {
        "model": run.model,
        "seed": run.seed,
        "updates": run.updates if size else 0,
        "parameters": size,
        "processor_s": round(seconds, 1),
        **judged(model, encoder, tables.judged, ranges),
        "sudden_rmse_deg": round(rmse_deg(track_at(model, encoder, tables.sudden, ranges, 0.0)), 3),
    }


def rows_of(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each network, over seeds."""
    rows = []
    for model in dict.fromkeys(str(result["model"]) for result in results):
        own = [result for result in results if result["model"] == model]
        rows.append(
            {
                "model": model,
                "seeds": len(own),
                "parameters": own[0]["parameters"],
                "updates": own[0]["updates"],
                "processor_s": round(float(np.mean([r["processor_s"] for r in own])), 1),
                "rmse_deg": {key: _spread(own, "rmse_deg", key) for key in own[0]["rmse_deg"]},
                "median_deg": {
                    key: _spread(own, "median_deg", key) for key in own[0]["median_deg"]
                },
                "within_2_std": {
                    key: _spread(own, "within_2_std", key) for key in own[0]["within_2_std"]
                },
                "by_joint_deg": {
                    key: np.mean([r["by_joint_deg"][key] for r in own], axis=0).round(3).tolist()
                    for key in own[0]["by_joint_deg"]
                },
                "sudden_rmse_deg": round(float(np.mean([r["sudden_rmse_deg"] for r in own])), 3),
            }
        )
    return rows


def _spread(results: Sequence[dict[str, Any]], field: str, key: str) -> dict[str, float]:
    values = [float(result[field][key]) for result in results]
    return {
        "mean": round(float(np.mean(values)), 3),
        "least": round(min(values), 3),
        "most": round(max(values), 3),
    }
