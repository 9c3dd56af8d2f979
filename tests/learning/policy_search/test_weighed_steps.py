"""A-POIS with steps weighed one by one, kept batches, a limit and a spread that falls."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from asterias.arrays import FloatArray
from asterias.errors import UserError
from learning.policy_search import APOIS
from learning.policy_search.algorithms.action_pois import ActionBound, ActionPoisSettings
from learning.policy_search.algorithms.offline_climb import climb
from learning.policy_search.algorithms.reused_batches import Batch, advantages, samples_of
from learning.policy_search.common.architecture import Actor, PolicyArchitecture
from learning.policy_search.common.rollouts import Transitions

FORM = PolicyArchitecture(2, (3,), (-1.0, -2.0), (1.0, 2.0), stochastic=True, log_std=-0.7)
PLAIN = np.zeros(2), np.ones(2)
OPTIONS: dict[str, Any] = {
    "by_step": True,
    "batches": 3,
    "kl": 0.1,
    "trace": 0.5,
    "spread_decay": 0.1,
    "batch_size": 4,
    "episode_limit": 20,
    "gamma": 0.9,
}


def batch(seed: int, log_std: float, episodes: int = 6) -> Batch:
    """Return episodes of three steps of a policy in a world that drifts."""
    rng = np.random.default_rng(seed)
    theta = FORM.initial(rng)
    actor, steps = Actor(FORM, theta, *PLAIN), []
    for number in range(episodes):
        seen = rng.normal(size=(4, 2)).cumsum(0)
        outputs = actor.outputs(seen) + np.exp(log_std) * rng.standard_normal((4, 2))
        steps.append(Transitions(seen, outputs, outputs[:-1].sum(1), number % 2 == 0))
    return Batch(theta, log_std, steps)


def bound_of(batches: Sequence[Batch], by_step: bool, **options: Any) -> ActionBound:
    samples = samples_of(FORM, batches, 0.9, 0.5, by_step)
    about = ActionPoisSettings(**{"least_ess": 0.0, **options})
    return ActionBound(FORM, batches[-1].theta, samples, PLAIN, about)


def densities(theta: FloatArray, log_std: float, episode: Transitions) -> FloatArray:
    """Return the density of each of an episode's actions ``(T,)``."""
    means = Actor(FORM, theta, *PLAIN).outputs(episode.observations[:-1])
    found: FloatArray = norm.pdf(episode.outputs[:-1], means, np.exp(log_std)).prod(1)
    return found


@pytest.mark.parametrize("by_step", [True, False])
def test_weights_of_reused_batches_are_those_of_their_mixture(by_step: bool) -> None:
    batches = [batch(0, -0.3, 4), batch(1, -0.5, 6), batch(2, FORM.log_std, 5)]
    at = batches[-1].theta + 0.05 * np.random.default_rng(3).standard_normal(FORM.parameters)
    ratios = []
    for episode in (episode for kept in batches for episode in kept.steps):
        own = densities(at, FORM.log_std, episode)
        others = np.array([densities(b.theta, b.log_std, episode) for b in batches])
        if not by_step:
            own, others = own.prod(keepdims=True), others.prod(1, keepdims=True)
        ratios.append(own / (np.array([4, 6, 5]) / 15 @ others))
    expected = np.concatenate(ratios)
    weights = bound_of(batches, by_step).weights(at)
    assert weights.size == (45 if by_step else 15) and weights.std() > 0.1 * weights.mean()
    np.testing.assert_allclose(weights, expected / expected.sum(), rtol=1e-6)


@pytest.mark.parametrize("kl", [0.0, 10.0])
def test_the_gradient_is_that_of_finite_differences(kl: float) -> None:
    bound = bound_of([batch(0, -0.5), batch(1, FORM.log_std)], True, kl=kl)
    theta = batch(1, FORM.log_std).theta
    at = theta + 0.05 * np.random.default_rng(1).standard_normal(theta.size)
    numeric = [
        (bound.value(at + step) - bound.value(at - step)) / 2e-6
        for step in 1e-6 * np.eye(theta.size)
    ]
    assert np.abs(numeric).max() > 0.01
    np.testing.assert_allclose(bound.gradient(at), numeric, rtol=1e-4, atol=1e-6)


def test_no_policy_beyond_the_limit_is_taken() -> None:
    bound, theta = bound_of([batch(0, FORM.log_std)], True, kl=0.02), batch(0, FORM.log_std).theta
    reached, steps = climb(bound, theta, 20, 30)
    assert steps > 0 and bound.value(reached) > bound.value(theta)
    assert 0.005 < bound.divergence(reached) <= 0.02 and bound.refused > 0


def test_advantages_favour_what_leads_to_more() -> None:
    rng = np.random.default_rng(0)
    steps, good = [], []
    for _ in range(200):  # two steps; the first one's action decides the reward of the second
        seen, chosen = rng.normal(size=(3, 1)), rng.random() < 0.5
        good.append(chosen)
        steps.append(Transitions(seen, np.zeros((3, 1)), np.array([0.0, float(chosen)]), True))
    first = advantages(steps, 0.9, 1.0)[::2]
    assert first[good].mean() > 0.8 and first[~np.array(good)].mean() < -0.8
    # One step ahead, what is seen tells nothing of the choice, so that the first earns nothing.
    ahead = advantages(steps, 0.9, 0.0)[::2]
    assert abs(ahead[good].mean() - ahead[~np.array(good)].mean()) < 0.2


def test_what_a_time_limit_cuts_off_is_worth_something() -> None:
    def told(terminated: bool) -> FloatArray:
        seen = np.zeros((2, 1))
        kinds = [(np.full(1, float(number % 2)), True) for number in range(100)]
        kinds.append((np.zeros(1), terminated))
        return advantages([Transitions(seen, seen, *kind) for kind in kinds], 0.9, 0.0)

    ended, cut = told(True), told(False)
    assert ended[-1] == ended[0] < 0 < ended[1]
    assert cut[0] + 0.5 < cut[-1] < cut[1]


def learner() -> APOIS:
    return APOIS("LinearPolicy", "Pendulum-v1", seed=3, **OPTIONS)


def iterate(model: APOIS, times: int) -> None:
    for _ in range(times):
        model.learn(1, reset_num_timesteps=False)


def test_kept_batches_and_the_spread_go_on_exactly(tmp_path: Path) -> None:
    whole, half = learner(), learner()
    iterate(whole, 6)
    iterate(half, 4)
    half.save(tmp_path / "half")
    other = APOIS.load(tmp_path / "half")
    assert len(other._kept) == 2 and other.architecture == half.architecture
    iterate(other, 2)
    np.testing.assert_array_equal(whole.theta, other.theta)
    assert whole.figures == other.figures and whole.returns == other.returns
    assert other.architecture.log_std == pytest.approx(-0.5 - 5 * 0.1)
    assert other.traffic_light() and other.figures["weighed"] == 3 * 4 * 20


def test_the_spread_falls_no_further_than_to_its_least() -> None:
    model = APOIS("LinearPolicy", "Pendulum-v1", **{**OPTIONS, "spread_decay": 2.0})
    iterate(model, 3)
    assert model.architecture.log_std == -3.0
    assert model.card()["form"]["log_std"] == -0.5


def test_without_its_options_it_learns_as_before() -> None:
    model = APOIS("LinearPolicy", "Pendulum-v1", seed=4, batch_size=6, episode_limit=30, gamma=0.95)
    iterate(model, 3)
    # Made by the code before there were options.
    before = [0.1911165732181763, 0.07533525856129342, -0.039324649906244964, -0.025290148190815036]
    np.testing.assert_allclose(model.theta, before, rtol=1e-6)
    assert model.figures["ess"] == pytest.approx(1.4161277203042189) and not model._kept


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"batches": 0}, "batches is 1 or more"),
        ({"batches": 10}, "below 1 / least_ess"),
        ({"trace": 1.1}, "trace is from 0 to 1"),
        ({"kl": -0.1}, "kl and spread_decay are 0 or more"),
    ],
)
def test_what_cannot_be_is_one_sentence(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        ActionPoisSettings(**options)
