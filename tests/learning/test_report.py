"""The README's tables are what the result files say."""

from __future__ import annotations

from pathlib import Path

import pytest

from hardware.errors import HardwareError
from learning.report import fill_tables

ROOT = Path(__file__).resolve().parents[2]


def test_the_readme_shows_the_results_as_they_are() -> None:
    document = (ROOT / "README.md").read_text(encoding="utf-8")
    assert fill_tables(document) == document, "run: python -m learning report"
    assert document.count("<!-- table:") == 5


def test_an_unknown_table_is_named() -> None:
    with pytest.raises(HardwareError, match="weather"):
        fill_tables("<!-- table: weather -->\n<!-- end of table -->")


def test_a_missing_result_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(HardwareError, match=r"brownian_baselines\.json"):
        fill_tables("<!-- table: baselines -->\n<!-- end of table -->", tmp_path)
