"""Policies as vectors, statistics of observations, the policy table."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch

from asterias.errors import UserError
from learning.policy_search.common.architecture import Actor, PolicyArchitecture, architecture_for
from learning.policy_search.common.policy_table import PolicyTable
from learning.policy_search.common.statistics import RunningStatistics


@pytest.mark.parametrize("hidden", [(), (5, 3)])
def test_many_policies_in_one_pass_act_as_each_alone(hidden: tuple[int, ...]) -> None:
    form = PolicyArchitecture(4, hidden, low=(-2.0, 0.0), high=(2.0, 1.0))
    rng = np.random.default_rng(0)
    thetas = np.stack([form.initial(rng) for _ in range(3)])
    observations = rng.normal(size=(6, 4))
    together = form.actions_of(torch.tensor(thetas), torch.tensor(observations)).numpy()
    assert together.shape == (3, 6, 2)
    for theta, actions in zip(thetas, together, strict=True):
        alone = Actor(form, theta, np.zeros(4), np.ones(4)).act(observations)
        np.testing.assert_allclose(alone, [0.0, 0.5] + np.array([2.0, 0.5]) * actions, atol=1e-12)


def test_normalisation_is_folded_into_the_first_layer() -> None:
    form = PolicyArchitecture(3, (4,), low=(-1.0,), high=(1.0,))
    rng = np.random.default_rng(1)
    theta, mean, std = form.initial(rng), rng.normal(size=3), rng.uniform(0.1, 2, 3)
    raw = rng.normal(size=3)
    folded = Actor(form, theta, mean, std).act(raw)
    plain = Actor(form, theta, np.zeros(3), np.ones(3)).act((raw - mean) / std)
    np.testing.assert_allclose(folded, plain)


@pytest.mark.parametrize("choices", [2, 3])
def test_a_stochastic_choice_is_drawn_by_the_logits(choices: int) -> None:
    form = PolicyArchitecture(1, choices=choices, stochastic=True)
    theta = np.zeros(form.parameters)
    theta[-1] = 1.0  # the last bias
    actor = Actor(form, theta, np.zeros(1), np.ones(1))
    drawn = actor.act(np.zeros((20_000, 1)), np.random.default_rng(0))
    wanted = np.exp(1.0) / (choices - 1 + np.exp(1.0))
    assert np.mean(drawn == choices - 1) == pytest.approx(wanted, abs=0.015)


def test_a_space_that_does_not_fit_is_one_sentence() -> None:
    env = gymnasium.make("FrozenLake-v1")
    with pytest.raises(UserError, match="FlattenObservation"):
        architecture_for(env, "LinearPolicy", None, stochastic=False, log_std=0.0)
    with pytest.raises(UserError, match="LinearPolicy or MlpPolicy"):
        architecture_for(env, "CnnPolicy", None, stochastic=False, log_std=0.0)


def test_statistics_merge_to_those_of_all_observations() -> None:
    data = np.random.default_rng(0).normal(5.0, [1.0, 100.0], (60, 2))
    statistics = RunningStatistics(2)
    for part in (data[:1], data[1:20], data[20:20], data[20:]):
        if len(part):
            statistics.merge(RunningStatistics.of(part))
    np.testing.assert_allclose(statistics.mean, data.mean(0))
    np.testing.assert_allclose(statistics.std, data.std(0))


def test_an_observation_that_never_changes_is_left_as_it_is() -> None:
    assert RunningStatistics.of(np.full((9, 1), 3.0)).std == [1.0]


def test_the_table_keeps_the_newest_and_finds_them_by_number() -> None:
    table = PolicyTable(2, capacity=300)
    for i in range(1000):
        assert table.add(np.full(2, i, float), -float(i)) == i
    assert len(table) == 300 and not table.holds(699) and table.holds(700)
    np.testing.assert_array_equal(table.of([700, 999])[:, 0], [700, 999])
    assert table.best() == (pytest.approx([700, 700]), -700)


def test_recent_policies_are_drawn_more_often_by_their_age() -> None:
    table = PolicyTable(1, capacity=4)
    for i in range(6):
        table.add(np.array([float(i)]), float(i))
    _, returns = table.sample(np.random.default_rng(0), 40_000, recency=1.0)
    shares = [float((returns == value).float().mean()) for value in (5, 4, 3, 2)]
    np.testing.assert_allclose(shares, np.array([12, 6, 4, 3]) / 25, atol=0.01)


def test_a_saved_table_goes_on_as_it_was() -> None:
    table, other = PolicyTable(1, 3), PolicyTable(1, 3)
    other.load(PolicyTable(1, 3).state())  # an empty one, too
    for i in range(5):
        table.add(np.array([float(i)]), float(i))
    other.load(table.state())
    for each in (table, other):
        each.add(np.array([9.0]), 9.0)
    np.testing.assert_array_equal(table.thetas, other.thetas)
