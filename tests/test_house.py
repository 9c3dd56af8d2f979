"""The measures of the house stay within their limits: files, functions, docstrings, names."""

from __future__ import annotations

import house_measures


def test_each_measure_is_within_its_limit() -> None:
    # In one test: as its parameters, they would be taken whenever tests are collected.
    measures = house_measures.measure(house_measures.read_house())
    assert len([one for one in measures if one.limit is not None]) > 10
    assert all(one.is_good for one in measures), house_measures.report(measures)


def test_the_table_names_the_places_beyond_a_limit() -> None:
    bad = house_measures.Measure("files per folder", 17, 16, ["sim: 17"])
    good = house_measures.Measure("functions", 4000)
    text = house_measures.report([bad, good])
    assert "files per folder" in text and "<--" in text and "  sim: 17" in text
    assert text.count("<--") == 1
