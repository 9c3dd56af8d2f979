"""Trackers follow a training through the functions that Weights & Biases and Trackio share."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from learning.__main__ import main
from learning.training.trackers import TRACKERS

TRAIN = ("train", "--steps", "300", "--processes", "1", "--net", "linear", "--progress", "json")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A package with the same functions, and what it was told."""
    calls: list[Any] = []
    package: Any = ModuleType("trackio")
    package.init = lambda **about: calls.append(("init", about))
    package.log = lambda metrics, step: calls.append(("log", step, metrics))
    package.finish = lambda: calls.append(("finish",))
    monkeypatch.setitem(sys.modules, "trackio", package)
    return calls


def test_a_training_is_followed_from_start_to_end(told: list[Any], tmp_path: Path) -> None:
    assert main([*TRAIN, "--out", str(tmp_path / "run"), "--track", "trackio"]) == 0
    (first, about), *logged, last = told
    assert (first, about["project"], about["name"]) == ("init", "asterias", "run")
    assert about["config"]["faults"] == "kill0" and about["config"]["algorithm"] == "ppo"
    assert [step for _, step, _ in logged] == [75, 150, 225, 300]
    assert {"training/mean_steps", "training/found"} <= set(logged[0][2])
    assert last == ("finish",)


def test_the_run_is_finished_when_the_training_fails(told: list[Any], tmp_path: Path) -> None:
    (tmp_path / "checkpoint.safetensors").write_bytes(b"damaged")
    words = ("--out", str(tmp_path), "--track", "trackio", "--resume")
    assert main([*TRAIN, *words]) == 2
    assert told[-1] == ("finish",)


@pytest.mark.parametrize("name", TRACKERS.names())
def test_a_missing_package_is_named_with_its_extra(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    assert main([*TRAIN, "--out", str(tmp_path), "--track", name]) == 2
    assert f"pip install 'asterias[{name}]'" in capsys.readouterr().err
