"""Fingerprints: the copy of the task, learned states, near-duplicates, clones, the picture book."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from asterias.errors import UserError
from learning.__main__ import main
from learning.policy_search.common.pose_map import PoseMap
from learning.policy_search.common.ranks import rank_correlation
from learning.policy_search.fingerprints import evaluator as evaluators
from learning.policy_search.fingerprints.cloning import centres, clones_of, compare_states
from learning.policy_search.fingerprints.policy_group import PolicyGroup, PolicyLayers
from learning.target_finding.env.options import TargetFindingOptions, with_command_range
from learning.target_finding.experiments.oracle_bound import SampledPoses
from learning.target_finding.policies.policy_files import find_policy

NAMES = ("ppo_kill0", "ppo_kill1", "ppo_mlp_kill1")


def layers(name: str) -> PolicyLayers:
    return PolicyLayers.of(find_policy(name), name)


@pytest.fixture(scope="module")
def copy() -> PoseMap:
    """A task that is easy to understand: camera 0 sees the tag where the first servo is high."""
    options = with_command_range(TargetFindingOptions(faults="kill1"))
    rng = np.random.default_rng(0)
    commands = rng.uniform(-1, 1, (2000, 4)) * options.command_range
    seeing = np.zeros((2000, 4), bool)
    seeing[:, :] = (commands[:, 0] > 0.5)[:, None]
    return PoseMap(SampledPoses(commands, seeing), options)


def test_a_group_answers_as_its_policies_do_one_by_one() -> None:
    rng = np.random.default_rng(0)
    seen = np.hstack([rng.uniform(-1, 1, (6, 4)), np.full((6, 4), 0.25)])
    group = PolicyGroup([layers(name) for name in NAMES])
    numbers = np.array([2, 0, 1, 1, 2, 0])
    moves = group.act(numbers, seen)
    for number, observation, move in zip(numbers, seen, moves, strict=True):
        own = find_policy(NAMES[number]).act(observation.astype(np.float32), None)
        np.testing.assert_allclose(move, own, atol=1e-5)
    states = torch.tensor(seen, dtype=torch.float32)
    answers = group.answers(states, [1, 2])
    np.testing.assert_allclose(answers[1, 0].numpy() * 0.4, moves[0], atol=1e-5)


def test_in_the_copy_a_policy_that_goes_up_finds_and_one_that_stays_does_not(copy: PoseMap) -> None:
    def act(numbers: np.ndarray, seen: np.ndarray) -> np.ndarray:
        moves = np.zeros((len(numbers), 4))
        moves[numbers == 0, 0] = 0.4
        return moves

    steps, visited = copy.run(act, 2, 50, np.random.default_rng(0))
    assert steps[0].max() <= 4 and steps[0].min() == 1
    assert (steps[1] == copy.options.cap).all()
    assert visited.shape[1] == 8
    flags = visited[:, 4:]
    assert np.allclose(flags.sum(1), 1) and ((flags == 0).sum(1) == 1).all()


@pytest.mark.slow
def test_learned_states_predict_policies_that_were_held_out(copy: PoseMap) -> None:
    rng = np.random.default_rng(0)
    saved = [layers(name) for name in NAMES]
    population = evaluators.make_population(saved, 60, 20, copy, rng)
    start = population.visited[:4]
    learned, held = evaluators.train_evaluator(population, start, copy, rng, 200)
    assert held["policies"] == 12 and held["rank_correlation"] > 0.5
    assert held["mean_error_steps"] < held["error_of_the_mean_steps"]
    states = learned.states.detach().numpy()
    assert (np.abs(states[:, :4]) <= copy.reach).all() and not np.allclose(states, start, atol=0.01)
    fixed, _ = evaluators.train_evaluator(population, start, copy, rng, 5, learned=False)
    np.testing.assert_allclose(fixed.states.numpy(), start, atol=0.02)
    matters = evaluators.importance(learned, population.group, rng)
    assert matters.shape == (4,) and (matters > 0).all()
    rows = compare_states(PolicyGroup(saved), population, copy, (4,), 1, 20)
    assert [row["kind"] for row in rows] == ["learned", "random", "k-means"]
    assert all(1 <= row["clone_steps"] <= 5 for row in rows)


def test_a_clone_answers_as_it_was_told() -> None:
    rng = np.random.default_rng(0)
    states, answers = rng.normal(size=(5, 8)), rng.uniform(-0.8, 0.8, (5, 4))
    both = np.stack([answers, -answers])
    copied = PolicyGroup(clones_of(states, both, [0.4, 0.2], seed=0, updates=300))
    told = copied.answers(torch.tensor(states, dtype=torch.float32))
    np.testing.assert_allclose(told.numpy(), both, atol=0.1)
    assert np.abs(copied.act(np.array([1]), states[:1])).max() <= 0.2


def test_centres_lie_one_in_each_heap() -> None:
    rng = np.random.default_rng(3)
    heaps = [rng.normal(place, 0.1, (40, 2)) for place in (0.0, 5.0, 10.0)]
    found = centres(np.concatenate(heaps), 3, np.random.default_rng(1))
    assert len({tuple(point) for point in found}) == 3
    assert rank_correlation(np.array([1.0, 2, 3]), np.array([2.0, 4, 9])) == 1.0
    assert rank_correlation(np.array([1.0, 1, 1]), np.array([2.0, 4, 9])) == 0.0


def test_the_command_compares_and_draws_and_asks_the_same_states_again(
    copy: PoseMap, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    seeing = copy.poses.seeing.astype(np.uint8)
    save_file(
        {"commands": copy.poses.commands, "seeing": seeing}, tmp_path / "out/poses.safetensors"
    )
    twin = tmp_path / "twin.safetensors"
    find_policy("ppo_kill1").save(twin)
    few = ["--states", "2", "--population", "10", "--updates", "5"]
    words = ["fingerprint", "ppo_kill1", "--out", str(tmp_path / "out"), *few]
    assert main(words) == 0
    first = json.loads((tmp_path / "out/fingerprints.json").read_text())
    assert main(["fingerprint", str(twin), *words[1:]]) == 0
    again = json.loads((tmp_path / "out/fingerprints.json").read_text())
    assert again["states"] == first["states"]
    assert again["alike"] == [[str(twin), "ppo_kill1", 0.0]]
    assert again["policies"][1]["answers"] == first["policies"][0]["answers"]
    assert "do nearly the same" in " ".join(capsys.readouterr().out.split())
    assert (tmp_path / "out/picture_book.png").stat().st_size > 20_000
    assert main([*words, "--seed", "4"]) == 2
    assert "other options" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "Name one policy or more"),
        (["ppo_kill1", "ppo_kill1"], "named twice"),
        (["alchemy"], "There is no policy 'alchemy'"),
        (["ppo_kill1", "--states", "0"], "--states must be 1 or more"),
        (["ppo_kill1", "--clones", "0"], "--clones 1 or more"),
        (["images"], "looks at pictures"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    words: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fingerprint", *words, "--out", str(tmp_path / "out")]) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())


def test_poses_are_sampled_once_and_kept(tmp_path: Path) -> None:
    path, count = tmp_path / "poses.safetensors", [0]

    def tell() -> None:
        count[0] += 1

    first = PoseMap.kept(path, TargetFindingOptions(), 20, tell)
    again = PoseMap.kept(path, TargetFindingOptions(), 20, tell)
    np.testing.assert_array_equal(first.poses.commands, again.poses.commands)
    assert count[0] == 20 and (first.joints, first.cameras) == (4, 4)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "poses.safetensors"
    path.write_bytes(b"no")
    with pytest.raises(UserError, match="holds no poses"):
        PoseMap.kept(path, TargetFindingOptions(), 10)
