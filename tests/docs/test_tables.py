"""The tables of README and docs are what the result files say."""

from __future__ import annotations

from pathlib import Path

import pytest

from asterias.errors import UserError
from docs.tables import ROOT, TABLES, documents, fill_tables


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_show_the_results_as_they_are(path: Path) -> None:
    document = path.read_text(encoding="utf-8")
    filled = fill_tables(document, folder=path.parent)
    assert filled == document, f"run: python -m learning report {path.relative_to(ROOT)}"


def test_every_table_stands_in_one_document() -> None:
    texts = [path.read_text(encoding="utf-8") for path in documents()]
    counts = {name: sum(f"<!-- table: {name} -->" in text for text in texts) for name in TABLES}
    assert counts == dict.fromkeys(TABLES, 1)


def test_an_unknown_table_is_named() -> None:
    with pytest.raises(UserError, match="weather"):
        fill_tables("<!-- table: weather -->\n<!-- end of table -->")


def test_a_missing_result_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"brownian_baselines\.json"):
        fill_tables("<!-- table: baselines -->\n<!-- end of table -->", tmp_path)
