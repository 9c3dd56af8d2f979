"""The README's tables are what the result files say."""

from __future__ import annotations

from pathlib import Path

import pytest

from asterias.errors import HardwareError
from learning.report import fill_tables

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("name", "tables"), [("README.md", 10), ("planners/FINDINGS.md", 4)])
def test_documents_show_the_results_as_they_are(name: str, tables: int) -> None:
    document = (ROOT / name).read_text(encoding="utf-8")
    assert fill_tables(document) == document, f"run: python -m learning report {name}"
    assert document.count("<!-- table:") == tables


def test_an_unknown_table_is_named() -> None:
    with pytest.raises(HardwareError, match="weather"):
        fill_tables("<!-- table: weather -->\n<!-- end of table -->")


def test_a_missing_result_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(HardwareError, match=r"brownian_baselines\.json"):
        fill_tables("<!-- table: baselines -->\n<!-- end of table -->", tmp_path)
