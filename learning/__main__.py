"""``python -m learning``: train and measure on the robot."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table

from hardware.errors import HardwareError
from hardware.results import provenance, write_json
from learning.progress import progress_bars
from learning.report import fill_tables
from learning.target_finding import baselines
from sim.world import SimWorld


@dataclass(frozen=True)
class Baselines:
    """Measure the paper's Brownian baselines: two searchers, three camera-failure settings."""

    robot: str = "limb_p1"
    """Name or path of a robot description."""
    episodes: int = 200
    """Episodes per cell of the table."""
    seed: int = 0
    """Seed of everything."""
    json: Path | None = None
    """Result file to write, for example results/brownian_baselines.json."""

    def run(self) -> int:
        """Measure all six cells, print the table, write the result file if asked for."""
        if self.episodes < 2:
            raise HardwareError("--episodes must be 2 or more, so that there is a spread.")
        cells = [(policy, faults) for policy in baselines.POLICIES for faults in baselines.FAULTS]
        rows = []
        with SimWorld(self.robot, seed=self.seed) as world, progress_bars() as progress:
            for policy, faults in cells:
                bar = progress.add_task(f"{policy} {faults}", total=self.episodes)
                results = []
                for result in baselines.measure(
                    world, policy, faults, episodes=self.episodes, seed=self.seed
                ):
                    results.append(result)
                    progress.advance(bar)
                rows.append(baselines.summarise(policy, faults, results))
        Console().print(_baseline_table(rows))
        if self.json is not None:
            write_json(self.json, {**provenance(self.seed), "robot": self.robot, "rows": rows})
        return 0


@dataclass(frozen=True)
class Verdict:
    """Say whether a demo reached its goal: exit code 0 if so, 1 if not."""

    folder: tyro.conf.Positional[Path]
    """The demo's output folder."""

    def run(self) -> int:
        """Read the summary."""
        path = self.folder / "summary.json"
        try:
            summary = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise HardwareError(f"{path}: the demo left no summary; it did not finish.") from error
        return 0 if summary["passed"] else 1


@dataclass(frozen=True)
class Report:
    """Make the tables of a document anew from the files in results/."""

    document: tyro.conf.Positional[Path] = Path("README.md")
    """Markdown file with table marks."""

    def run(self) -> int:
        """Rewrite the document where its tables differ."""
        text = self.document.read_text(encoding="utf-8")
        filled = fill_tables(text)
        if filled != text:
            self.document.write_text(filled, encoding="utf-8")
        return 0


Command = (
    Annotated[Baselines, tyro.conf.subcommand("baselines")]
    | Annotated[Report, tyro.conf.subcommand("report")]
    | Annotated[Verdict, tyro.conf.subcommand("verdict")]
)


def _baseline_table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="Steps until the target is found, mean ± standard deviation")
    for heading in ("searcher", "dead cameras", "simulation", "paper (real limb)", "ratio"):
        table.add_column(heading, justify="right" if heading == "ratio" else "left")
    words = {"kill0": "none", "kill1": "1 of 4", "kill12": "1 or 2 of 4"}
    for row in rows:
        table.add_row(
            row["policy"].upper(),
            words[row["faults"]],
            f"{row['mean_steps']:.1f} ± {row['std_steps']:.1f}",
            f"{row['paper_mean_steps']:.1f} ± {row['paper_std_steps']:.1f}",
            f"{row['ratio_to_paper']:.2f}",
        )
    return table


def main() -> int:
    """Run one verb; mistakes of the user end in one sentence and exit code 2."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    command = tyro.cli(Command, prog="python -m learning", description=__doc__)
    try:
        return command.run()
    except (HardwareError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
