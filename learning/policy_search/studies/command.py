"""``python -m learning policy-search-study``: learning curves beside the papers' values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table

from asterias.cli import check_file, check_folder
from asterias.errors import UserError
from asterias.files import write_json
from asterias.progress import Stages, progress_bars
from asterias.provenance import provenance
from learning.policy_search.studies import curves, runs
from learning.policy_search.studies.benchmarks import BENCHMARKS

_HELP = "; ".join(f"{name}: {about.title}" for name, about in BENCHMARKS.items())


@dataclass(frozen=True)
class PolicySearchStudy:
    """Train learners of policy search on benchmarks, several seeds each; draw their curves."""

    out: Path
    """Folder for the runs; what is finished there is not done again."""
    benchmarks: Annotated[tuple[str, ...], tyro.conf.arg(help=f"Which: {_HELP}.")] = (
        BENCHMARKS.names()
    )
    seeds: int = 3
    """Trainings of each, with the seeds from 0 on."""
    train: bool = True
    """Train what is missing; --no-train reports what is finished."""
    json: Path | None = None
    """Result file to write, for example results/learning/policy_search.json."""
    picture: Path | None = None
    """Learning curves to draw, for example results/learning/policy_search.png."""

    def run(self) -> int:
        """Train, print the table, write and draw.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used, or there is nothing to report.
        """
        for name in self.benchmarks:
            BENCHMARKS.get(name)
        if self.seeds < 1:
            raise UserError("--seeds must be 1 or more.")
        check_folder("--out", self.out)
        check_file("--json", self.json)
        check_file("--picture", self.picture)
        todo = runs.benchmark_runs(self.out, self.benchmarks, self.seeds)
        if self.train:
            self._train(todo)
        rows = curves.summarise(todo)
        if not rows:
            raise UserError(f"{self.out} holds no finished run yet; leave out --no-train.")
        Console().print(_table(rows))
        if self.json is not None:
            write_json(self.json, {**provenance(0, self._command), "rows": rows})
        if self.picture is not None:
            curves.draw(rows, self.picture)
        return 0

    @property
    def _command(self) -> str:
        """What to type to do the same, whether or not it was done in one go."""
        return (
            f"python -m learning policy-search-study --out runs/policy_search --benchmarks "
            f"{' '.join(self.benchmarks)} --seeds {self.seeds}"
        )

    @staticmethod
    def _train(todo: list[runs.BenchmarkRun]) -> None:
        with progress_bars(24, unit="steps") as progress:
            stages = Stages(progress)
            for run in todo:
                name = f"{run.benchmark} {run.seed}"
                runs.complete_run(run, lambda done, total, name=name: stages(name, done, total))  # type: ignore[misc]


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="Return of the learned policy")
    for heading in ("benchmark", "seeds", "steps", "mean ± std", "each", "target", "paper", "s"):
        table.add_column(heading)
    for row in rows:
        target, paper = row["target"], row["paper"]
        table.add_row(
            row["title"],
            str(len(row["seeds"])),
            f"{row['steps']:,}",
            f"{row['mean_return']:.1f} ± {row['std_return']:.1f}",
            ", ".join(f"{value:.1f}" for value in row["returns"]),
            f"{target['return']:g} by {target['by']:,}: {target['reached']}" if target else "",
            f"{paper[-1][1]:g} at {paper[-1][0]:,}" if paper else "",
            f"{row['wall_s']:.0f}",
        )
    return table
