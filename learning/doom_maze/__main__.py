"""``python -m learning.doom_maze``: measure navigation by what is seen, in ViZDoom."""

from __future__ import annotations

import itertools
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import tyro
from rich.console import Console
from rich.table import Table

from asterias.cli import check_file, check_folder, check_seed, run_command
from asterias.errors import UserError
from asterias.progress import Stages, progress_bars
from learning.doom_maze.mapper_config import MapperTrainConfig
from learning.doom_maze.textures_command import DrawTextures


@dataclass(frozen=True)
class EvaluateNavigation:
    """Score mapper and planner on unseen mazes: with all views given, and exploring."""

    size: tyro.conf.Positional[int]
    """Rows and columns: 15 or 35."""
    planner: str = "dt_vin"
    """Planner: dt_vin (its weights for the size), or weights of planners/weights."""
    mapper: str = "mapper"
    """Mapper of planners/weights/doom, or a .safetensors file."""
    mazes: int = 60
    """Mazes per bin of path lengths, for the setting with all views given."""
    explored: int = 20
    """Mazes per bin that are explored."""
    seed: int = 5_000_000
    """Seed of mazes, textures and light."""
    parts: tuple[Literal["surveyed", "explored"], ...] = ("surveyed", "explored")
    """What to measure."""
    frontiers: tuple[str, ...] = ("optimistic", "expected")
    """Where to explore next: unknown cells free, or at the price of their doubt."""
    threads: int = 0
    """Threads; 0 leaves the choice to PyTorch."""
    json: Path | None = None
    """Result file to write, for example results/doom/maze_15.json."""

    def run(self) -> int:
        """Measure, print the tables, write the result file if asked for.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used.
        """
        import torch

        from learning.doom_maze import evaluation
        from planners.mapping.frontiers import FRONTIERS

        check_seed(self.seed)
        check_file("--json", self.json)
        if self.threads:
            torch.set_num_threads(self.threads)
        if min(self.mazes, self.explored) < 1:
            raise UserError("--mazes and --explored must be 1 or more.")
        for name in self.frontiers:
            FRONTIERS.get(name)
        with progress_bars(width=24) as bars:
            result = evaluation.measure(
                self.size,
                planner=self.planner,
                mapper=self.mapper,
                per_bin=self.mazes,
                explored_per_bin=self.explored,
                seed=self.seed,
                parts=self.parts,
                frontiers=self.frontiers,
                on_progress=Stages(bars),
            )
        console = Console()
        for row in result.get("surveyed", []):
            rates = " / ".join(f"{bin_['success']:.2f}" for bin_ in row["bins"])
            console.print(
                f"{row['planner']:8} {row['textures']:9} {row['views_given']:4.0%} of the views: "
                f"success {rates} %; {row['wrong_cells']:.3f} % of cells wrong, most with "
                f"{max(row['wrong_cells_by_set'], key=row['wrong_cells_by_set'].get)}"
            )
        if "explored" in result:
            console.print(_explored_table(result["explored"]))
        if self.json is not None:
            evaluation.write_result(self.json, self.seed, result)
        return 0


@dataclass(frozen=True)
class DrawWalk:
    """Explore one unseen maze in a running game, and draw the walk."""

    size: tyro.conf.Positional[int] = 15
    """Rows and columns."""
    planner: str = "dt_vin"
    """Planner: dt_vin, a_star, or weights of planners/weights."""
    mapper: str = "mapper"
    """Mapper of planners/weights/doom, or a .safetensors file."""
    textures: str = "training"
    """Texture sets: training, varied, any, held_out, unseen, or the name of one."""
    frontiers: str = "optimistic"
    """Where to explore next: unknown cells free, or at the price of their doubt."""
    seed: int = 0
    """Seed of the maze."""
    out: Path = Path("runs/doom_walk.png")
    """Contact sheet to write."""

    def run(self) -> int:
        """Walk, print how it went, write the picture.

        Returns:
            The exit code.
        """
        from learning.doom_maze.walking import draw_walk

        check_seed(self.seed)
        check_file("--out", self.out)
        names = (self.planner, self.mapper, self.textures, self.frontiers)
        print(draw_walk(self.size, *names, self.seed, self.out))
        return 0


@dataclass(frozen=True)
class MeasureSight:
    """Explore mazes without a game, with perfect sight of some cells."""

    size: tyro.conf.Positional[int] = 35
    """Rows and columns: 15 or 35."""
    sights: tuple[int, ...] = (1, 2, 4, 34)
    """Cells that are seen along each of the four directions."""
    mazes: int = 5
    """Mazes per bin of path lengths."""
    seed: int = 5_000_000
    """Seed of the mazes."""
    json: Path | None = None
    """Result file to write, for example results/doom/sight.json."""

    def run(self) -> int:
        """Measure, print, write the result file if asked for.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used.
        """
        from asterias.files import write_json
        from asterias.provenance import provenance
        from learning.doom_maze.sight import measure_sight

        check_seed(self.seed)
        check_file("--json", self.json)
        if min(self.mazes, *self.sights) < 1:
            raise UserError("--mazes and --sights must be 1 or more.")
        with progress_bars(width=24) as bars:
            rows = measure_sight(self.size, self.mazes, self.seed, self.sights, Stages(bars))
        for row in rows:
            print(
                f"{row['sight_cells']:2} cells, {row['frontiers']:10}: "
                f"{row['path_over_optimum']:.2f} times the shortest way, {row['looks']:.0f} looks"
            )
        if self.json is not None:
            write_json(self.json, {**provenance(self.seed), "size": self.size, "rows": rows})
        return 0


@dataclass(frozen=True)
class MeasureBall:
    """Push a ball through 35 x 35 mazes with a planner of 2-D mazes, seeing them from above."""

    planner: str = "dt_vin"
    """Planner: dt_vin, a_star, or weights of planners/weights."""
    mazes: int = 40
    """Mazes per bin of path lengths."""
    seed: int = 6_000_000
    """Seed of the mazes."""
    json: Path | None = None
    """Result file to write, for example results/doom/ball_maze.json."""

    def run(self) -> int:
        """Measure, print, write the result file if asked for.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used.
        """
        from asterias.files import write_json
        from asterias.provenance import provenance
        from learning.ball_maze.agent import measure

        check_seed(self.seed)
        check_file("--json", self.json)
        if self.mazes < 1:
            raise UserError("--mazes must be 1 or more.")
        with progress_bars(width=24) as bars:
            result = measure(self.planner, self.mazes, self.seed, Stages(bars))
        for row in result["bins"]:
            print(f"{row['lo']}-{row['hi']}: {row['success']:.2f} % of {row['episodes']} reached")
        if self.json is not None:
            write_json(self.json, {**provenance(self.seed), **result})
        return 0


@dataclass(frozen=True)
class MeasureJoint:
    """Score jointly trained mappers and planners: success in per cent by path length."""

    folders: tyro.conf.Positional[tuple[Path, ...]]
    """Folders that python -m learning.doom_maze mapper --joint has written."""
    size: int = 15
    """Rows and columns of the test mazes."""
    mazes: int = 40
    """Test mazes."""
    textures: tuple[str, ...] = ("training", "held_out")
    """Texture sets of the test mazes."""
    seed: int = 7_000_000
    """Seed of the test mazes."""
    json: Path | None = None
    """Result file to write, for example results/doom/joint.json."""

    def run(self) -> int:
        """Measure, print, write the result file if asked for.

        Returns:
            The exit code.
        """
        from asterias.files import write_json
        from asterias.provenance import provenance
        from learning.doom_maze.joint import measure_joint

        check_seed(self.seed)
        check_file("--json", self.json)
        rows = []
        for folder, textures in itertools.product(self.folders, self.textures):
            for row in measure_joint(folder, self.size, self.mazes, self.seed, textures):
                rows.append(row)
                rates = " / ".join(f"{one['success']:.2f}" for one in row["bins"])
                views = f"{row['views_given']:.0%} of the views{', blank' * row['blank']}"
                print(f"{folder}, {textures}, {views}: success {rates} %")
        if self.json is not None:
            write_json(self.json, {**provenance(self.seed), "rows": rows})
        return 0


@dataclass(frozen=True)
class TrainMapper:
    """Train the mapper with a progress bar; Ctrl-C and a polite kill leave a checkpoint."""

    config: tyro.conf.OmitArgPrefixes[MapperTrainConfig] = field(default_factory=MapperTrainConfig)

    def run(self) -> int:
        """Train, print what was reached and where the weights are.

        Returns:
            The exit code.
        """
        from learning.doom_maze import mapper_training

        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, signal.default_int_handler)
        config = self.config
        check_seed(config.seed)
        check_folder("--out", config.out)
        try:
            trainer = mapper_training.train_mapper(config)
        except KeyboardInterrupt:
            print(f"\nstopped; go on with: mapper ... --out {config.out} --resume", file=sys.stderr)
            return 130
        last = trainer.progress.history[-1]
        if "success" in last:
            print(f"goals reached from {last['success']:.2f} % of the starts of validation mazes")
        print(
            f"trained in {trainer.progress.seconds:.0f} s; wrong cells {100 * last['wrong']:.3f} % "
            f"with all views, {100 * last['wrong_half_given']:.2f} % with half of them"
        )
        print(f"weights: {config.out / mapper_training.WEIGHTS}")
        return 0


COMMANDS: dict[str, type] = {
    "ball": MeasureBall,
    "evaluate": EvaluateNavigation,
    "joint": MeasureJoint,
    "mapper": TrainMapper,
    "sight": MeasureSight,
    "textures": DrawTextures,
    "walk": DrawWalk,
}


def _explored_table(rows: list[dict[str, object]]) -> Table:
    table = Table(title="Exploring: from the cell that is farthest from the goal")
    columns = (
        "agent",
        "frontiers",
        "textures",
        "reached",
        "path_over_optimum",
        "looks",
        "plans",
        "planning_ms",
    )
    for column in columns:
        table.add_column(column.replace("_", " "))
    for row in rows:
        table.add_row(*[str(row[column]) for column in columns])
    return table


def main(
    arguments: Sequence[str] | None = None, program: str = "python -m learning.doom_maze"
) -> int:
    """Run one command; a person's mistake ends in one sentence and exit code 2.

    Returns:
        The exit code.
    """
    return run_command(COMMANDS, program, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
