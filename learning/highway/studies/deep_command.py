"""``python -m learning highway-study``: Highway DQN beside DQN and n-step DQN."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from asterias.cli import check_file, check_folder
from asterias.errors import UserError
from asterias.files import write_json
from asterias.progress import Stages, progress_bars
from asterias.provenance import provenance
from learning.highway.studies.deep import DeepRun, complete_deep_run, deep_rows
from learning.highway.studies.deep_more import DEEP_LEARNERS, TASKS
from learning.highway.studies.picture import draw_curves


@dataclass(frozen=True)
class HighwayStudy:
    """Train Highway DQN, SAC and TD3 beside their like where only the end of an episode pays."""

    out: Path
    """Folder for the trainings; what is finished there is not done again."""
    tasks: tuple[str, ...] = TASKS.names()
    """Tasks, by name."""
    learners: tuple[str, ...] = ()
    """Learners, by name; those of each task if none is named."""
    seeds: int = 3
    """Trainings of each, with the seeds from 0 on."""
    train: bool = True
    """Train what is missing; --no-train reports what is finished."""
    json: Path | None = None
    """Result file to write, for example results/learning/highway_dqn.json."""
    picture: Path | None = None
    """Learning curves to draw, for example results/learning/highway_dqn.png."""

    def run(self) -> int:
        """Train, print the table, write and draw.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used, or there is nothing to report.
        """
        runs = self._runs()
        check_folder("--out", self.out)
        check_file("--json", self.json)
        check_file("--picture", self.picture)
        if self.train:
            with progress_bars(34, unit="steps") as progress:
                stages = Stages(progress)
                for run in runs:
                    name, total = f"{run.task} {run.learner} {run.seed}", TASKS.get(run.task).steps
                    complete_deep_run(run, lambda done, n=name, t=total: stages(n, done, t))  # type: ignore[misc]
        rows = deep_rows(runs)
        if not rows:
            raise UserError(f"{self.out} holds no finished training yet; leave out --no-train.")
        Console().print(_table(rows))
        if self.json is not None:
            command = (
                f"python -m learning highway-study --out runs/highway_dqn --seeds {self.seeds} "
                f"--tasks {' '.join(self.tasks)}"
            )
            write_json(self.json, {**provenance(0, command), "rows": rows})
        if self.picture is not None:
            draw_curves(rows, self.picture)
        return 0

    def _runs(self) -> list[DeepRun]:
        """Return all trainings, those of one seed before the next seed's.

        Raises:
            UserError: a name is unknown, or there are no seeds.
        """
        for task in self.tasks:
            TASKS.get(task)
        for learner in self.learners:
            DEEP_LEARNERS.get(learner)
        if self.seeds < 1:
            raise UserError("--seeds must be 1 or more.")
        return [
            DeepRun(task, learner, seed, self.out)
            for task in self.tasks
            for seed in range(self.seeds)
            for learner in self.learners or TASKS.get(task).learners
        ]


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(title="Steps until the greedy policy is good")
    for heading in ("task", "learner", "each seed", "mean of V - V*", "open gates", "s"):
        table.add_column(heading)
    for row in rows:
        table.add_row(
            row["task"],
            row["learner"],
            ", ".join("never" if s is None else f"{s:,}" for s in row["solved"]),
            "" if row["bias"] is None else f"{row['bias']:.3f}",
            f"{100 * row['gates']['open_gates']:.0f} %" if row["gates"] else "",
            f"{row['wall_s']:.0f}",
        )
    return table
