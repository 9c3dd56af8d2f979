"""Gestures with samples missing: fast weights beside other memories, and a ridge regression."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from asterias.arrays import FloatArray
from asterias.files import read_json, write_json
from asterias.provenance import Clock
from learning.fast_weights.gestures.series import GestureSets, dropped, summaries
from learning.fast_weights.gestures.training import (
    ClassifierOptions,
    Fold,
    Labels,
    classify,
)

RIDGE = "ridge"
# Settings that each memory may choose from: updates, and the highest learning rate.
SETTINGS = ((150, 0.02), (150, 0.01), (80, 0.01))
_FOLDS = 5
# Weight of the squared coefficients, on features of unit deviation.
_RIDGE_WEIGHT = 1.0
# Cross-validation draws networks and losses of samples from seeds that no result has.
_VALIDATION_SEED = 500


@dataclass(frozen=True)
class GestureRun:
    """Classifiers of one kind.

    Attributes:
        options: how they learn; ``memory`` may be :data:`RIDGE`.
        seeds: networks, each with samples of its own missing.
        share: of the samples that are missing.
        validate: cross-validate on the series to learn from; those to be tested with stay unseen.
    """

    options: ClassifierOptions
    seeds: int
    share: float
    validate: bool

    @property
    def name(self) -> str:
        """Of its file."""
        about = self.options
        parts = (about.memory, about.updates, about.learning_rate, about.batch, self.seeds)
        kind = "validation" if self.validate else "test"
        return "_".join(map(str, (*parts, self.share, kind))) + ".json"


def folds_of(run: GestureRun, sets: GestureSets) -> list[tuple[Fold, Labels]]:
    """Return what each network learns from and is asked, with the true classes."""
    found = []
    for seed in range(run.seeds):
        first = _VALIDATION_SEED if run.validate else 0
        rng = np.random.default_rng((first + seed, 7))
        learned = dropped(sets.learned, run.share, rng)
        tested = dropped(sets.tested, run.share, rng)
        if not run.validate:
            found.append((Fold(learned, sets.learned_labels, tested), sets.tested_labels))
            continue
        labels = sets.learned_labels
        part = _parts(labels, rng)
        held = seed % _FOLDS
        own, asked = np.flatnonzero(part != held), np.flatnonzero(part == held)
        fold = Fold([learned[i] for i in own], labels[own], [learned[i] for i in asked])
        found.append((fold, labels[asked]))
    return found


def _parts(labels: Labels, rng: np.random.Generator) -> Labels:
    """Return ``(N,)`` numbers of :data:`_FOLDS` parts with all classes in each."""
    part = np.zeros(len(labels), np.int64)
    for kind in np.unique(labels):
        own = np.flatnonzero(labels == kind)
        part[rng.permutation(own)] = np.arange(len(own)) % _FOLDS
    return part


def complete_run(
    run: GestureRun,
    sets: GestureSets,
    folder: Path,
    on_updates: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Return a row for the result file; what the folder holds is not done again."""
    path = folder / run.name
    if path.is_file():
        return dict(read_json(path))
    folds, clock = folds_of(run, sets), Clock()
    if run.options.memory == RIDGE:
        said = [ridge_classes(fold) for fold, _ in folds]
    else:
        classes = int(sets.learned_labels.max()) + 1
        first = _VALIDATION_SEED if run.validate else 0
        options = ClassifierOptions(**{**asdict(run.options), "seed": first})
        said = classify([fold for fold, _ in folds], classes, options, on_updates)
    right = [100 * float((own == true).mean()) for own, (_, true) in zip(said, folds, strict=True)]
    row = {
        **asdict(run.options),
        "processor_s": round(clock.elapsed()[1], 1),
        "accuracy": [round(value, 1) for value in right],
        "mean": round(float(np.mean(right)), 2),
        "deviation": round(float(np.std(right, ddof=1)), 2) if len(right) > 1 else 0.0,
    }
    write_json(path, row)
    return row


def chosen_run(
    run: GestureRun,
    sets: GestureSets,
    folder: Path,
    on_updates: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Choose updates and rate by cross-validation in the series to learn from; then test once.

    Args:
        run: whose updates and rate do not count.
        sets: of gestures.
        folder: for what is finished.
        on_updates: told updates of a training and their total.

    Returns:
        A row for the result file, with the settings that were tried.
    """
    if run.options.memory == RIDGE:
        return complete_run(run, sets, folder)
    tried = []
    for updates, rate in SETTINGS:
        options = replace(run.options, updates=updates, learning_rate=rate)
        row = complete_run(replace(run, options=options, validate=True), sets, folder, on_updates)
        tried.append({name: row[name] for name in ("updates", "learning_rate", "mean")})
    best = max(tried, key=lambda one: float(one["mean"]))
    options = replace(
        run.options, updates=int(best["updates"]), learning_rate=float(best["learning_rate"])
    )
    return complete_run(replace(run, options=options), sets, folder, on_updates) | {"tried": tried}


def ridge_classes(fold: Fold) -> Labels:
    """Return the classes by ridge regression on six numbers of each series."""
    own = summaries(fold.learned)
    middle, scale = own.mean(0), own.std(0).clip(min=1e-9)

    def features(numbers: FloatArray) -> FloatArray:
        return np.column_stack([(numbers - middle) / scale, np.ones(len(numbers))])

    x, wanted = features(own), np.eye(int(fold.labels.max()) + 1)[fold.labels]
    weight = np.linalg.solve(x.T @ x + _RIDGE_WEIGHT * np.eye(x.shape[1]), x.T @ wanted)
    found: Labels = (features(summaries(fold.asked)) @ weight).argmax(1)
    return found


def better_seeds(rows: Sequence[dict[str, Any]], memory: str, other: str) -> tuple[int, int]:
    """Return in how many seeds one memory is right more often than another, and less often.

    Both have the same samples missing.
    """
    own, against = (
        np.array(next(row for row in rows if row["memory"] == name)["accuracy"])
        for name in (memory, other)
    )
    return int((own > against).sum()), int((own < against).sum())
