"""Q-learning in the four rooms, its study and the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from asterias.errors import UserError
from learning.__main__ import main
from learning.highway.studies import exact, four_rooms_runs
from learning.highway.tabular.q_learning import FourRoomsRun, train_in_four_rooms


@pytest.mark.slow
def test_the_gate_rescues_a_deep_lookahead() -> None:
    deep = train_in_four_rooms(FourRoomsRun("n_step", 50, episodes=30))
    highway = train_in_four_rooms(FourRoomsRun("highway", 50, episodes=30))
    assert deep["solved"] is None and highway["solved"] <= 30
    assert deep["bias"] < -0.4 < highway["bias"] < 0
    assert 0.01 < highway["open_gates"] < 0.5 and highway["mean_gain"] > 0


def test_two_tables_gate_averages() -> None:
    result = train_in_four_rooms(FourRoomsRun("highway_critics", 5, slip=0.2, episodes=20))
    assert -1 < result["bias"] < 0.05 and 0 < result["open_gates"] < 1


def test_the_command_goes_on_from_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(four_rooms_runs, "LEARNERS", (("n_step", 1), ("highway", 5)))
    monkeypatch.setattr(exact, "REPEATS", (1, 4))
    monkeypatch.setattr(exact, "NOISE_DEPTHS", (2,))
    monkeypatch.setattr(
        four_rooms_runs,
        "four_rooms_runs",
        lambda seeds: [
            FourRoomsRun(target, depth, slip, seed, episodes=2)
            for seed in range(seeds)
            for slip in four_rooms_runs.SLIPS
            for target, depth in four_rooms_runs.LEARNERS
        ],
    )
    out, result, picture = tmp_path / "runs", tmp_path / "highway.json", tmp_path / "highway.png"
    command = ["highway", "--out", str(out), "--seeds", "1", "--draws", "1"]
    command += ["--json", str(result), "--picture", str(picture)]
    assert main(command) == 0
    times = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    runs = four_rooms_runs.four_rooms_runs(1)
    again = four_rooms_runs.complete_runs(runs, out, lambda done, total: None)
    assert [result["seed"] for result in again] == [0] * 4
    assert times == {path: path.stat().st_mtime_ns for path in out.iterdir()} and len(times) == 4
    rows = json.loads(result.read_text())["four_rooms"]
    assert [row["target"] for row in rows] == ["n_step", "highway"] * 2
    assert np.isfinite([row["bias"] for row in rows]).all() and picture.stat().st_size > 10_000


def test_mistakes_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["highway", "--out", str(tmp_path), "--seeds", "0"]) == 2
    assert "--seeds and --draws must be 1 or more" in capsys.readouterr().err
    run = FourRoomsRun("n_step", 1, episodes=1)
    (tmp_path / "n_step_1_slip0_0.json").write_text("[]")
    with pytest.raises(UserError, match="holds no training"):
        four_rooms_runs.complete_runs([run], tmp_path, lambda done, total: None)
    with pytest.raises(UserError, match="target of Q-learning"):
        FourRoomsRun("retrace", 1)
