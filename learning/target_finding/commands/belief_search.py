"""``python -m learning belief-search``: steps to find by searchers that hold a belief."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from asterias.cli import check_episodes, check_file, check_folder, check_seed
from asterias.errors import UserError
from asterias.files import write_json
from asterias.progress import Stages, progress_bars
from asterias.provenance import provenance
from learning.target_finding.belief.searchers import DEFAULT_ALPHA
from learning.target_finding.env.options import DEAD, TargetFindingOptions, with_command_range
from learning.target_finding.env.task import TargetFindingTask
from learning.target_finding.experiments import belief_picture, belief_search
from sim.world import SimWorld


@dataclass(frozen=True)
class BeliefSearch:
    """Measure searchers that remember where they looked, by order of their Rényi divergence."""

    out: Path = Path("runs/belief_search")
    """Folder of the study; what is finished there is not done again."""
    episodes: int = 200
    """Episodes per searcher, setting of dead cameras, and place of the target; PPO gets a tenth
    of them where the target is not where it was trained."""
    searchers: tuple[str, ...] = belief_search.SEARCHERS
    """Which; ppo is the policy trained with as many dead cameras, renyi:0.3 one of order 0.3."""
    places: tuple[str, ...] = belief_search.PLACES
    """Where the target is: as described, or anywhere that the live cameras can see."""
    seed: int = 0
    """Seed of start poses, dead cameras, places and searchers."""
    json: Path | None = None
    """Result file to write, for example results/learning/belief_search.json."""
    picture: Path | None = None
    """Steps by order to draw, for example results/learning/belief_search.png."""

    maps: Path | None = None
    """Two beliefs to draw, of a small and of a large order, for example
    results/learning/belief_maps.png."""

    def run(self) -> int:
        """Search, print the table, write and draw what is asked for.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used.
        """
        check_seed(self.seed)
        check_episodes(self.episodes)
        check_folder("--out", self.out)
        check_file("--json", self.json)
        check_file("--picture", self.picture)
        check_file("--maps", self.maps)
        unknown = sorted(set(self.places) - set(belief_search.PLACES))
        if unknown or not self.places or not self.searchers:
            known = " and ".join(belief_search.PLACES)
            raise UserError(f"--places takes {known}; --searchers at least one.")
        rows = self._measure()
        Console().print(_table(rows))
        if self.json is not None:
            about = {"cap": belief_search.CAP, "default_alpha": DEFAULT_ALPHA}
            write_json(self.json, {**provenance(self.seed, self._command), **about, "rows": rows})
        if self.picture is not None:
            belief_picture.draw(rows, self.picture)
        if self.maps is not None:
            belief_picture.draw_maps(self.maps)
        return 0

    @property
    def _command(self) -> str:
        """What to type to do the same, whether or not it was done in one go."""
        return f"python -m learning belief-search --episodes {self.episodes} --seed {self.seed}"

    def _measure(self) -> list[dict[str, Any]]:
        options = with_command_range(TargetFindingOptions())
        rows = []
        with SimWorld(options.robot, seed=self.seed) as world, progress_bars(34) as progress:
            task, stages = TargetFindingTask(world, options.limb), Stages(progress)
            for cell in belief_search.cells(self.searchers, self.places):
                name = f"{cell.place} {cell.faults} {cell.searcher}"
                count = belief_search.episodes_of(cell, self.episodes)
                tell = lambda done, name=name, count=count: stages(name, done, count)  # noqa: E731
                steps = belief_search.complete_cell(cell, self.out, task, count, self.seed, tell)
                rows.append(belief_search.row(cell, steps))
        return rows


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="Steps until the target is found, mean ± standard error")
    for heading in ("target", "dead cameras", "searcher", "steps", "median", "found"):
        table.add_column(heading)
    for row in rows:
        table.add_row(
            row["place"],
            DEAD[row["faults"]],
            row["policy"],
            f"{row['mean_steps']:.2f} ± {row['standard_error']:.2f}",
            f"{row['median_steps']:g}",
            f"{100 * row['found']:.1f} %",
        )
    return table
