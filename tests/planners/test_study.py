"""A study trains what is missing, tests all runs on mazes none has seen, and writes one table."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from planners.mazes.datasets import MazeSet
from planners.networks.weights import load_weights
from planners.training import study
from planners.training.study_plans import PLANS, Case, StudyPlan
from planners.training.train_config import PRESETS, TrainConfig
from planners.training.trainer import MAZES, PlannerTrainer, train

SIZE = "9"


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine by nine mazes, two networks, of which one begins with the other's weights."""
    preset = TrainConfig(
        size=9,
        mazes=64,
        validation=8,
        depth=20,
        batch=16,
        epochs=1,
        bins="1,8,20",
        stratify="",
    )
    cases = (
        Case("first", "a start"),
        Case("second", "goes on", {"learning_rate": 1e-3}, "9/first"),
    )
    monkeypatch.setitem(PRESETS, SIZE, ("nine", preset))
    monkeypatch.setitem(PLANS, SIZE, StudyPlan(cases, "1,8,20", plain=20, stratified=4))


@pytest.mark.usefixtures("little")
def test_a_study_trains_tests_and_tabulates(tmp_path: Path) -> None:
    table = tmp_path / "table.json"
    config = study.StudyConfig(SIZE, seeds="0,1", out=tmp_path, json=table, threads=1)
    lines = list(study.study(config, train))
    assert any("second seed 1" in line for line in lines)
    result = json.loads(table.read_text())
    assert [row["case"] for row in result["summary"]] == ["first", "second"]
    assert result["summary"][0]["seeds"] == [0, 1]
    first, second = result["runs"][0], result["runs"][2]
    assert first["tests"]["plain"]["mazes"] == 20
    assert "--init-weights" in second["command"] and "--learning-rate 0.001" in second["command"]


@pytest.mark.usefixtures("little")
def test_a_study_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    config = study.StudyConfig(SIZE, seeds="0", out=tmp_path, threads=1)
    trained: list[TrainConfig] = []

    def count(run: TrainConfig) -> PlannerTrainer:
        trained.append(run)
        if len(trained) == 2:
            raise KeyboardInterrupt
        return train(run)

    with pytest.raises(KeyboardInterrupt):
        list(study.study(config, count))
    list(study.study(config, count))
    assert [run.out.name for run in trained] == ["first_0", "second_0", "second_0"]
    list(study.study(config, count))
    assert len(trained) == 3


@pytest.mark.usefixtures("little")
def test_no_test_maze_was_trained_on(tmp_path: Path) -> None:
    config = study.StudyConfig(SIZE, seeds="0", out=tmp_path, threads=1)
    list(study.study(config, train))
    runs = study.runs_of(config)
    seen = {key for run in runs for key in MazeSet.load(run.folder / MAZES).fingerprints()}
    for mazes in study.test_mazes(config, runs).values():
        assert not seen & set(mazes.fingerprints())


def test_the_best_seed_by_validation_is_published(tmp_path: Path, monkeypatch: Any) -> None:
    preset = replace(PRESETS["15"][1], size=9, mazes=32, validation=8, depth=10, epochs=1)
    preset = replace(preset, bins="1,8,20", stratify="", batch=16)
    monkeypatch.setitem(PRESETS, SIZE, ("nine", preset))
    plan = StudyPlan((Case("dt_vin", "a start"), Case("variant", "another")), "1,8,20", 20, 4)
    monkeypatch.setitem(PLANS, SIZE, plan)
    config = study.StudyConfig(SIZE, seeds="0,1", out=tmp_path, threads=1, publish=tmp_path / "w")
    lines = list(study.study(config, train))
    assert lines[-1] == f"weights: {tmp_path / 'w' / 'dt_vin_9.safetensors'}"
    _, card = load_weights(tmp_path / "w" / "dt_vin_9.safetensors")
    scores = [run.validation() for run in study.runs_of(config) if run.case.name == "dt_vin"]
    assert card["validation"]["mean"] + card["validation"]["optimal"] == max(scores)
    assert card["tests"]["plain"]["mazes"] == 20


@pytest.mark.parametrize(
    ("size", "cases", "named"), [("16", "", "'16'"), ("15", "dt_win", "'dt_win'")]
)
def test_an_unknown_study_or_case_is_named(size: str, cases: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        study.runs_of(study.StudyConfig(size, cases=cases))


def test_every_case_names_a_command_that_the_command_line_takes() -> None:
    for size in PLANS:
        for run in study.runs_of(replace(study.StudyConfig(size), seeds="3")):
            preset = size.split("-")[0]
            assert run.command().startswith(f"python -m planners train {preset} --seed 3")
