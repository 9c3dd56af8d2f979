"""``python -m learning starfish-find``: target finding with the whole body, by who searches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from asterias.cli import check_episodes, check_file, check_folder, check_seed
from asterias.errors import UserError
from asterias.files import read_json, write_json
from asterias.progress import Stages, progress_bars
from asterias.provenance import provenance
from hardware.description.robot import load_robot
from learning.starfish.body_sight import BodySight
from learning.starfish.evaluation import measure_by_name
from learning.starfish.options import BodySearchOptions
from learning.starfish.policy import load_body_policy
from learning.starfish.searchers import BODY_SEARCHERS, KNOWING, make_body_searcher
from learning.starfish.settings import FAILURES


@dataclass(frozen=True)
class SearchCell:
    """One searcher with one kind of failures.

    Attributes:
        searcher: name or path.
        failures: of :data:`FAILURES`.
        increment: largest change of a command in a step.
    """

    searcher: str
    failures: str
    increment: float

    def path(self, out: Path) -> Path:
        """Return the file of its figures in a study's folder."""
        name = Path(self.searcher).name
        return out / f"{name}-{self.failures.replace(' ', '_')}-{self.increment:g}.json"


@dataclass(frozen=True)
class StarfishFind:
    """Measure target finding with the whole starfish: policies, searchers, and one that knows."""

    searchers: tuple[str, ...] = ("pathwise_limbs", "together", "alone", "random", "knows")
    """Names or paths of policies and searchers."""
    failures: tuple[str, ...] = tuple(FAILURES)
    """Which kinds of failures."""
    out: Path = Path("runs/starfish_find")
    """Folder of the study; what is finished there is not measured again."""
    increment: float = 0.4
    """Largest change of a servo's command in a step, in halves of its range."""
    episodes: int = 500
    """Episodes per policy and kind of failures."""
    beside: int = 0
    """Episodes per searcher that is no policy; 0: as many."""
    seed: int = 7
    """Seed of targets, poses, failures and searchers."""
    finished: bool = False
    """Tell of what is finished in --out alone, and measure nothing."""
    trained: tuple[str, ...] = ()
    """Further policies, whose trainings the result file tells of."""
    json: Path | None = None
    """Result file to write, for example results/learning/starfish_find.json."""
    picture: Path | None = None
    """Picture to draw of searches by the first searcher, for example
    results/learning/starfish_coverage.png."""

    def run(self) -> int:
        """Measure, print the table, write the result file if asked for.

        Returns:
            The exit code.

        Raises:
            UserError: a kind of failures is unknown.
        """
        if unknown := sorted(set(self.failures) - set(FAILURES)):
            raise UserError(f"--failures takes some of {', '.join(FAILURES)}, not {unknown[0]}.")
        check_seed(self.seed)
        check_episodes(self.episodes)
        check_folder("--out", self.out)
        check_file("--json", self.json)
        check_file("--picture", self.picture)
        with progress_bars(34) as progress:
            rows = list(self._rows(Stages(progress)))
        Console().print(_table(rows))
        if self.json is not None:
            trained = [
                self._training(name)
                for name in (*self.searchers, *self.trained)
                if _is_policy(name)
            ]
            about = {**provenance(self.seed), "trainings": trained}
            write_json(self.json, {**about, "rows": rows})
        if self.picture is not None:
            from learning.starfish.coverage_picture import draw_coverage

            options = BodySearchOptions(increment=self.increment)
            sight = BodySight(load_robot(options.robot))
            searcher = make_body_searcher(self.searchers[0], sight, options)
            draw_coverage(searcher, sight, self.picture, self.seed)
        return 0

    def _rows(self, stages: Stages) -> Iterator[dict[str, Any]]:
        for failures in self.failures:
            for searcher in self.searchers:
                cell = SearchCell(searcher, failures, self.increment)
                if not self.finished or cell.path(self.out).is_file():
                    yield self._row(cell, stages)

    @staticmethod
    def _training(name: str) -> dict[str, Any]:
        """Return how a policy was trained, and what it finds by geometry alone."""
        policy = load_body_policy(name)
        told = ("algorithm", "seed", "steps", "wall_s", "found_by_geometry", "command")
        about = {key: policy.card[key] for key in told if key in policy.card}
        increment = policy.card.get("options", {}).get("increment")
        form = {"sharing": policy.sharing, "parameters": policy.parameters, "increment": increment}
        return {"searcher": name, **form, **about}

    def _row(self, cell: SearchCell, stages: Stages) -> dict[str, Any]:
        """Return the figures of a cell, which are read where they are there."""
        name, path = f"{cell.searcher}, {cell.failures}", cell.path(self.out)
        is_policy = _is_policy(cell.searcher)
        episodes = self.episodes if is_policy or not self.beside else self.beside
        about = {"searcher": cell.searcher, "failures": cell.failures, "seed": self.seed}
        if path.is_file():
            row: dict[str, Any] = read_json(path)
            if row.get("episodes") == episodes and row.get("seed") == self.seed:
                stages(name, episodes, episodes)
                return row
        done = 0

        def tell() -> None:
            nonlocal done
            done += 1
            stages(name, done, episodes)

        changes = {**FAILURES[cell.failures], "increment": cell.increment}
        row = {**about, **measure_by_name(cell.searcher, changes, episodes, self.seed, tell)}
        write_json(path, row)
        return row


def _is_policy(name: str) -> bool:
    return name != KNOWING and name not in BODY_SEARCHERS.names()


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="Target finding with the whole starfish")
    for heading in ("failures", "searcher", "steps", "within 1", "within 2", "within 3"):
        table.add_column(heading)
    for row in rows:
        shares = (f"{100 * share:.1f} %" for share in row["found_within"])
        table.add_row(row["failures"], row["searcher"], f"{row['mean_steps']:.2f}", *shares)
    return table
