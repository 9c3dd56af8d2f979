"""``python -m learning``: train and measure on the robot."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from asterias.cli import run_verb
from asterias.errors import HardwareError
from learning.report import fill_tables
from learning.target_finding.commands import (
    Babble,
    Baselines,
    Beyond,
    Bound,
    Compare,
    Evaluate,
    Train,
)


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
    Annotated[Babble, tyro.conf.subcommand("babble")]
    | Annotated[Baselines, tyro.conf.subcommand("baselines")]
    | Annotated[Beyond, tyro.conf.subcommand("beyond")]
    | Annotated[Bound, tyro.conf.subcommand("bound")]
    | Annotated[Compare, tyro.conf.subcommand("compare")]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
    | Annotated[Report, tyro.conf.subcommand("report")]
    | Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[Verdict, tyro.conf.subcommand("verdict")]
)


def main() -> int:
    """Run one verb; mistakes of the user end in one sentence and exit code 2."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    return run_verb(Command, "python -m learning", __doc__)


if __name__ == "__main__":
    sys.exit(main())
