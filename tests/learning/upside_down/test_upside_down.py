"""Upside-down RL: the counter-example exactly and from samples; the acceptance test."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from asterias.errors import UserError
from learning.__main__ import main
from learning.upside_down import study
from learning.upside_down.acceptance import accept, run_episodes
from learning.upside_down.learners import COMMANDED_LEARNERS, Episodes
from learning.upside_down.recursion import (
    CommandedProcess,
    counter_example,
    udrl_recursion,
    udrl_sampled_step,
    udrl_step,
)


@pytest.mark.parametrize(("alpha", "reached"), [(1.0, 1.0), (0.9, 0.82), (0.6, 0.52)])
def test_the_counter_example_from_anywhere(alpha: float, reached: float) -> None:
    process = counter_example(alpha)
    assert process.optimum() == pytest.approx(alpha)
    for start in (None, process.optimal_policy()):
        assert udrl_recursion(process, start, 3)[1:] == pytest.approx([reached] * 3, abs=1e-12)
    row = study.recursion_row(alpha, 8)
    assert abs(row["sampled_mean"] - reached) <= 2 * row["sampled_std"] + 1e-12
    # A share alpha among some 5,000 episodes for each of the two goals has this deviation.
    std = (2 * alpha - 1) * np.sqrt(alpha * (1 - alpha) / 5000 / 2)
    assert np.abs(np.array(row["sampled"])[:, 1:] - reached).max() <= 5 * std + 1e-12


def test_from_the_optimum_it_falls_in_one_step() -> None:
    process = counter_example(0.6)
    reached = udrl_recursion(process, process.optimal_policy(), 1)
    assert reached == pytest.approx([0.6, 0.52])


def test_mixing_repairs_a_policy_that_never_tries_an_action() -> None:
    process = counter_example(0.6)
    stubborn = np.zeros(process.shape)
    stubborn[..., 0] = 1.0
    assert udrl_recursion(process, stubborn, 5)[-1] == pytest.approx(0.5)
    assert udrl_recursion(process, stubborn, 200, 0.1)[-1] == pytest.approx(0.518, abs=1e-4)


def test_with_several_steps_counting_comes_to_the_exact_step() -> None:
    rng = np.random.default_rng(0)
    transitions, even = rng.dirichlet(np.ones(3), (3, 2)), np.full(3, 1 / 3)
    process = CommandedProcess(transitions, 3, even, even)
    policy = rng.dirichlet(np.ones(2), process.shape[:3])
    exact = udrl_step(process, policy)
    assert np.allclose(exact.sum(-1), 1)
    counted = udrl_sampled_step(process, policy, 100_000, rng)
    assert np.abs(exact - counted).max() < 0.02


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name == "decision_transformer" else ())
        for name in COMMANDED_LEARNERS.names()
    ],
)
def test_every_command_conditioned_learner_has_its_card(name: str) -> None:
    card = accept(COMMANDED_LEARNERS.get(name), episodes=4000)
    assert (card.matching, card.optimum) == (pytest.approx(0.52), 0.6)
    assert card.reached[0] == pytest.approx(0.52, abs=0.01)
    assert card.verdict == "repeats what was done when it worked"
    certain = accept(COMMANDED_LEARNERS.get(name), alpha=1.0, episodes=1000)
    assert certain.reached[0] > 0.97 and "no noise" in certain.verdict


def test_a_learner_that_finds_the_best_action_passes() -> None:
    class Best:
        def __init__(self, seed: int) -> None:
            self._best = np.zeros((2, 2))

        def fit(self, episodes: Episodes) -> None:
            for goal in range(2):
                hits = [(episodes.got == goal)[episodes.actions == a].mean() for a in range(2)]
                self._best[goal] = np.eye(2)[int(np.argmax(hits))]

        def probabilities(self, goal: int) -> np.ndarray:
            return self._best[goal]

    card = accept(Best, episodes=2000)
    assert card.reached == [0.6] and card.verdict == "finds the best action"


def test_episodes_follow_policy_and_noise() -> None:
    episodes = run_episodes(np.array([[1.0, 0], [0, 1]]), 0.9, 5000, np.random.default_rng(0))
    assert (episodes.told == episodes.actions).all()
    assert (episodes.got == episodes.told).mean() == pytest.approx(0.9, abs=0.02)


def test_the_command_writes_and_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(study, "_EPISODES", 500)
    result, picture = tmp_path / "udrl.json", tmp_path / "udrl.png"
    command = ["upside-down", "--learners", "upside_down", "--seeds", "2"]
    assert main([*command, "--json", str(result), "--picture", str(picture)]) == 0
    data = json.loads(result.read_text())
    assert [row["from_uniform"][-1] for row in data["recursion"]] == pytest.approx([1, 0.82, 0.52])
    assert len(data["cards"][0]["reached"]) == data["cards"][0]["rounds"]
    assert picture.stat().st_size > 10_000
    assert main(["upside-down", "--learners", "oracle"]) == 2
    assert "command-conditioned learner 'oracle'" in capsys.readouterr().err


def test_numbers_that_are_no_probabilities_are_refused() -> None:
    with pytest.raises(UserError, match="alpha is a probability"):
        counter_example(1.5)
    with pytest.raises(UserError, match="alpha must be from 0 to 1"):
        accept(COMMANDED_LEARNERS.get("upside_down"), alpha=-1)
    with pytest.raises(UserError, match="add to 1"):
        CommandedProcess(np.ones((2, 2, 2)), 1, np.ones(2) / 2, np.ones(2) / 2)
