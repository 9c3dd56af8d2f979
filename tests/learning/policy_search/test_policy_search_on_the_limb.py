"""Learners of policy search on target finding: by name, resumable, run by /find_target."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from asterias.errors import UserError
from asterias.progress import TrainingProgress
from learning.__main__ import main
from learning.policy_search.common.pose_map import PoseMap
from learning.policy_search.common.pose_map_env import PoseMapEnv
from learning.policy_search.limb_training import export_policy, make_learner
from learning.policy_search.studies import limb
from learning.target_finding.algorithms.registry import ALGORITHMS, TrainingRequest
from learning.target_finding.env.options import TargetFindingOptions, with_command_range
from learning.target_finding.experiments.oracle_bound import SampledPoses
from learning.target_finding.policies.policy_files import PolicySearcher, load_policy

REACH = np.array([0.5] * 4)


def request(out: Path, algorithm: str = "random_search", steps: int = 30) -> TrainingRequest:
    options = with_command_range(TargetFindingOptions(wait_s=0.2))
    return TrainingRequest(out, options, algorithm, steps=steps, processes=1)


def test_a_stopped_training_goes_on_and_ends_as_the_whole_one(tmp_path: Path) -> None:
    run = ALGORITHMS.get("random_search").run
    whole = run(request(tmp_path / "whole", steps=100))
    with pytest.raises(KeyboardInterrupt):
        run(request(tmp_path / "half", steps=100), should_stop=lambda: True)
    with pytest.raises(UserError, match="--resume"):
        run(request(tmp_path / "half", steps=100))
    half = run(replace(request(tmp_path / "half", steps=100), resume=True))
    assert half["history"] == whole["history"] and half["episodes"] >= 20


def test_a_training_of_other_options_is_not_resumed(tmp_path: Path) -> None:
    run = ALGORITHMS.get("random_search").run
    run(request(tmp_path))
    other = TargetFindingOptions(wait_s=0.2, faults="kill1")
    with pytest.raises(UserError, match="was made with notes"):
        run(replace(request(tmp_path), resume=True, options=other))


def test_apois_with_its_settings_goes_on_exactly_and_tells_its_light(tmp_path: Path) -> None:
    run, told = ALGORITHMS.get("apois").run, list[TrainingProgress]()
    asked = request(tmp_path / "whole", "apois", steps=150)
    whole = run(asked, on_progress=told.append)
    assert whole["settings"]["by_step"] and whole["settings"]["batches"] == 8
    assert told[-1].traffic_light and told[-1].ess > 15
    half = replace(asked, out=tmp_path / "half")
    with pytest.raises(KeyboardInterrupt):
        run(half, should_stop=lambda: True)
    again = run(replace(half, resume=True))
    assert again["history"] == whole["history"]
    one, other = (load_policy(tmp_path / name).tensors for name in ("whole", "half"))
    assert all(np.array_equal(one[name], other[name]) for name in one)
    assert one["log_std"][0] < -0.5  # the spread has fallen


@pytest.mark.parametrize("algorithm", ["gogepo", "udrlpg"])
def test_generators_of_policies_are_trained_by_name(algorithm: str, tmp_path: Path) -> None:
    summary = ALGORITHMS.get(algorithm).run(request(tmp_path, algorithm, steps=6))
    assert summary["taken_steps"] >= 6 and summary["settings"]["high"] == 1.0
    assert load_policy(tmp_path).card["algorithm"] == algorithm


def test_what_it_made_is_run_by_find_target_and_tested(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "--algo", "pgpe", "--steps", "40", "--processes", "1", "--net", "mlp"]
    assert main([*words, "--out", str(tmp_path)]) == 0
    assert "Last 50 episodes" in capsys.readouterr().out
    searcher = PolicySearcher.on_limb(str(tmp_path), -REACH, REACH, 4, np.random.default_rng(0))
    position = searcher.act(np.zeros(4), [0, 1, 3])
    assert position.shape == (4,) and (np.abs(position) <= REACH).all() and position.any()


def test_an_exported_policy_acts_as_the_learned_one(tmp_path: Path) -> None:
    model = make_learner(request(tmp_path, "cem"))
    model.theta = np.random.default_rng(0).normal(size=model.theta.size)
    model.statistics.mean += 0.3
    card = {"options": {"increment": 0.4, "command_range": [1.0, 1.0, 0.75, 1.0]}, "cameras": 4}
    export_policy(model, card).save(tmp_path / "policy.safetensors")
    seen = np.array([0.1, -0.5, 0.7, 0.2, 0.25, 0.25, 0.25, 0.25], np.float32)
    drawn = load_policy(tmp_path).act(seen, np.random.default_rng(0))
    np.testing.assert_allclose(drawn, model.predict(seen, deterministic=True)[0], atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"network": "lstm"}, "learns the networks linear and mlp"),
        ({"padded": True}, "takes no --padded"),
        ({"options": TargetFindingOptions(cap=0)}, "set cap to 5"),
        ({"options": TargetFindingOptions(observe="images")}, "commands and camera flags"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    changes: dict[str, object], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=sentence):
        ALGORITHMS.get("ppois").run(replace(request(tmp_path), **changes))  # type: ignore[arg-type]


def test_episodes_until_it_is_short_are_counted() -> None:
    lengths = [5] * 100 + [1] * 100
    assert limb._episodes_until_short(lengths) == 113  # 13 of 50 are 1
    assert limb._episodes_until_short([5] * 100) is None
    assert limb._episodes_until_short([1] * 10) is None


def test_an_option_that_is_off_has_rows_of_its_own_and_other_rows_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limb, "SETTINGS", ("kill1",))
    monkeypatch.setattr(limb, "_WINDOW", 10)
    monkeypatch.setattr(limb, "WITHOUT", {"apois": {"batches": {"batches": 1}}})
    path, picture = tmp_path / "limb.json", tmp_path / "limb.png"
    held = {"learner": "pgpe", "faults": "kill1", "mean_steps": 3.2}
    old = {"learner": "apois", "faults": "kill1", "mean_steps": 5.0}
    path.write_text(json.dumps({"command": "before", "rows": [held, old]}))
    words = ["policy-search-limb", "--out", str(tmp_path / "runs"), "--learners", "apois"]
    words += ["--seeds", "1", "--episodes", "2", "--steps", "160", "--ablations"]
    words += ["--best", str(tmp_path / "best")]
    assert main([*words, "--json", str(path), "--picture", str(picture)]) == 0
    card = load_policy(tmp_path / "best" / "apois_kill1.safetensors").card
    assert card["tested"]["episodes"] == 2 and card["settings"]["batches"] == 8
    data = json.loads(path.read_text())
    assert [(row["learner"], row.get("without")) for row in data["rows"]] == [
        ("pgpe", None),
        ("apois", ""),
        ("apois", "batches"),
    ]
    assert data["rows"][0]["made"] == {"command": "before"}
    assert data["rows"][1]["steps"] == 160 and data["rows"][1]["curves"][0]
    assert [row["settings"]["batches"] for row in data["rows"][1:]] == [8, 1]
    assert "--steps 160 --ablations" in data["command"] and picture.stat().st_size > 10_000
    words[words.index("160")] = "150"
    assert main(words) == 2  # what is finished there was trained otherwise


def test_in_the_copy_it_goes_as_the_map_says(tmp_path: Path) -> None:
    commands = np.array([[0.0] * 4, [0.4, 0.0, 0.0, 0.0], [-0.4, 0.0, 0.0, 0.0]])
    seeing = np.zeros((3, 4), bool)
    seeing[1, 0] = True
    options = with_command_range(TargetFindingOptions(cap=2))
    env = PoseMapEnv(PoseMap(SampledPoses(commands, seeing), options), "kill0")
    env.reset(seed=0)
    assert not env._command.any() or env._command[0] == -0.4  # no camera sees the tag
    env._command = np.zeros(4)
    assert env.step(np.array([-1.0, 0, 0, 0]))[1:4] == (0.0, False, False)
    assert env._command[0] == -0.4
    assert env.step(np.zeros(4))[1:4] == (0.0, False, True)
    env.reset(seed=0)
    env._command = np.zeros(4)
    seen, *ended, _ = env.step(np.array([0.4, 0, 0, 0]))
    assert ended == [1.0, True, False] and np.allclose(seen, [0.4, 0, 0, 0, *[0.25] * 4])
    env._live, env._command = np.array([False, True, True, True]), np.zeros(4)
    assert env.step(np.array([0.4, 0, 0, 0]))[1] == 0.0  # the camera that would see it is dead

    runs = limb.limb_runs(tmp_path, ["apois"], 1, 100, copy=env.copy)[:1]
    limb.complete_limb_run(runs[0], 20, lambda: False)
    (row,) = limb.limb_rows(runs)
    assert row["where"] == "copy" and 1 <= row["mean_steps"] <= 5 and row["found"] is None
