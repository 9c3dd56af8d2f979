"""Clones of trained policies from a few states: fitted, tested, and kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from learning.__main__ import main
from learning.policy_search import PSSVF
from learning.policy_search.common.architecture import PolicyArchitecture
from learning.policy_search.studies.benchmarks import BENCHMARKS, Benchmark
from learning.policy_search.studies.cloning import fit_clones, learned_states

FEW: dict[str, Any] = {"hidden": (8,), "critic": "probes", "probes": 3, "episode_limit": 20}


def test_clones_answer_as_their_teacher_did() -> None:
    rng = np.random.default_rng(0)
    form = PolicyArchitecture(3, (16,), (-2.0, -2.0), (2.0, 2.0))
    states, answers = rng.normal(size=(4, 3)), rng.uniform(-0.8, 0.8, (4, 2))
    start = np.array([form.initial(rng) for _ in range(2)])
    fitted = fit_clones(form, states, answers, start, 400)
    told = form.actions_of(torch.tensor(fitted).float(), torch.tensor(states).float())
    assert np.abs(told.numpy() - answers).max() < 0.05


def test_states_are_learned_on_what_was_tried_and_tell_its_returns_apart() -> None:
    learner = PSSVF("MlpPolicy", "Pendulum-v1", seed=0, critic_steps=1, policy_steps=1, **FEW)
    learner.learn(60)
    start = np.zeros((3, 3))
    moved = learned_states(learner, start, np.random.default_rng(0), 10)
    assert moved.shape == (3, 3) and np.abs(moved).max() > 0
    kept, returns = learner.tried()
    assert len(kept) == len(returns) == learner.num_episodes


def test_the_study_clones_each_teacher_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = Benchmark("PSSVF, Pendulum-v1", "pssvf", "Pendulum-v1", 60, 60, "MlpPolicy", FEW, 1)
    entries = dict(BENCHMARKS.items())
    monkeypatch.setattr(BENCHMARKS, "_entries", {"test_pssvf": entry, **entries})
    words = ["clone-study", "--out", str(tmp_path), "--benchmarks", "test_pssvf", "--seeds", "1"]
    words += ["--clones", "2", "--updates", "3", "--states"]
    drawn, result = tmp_path / "clones.png", tmp_path / "clones.json"
    assert main([*words, "2", "4", "--json", str(result), "--picture", str(drawn)]) == 0
    rows = json.loads(result.read_text())["rows"]
    assert [(row["states"], row["kind"]) for row in rows][:3] == [
        (2, "learned"),
        (2, "random"),
        (2, "k-means"),
    ]
    assert len(rows) == 6 and len(rows[0]["clones"]) == 1 and drawn.stat().st_size > 8_000
    held = tmp_path / "test_pssvf_0" / "clones.json"
    before = held.stat().st_mtime_ns
    assert main([*words, "2", "4"]) == 0 and held.stat().st_mtime_ns == before
    capsys.readouterr()
    assert main([*words, "3"]) == 2 and "with other options" in capsys.readouterr().err
    assert main(["clone-study", "--out", str(tmp_path), "--benchmarks", "swimmer_ars"]) == 2
    assert "is not of PSSVF" in capsys.readouterr().err
