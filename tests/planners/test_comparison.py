"""Grid planners that people use, beside ours."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from asterias.errors import UserError
from planners.training import comparison
from planners.training.comparison import METHODS, CompareConfig, compare

HERE = [
    name
    for name in METHODS
    if name not in comparison._MODULES or importlib.util.find_spec(comparison._MODULES[name])
]


def test_all_find_the_shortest_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "METHODS", {name: METHODS[name] for name in HERE})
    monkeypatch.setattr(comparison, "_MODULES", {})
    out = tmp_path / "compare.json"
    config = CompareConfig(sizes="21", budget_s=0.01, memory=False, json=out)
    assert len(list(compare(config))) == len(HERE) >= 6
    rows = json.loads(out.read_text())["rows"]
    assert [row["method"] for row in rows] == HERE
    assert all(row["steps"] == row["shortest"] > 40 for row in rows)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "_MODULES", {"pyastar2d": "no_such_module"})
    with pytest.raises(UserError, match="pyastar2d is not installed: pip install"):
        list(compare(CompareConfig()))
    with pytest.raises(UserError, match="give numbers from 15 on"):
        monkeypatch.setattr(comparison, "_MODULES", {})
        list(compare(CompareConfig(sizes="5")))
