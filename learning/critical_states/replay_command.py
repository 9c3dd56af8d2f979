"""``python -m learning critical-states-replay``: clones that draw by what decided, or otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from asterias.cli import check_file, check_folder
from asterias.errors import UserError
from asterias.files import write_json
from asterias.progress import Stages, progress_bars
from asterias.provenance import provenance
from learning.critical_states.replay_study import (
    DEMONSTRATIONS,
    WAYS,
    complete_replay_runs,
)
from learning.critical_states.study import MaskRun


@dataclass(frozen=True)
class ReplayStudy:
    """Clone walks through key-door grids, drawn evenly, by what decided, and at random."""

    out: Path
    """Folder of the study critical-states; detectors that are missing there are trained."""
    seeds: int = 3
    """Sets of clips, each with its detector, with the seeds from 0 on."""
    clones: int = 3
    """Clones in each way and of each set of clips."""
    json: Path | None = None
    """Result file to write, for example results/learning/replay_priority.json."""

    def run(self) -> int:
        """Train, measure, print, write.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used.
        """
        if min(self.seeds, self.clones) < 1:
            raise UserError("--seeds and --clones must be 1 or more.")
        check_folder("--out", self.out)
        check_file("--json", self.json)
        torch.set_num_threads(1)  # the nets are small
        with progress_bars(24) as progress:
            rows = [
                row
                for seed in range(self.seeds)
                for row in complete_replay_runs(
                    MaskRun("key-door", seed, self.out), self.clones, Stages(progress)
                )
            ]
        table = Table(title="Clones that succeed, in percent, by updates")
        checks = list(rows[0]["success"])  # updates, as words
        for heading in ("drawn by", *checks):
            table.add_column(heading)
        for way in WAYS:
            own = [row["success"] for row in rows if row["way"] == way]
            means = (np.mean([success[check] for success in own]) for check in checks)
            table.add_row(way, *(f"{mean:.1f}" for mean in means))
        Console().print(table)
        if self.json is not None:
            command = (
                "python -m learning critical-states-replay --out runs/critical_states "
                f"--seeds {self.seeds} --clones {self.clones}"
            )
            about = {"demonstrations": DEMONSTRATIONS, "rows": rows}
            write_json(self.json, {**provenance(0, command), **about})
        return 0
