"""``python -m learning critical-states``: learned masks beside frames chosen otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from asterias.cli import check_file, check_folder
from asterias.errors import UserError
from asterias.files import write_json
from asterias.progress import Stages, progress_bars
from asterias.provenance import provenance
from learning.critical_states.baselines import CHOOSERS
from learning.critical_states.study import ABLATIONS, TASKS, MaskRun, complete_run

CAPTUM = "integrated gradients"


@dataclass(frozen=True)
class CriticalStatesStudy:
    """Measure which frames a Deep State Identifier marks, where it is known which decided."""

    out: Path
    """Folder for detectors; what is finished is not done again, what was broken off goes on."""
    tasks: tuple[str, ...] = TASKS.names()
    """Tasks, by name."""
    seeds: int = 3
    """Trainings of each, with the seeds from 0 on."""
    ablations: bool = False
    """With the first seed, train also without each of the losses."""
    captum: bool = True
    """Compare with integrated gradients, as captum computes them."""
    json: Path | None = None
    """Result file to write, for example results/learning/critical_states.json."""
    picture: Path | None = None
    """Picture to draw: clips with what was marked and what decided."""

    def run(self) -> int:
        """Train, measure, print, write.

        Returns:
            The exit code.
        """
        self._check()
        torch.set_num_threads(1)  # the nets are small
        choosers = [name for name in CHOOSERS.names() if self.captum or name != CAPTUM]
        with progress_bars(24) as progress:
            rows = [complete_run(run, choosers, Stages(progress)) for run in self._runs()]
        Console().print(_table(rows))
        if self.json is not None:
            tasks = " ".join(self.tasks)
            command = (
                f"python -m learning critical-states --out runs/critical_states --tasks {tasks} "
                f"--seeds {self.seeds}{' --ablations' if self.ablations else ''}"
                f"{'' if self.captum else ' --no-captum'}"
            )
            write_json(self.json, {**provenance(0, command), "rows": rows})
        if self.picture is not None:
            from learning.critical_states.picture import draw_examples

            draw_examples(self._runs(), self.picture)
        return 0

    def _check(self) -> None:
        """Refuse options that cannot be used.

        Raises:
            UserError: one of them.
        """
        check_folder("--out", self.out)
        check_file("--json", self.json)
        check_file("--picture", self.picture)
        for task in self.tasks:
            TASKS.get(task)
        if self.seeds < 1:
            raise UserError("--seeds must be 1 or more.")

    def _runs(self) -> list[MaskRun]:
        runs = [MaskRun(task, seed, self.out) for task in self.tasks for seed in range(self.seeds)]
        if self.ablations:
            runs += [
                MaskRun(task, 0, self.out, name)
                for task in self.tasks
                for name in ABLATIONS
                if name
            ]
        return runs


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="F1 in percent at tolerance 1 and 2, of test clips")
    names = list(dict.fromkeys(name for row in rows for name in row["methods"]))
    for heading in ("task", "seed", "return", "marked", *names, "best of 11"):
        table.add_column(heading)
    for row in rows:
        scores = [row["methods"].get(name) for name in names]
        table.add_row(
            f"{row['task']} {row['ablation']}",
            str(row["seed"]),
            f"{row['accuracy']:.1f} %",
            f"{row['marked_per_clip']:.1f} of {row['true_per_clip']:.1f}",
            *("" if s is None else f"{s['f1_1']:.0f} / {s['f1_2']:.0f}" for s in scores),
            f"{row['best_threshold_f1']['1']:.0f} / {row['best_threshold_f1']['2']:.0f}",
        )
    return table
