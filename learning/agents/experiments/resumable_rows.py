"""Finished parts of a long measurement, saved beside its result file until that is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asterias.files import write_json

Rows = list[dict[str, Any]]


class ResumableRows:
    """Rows of each finished seed in ``RESULT.part``, so that a stopped measurement goes on.

    Args:
        result: the result file to be.
        options: of the experiment; rows of other options are not taken.
    """

    def __init__(self, result: Path, options: Mapping[str, Any]) -> None:
        self._path = result.with_name(f"{result.name}.part")
        # As they are read back: JSON has no tuples.
        self._options = json.loads(json.dumps(options))
        self.rows: dict[int, Rows] = self._read()

    def save(self, seed: int, rows: Rows) -> None:
        """Save the rows of a seed that is done."""
        self.rows[seed] = rows
        write_json(self._path, {"options": self._options, "seeds": self.rows})

    def remove(self) -> None:
        """Remove the file of parts: the result is written."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> dict[int, Rows]:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            if content["options"] == self._options:
                return {int(number): rows for number, rows in content["seeds"].items()}
        except (OSError, ValueError, KeyError):
            pass  # nothing is saved, or not by this code: the measurement starts anew
        return {}
