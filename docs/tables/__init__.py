"""Tables of the documents, made from the files in ``results/``: no figure is typed by hand.

A document marks a table by ``<!-- table: NAME -->`` and ``<!-- end of table -->``. Each module of
this folder makes the tables of one subject; ``python -m learning report DOCUMENT`` fills them in.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from asterias.errors import UserError
from docs.tables import (
    agents,
    crawling,
    critical_states,
    diffusion,
    doom,
    figures,
    front_page,
    highway,
    planners,
    planning,
    policy_search,
    pythons,
    renyi,
    simulation,
    target_finding,
    upside_down,
)
from docs.tables.learning import fast_weights, starfish

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results"
TABLES = {
    **target_finding.TABLES,
    **policy_search.TABLES,
    **renyi.TABLES,
    **highway.TABLES,
    **fast_weights.TABLES,
    **starfish.TABLES,
    **upside_down.TABLES,
    **crawling.TABLES,
    **diffusion.TABLES,
    **planners.TABLES,
    **planning.TABLES,
    **doom.TABLES,
    **critical_states.TABLES,
    **agents.TABLES,
    **figures.TABLES,
    **front_page.TABLES,
    **pythons.TABLES,
    **simulation.TABLES,
}
_TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)", re.DOTALL)
_LINK = re.compile(r"\]\(results/")


def documents() -> list[Path]:
    """Return all documents of the checkout that hold marked tables."""
    files = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [path for path in files if _TABLE.search(path.read_text(encoding="utf-8"))]


def fill_tables(document: str, results: Path = RESULTS, folder: Path = ROOT) -> str:
    """Return the document with each marked table made anew.

    An unknown table and a missing result file are a ``UserError``.

    Args:
        document: Markdown text.
        results: folder of the result files.
        folder: where the document lies; links to result files are relative to it.
    """
    # Links are written for readers of the checkout, so with forward slashes.
    to_results = os.path.relpath(ROOT / "results", folder).replace(os.sep, "/")

    def fill(match: re.Match[str]) -> str:
        if match[2] not in TABLES:
            known = ", ".join(sorted(TABLES))
            raise UserError(f"There is no table '{match[2]}'; known are {known}.")
        table = _LINK.sub(f"]({to_results}/", TABLES[match[2]](results))
        return match[1] + table + match[3]

    return _TABLE.sub(fill, document)


def update(path: Path) -> bool:
    """Rewrite a document where its tables differ from the results.

    Passes on the ``UserError`` of :func:`fill_tables`.

    Returns:
        Whether they differed.
    """
    text = path.read_text(encoding="utf-8")
    filled = fill_tables(text, folder=path.resolve().parent)
    if filled != text:
        path.write_text(filled, encoding="utf-8")
    return filled != text
