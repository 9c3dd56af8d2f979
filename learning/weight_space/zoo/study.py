"""The study on the zoo: each encoder, several seeds; rows of figures, and their picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asterias.errors import UserError
from asterias.files import read_json, write_json
from learning.weight_space.encoders.registry import ENCODERS
from learning.weight_space.recurrent_nets import permuted, select
from learning.weight_space.zoo.emulation_training import EmulationOptions, train_encoder
from learning.weight_space.zoo.languages import OFFSETS
from learning.weight_space.zoo.training import Zoo

# Of 6 languages, drawn equally often.
CHANCE = 1 / len(OFFSETS)
_CHECKED = 24
FIGURES = (
    "task_accuracy",
    "task_accuracy_last_snapshot",
    "snapshot_accuracy",
    "accuracy_explained",
    "total_variation",
    "permutation_change",
)


def finish_runs(
    folder: Path,
    zoo: Zoo,
    encoders: Sequence[str],
    seeds: int,
    updates: int,
    on_progress: Callable[[str, int, int], None],
    should_stop: Callable[[], bool],
) -> bool:
    """Train what is missing, and measure it.

    Args:
        folder: of the runs.
        zoo: of networks.
        encoders: by name.
        seeds: trainings of each.
        updates: of a training.
        on_progress: told training, updates and their total.
        should_stop: asked after each update.

    Returns:
        Whether all is there.

    Raises:
        UserError: a finished training had another number of updates.
    """
    for name in encoders:
        for seed in range(seeds):
            told = folder / f"{name}_{seed}.json"
            if told.exists():
                if read_json(told)["updates"] != updates:
                    raise UserError(f"{told} had other --updates; choose another --out.")
                continue
            options = EmulationOptions(name, seed, updates)
            training = train_encoder(
                folder / f"{name}_{seed}.safetensors",
                zoo,
                options,
                lambda done, total, title=f"{name} {seed}": on_progress(title, done, total),  # type: ignore[misc]
                should_stop,
            )
            if training is None:
                return False
            row = training.measure()
            row["permutation_change"] = permutation_change(training.encoder, zoo)
            row["parameters"] = sum(p.numel() for p in training.encoder.parameters())
            write_json(told, {"encoder": name, "seed": seed, "updates": updates, **row})
    return True


def permutation_change(encoder: torch.nn.Module, zoo: Zoo) -> float:
    """Return the largest change of a representation when hidden units change places.

    Args:
        encoder: that was trained.
        zoo: whose first networks of the last snapshot are taken.
    """
    rows = torch.nonzero(zoo.steps == zoo.steps.max()).flatten()[:_CHECKED]
    nets = select(zoo.nets, rows)
    generator = torch.Generator().manual_seed(0)
    order = torch.rand((len(rows), zoo.form.hidden), generator=generator).argsort(1)
    encoder.eval()
    with torch.no_grad():
        plain = torch.nn.functional.normalize(encoder(nets), dim=-1)
        other = torch.nn.functional.normalize(encoder(permuted(zoo.form, nets, order)), dim=-1)
    encoder.train()
    return float((plain - other).abs().max())


def summarise(folder: Path, encoders: Sequence[str], seeds: int) -> list[dict[str, Any]]:
    """Return a row for each encoder that has finished runs: each seed's figures, and means."""
    rows = []
    for name in encoders:
        paths = [folder / f"{name}_{seed}.json" for seed in range(seeds)]
        runs = [read_json(path) for path in paths if path.exists()]
        if not runs:
            continue
        row: dict[str, Any] = {
            "encoder": name,
            "parameters": runs[0]["parameters"],
            "updates": runs[0]["updates"],
            "seeds": [run["seed"] for run in runs],
        }
        for figure in FIGURES:
            values = [run[figure] for run in runs]
            row[figure] = values
            row[f"{figure}_mean"] = float(np.mean(values))
        rows.append(row)
    return rows


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw what each encoder knows: the task, the snapshot, and how well it emulates.

    Args:
        rows: of :func:`summarise`.
        path: of the picture.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = [row["encoder"].replace("_", "\n") for row in rows]
    panels = (
        ("task_accuracy", "Which language (of 6)", CHANCE),
        ("snapshot_accuracy", "Which snapshot (of 3)", 1 / 3),
        ("total_variation", "Emulation: total variation", None),
    )
    figure, axes = pyplot.subplots(1, 3, figsize=(12, 3.9), layout="constrained")
    for axis, (key, title, chance) in zip(axes, panels, strict=True):
        for place, row in enumerate(rows):
            functional = "probing" in row["encoder"]
            axis.bar(place, row[f"{key}_mean"], color="C0" if functional else "C7", width=0.7)
            axis.plot([place] * len(row[key]), row[key], "k.", markersize=5)
        if chance is not None:
            axis.axhline(chance, color="C3", linestyle="--", linewidth=1)
            axis.text(len(rows) - 0.5, chance + 0.01, "chance", ha="right", color="C3", fontsize=8)
            axis.set_ylim(0, 1)
        axis.set_xticks(range(len(rows)), names, fontsize=8)
        axis.set_title(title)
        axis.grid(axis="y", alpha=0.25)
    axes[0].set_ylabel("share of held-out networks")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def encoder_names() -> tuple[str, ...]:
    """Return the names of all encoders."""
    return tuple(ENCODERS.names())
