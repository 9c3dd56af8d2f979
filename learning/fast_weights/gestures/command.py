"""``python -m learning gestures``: classes of irregular series, by memories side by side."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from rich.console import Console
from rich.table import Table
from tyro.extras import literal_type_from_choices

from asterias.cli import check_file, check_folder
from asterias.errors import UserError
from asterias.files import write_json
from asterias.progress import Stages, progress_bars
from asterias.provenance import provenance
from learning.fast_weights.gestures.networks import MEMORIES
from learning.fast_weights.gestures.series import read_gestures
from learning.fast_weights.gestures.study import (
    RIDGE,
    GestureRun,
    better_seeds,
    chosen_run,
    complete_run,
)
from learning.fast_weights.gestures.training import ClassifierOptions

if TYPE_CHECKING:
    MemoryName: TypeAlias = str
else:
    MemoryName = literal_type_from_choices(MEMORIES.names())

# The first of these that is named is compared with the others.
_FAST = "delta_"


@dataclass(frozen=True)
class Gestures:
    """Tell gestures of an accelerometer apart with samples missing, by networks side by side."""

    out: Path
    """Folder for what is finished; it is not done again."""
    data: Path | None = None
    """Folder with the two .ts files of PickupGestureWiimoteZ; leave it out to take aeon's."""
    memories: tuple[MemoryName, ...] = MEMORIES.names()
    """Memories of the networks."""
    seeds: int = 10
    """Trainings of each, with the seeds from 0 on; each misses other samples."""
    share: float = 0.3
    """Share of the samples that are missing."""
    updates: int = 80
    """Steps in which a network learns."""
    learning_rate: float = 1e-2
    """Highest learning rate."""
    validate: bool = False
    """Cross-validate on the gestures to learn from, to choose settings; the others stay unseen."""
    choose: bool = False
    """Choose updates and rate of each memory by cross-validation first, from the same few."""
    json: Path | None = None
    """Result file to write, for example results/learning/gestures.json."""

    def run(self) -> int:
        """Train, print the table, write.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used.
        """
        if min(self.seeds, self.updates) < 1 or not self.memories:
            raise UserError("--seeds and --updates must be 1 or more; name one memory.")
        if not 0.0 <= self.share < 1.0 or not self.learning_rate > 0.0:
            raise UserError("--share must be from 0 to below 1, --learning-rate above 0.")
        if self.choose and self.validate:
            raise UserError("--choose cross-validates, then tests; leave --validate out.")
        check_folder("--out", self.out)
        check_file("--json", self.json)
        sets = read_gestures(self.data)
        torch.set_num_threads(1)  # the networks are tiny
        rows = []
        with progress_bars(24, unit="updates") as progress:
            stages = Stages(progress)
            for memory in (*self.memories, RIDGE):
                options = ClassifierOptions(memory, self.updates, learning_rate=self.learning_rate)
                run = GestureRun(options, self.seeds, self.share, self.validate)
                complete = chosen_run if self.choose else complete_run
                rows.append(complete(run, sets, self.out, partial(stages, memory)))
        Console().print(_table(rows, self.validate))
        if self.json is not None:
            write_json(self.json, {**provenance(0), **self._about(rows), "rows": rows})
        return 0

    def _about(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        fast = next((name for name in self.memories if name.startswith(_FAST)), None)
        against = [row["memory"] for row in rows if fast not in {None, row["memory"]}]
        return {
            "missing": self.share,
            "seeds": self.seeds,
            "validation": self.validate,
            "compared": fast,
            "better_worse_seeds": {name: better_seeds(rows, str(fast), name) for name in against},
        }


def _table(rows: list[dict[str, Any]], validate: bool) -> Table:
    kind = "cross-validated" if validate else "tested"
    table = Table(title=f"Gestures that are told right, {kind}, percent")
    for heading in ("memory", "mean", "deviation", "each", "processor s"):
        table.add_column(heading)
    for row in rows:
        each = ", ".join(f"{value:.0f}" for value in row["accuracy"])
        table.add_row(
            row["memory"],
            f"{row['mean']:.1f}",
            f"{row['deviation']:.1f}",
            each,
            f"{row['processor_s']:.0f}",
        )
    return table
