"""Arrays of many worlds behind each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

T = TypeVar("T", bound=NamedTuple)


def stacked(parts: Sequence[T]) -> T:
    """Return one tuple of arrays ``(w, ...)`` of the arrays of ``w`` tuples."""
    columns = zip(*parts, strict=True)
    return _like(parts[0], [np.stack(column) for column in columns])


def row_of(whole: T, number: int) -> T:
    """Return one row of stacked arrays; writing to it writes to them."""
    return _like(whole, [column[number] for column in whole])


def assign_row(whole: T, number: int, part: T) -> None:
    """Copy a tuple's arrays to a row of stacked ones."""
    for column, values in zip(whole, part, strict=True):
        column[number] = values


def _like(example: T, columns: Sequence[Any]) -> T:
    """Return a tuple of the example's class."""
    kind: Any = type(example)
    whole: T = kind(*columns)
    return whole
