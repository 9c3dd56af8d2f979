"""The measures of the house stay within their limits: files, functions, docstrings, names."""

from __future__ import annotations

import house_measures
import pytest

MEASURES = house_measures.measure(house_measures.read_house())


@pytest.mark.parametrize("one", MEASURES, ids=[one.name for one in MEASURES])
def test_a_measure_is_within_its_limit(one: house_measures.Measure) -> None:
    assert one.is_good, "\n".join(one.places)


def test_the_table_names_the_places_beyond_a_limit() -> None:
    bad = house_measures.Measure("files per folder", 17, 16, ["sim: 17"])
    good = house_measures.Measure("functions", 4000)
    text = house_measures.report([bad, good])
    assert "files per folder" in text and "<--" in text and "  sim: 17" in text
    assert text.count("<--") == 1
