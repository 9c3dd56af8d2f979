"""The table of strangers' input names tests that exist."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
TABLE = Path(__file__).with_name("README.md")


def names_by_file() -> dict[str, set[str]]:
    """The names of all tests, by the stem of their file."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in TESTS.rglob("test_*.py"):
        names = re.findall(r"^(?:async )?def (test_\w+)", path.read_text(encoding="utf-8"), re.M)
        found[path.stem].update(names)
    return found


def test_every_kind_of_input_names_tests_that_exist() -> None:
    known = names_by_file()
    rows = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if "::" in line]
    assert len(rows) > 60
    for row in rows:
        assert row.count("|") == 5, row
    named = re.findall(r"`(test_\w+)::(test_\w+)`", "\n".join(rows))
    assert [f"{file}::{name}" for file, name in named if name not in known[file]] == []


def test_every_line_of_the_table_is_held_by_a_test() -> None:
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if re.match(r"\| [A-Z]?\d+ \|", line)]
    assert [row for row in rows if "::" not in row] == []
