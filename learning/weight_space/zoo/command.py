"""``python -m learning weight-space``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from asterias.cli import check_file, check_folder
from asterias.errors import UserError
from asterias.files import write_json
from asterias.progress import Stages, progress_bars, stop_requests
from asterias.provenance import provenance
from learning.weight_space.encoders.registry import ENCODERS
from learning.weight_space.zoo import study
from learning.weight_space.zoo.training import Zoo, ZooOptions, make_zoo


@dataclass(frozen=True)
class WeightSpace:
    """Train language models on formal languages; measure what encoders read in their weights."""

    out: Path
    """Folder for zoo and trainings; what is finished there is not done again."""
    encoders: tuple[str, ...] = field(default_factory=study.encoder_names)
    """Encoders of recurrent networks, by name."""
    seeds: int = 3
    """Trainings of each, with the seeds from 0 on; each holds out other networks."""
    networks: int = 360
    """Networks of the zoo, the same number for each of six languages."""
    snapshots: tuple[int, ...] = (50, 150, 400)
    """Updates after which all networks are kept; their training ends with the last."""
    updates: int = 800
    """Steps in which an encoder learns."""
    json: Path | None = None
    """Result file to write, for example results/learning/weight_space.json."""
    picture: Path | None = None
    """Picture to draw, for example results/learning/weight_space.png."""

    def run(self) -> int:
        """Train, print the table, write and draw.

        Returns:
            The exit code.

        Raises:
            KeyboardInterrupt: it was stopped; the same command goes on.
        """
        self._check()
        torch.set_num_threads(1)  # the nets are tiny
        zoo = self._train()
        if zoo is None:
            raise KeyboardInterrupt
        rows = study.summarise(self.out, self.encoders, self.seeds)
        Console().print(_table(rows))
        told = {"zoo": _told(zoo, self.snapshots), "chance": study.CHANCE, "rows": rows}
        if self.json is not None:
            write_json(self.json, {**provenance(0), **told})
        if self.picture is not None:
            study.draw(rows, self.picture)
        return 0

    def _check(self) -> None:
        """Refuse options that cannot be used.

        Raises:
            UserError: one of them.
        """
        for name in self.encoders:
            ENCODERS.get(name)
        for option in ("seeds", "updates"):
            if getattr(self, option) < 1:
                raise UserError(f"--{option} must be 1 or more.")
        if not self.encoders or not self.snapshots or min(self.snapshots) < 1:
            raise UserError("Name one encoder, and snapshots of 1 or more.")
        check_folder("--out", self.out)
        check_file("--json", self.json)
        check_file("--picture", self.picture)

    def _train(self) -> Zoo | None:
        """Train what is missing.

        Returns:
            The zoo; None where it was stopped.
        """
        options = ZooOptions(networks=self.networks, snapshots=self.snapshots)
        with stop_requests() as should_stop, progress_bars(24, unit="updates") as progress:
            stages = Stages(progress)
            zoo = make_zoo(
                self.out, options, lambda done, total: stages("zoo", done, total), should_stop
            )
            if zoo is None:
                return None
            work = (self.out, zoo, self.encoders, self.seeds, self.updates)
            return zoo if study.finish_runs(*work, stages, should_stop) else None


def _told(zoo: Zoo, snapshots: tuple[int, ...]) -> dict[str, Any]:
    own = [float(zoo.accuracy[zoo.steps == step].mean()) for step in range(len(snapshots))]
    return {
        "networks": int(zoo.runs.max()) + 1,
        "form": f"{zoo.form.cell}, {zoo.form.hidden} units",
        "snapshots": sorted(snapshots),
        "words_accepted": [round(share, 4) for share in own],
    }


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="What representations of held-out networks tell")
    for heading in ("encoder", "language", "each", "snapshot", "accuracy, R2", "emulation TV"):
        table.add_column(heading)
    for row in rows:
        table.add_row(
            row["encoder"],
            f"{row['task_accuracy_mean']:.1%}",
            ", ".join(f"{value:.1%}" for value in row["task_accuracy"]),
            f"{row['snapshot_accuracy_mean']:.1%}",
            f"{row['accuracy_explained_mean']:.2f}",
            f"{row['total_variation_mean']:.3f}",
        )
    return table
