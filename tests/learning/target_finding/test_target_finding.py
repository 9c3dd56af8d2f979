"""The target-finding task and its Brownian baselines, driven without ROS."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from command_line import run_here
from hypothesis import given
from hypothesis import strategies as st

from learning.target_finding.env.task import TargetFindingTask, draw_dead_cameras
from learning.target_finding.experiments.baselines import measure, run_episode, summarise
from learning.target_finding.policies.brownian import BrownianSearcher
from learning.target_finding.policies.registry import make_searcher, policy_names
from sim.world import SimWorld

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def world() -> Iterator[SimWorld]:
    with SimWorld("limb_p1") as made:
        yield made


def test_an_episode_starts_where_no_camera_sees_the_target(world: SimWorld) -> None:
    task = TargetFindingTask(world)
    for seed in range(5):
        task.reset(np.random.default_rng(seed))
        assert task.seeing(range(4)) == []


def test_the_same_seed_gives_the_same_episode(world: SimWorld) -> None:
    task = TargetFindingTask(world)

    def episode(seed: int) -> object:
        return run_episode(
            task,
            lambda rng: make_searcher("bmms", task.lower, task.upper, rng, cameras=4),
            seed=(seed,),
            faults="kill12",
            cap=20,
        )

    assert [episode(seed) for seed in range(4)] == [episode(seed) for seed in range(4)]


def test_only_live_cameras_count(world: SimWorld) -> None:
    task = TargetFindingTask(world)
    # From home the forward camera looks at the target.
    assert task.step(np.zeros(4), live=range(4)) == [3]
    assert task.step(np.zeros(4), live=[0, 1, 2]) == []


def test_the_cap_ends_an_episode_without_a_find(world: SimWorld) -> None:
    task = TargetFindingTask(world)

    class Still:
        def act(self, position_rad: np.ndarray, live: Collection[int]) -> np.ndarray:
            return position_rad

    result = run_episode(task, lambda rng: Still(), seed=(0,), cap=2)
    assert (result.steps, result.found, result.camera) == (2, False, None)


@given(st.integers(0, 2**32 - 1), st.booleans(), st.lists(st.floats(-2, 2), min_size=4, max_size=4))
def test_brownian_steps_stay_within_the_limits(seed: int, single: bool, start: list[float]) -> None:
    lower, upper = np.array([-1.5, -1.0, -0.7, -1.0]), np.array([1.5, 1.0, 0.7, 1.2])
    searcher = BrownianSearcher(lower, upper, single=single, rng=np.random.default_rng(seed))
    position = np.clip(start, lower, upper)
    moved = searcher.act(position)
    assert (moved >= lower).all() and (moved <= upper).all()
    if single:
        assert np.count_nonzero(moved != position) <= 1


def test_brownian_increments_have_the_papers_spread() -> None:
    # Normal(0, 0.5) times the whole range: from the middle, every third step ends at a limit.
    searcher = BrownianSearcher(np.full(4, -1.0), np.full(4, 1.0), rng=np.random.default_rng(0))
    steps = np.array([searcher.act(np.zeros(4)) for _ in range(4000)])
    np.testing.assert_allclose((np.abs(steps) == 1.0).mean(axis=0), 0.317, atol=0.03)
    np.testing.assert_allclose((np.abs(steps) < 0.5).mean(axis=0), 0.383, atol=0.03)


@pytest.mark.parametrize(("faults", "counts"), [("kill0", {0}), ("kill1", {1}), ("kill12", {1, 2})])
def test_dead_cameras_are_as_many_as_the_setting_says(faults: str, counts: set[int]) -> None:
    rng = np.random.default_rng(0)
    draws = [draw_dead_cameras(rng, 4, faults) for _ in range(200)]
    assert {len(dead) for dead in draws} == counts
    assert all(len(set(dead)) == len(dead) for dead in draws)
    if counts != {0}:
        assert {j for dead in draws for j in dead} == {0, 1, 2, 3}


def test_unknown_names_are_answered_with_the_choices() -> None:
    with pytest.raises(ValueError, match="kill0, kill1, kill12"):
        draw_dead_cameras(np.random.default_rng(0), 4, "kill3")
    with pytest.raises(ValueError, match=", ".join(policy_names())):
        make_searcher("psychic", np.zeros(4), np.ones(4), np.random.default_rng(0), cameras=4)


def test_a_searcher_says_whether_it_wants_pictures() -> None:
    names = ["bmms", "ppo_kill0", "images"]
    make = partial(make_searcher, rng=np.random.default_rng(0), cameras=4)
    searchers = [make(name, -np.ones(4), np.ones(4)) for name in names]
    assert [searcher.wants_images for searcher in searchers] == [False, False, True]
    with pytest.raises(ValueError, match="cannot search without them"):
        searchers[-1].act(np.zeros(4), range(4))


def test_the_table_holds_what_was_measured(world: SimWorld) -> None:
    results = list(measure(world, "bmms", "kill0", episodes=3, seed=7))
    row = summarise("bmms", "kill0", results)
    assert row["steps"] == [result.steps for result in results]
    assert row["mean_steps"] == pytest.approx(np.mean(row["steps"]), abs=0.01)
    assert row["paper_mean_steps"] == 16.43


def run_learning(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run_here("learning", *arguments)


def test_baselines_from_the_command_line(tmp_path: Path) -> None:
    out = tmp_path / "baselines.json"
    done = run_learning("baselines", "--episodes", "2", "--seed", "1", "--json", str(out))
    assert done.returncode == 0, done.stderr
    assert "BMMS" in done.stdout
    data = json.loads(out.read_text(encoding="utf-8"))
    assert len(data["rows"]) == 6
    assert data["seed"] == 1 and data["machine"]["cores"] and data["command"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("baselines", "--robot", "limb_p2"), "did you mean 'limb_p1'"),
        (("baselines", "--episodes", "1"), "2 or more"),
        (("verdict", "nowhere"), "left no summary"),
    ],
)
def test_mistakes_are_one_sentence(arguments: tuple[str, ...], words: str) -> None:
    done = run_learning(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
