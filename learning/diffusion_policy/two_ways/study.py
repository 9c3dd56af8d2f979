"""The study of the two-way task: learners, samplers and caches, cell by cell, with resume."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from asterias.files import read_json, write_json
from asterias.progress import OnProgress
from learning.diffusion_policy.caching import CacheSettings
from learning.diffusion_policy.model import DiffusionModel
from learning.diffusion_policy.runtimes.measures import runtime_rows
from learning.diffusion_policy.sampling import SamplingSettings, measured_similarity
from learning.diffusion_policy.transformer import BLOCKS
from learning.diffusion_policy.two_ways.demonstrators import demonstrate
from learning.diffusion_policy.two_ways.learners import (
    LEARNERS,
    TwoWayRun,
    chunk_maker,
    load_clone,
    load_model,
)
from learning.diffusion_policy.two_ways.measures import (
    EPISODES,
    GATE_STEPS,
    NOISE,
    TRIALS,
    CacheCell,
    CellMeter,
    chunk_ms,
    gate_cells,
    held_row,
    run_in_real_time,
    table_cells,
)
from learning.diffusion_policy.two_ways.rollout import PostRollouts, roll_out
from learning.diffusion_policy.two_ways.task import DEFAULT_TASK

# How the diffusion policies are compared with others, and run in real time.
CHOSEN = SamplingSettings("ddim", 16, CacheSettings("exact"))
REAL_TIME_EPISODES = 20
# Steps at which similarity is drawn.
DRAWN = SamplingSettings("ddim", 50)


def kept(path: Path, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return a result that is there already, or measure it and write it."""
    if path.is_file():
        found: dict[str, Any] = read_json(path)
        return found
    result = measure()
    write_json(path, result)
    return result


def learner_rollouts(run: TwoWayRun) -> PostRollouts:
    """Return how a trained learner goes from the common starts."""
    if not LEARNERS.get(run.learner).is_diffusion:
        return roll_out(load_clone(run), EPISODES, TRIALS, task=run.task)
    model = load_model(run.folder).with_sampling(CHOSEN, run.demonstrated.observations)
    return roll_out(chunk_maker(model, NOISE), EPISODES, TRIALS, task=run.task)


def measure_learner(run: TwoWayRun) -> dict[str, Any]:
    """Return success and sides of one training."""

    def measure() -> dict[str, Any]:
        rolled = learner_rollouts(run)
        row = {
            "learner": run.learner,
            "seed": run.seed,
            "success": round(rolled.success, 4),
            "hit": round(float(rolled.hit.mean()), 4),
            "left": round(float(rolled.left.mean()), 4),
        }
        if LEARNERS.get(run.learner).is_diffusion:
            model = load_model(run.folder)
            row["chunk_ms"] = chunk_ms(
                model.with_sampling(CHOSEN, run.demonstrated.observations),
                run.demonstrated.observations[:1],
            )
        return row

    return kept(run.folder / "success.json", measure)


def demonstrator_row(task: str) -> dict[str, Any]:
    """Return success and sides of the two demonstrators together."""
    shown = demonstrate(EPISODES, np.random.default_rng(TRIALS), task)
    return {
        "learner": "demonstrators",
        "seed": 0,
        "success": round(float(shown.reached.mean()), 4),
        "hit": round(float(1 - shown.reached.mean()), 4),
        "left": round(float((shown.sides > 0).mean()), 4),
    }


def cache_rows(run: TwoWayRun, cells: list[CacheCell], on_progress: OnProgress) -> list[Any]:
    """Return one row for each cell, of one trained transformer."""
    meter = CellMeter(load_model(run.folder), run.demonstrated.observations)
    rows = []
    for number, cell in enumerate(cells):
        path = run.folder / "cells" / f"{cell.name}.json"
        rows.append({"seed": run.seed, **kept(path, partial(meter.measure, cell))})
        on_progress(f"cells, seed {run.seed}", number + 1, len(cells))
    return rows


def similarity_rows(model: DiffusionModel, observations: Any) -> list[dict[str, Any]]:
    """Return mean similarity of neighbouring steps for each block: first, middle and last third."""
    found = measured_similarity(
        model.denoiser, DRAWN, model.scales.observation(observations).numpy()
    )
    rows = []
    for layer in range(model.denoiser.shape.layers):
        for kind, name in enumerate(BLOCKS):
            thirds = np.array_split(found.between_steps(layer, kind), 3)
            rows.append(
                {
                    "layer": layer,
                    "block": name,
                    "thirds": [round(float(third.mean()), 4) for third in thirds],
                }
            )
    return rows


def measure_all(
    runs: list[TwoWayRun], on_progress: OnProgress, *, real_time: bool = True
) -> dict[str, Any]:
    """Return all figures of finished trainings.

    Args:
        runs: the trainings.
        on_progress: gets the progress.
        real_time: also run in real time, which takes a minute.
    """
    learners = [demonstrator_row(runs[0].task), *(measure_learner(run) for run in runs)]
    if runs[0].task != DEFAULT_TASK:  # the caches are measured on the first task alone
        return {"episodes": EPISODES, "task": runs[0].task, "learners": learners, "cells": []}
    transformers = [run for run in runs if run.learner == "transformer"]
    cells, gates, held = [], [], []
    for run in transformers:
        cells += cache_rows(run, table_cells(), on_progress)
    for run in transformers[:1]:  # taken apart with one training
        gates += cache_rows(run, gate_cells(), on_progress)
        for part in ("level", "queries"):
            measure = partial(held_row, load_model(run.folder), part)
            path = run.folder / "cells" / f"held_{part}.json"
            held.append({"seed": run.seed, **kept(path, measure)})
    few = [cell for cell in table_cells() if cell.steps == GATE_STEPS]
    in_tokens: list[Any] = []
    for run in (run for run in runs if run.learner == "level_in_tokens"):
        in_tokens += cache_rows(run, few, on_progress)
    result: dict[str, Any] = {
        "episodes": EPISODES,
        "level_in_tokens": in_tokens,
        "learners": learners,
        "cells": cells,
        "gates": gates,
        "held": held,
    }
    if transformers:
        first = transformers[0]
        seen = first.demonstrated.observations
        model = load_model(first.folder)
        result["similarity"] = similarity_rows(model, seen)
        result["runtimes"] = kept(
            first.folder / "runtimes.json", lambda: {"rows": runtime_rows(model, seen)}
        )["rows"]
        if real_time:
            chosen = model.with_sampling(CHOSEN, seen)
            result["real_time"] = kept(
                first.folder / "real_time.json",
                lambda: run_in_real_time(chosen, REAL_TIME_EPISODES, TRIALS),
            )
    return result
