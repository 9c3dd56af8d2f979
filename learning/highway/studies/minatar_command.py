"""``python -m learning highway-minatar``: Highway DQN in games that pay at the end alone."""

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
from learning.highway.minatar import load_game
from learning.highway.studies.minatar import (
    FRAMES,
    MINATAR_LEARNERS,
    STUDIED_GAMES,
    MinAtarRun,
    complete_minatar_run,
    minatar_rows,
    random_score,
    summarise,
)
from learning.highway.studies.picture import draw_minatar


@dataclass(frozen=True)
class HighwayMinAtar:
    """Train Highway DQN beside DQN in MinAtar's games where only the end of an episode pays."""

    out: Path
    """Folder for the trainings; what is finished there is not done again."""
    games: tuple[str, ...] = STUDIED_GAMES
    """Games, by name."""
    learners: tuple[str, ...] = MINATAR_LEARNERS.names()
    """Learners, by name."""
    seeds: int = 3
    """Trainings of each."""
    first_seed: int = 0
    """The first of them; settings were chosen with seed 100."""
    frames: int = FRAMES
    """Frames of a training."""
    train: bool = True
    """Train what is missing; --no-train reports what is finished."""
    json: Path | None = None
    """Result file to write, for example results/learning/highway_minatar.json."""
    picture: Path | None = None
    """Learning curves to draw, for example results/learning/highway_minatar.png."""

    def run(self) -> int:
        """Train, print the tables, write and draw.

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
            with progress_bars(34, unit="frames") as progress:
                stages = Stages(progress)
                for run in runs:
                    name = f"{run.game} {run.learner} {run.seed}"
                    complete_minatar_run(run, lambda done, n=name: stages(n, done, self.frames))  # type: ignore[misc]
        rows = minatar_rows(runs)
        if not rows:
            raise UserError(f"{self.out} holds no finished training yet; leave out --no-train.")
        summary = summarise(rows)
        for table in _tables(rows, summary):
            Console().print(table)
        if self.json is not None:
            command = (
                f"python -m learning highway-minatar --out runs/highway_minatar "
                f"--seeds {self.seeds} --first-seed {self.first_seed} --frames {self.frames}"
            )
            random = {game: random_score(game) for game in self.games}
            found = {"frames": self.frames, "random": random, "rows": rows, "summary": summary}
            write_json(self.json, {**provenance(self.first_seed, command), **found})
        if self.picture is not None:
            draw_minatar(rows, summary, self.picture)
        return 0

    def _runs(self) -> list[MinAtarRun]:
        """Return all trainings, those of one seed before the next seed's.

        Raises:
            UserError: a name is unknown, a number is too small, or the games are missing.
        """
        for game in self.games:
            load_game(game)
        for learner in self.learners:
            MINATAR_LEARNERS.get(learner)
        if self.seeds < 1 or self.first_seed < 0:
            raise UserError("--seeds must be 1 or more, and --first-seed 0 or more.")
        if self.frames < 100:
            raise UserError(f"--frames must be 100 or more, not {self.frames}.")
        return [
            MinAtarRun(game, learner, seed, self.out, self.frames)
            for seed in range(self.first_seed, self.first_seed + self.seeds)
            for game in self.games
            for learner in self.learners
        ]


def _tables(rows: Sequence[dict[str, Any]], summary: Sequence[dict[str, Any]]) -> list[Table]:
    games = Table(title="Score of the greedy policy")
    for heading in ("game", "learner", "each seed", "open gates", "s"):
        games.add_column(heading)
    for row in rows:
        games.add_row(
            row["game"],
            row["learner"],
            ", ".join(f"{score:.2f}" for score in row["scores"]),
            "" if row["open_gates"] is None else f"{100 * row['open_gates']:.0f} %",
            f"{row['wall_s']:.0f}",
        )
    whole = Table(title="Interquartile mean, 1 is the best learner of a game")
    for heading in ("learner", "mean", "95 %"):
        whole.add_column(heading)
    for row in summary:
        low, high = row["interval"]
        interval = (
            f"{low:.2f} to {high:.2f}" if row["seeds"] > 1 else ""
        )  # of one seed, there is none
        whole.add_row(row["learner"], f"{row['iqm']:.2f}", interval)
    return [games, whole]
