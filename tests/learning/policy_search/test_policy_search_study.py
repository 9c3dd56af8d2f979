"""The study: runs that go on, rows, curves; the commands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from asterias.errors import UserError
from learning.__main__ import main
from learning.policy_search.studies import curves, runs, zero_shot
from learning.policy_search.studies.benchmarks import BENCHMARKS, Benchmark

SMALL = {
    "test_ppois": Benchmark(
        "P-POIS", "ppois", "CartPole-v1", 900, 300, target=(20.0, 4), episodes=2
    ),
    "test_ars": Benchmark(
        "ARS",
        "ars",
        "CartPole-v1",
        900,
        300,
        settings={"n_delta": 2, "n_eval_episodes": 1},
        episodes=2,
        paper=((600, 30.0), (10_000, 400.0)),
    ),
}


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = dict(BENCHMARKS.items())
    monkeypatch.setattr(BENCHMARKS, "_entries", entries | SMALL)


@pytest.mark.usefixtures("benchmarks")
def test_runs_are_resumed_summarised_and_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    first, *others = runs.benchmark_runs(tmp_path, tuple(SMALL), 1)
    with pytest.raises(KeyboardInterrupt):
        runs.complete_run(first, stop)
    assert not first.is_done and curves.summarise([first]) == []
    told: list[int] = []
    for run in (first, *others):
        runs.complete_run(run, lambda done, total: told.append(done))
    whole = runs.benchmark_runs(tmp_path / "whole", ("test_ppois",), 1)[0]
    runs.complete_run(whole, lambda done, total: None)
    assert whole.result()["curve"] == first.result()["curve"] and told
    rows = curves.summarise([first, *others])
    assert rows[0]["target"]["unit"] == "iteration" and len(rows[1]["curves"][0]) >= 2
    curves.draw(rows, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 10_000


@pytest.mark.usefixtures("benchmarks")
def test_the_study_trains_what_is_missing(tmp_path: Path) -> None:
    command = ["policy-search-study", "--out", str(tmp_path), "--seeds", "1"]
    assert main([*command, "--benchmarks", *SMALL]) == 0
    done = sorted(tmp_path.glob(f"*/{runs.RESULT}"))
    assert [path.parent.name for path in done] == ["test_ars_0", "test_ppois_0"]
    when = [path.stat().st_mtime_ns for path in done]
    assert main([*command, "--benchmarks", *SMALL]) == 0
    assert [path.stat().st_mtime_ns for path in done] == when


@pytest.mark.usefixtures("benchmarks")
def test_a_target_counts_the_seeds_that_reached_it_in_time() -> None:
    def result(*returns: float) -> dict[str, object]:
        points = [{"iteration": i + 1, "mean_return": r} for i, r in enumerate(returns)]
        return {"curve": points}

    results = [result(1, 25), result(1, 2, 3, 4, 30), result(1)]
    target = curves._target("test_ppois", results)
    assert target is not None
    assert target["first"] == [2, 5, None] and target["reached"] == "1 of 3 seeds"


def test_the_commands_say_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = ["policy-search-study", "--out", str(tmp_path)]
    assert main([*study, "--benchmarks", "swimmer"]) == 2
    assert "There is no benchmark of policy search 'swimmer'" in capsys.readouterr().err
    assert main([*study, "--no-train"]) == 2
    assert "no finished run yet" in capsys.readouterr().err
    assert main(["policy-search-limb", "--out", str(tmp_path), "--learners", "ppo"]) == 2
    assert "There is no learner of policy search 'ppo'" in capsys.readouterr().err


def test_four_rooms_writes_its_table(tmp_path: Path) -> None:
    path = tmp_path / "rooms.json"
    assert main(["four-rooms", "--seeds", "2", "--json", str(path)]) == 0
    data = json.loads(path.read_text())
    assert [row["iteration"] for row in data["rows"]] == [0, 1, 5, 10, 20, 40]
    assert np.isclose(data["limit_rate"], 0.9046) and data["command"]


def test_a_result_that_is_damaged_is_one_sentence(tmp_path: Path) -> None:
    run = runs.BenchmarkRun("cartpole_ppois", 0, tmp_path)
    (tmp_path / runs.RESULT).write_text("[]")
    with pytest.raises(UserError, match="has no curve"):
        run.result()


def test_fresh_policies_are_judged_kept_and_summarised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zero_shot, "_ENVIRONMENT", "MountainCarContinuous-v0")
    path, runs_of = tmp_path / "zero_shot.json", ["zero-shot-study", "--out", str(tmp_path)]
    words = [*runs_of, "--seeds", "1", "--steps", "2000", "--every", "1000", "--fresh", "2"]
    assert main([*words, "--json", str(path), "--picture", str(tmp_path / "z.png")]) == 0
    made = json.loads(path.read_text())
    (first, second), (points,) = made["rows"], made["runs"]
    assert first["steps"] < second["steps"] and len(points[0]["fresh"]) == 2
    assert first["fresh_best"] == points[0]["fresh"][-1] >= first["fresh_median"]
    kept = (tmp_path / "seed_0.json").stat().st_mtime_ns
    assert main(words) == 0 and (tmp_path / "seed_0.json").stat().st_mtime_ns == kept
    assert main([*runs_of, "--seeds", "1", "--every", "0"]) == 2
    assert main([*words, "--fresh", "3"]) == 2


def test_learners_are_timed_in_turns_beside_ars(tmp_path: Path) -> None:
    path = tmp_path / "speed.json"
    words = ["policy-search-speed", "--environment", "MountainCarContinuous-v0", "--turns", "1"]
    words += ["--learners", "cem", "--steps"]
    assert main([*words, "1000", "--json", str(path)]) == 0
    beside, own = json.loads(path.read_text())["rows"]
    assert beside["learner"] == "ars" and beside["ratio"] == 1 and own["processor_s"] > 0
    assert main([*words, "10"]) == 2
