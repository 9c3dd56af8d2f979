"""``python -m learning diffusion-find``: target finding by diffusion, from images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, get_args

import tyro
from rich.console import Console
from rich.table import Table

from asterias.cli import check_file, check_folder
from asterias.errors import UserError
from asterias.files import write_json
from asterias.progress import Stages, progress_bars
from asterias.provenance import provenance
from learning.diffusion_policy.demonstrations import FEWEST_DEMONSTRATIONS
from learning.diffusion_policy.find_study import FindRun, complete_find_run
from learning.target_finding.env.options import Observed


@dataclass(frozen=True)
class DiffusionFind:
    """Clone simulated searches by diffusion, from images or commands; measure the policies."""

    out: Path
    """Folder for the trainings; what is finished there is not done again."""
    observe: Annotated[tuple[Observed, ...], tyro.conf.arg(help="images, commands or both.")] = (
        "images",
        "commands",
    )
    """What the policies observe."""
    demonstrations: int = 50
    """Successful searches to learn from."""
    seeds: int = 3
    """Trainings of each, with the seeds from 0 on."""
    json: Path | None = None
    """Result file to write, for example results/learning/diffusion_find.json."""

    def run(self) -> int:
        """Train, measure, print and write.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used.
        """
        if self.seeds < 1 or self.demonstrations < FEWEST_DEMONSTRATIONS:
            raise UserError(
                f"--seeds must be 1 or more, --demonstrations {FEWEST_DEMONSTRATIONS} or more."
            )
        if "both" in self.observe or not self.observe:
            raise UserError(f"--observe takes {' and '.join(get_args(Observed)[:2])}.")
        check_folder("--out", self.out)
        check_file("--json", self.json)
        with progress_bars(24) as progress:
            rows = [
                complete_find_run(
                    FindRun(seen, self.demonstrations, seed, self.out / f"{seen}_{seed}"),
                    Stages(progress),
                )
                for seen in self.observe
                for seed in range(self.seeds)
            ]
        table = Table(title="Target finding by diffusion policies")
        for heading in ("observed", "seed", "steps", "found within 5", "ms a decision"):
            table.add_column(heading)
        for row in rows:
            table.add_row(
                row["observe"],
                str(row["seed"]),
                f"{row['mean_steps']:.2f} ± {row['std_steps']:.2f}",
                f"{100 * row['success_within_cap']:.1f} %",
                f"{row['decision_ms']:.1f}",
            )
        Console().print(table)
        if self.json is not None:
            seen = " ".join(self.observe)
            command = f"python -m learning diffusion-find --observe {seen} --seeds {self.seeds}"
            command += " --out runs/diffusion_find"
            write_json(self.json, {**provenance(0, command), "rows": rows})
        return 0
