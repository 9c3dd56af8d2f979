"""Rows of a result file of which a run makes some anew and leaves the others as they are."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from asterias.errors import UserError


def merged_rows(
    rows: Sequence[Mapping[str, Any]],
    made: dict[str, Any],
    held: Any,
    name: Callable[[Mapping[str, Any]], Hashable],
    what: str,
) -> list[dict[str, Any]]:
    """Return rows beside the others that a result file holds.

    Args:
        rows: new ones.
        made: how, the block of provenance.
        held: what the file holds; None where there is none.
        name: of a row; held rows of the same name as a new one give way.
        what: rows are of, in words.

    Returns:
        All rows, each with how it was made, new ones last.

    Raises:
        UserError: the file is of another kind.
    """
    fresh = [{**row, "made": made} for row in rows]
    if held is None:
        return fresh
    if not isinstance(held, dict) or not isinstance(held.get("rows"), list):
        raise UserError(f"The file for --json holds no {what}; choose another one.")
    before = {key: value for key, value in held.items() if key != "rows"}
    names = {name(row) for row in rows}
    return [*({"made": before, **row} for row in held["rows"] if name(row) not in names), *fresh]
