"""Weights on larger mazes, other kinds of maps and noise, as one measurement that goes on."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from asterias.errors import UserError
from planners.planning.factory import find_weights
from planners.training import scaling
from planners.training.scaling import ScaleConfig, Suite, scale

SPARSE = find_weights("sparse_dt_vin", 15)


@pytest.fixture(autouse=True)
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Suites of seconds."""
    suites = {
        "21": Suite(21, (0, 40, 200), 2, block=8),
        "warehouse": Suite(30, (20, 10**6), 2, "warehouse"),
        "streets": Suite(30, (20, 10**6), 2, "streets"),
        "noise": Suite(15, (0, 90), 2, variance=0.01),
    }
    monkeypatch.setattr(scaling, "SUITES", suites)


def test_one_set_of_weights_solves_sizes_and_kinds_it_has_not_seen(tmp_path: Path) -> None:
    out, picture = tmp_path / "scale.json", tmp_path / "scale.png"
    config = ScaleConfig((SPARSE,), suites="21,warehouse,streets,noise", json=out, out=picture)
    assert len(list(scale(config))) == 4
    rows = json.loads(out.read_text())["rows"]
    assert [row["suite"] for row in rows] == ["21", "warehouse", "streets", "noise"]
    for row in rows[:3]:
        assert row["closed_form"] and row["network"] == "sparse_dt_vin_15"
        assert all(bin_["optimal"] == 100 for bin_ in row["bins"] if bin_["starts"])
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert list(scale(config)) == []  # all of it is there


def test_layers_that_are_run_give_the_same(tmp_path: Path) -> None:
    out = tmp_path / "scale.json"
    list(scale(ScaleConfig((SPARSE,), suites="21", json=out)))
    list(scale(ScaleConfig((SPARSE,), suites="21", json=out, sweep=True)))
    solved, swept = json.loads(out.read_text())["rows"]
    assert solved["closed_form"] and not swept["closed_form"]
    assert solved["bins"] == swept["bins"]


def test_path_length_tells_failures_from_successes() -> None:
    sure = [{"by_length": [[10, 5, 0], [20, 5, 5]]}]
    assert scaling.length_auc(sure) == 1
    assert scaling.length_auc([{"by_length": [[10, 6, 3], [20, 4, 2]]}]) == pytest.approx(0.5)
    assert math.isnan(scaling.length_auc([{"by_length": [[10, 6, 0]]}]))


def test_an_unknown_suite_is_told() -> None:
    with pytest.raises(UserError, match="choose among 21, warehouse"):
        list(scale(ScaleConfig((SPARSE,), suites="21,moon")))
