"""Commands that read what demos and measurements have left."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from asterias.errors import UserError
from asterias.files import read_json
from learning.report import fill_tables


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
    """Make the tables of a document anew from the files in results/."""

    document: tyro.conf.Positional[Path] = Path("README.md")
    """Markdown file with table marks."""

    def run(self) -> int:
        """Rewrite the document where its tables differ.

        Returns:
            The exit code.
        """
        text = self.document.read_text(encoding="utf-8")
        filled = fill_tables(text)
        if filled != text:
            self.document.write_text(filled, encoding="utf-8")
        return 0
