"""``python -m learning fast-weights``: estimators of joints from cameras, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from rich.console import Console
from rich.table import Table
from tyro.extras import literal_type_from_choices

from asterias.cli import check_file, check_folder
from asterias.errors import UserError
from asterias.files import write_json
from asterias.progress import Stages, progress_bars
from asterias.provenance import provenance
from learning.fast_weights.estimation.estimator import load_estimator
from learning.fast_weights.estimation.models import SEQUENCE_MODELS
from learning.fast_weights.studies.limb import (
    UPDATES,
    EstimatorRun,
    complete_runs,
    limb_tables,
    rows_of,
)
from learning.fast_weights.studies.picture import draw_limb

if TYPE_CHECKING:
    ModelName: TypeAlias = str
else:
    ModelName = literal_type_from_choices(SEQUENCE_MODELS.names())


# Shipped, of the limb in simulation.
ESTIMATOR = "limb_p1"


@dataclass(frozen=True)
class FastWeights:
    """Estimate joints from cameras with pictures lost and late, by networks side by side."""

    out: Path
    """Folder for descriptions and trainings; what is finished there is not done again."""
    estimator: str = ESTIMATOR
    """Name or path of the state estimator whose encoder describes the pictures for all."""
    models: tuple[ModelName, ...] = SEQUENCE_MODELS.names()
    """Networks over time."""
    seeds: int = 3
    """Trainings of each network, with the seeds from 0 on."""
    updates: int = UPDATES
    """Batches of a training."""
    drives: int = 300
    """Drives of 5 s that are learned from."""
    judged: int = 60
    """Drives that are judged on."""
    json: Path | None = None
    """Result file to write, for example results/learning/fast_weights.json."""
    picture: Path | None = None
    """Picture to draw, for example results/learning/fast_weights.png."""

    def run(self) -> int:
        """Train, print the table, write and draw.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used.
        """
        if min(self.seeds, self.updates, self.drives, self.judged) < 1:
            raise UserError("--seeds, --updates, --drives and --judged must be 1 or more.")
        check_folder("--out", self.out)
        check_file("--json", self.json)
        check_file("--picture", self.picture)
        trained = load_estimator(self.estimator)
        runs = [
            EstimatorRun(model, seed, self.updates)
            for seed in range(self.seeds)
            for model in self.models
            if seed == 0 or model != "nearest_frame"
        ]
        with progress_bars(24) as progress:
            stages = Stages(progress)
            tables = limb_tables(
                trained, self.out, self.drives, self.judged, lambda d, t: stages("drives", d, t)
            )
            results = complete_runs(
                runs,
                trained,
                tables,
                self.out,
                lambda done, total: stages("trainings", done, total),
                stages,
            )
        rows = rows_of(results)
        Console().print(_table(rows))
        if self.json is not None:
            write_json(self.json, {**provenance(0, self._command()), **self._about(), "rows": rows})
        if self.picture is not None:
            draw_limb(rows, results, trained, tables, self.out, self.picture)
        return 0

    def _command(self) -> str:
        words = f"python -m learning fast-weights --out runs/fast_weights --seeds {self.seeds}"
        if self.models != SEQUENCE_MODELS.names():
            words += f" --models {' '.join(self.models)}"
        if self.estimator != ESTIMATOR:
            words += f" --estimator {Path(self.estimator).name}"
        return f"{words} --updates {self.updates} --drives {self.drives} --judged {self.judged}"

    def _about(self) -> dict[str, Any]:
        return {"updates": self.updates, "drives": self.drives, "judged": self.judged}


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="Error of joint angles in degrees, by share of lost pictures")
    drops = list(rows[0]["rmse_deg"])
    for heading in ("network", "weights", *(f"{100 * float(d):.0f} %" for d in drops), "sudden"):
        table.add_column(heading)
    for row in rows:
        errors = [f"{row['rmse_deg'][drop]['mean']:.2f}" for drop in drops]
        table.add_row(
            row["model"], str(row["parameters"]), *errors, f"{row['sudden_rmse_deg']:.2f}"
        )
    return table
