"""Read result files and write Markdown tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asterias.errors import UserError


def load(results: Path, name: str) -> dict[str, Any]:
    """Return a result file of the folder ``results``.

    Raises:
        UserError: the file is missing.
    """
    path = results / name
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: this result file is missing; run its command.") from error
    return data


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose first row is the heading."""
    head, *body = rows
    lines = [head, ["---" for _ in head], *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def link(name: str) -> str:
    """Return a link to a result file; ``fill_tables`` makes it relative to the document."""
    return f"[{name}](results/{name})"


def counted(count: int, thing: str) -> str:
    """Return a number with its noun in the singular or the plural."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def mean_std(value: dict[str, float]) -> str:
    """Return ``mean (standard deviation)`` with one digit."""
    return f"{value['mean']:.1f} ({value['std']:.1f})"


def mean_std_percent(numbers: dict[str, float]) -> str:
    """Return ``mean ± standard deviation %`` with two digits; the deviation only if it shows."""
    if numbers["std"] < 0.005:
        return f"{numbers['mean']:.2f} %"
    return f"{numbers['mean']:.2f} ± {numbers['std']:.2f} %"
