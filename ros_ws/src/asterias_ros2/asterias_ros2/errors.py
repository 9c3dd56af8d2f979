"""Errors that a person can act on: one sentence, no traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class VerbError(Exception):
    """A mistake in what was asked for; `str()` of it is the sentence to show."""


class LaunchError(VerbError):
    """A mistake in a launch file, with the place it was made once that is known."""

    def __init__(self, message: str, where: str | None = None) -> None:
        """Keep the sentence and, if known, its place as `FILE:LINE`."""
        super().__init__(message)
        self.message = message
        self.where = where

    def __str__(self) -> str:
        """Return `FILE:LINE: sentence`."""
        return f"{self.where}: {self.message}" if self.where else self.message


@contextmanager
def located(where: str) -> Iterator[None]:
    """Add the place `FILE:LINE` to a `LaunchError` that does not know its own yet.

    Raises:
        LaunchError: that of the block, with its place.
    """
    try:
        yield
    except LaunchError as error:
        error.where = error.where or where
        raise
