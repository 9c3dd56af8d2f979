"""Which parts of the packages have wheels for which Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from docs.tables.markdown import load, markdown_table

FILE = "setup/pythons.json"


def _pythons(results: Path) -> str:
    rows = load(results, FILE)["rows"]
    parts = list(dict.fromkeys(row["part"] for row in rows))
    places = list(dict.fromkeys((row["machine"], row["python"]) for row in rows))
    answers = {(row["part"], row["machine"], row["python"]): _answer(row) for row in rows}
    table: list[tuple[str, ...]] = [("machine", "Python", *parts)]
    table += [
        (machine, python, *(answers[part, machine, python] for part in parts))
        for machine, python in places
    ]
    return markdown_table(table)


def _answer(row: dict[str, object]) -> str:
    """Return a cell: whether all is there, or what has no wheel."""
    missing = row["missing"]
    assert isinstance(missing, list)
    if not missing:
        return f"yes, {row['packages']} packages"
    if len(missing) > 2:
        return f"no wheels of {missing[0]} and {len(missing) - 1} more"
    return "no wheel of " + ", ".join(map(str, missing)) + "; the rest yes"


TABLES: dict[str, Callable[[Path], str]] = {"pythons": _pythons}
