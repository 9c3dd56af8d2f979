"""Generators of policies: layers and tiles, GoGePo, a dial for the limb's steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from asterias.errors import UserError
from learning.__main__ import main
from learning.policy_search import UDRLPG, GoGePo
from learning.policy_search.algorithms.generator_search import command_curve
from learning.policy_search.algorithms.generators import HeadsGenerator, TilesGenerator
from learning.policy_search.common.architecture import PolicyArchitecture
from learning.policy_search.common.policy_table import PolicyTable
from learning.policy_search.common.pose_map import PoseMap
from learning.policy_search.step_generators import study
from learning.policy_search.step_generators.generator import StepGenerator, StepGeneratorOptions
from learning.policy_search.studies import curves, runs
from learning.policy_search.studies.benchmarks import BENCHMARKS, Benchmark
from learning.target_finding.experiments.oracle_bound import SampledPoses
from learning.target_finding.policies.policy_files import load_policy

SMALL: dict[str, Any] = {
    "low": 0.0,
    "high": 500.0,
    "hidden": (16,),
    "generator_hidden": (16, 16),
    "probes": 3,
}
FAST = {**SMALL, "generator_steps": 2, "critic_steps": 2}


@pytest.mark.parametrize("generator", [HeadsGenerator, TilesGenerator])
@pytest.mark.parametrize("hidden", [(), (16,), (32, 48), (20, 10)])
def test_a_generated_vector_has_the_size_and_the_scale_of_a_policy(
    generator: type[torch.nn.Module], hidden: tuple[int, ...]
) -> None:
    form = PolicyArchitecture(5, hidden, (-1.0, -1.0), (1.0, 1.0))
    made = generator(form, 1, (32, 32))(torch.rand(3, 1))
    assert made.shape == (3, form.parameters)
    assert torch.isfinite(form.actions_of(made, torch.rand(7, 5))).all()
    made.sum().backward()


def test_tiles_share_their_weights() -> None:
    forms = [PolicyArchitecture(16, (wide, wide), (-1.0,), (1.0,)) for wide in (32, 64)]
    counts = []
    for form in forms:
        module = TilesGenerator(form, 1, (32, 32))
        tiles = sum(one.numel() for one in module.embeddings.parameters())
        counts.append((sum(p.numel() for p in module.parameters()) - tiles, tiles))
    assert counts[0][0] == counts[1][0] and counts[0][1] < counts[1][1]


@pytest.mark.parametrize("generator", ["heads", "tiles"])
def test_gogepo_learns_is_saved_and_goes_on_as_the_whole(generator: str, tmp_path: Path) -> None:
    whole = GoGePo("MlpPolicy", "CartPole-v1", seed=1, generator=generator, **FAST)
    whole.learn(120)
    half = GoGePo("MlpPolicy", "CartPole-v1", seed=1, generator=generator, **FAST)
    half.learn(60).save(tmp_path / "half")
    again = GoGePo.load(tmp_path / "half")
    again.learn(120 - again.num_timesteps, reset_num_timesteps=False)
    np.testing.assert_array_equal(again.theta, whole.theta)
    assert again.best_return == whole.best_return == max(whole.returns)
    assert whole.figures["command"] > 0.0
    asked = command_curve(whole, np.array([10.0, 20.0]), 1)
    assert [command for command, _ in asked] == [10.0, 20.0]


def test_udrlpg_keeps_a_policy_a_bucket_and_goes_on_as_the_whole(tmp_path: Path) -> None:
    few: dict[str, Any] = {"low": 0.0, "high": 500.0, "hidden": (8,), "warm_up": 2}
    few["generator_hidden"] = (8, 8)
    whole = UDRLPG("MlpPolicy", "CartPole-v1", seed=1, buckets=100, **few)
    whole.learn(200)
    half = UDRLPG("MlpPolicy", "CartPole-v1", seed=1, buckets=100, **few)
    half.learn(100).save(tmp_path / "half")
    again = UDRLPG.load(tmp_path / "half")
    again.learn(200 - again.num_timesteps, reset_num_timesteps=False)
    np.testing.assert_array_equal(again.theta, whole.theta)
    buckets = {int(value // 5) for value in whole.returns}
    assert set(whole.kept) == buckets and whole.figures["buckets"] == len(buckets)
    with pytest.raises(UserError, match="heads or tiles"):
        UDRLPG("MlpPolicy", "CartPole-v1", generator="threads")


@pytest.mark.parametrize("learner", [GoGePo, UDRLPG])
def test_policies_that_were_tried_are_learned_from_as_they_act_now(learner: Any) -> None:
    few: dict[str, Any] = {"low": 0.0, "high": 500.0, "hidden": (8,), "generator_hidden": (8, 8)}
    model = learner("MlpPolicy", "CartPole-v1", seed=1, **few)
    theta = model.architecture.initial(np.random.default_rng(0))
    seen = np.array([0.3, -0.2, 0.1, 0.5])
    before = model.actor(theta).outputs(seen)
    kept = model._kept(theta)
    model.statistics.count, model.statistics.mean = 100, np.array([0.1, 0.4, -0.3, 0.2])
    model.statistics.squares = np.array([40.0, 90.0, 10.0, 200.0])
    now = model._written_now(kept[None])[0].double().numpy()
    np.testing.assert_allclose(model.actor(now).outputs(seen), before, atol=1e-5)
    assert np.abs(model.actor(theta).outputs(seen) - before).max() > 0.01


def test_short_episodes_share_a_round_and_some_practise_a_lower_return() -> None:
    few = {**FAST, "update_every": 60, "even": 0.5, "practice": 0.5}
    model = GoGePo("MlpPolicy", "CartPole-v1", seed=1, **few)
    commands = []
    while model.num_timesteps < 400:
        model.learn(1, reset_num_timesteps=False)
        commands.append(model.figures["command"])
    assert model.num_iterations <= 400 / 60 + 1 < model.num_episodes
    assert min(model.lengths[0], 60) <= model.num_timesteps
    assert min(commands) < max(model.returns) < max(commands)


def test_a_draw_over_returns_is_even_however_often_each_occurred() -> None:
    table = PolicyTable(1, 500)
    for number in range(400):
        table.add(np.array([1.0]), 1.0 + 0.001 * (number % 7))
    for value in (40.0, 70.0, 100.0):
        table.add(np.array([value]), value)
    thetas, returns = table.sample_evenly(np.random.default_rng(0), 4000)
    shares = [float((returns.round() == value).float().mean()) for value in (1, 40, 70, 100)]
    np.testing.assert_allclose(shares, [19.5 / 99, 34.5 / 99, 30 / 99, 15 / 99], atol=0.03)
    assert (thetas[:, 0].round() == returns.round()).all()
    lone = PolicyTable(1, 3)
    lone.add(np.array([2.0]), 5.0)
    assert lone.sample_evenly(np.random.default_rng(0), 3)[1].tolist() == [5.0] * 3


def test_what_a_generator_cannot_be_is_one_sentence() -> None:
    with pytest.raises(UserError, match="heads or tiles"):
        GoGePo("MlpPolicy", "CartPole-v1", generator="threads")
    with pytest.raises(UserError, match="low lies below high"):
        GoGePo("MlpPolicy", "CartPole-v1", low=3.0, high=3.0)
    with pytest.raises(UserError, match="even and practice are shares"):
        GoGePo("MlpPolicy", "CartPole-v1", even=1.5)


def test_a_study_of_a_generator_has_a_command_curve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = Benchmark(
        "GoGePo, CartPole-v1",
        "gogepo",
        "CartPole-v1",
        60,
        30,
        policy="MlpPolicy",
        settings=FAST,
        episodes=1,
        commands=(5.0, 30.0),
    )
    entries = dict(BENCHMARKS.items())
    monkeypatch.setattr(BENCHMARKS, "_entries", {"test_gogepo": entry, **entries})
    result, drawn = tmp_path / "result.json", tmp_path / "commands.png"
    held = {"command": "before", "rows": [{"benchmark": "swimmer_pssvf"}]}
    result.write_text(json.dumps(held))
    words = ["policy-search-study", "--out", str(tmp_path / "runs"), "--seeds", "1"]
    words += ["--benchmarks", "test_gogepo", "--json", str(result)]
    assert main([*words, "--command-picture", str(drawn)]) == 0
    first, other = json.loads(result.read_text())["rows"]
    assert first["benchmark"] == "test_gogepo" and len(first["command_curves"][0]) == 21
    assert -1 <= first["command_rank_correlations"][0] <= 1
    assert other == {"made": {"command": "before"}, "benchmark": "swimmer_pssvf"}
    assert drawn.stat().st_size > 8_000
    (run,) = runs.benchmark_runs(tmp_path / "runs", ("test_gogepo",), 1)
    assert len(run.result()["command_curve"]) == 21
    with pytest.raises(UserError, match="holds no benchmarks"):
        curves.merged([], {}, [])


@pytest.fixture(scope="module")
def copy() -> PoseMap:
    """The tag is seen where the first servo is high."""
    rng = np.random.default_rng(0)
    options = study.protocol(25)
    commands = rng.uniform(-1, 1, (800, 4)) * options.command_range
    return PoseMap(SampledPoses(commands, np.repeat(commands[:, :1] > 0.5, 4, 1)), options)


@pytest.mark.slow
def test_a_dial_follows_its_commands_and_is_kept(copy: PoseMap, tmp_path: Path) -> None:
    about = StepGeneratorOptions(iterations=20, probes=8, episodes=8, updates=15)
    generator = StepGenerator(copy, about)
    generator.learn()
    rows = study.curve_in_the_copy(generator, (2, 6, 10, 14, 18))
    assert [row["faults"] for row in rows] == ["kill0", "kill1", "kill12"]
    assert rows[0]["rank_correlation"] > 0.6 and max(rows[0]["obtained"]) <= 25
    generator.save(tmp_path / "generator.safetensors")
    same = StepGenerator(copy, about)
    same.load(tmp_path / "generator.safetensors")
    steps, setting = np.array([4.0]), np.array([1])
    np.testing.assert_array_equal(same.generate(steps, setting), generator.generate(steps, setting))
    with pytest.raises(UserError, match="other options"):
        StepGenerator(copy, StepGeneratorOptions()).load(tmp_path / "generator.safetensors")


def test_the_command_writes_policies_for_find_target(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["step-generator", "--out", str(tmp_path), "--iterations", "2", "--poses", "200"]
    words += ["--commands", "3", "9", "--measure", "1", "--picture", str(tmp_path / "dial.png")]
    assert main(words) == 0
    assert "rank correlation" in capsys.readouterr().out
    result = json.loads((tmp_path / "curves.json").read_text())
    assert result["commands"] == [3, 9] and len(result["seeds"][0]["measured"]["obtained"]) == 2
    policy = load_policy(tmp_path / "kill1_09.safetensors")
    assert policy.card["commanded_steps"] == 9.0 and policy.card["options"]["faults"] == "kill1"
    seen = np.array([0.1, -0.5, 0.7, 0.2, 0.25, 0.25, 0.25, 0.25], np.float32)
    assert (np.abs(policy.act(seen, None)) <= 0.4).all()
    assert (tmp_path / "dial.png").stat().st_size > 10_000
    assert main(["step-generator", "--out", str(tmp_path), "--commands", "3", "40"]) == 2
    assert "from 1 to 24" in capsys.readouterr().err
