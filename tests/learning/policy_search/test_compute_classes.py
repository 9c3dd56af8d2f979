"""Compute classes: the published steps, throughput, interquartile means, crossings, the command."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import trim_mean

from asterias.errors import UserError
from asterias.jobs import JobOptions
from learning.__main__ import main
from learning.policy_search.compute_classes import budget, runs, scores
from learning.policy_search.compute_classes.command import ComputeClass
from learning.policy_search.compute_classes.methods import METHODS
from learning.policy_search.compute_classes.tasks import TASKS

CLASSES = np.array([5.0, 10.0, 20.0, 40.0])


def test_the_published_steps_are_those_of_the_formula() -> None:
    assert budget.largest_deviation() < 1e-3
    assert budget.allowed_steps(55_416, 6 * 3600, 128, 512) == pytest.approx(18_264.6, abs=0.05)


def test_throughput_is_that_of_rounds_after_the_warm_up() -> None:
    now, done = [0.0], [0]

    def iterate() -> int:
        now[0] += 10.0 if done[0] < budget.WARM_UP else 0.5  # slow at first, as compilers are
        done[0] += 1
        return 100

    assert budget.measure_throughput(iterate, 1e6, lambda: now[0]) == pytest.approx(200.0)
    assert done[0] == budget.WARM_UP + budget.TIMED
    now[0], done[0] = 0.0, 0
    assert budget.measure_throughput(iterate, 1.0, lambda: now[0]) == pytest.approx(10.0)
    assert done[0] == 2  # one warms up, one is timed, however long they take


def test_the_interquartile_mean_leaves_out_both_ends() -> None:
    assert scores.interquartile_mean(np.array([-1e6, 1.0, 3.0, 1e6])) == 2.0
    assert scores.interquartile_mean(np.array([1.0, 2.0, 6.0])) == 3.0
    table = np.random.default_rng(0).normal(size=(5, 9))
    np.testing.assert_allclose(scores.interquartile_mean(table), trim_mean(table, 0.25, axis=1))


def test_trends_meet_where_their_lines_cross_and_the_interval_holds_it() -> None:
    rng = np.random.default_rng(0)

    def method(level: float, slope: float) -> scores.Summary:
        noise = rng.normal(0, 0.3, (8, 4))
        return scores.summarise(CLASSES, level + slope * np.log(CLASSES) + noise)

    slow, quick = method(0.0, 3.0), method(6.0, 1.0)
    met = scores.crossing(slow, quick)
    assert met is not None
    assert met["low"] <= met["seconds"] <= met["high"]
    assert met["low"] < math.exp(3.0) < met["high"]  # 3 x = 6 + x
    assert scores.crossing(slow, slow) is None
    inside = (slow.intervals[:, 0] <= slow.means) & (slow.means <= slow.intervals[:, 1])
    assert inside.all()


@pytest.mark.slow
def test_learners_are_measured_trained_and_compared_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runs.ClassStudy, "measure_s", 0.05)
    few = {"ars": {"n_delta": 1, "n_eval_episodes": 1}, "cem": {"population": 4}}
    small = replace(TASKS.get("cartpole"), episodes=1, settings=few)
    monkeypatch.setattr(TASKS, "_entries", {**dict(TASKS.items()), "cartpole": small})
    result, drawn = tmp_path / "classes.json", tmp_path / "classes.png"
    command = ComputeClass(
        tmp_path / "runs",
        methods=("cem,random_search", "ars"),
        seconds=("0.02", "0.04,0.08"),
        seeds=1,
        json=result,
        picture=drawn,
    )
    assert command.run() == 0
    first = json.loads(result.read_text())
    (study,) = first["studies"]
    assert [row["method"] for row in study["rows"]] == ["cem", "random_search", "ars"]
    for row in study["rows"]:
        pace = row["steps_per_s"]
        for at in row["classes"]:
            assert at["stopped"] or at["steps"] >= at["allowed_steps"] - 1
            assert at["allowed_steps"] == pytest.approx(pace * at["seconds"], abs=0.51)
    assert first["formula"]["largest_deviation"] < 1e-3 and drawn.stat().st_size > 10_000

    # What is finished is not done again; another task stands beside it.
    monkeypatch.setattr(runs, "_train", None)
    assert command.run() == 0
    again = json.loads(result.read_text())["studies"][0]
    assert again["rows"] == study["rows"] and "one core" in capsys.readouterr().out
    held = {"studies": [{**study, "task": "swimmer"}]}
    result.write_text(json.dumps(held))
    assert command.run() == 0
    tasks = [study["task"] for study in json.loads(result.read_text())["studies"]]
    assert tasks == ["cartpole", "swimmer"]
    result.write_text("[]")
    with pytest.raises(UserError, match="holds no compute classes"):
        command.run()


@pytest.mark.parametrize("method", ["cem", "ppois"])
def test_a_short_class_is_the_beginning_of_a_long_one(method: str, tmp_path: Path) -> None:
    nested = runs.ClassStudy(tmp_path, "cartpole", (method,), (1, 2, 3), 1, stop_solved=False)
    told: list[int] = []
    whole = runs._train(runs.ClassRun(nested, method, 0, 3000.0), lambda done, _: told.append(done))
    alone = runs._train(
        runs.ClassRun(replace(nested, nested=False), method, 0, 3000.0), lambda *_: None
    )
    for one, other in zip(whole["points"], alone["points"], strict=True):
        assert (one["steps"], one["score"]) == (other["steps"], other["score"])
    assert told == [1, 2, 3] and whole["points"][0]["steps"] < whole["points"][-1]["steps"]


def test_a_training_that_has_solved_its_task_stops_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    easy = replace(TASKS.get("cartpole"), highest=5.0, episodes=1)
    monkeypatch.setattr(TASKS, "_entries", {**dict(TASKS.items()), "cartpole": easy})
    study = runs.ClassStudy(tmp_path, "cartpole", ("cem",), (1, 2, 3), 1)
    with JobOptions().open() as runner:
        runs.complete_runs(study, {"cem": 1000.0}, runner, lambda *_: None)
    (row,) = runs.rows_of(study, {"cem": 1000.0})
    first, second, third = row["classes"]
    assert [at["stopped"] for at in row["classes"]] == [0, 1, 1]
    assert first["steps"] == second["steps"] == third["steps"] < third["allowed_steps"]
    assert first["iqm"] == third["iqm"] >= 5.0


def test_each_method_takes_each_task() -> None:
    assert {"ppo", "ars", "ppois", "pssvf"} <= set(METHODS.names())
    contestant = METHODS.get("pgpe")(TASKS.get("cartpole"), 0)
    contestant.train_until(30)
    mean_return, mean_length = contestant.evaluate(2)
    assert contestant.steps >= 30 and mean_return == mean_length
    contestant.close()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--task", "chess"], "There is no task of compute classes 'chess'"),
        (["--methods", "alchemy"], "There is no method of compute classes 'alchemy'"),
        (["--seconds", "5"], "two or more different classes"),
        (["--seconds", "a,b"], "takes numbers such as"),
        (["--seeds", "0"], "--seeds must be 1 or more"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    words: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compute-class", "--out", str(tmp_path), *words]) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())
