"""Commands that read what demos and measurements have left."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from asterias.errors import UserError
from asterias.files import read_json


@dataclass(frozen=True)
class Verdict:
    """Say whether a demo reached its goal: exit code 0 if so, 1 if not."""

    folder: tyro.conf.Positional[Path]
    """The demo's output folder."""

    def run(self) -> int:
        """Read the summary.

        Returns:
            The exit code.

        Raises:
            UserError: there is none, or it does not say whether the demo passed.
        """
        path = self.folder / "summary.json"
        if not path.exists():
            raise UserError(f"{path}: the demo left no summary; it did not finish.")
        summary = read_json(path)
        passed = summary.get("passed") if isinstance(summary, dict) else None
        if not isinstance(passed, bool):
            raise UserError(f"{path} is no demo's summary: it does not say whether it passed.")
        return 0 if passed else 1


@dataclass(frozen=True)
class Report:
    """Make the tables of documents anew from the files in results/."""

    documents: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Markdown files with table marks; none: README.md and all pages of docs/."""

    def run(self) -> int:
        """Run docs/tables of this checkout.

        Returns:
            The exit code.

        Raises:
            UserError: this installation is no checkout, so it has no documents.
        """
        root = Path(__file__).resolve().parents[1]
        if not (root / "docs" / "tables").is_dir():
            raise UserError("report needs a checkout: this installation has no docs/tables.")
        words = [str(path.resolve()) for path in self.documents]
        return subprocess.run([sys.executable, "-m", "docs.tables", *words], cwd=root).returncode
