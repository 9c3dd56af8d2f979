"""``python -m learning highway``: the anchors of highway reinforcement learning."""

from __future__ import annotations

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
from learning.highway.studies import exact, four_rooms_runs
from learning.highway.studies.picture import draw_anchors


@dataclass(frozen=True)
class Highway:
    """Measure highway reinforcement learning on tables: fixed points, noise, four rooms."""

    out: Path
    """Folder for the trainings; what is finished there is not done again."""
    seeds: int = 20
    """Trainings of each learner in the four rooms, with the seeds from 0 on."""
    draws: int = 20
    """Random processes."""
    json: Path | None = None
    """Result file to write, for example results/learning/highway.json."""
    picture: Path | None = None
    """Picture to draw, for example results/learning/highway.png."""

    def run(self) -> int:
        """Measure, train, print the tables, write and draw.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used.
        """
        if self.seeds < 1 or self.draws < 1:
            raise UserError("--seeds and --draws must be 1 or more.")
        check_folder("--out", self.out)
        check_file("--json", self.json)
        check_file("--picture", self.picture)
        data = self._measure()
        for table in (_exact_table(data), _rooms_table(data["four_rooms"])):
            Console().print(table)
        if self.json is not None:
            command = f"python -m learning highway --out runs/highway --seeds {self.seeds}"
            command = f"{command} --draws {self.draws}"
            write_json(self.json, {**provenance(0, command), "draws": self.draws, **data})
        if self.picture is not None:
            draw_anchors(data, self.picture)
        return 0

    def _measure(self) -> dict[str, Any]:
        with progress_bars(24, unit="trainings") as progress:
            stages = Stages(progress)
            trainings = four_rooms_runs.complete_runs(
                four_rooms_runs.four_rooms_runs(self.seeds),
                self.out,
                lambda done, total: stages("four rooms", done, total),
            )
        return {
            "fixed_points": exact.fixed_points(self.draws),
            "corridor": exact.corridor_iterations(),
            "noise": exact.noise_rows(self.draws, exact.NOISE_DEPTHS),
            "four_rooms": four_rooms_runs.four_rooms_rows(trainings),
        }


def _exact_table(data: dict[str, Any]) -> Table:
    table = Table(title="Fixed points: largest error of the highway's, mean bias of n steps")
    for heading in ("depth", "highway", "n steps"):
        table.add_column(heading)
    for row in data["fixed_points"]:
        worst = max(row["highway_errors"].values())
        table.add_row(str(row["depth"]), f"{worst:.0e}", f"{row['n_step_bias']['mean']:.2f}")
    return table


def _rooms_table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="Four rooms: episodes until the greedy way is the shortest")
    for heading in ("slip", "target", "n", "solved", "median", "mean of V - V*", "open gates"):
        table.add_column(heading)
    for row in rows:
        table.add_row(
            f"{row['slip']:g}",
            row["target"],
            str(row["depth"]),
            f"{100 * row['solved_share']:.0f} %",
            f"{row['median']:g}",
            f"{row['bias']:.3f}",
            f"{100 * row['open_gates']:.0f} %",
        )
    return table
