"""``python -m docs.site``: build the manual, or show it while it is written."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asterias.cli import check_folder, run_command
from asterias.errors import UserError
from docs.site.staging import ROOT, stage


@dataclass(frozen=True)
class Build:
    """Build the manual strictly: a warning is an error."""

    out: Path = Path("runs/site")
    """Folder of the finished pages; index.html is the first."""
    reference: bool = True
    """Make the pages of commands, which takes most of the time."""

    def run(self) -> int:
        """Stage the pages and run MkDocs.

        Returns:
            The exit code of MkDocs.

        Raises:
            UserError: MkDocs is not installed.
        """
        check_folder("--out", self.out)
        staged = ROOT / "runs" / "site_source"
        configuration = stage(staged, with_commands=self.reference)
        try:
            importlib.import_module("mkdocs")
        except ImportError as error:
            raise UserError(
                "The manual needs MkDocs, which is not installed: pip install 'asterias[docs]'"
            ) from error
        words = ["build", "--strict", "--quiet", "--config-file", str(configuration)]
        words += ["--site-dir", str(self.out.resolve())]
        quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}  # of the theme, about another program
        command = [sys.executable, "-m", "mkdocs", *words]
        status = subprocess.run(command, cwd=staged, env=quiet).returncode
        if status == 0:
            print(f"The manual is in {self.out / 'index.html'}.")
        return status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit code.
    """
    return run_command({"build": Build}, "python -m docs.site", __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
