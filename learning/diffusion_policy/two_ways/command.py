"""``python -m learning two-ways``: the study of chunks, samplers and caches on the two-way task."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from asterias.cli import check_file, check_folder
from asterias.errors import UserError
from asterias.files import write_json
from asterias.progress import Stages, progress_bars
from asterias.provenance import provenance
from learning.diffusion_policy.two_ways import picture, study
from learning.diffusion_policy.two_ways.learners import (
    LEARNERS,
    complete,
    is_finished,
    two_way_runs,
)
from learning.diffusion_policy.two_ways.task import DEFAULT_TASK, TASKS

TASK_HELP = "; ".join(f"{name}: {task.summary}" for name, task in TASKS.items())


@dataclass(frozen=True)
class TwoWays:
    """Train diffusion policies where there are two ways to the goal; measure caches."""

    out: Path
    """Folder for trainings and cells; what is finished there is not done again."""
    learners: tuple[str, ...] = LEARNERS.names()
    """Learners, by name."""
    task: Annotated[str, tyro.conf.arg(help=TASK_HELP)] = DEFAULT_TASK
    """Task; samplers and caches are measured on the first alone."""
    seeds: int = 3
    """Trainings of each, with the seeds from 0 on."""
    train: bool = True
    """Train what is missing; --no-train measures what is finished."""
    json: Path | None = None
    """Result file to write, for example results/learning/diffusion_policy.json."""
    ways: Path | None = None
    """Picture of the ways to draw, for example results/learning/diffusion_ways.png."""
    heat: Path | None = None
    """Heat maps of similarity to draw, for example results/learning/diffusion_similarity.png."""
    cells: Path | None = None
    """Picture of success over time of a chunk, for example results/learning/diffusion_cells.png."""

    def run(self) -> int:
        """Train, measure, print the tables, write and draw.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used, or nothing is trained.
        """
        if self.seeds < 1:
            raise UserError("--seeds must be 1 or more.")
        TASKS.get(self.task)
        check_folder("--out", self.out)
        for name in ("json", "ways", "heat", "cells"):
            check_file(f"--{name}", getattr(self, name))
        runs = two_way_runs(self.out, self.learners, self.seeds, self.task)
        with progress_bars(24, unit="done") as progress:
            stages = Stages(progress)
            if self.train:
                complete(runs, stages)
            runs = [run for run in runs if is_finished(run)]
            if not runs:
                raise UserError(f"No training in {self.out} is finished; leave out --no-train.")
            data = study.measure_all(runs, stages)
        tables = [_learners_table(data["learners"])]
        tables += [_cells_table(data["cells"])] if data["cells"] else []
        Console().print(*tables)
        if self.json is not None:
            task = "" if self.task == DEFAULT_TASK else f" --task {self.task}"
            command = f"python -m learning two-ways --out runs/two_ways --seeds {self.seeds}{task}"
            write_json(self.json, {**provenance(0, command), **data})
        if self.ways is not None:
            picture.draw_ways(runs, self.ways)
        if self.heat is not None:
            picture.draw_similarity(runs, self.heat)
        if self.cells is not None:
            picture.draw_cells(data["cells"], self.cells)
        return 0


def _learners_table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="Goal reached, post touched, passed on the left")
    for heading in ("learner", "seed", "reached", "touched", "left"):
        table.add_column(heading)
    for row in rows:
        shares = (f"{100 * row[name]:.1f} %" for name in ("success", "hit", "left"))
        table.add_row(row["learner"], str(row["seed"]), *shares)
    return table


def _cells_table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="Chunks: mean over seeds")
    for heading in ("sampler", "steps", "cache", "ms", "largest difference, rad", "reached"):
        table.add_column(heading)
    for key in dict.fromkeys((r["sampler"], r["steps"], r["label"]) for r in rows):
        alike = [r for r in rows if (r["sampler"], r["steps"], r["label"]) == key]
        table.add_row(
            key[0],
            str(key[1]),
            key[2],
            f"{np.median([r['chunk_ms'] for r in alike]):.1f}",
            f"{max(r['difference_rad'] for r in alike):.2g}",
            f"{100 * np.mean([r['success'] for r in alike]):.1f} %",
        )
    return table
