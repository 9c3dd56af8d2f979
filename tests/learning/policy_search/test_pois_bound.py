"""The bounds of P-POIS and A-POIS, the Renyi divergence, ranks."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from asterias.arrays import FloatArray
from asterias.errors import UserError
from asterias.progress import JsonLines, TrainingProgress
from learning.policy_search import APOIS
from learning.policy_search.algorithms.action_pois import ActionBound, ActionPoisSettings
from learning.policy_search.algorithms.evolution import centred_ranks
from learning.policy_search.algorithms.gaussian import DiagonalGaussian, renyi_divergence
from learning.policy_search.algorithms.offline_climb import climb, traffic_light
from learning.policy_search.algorithms.pois import PPOIS, Bound
from learning.policy_search.algorithms.reused_batches import Batch, samples_of
from learning.policy_search.common.architecture import Actor, PolicyArchitecture
from learning.policy_search.common.rollouts import Transitions


def gaussian(mean: list[float], std: list[float]) -> DiagonalGaussian:
    return DiagonalGaussian(np.array(mean), np.log(std))


def batch(least_ess: float = 0.0) -> Bound:
    rng = np.random.default_rng(0)
    q = gaussian([0.0, 0.0], [1.0, 0.5])
    thetas = q.draw(rng, 50)
    returns = 10 - ((thetas - 1) ** 2).sum(1)
    return Bound(q, thetas, returns, delta=0.8, least_ess=least_ess)


@pytest.mark.parametrize("alpha", [0.5, 2.0, 3.0])
def test_the_closed_form_is_that_of_sampling(alpha: float) -> None:
    p, q = gaussian([0.3, -0.2], [0.8, 0.5]), gaussian([0.0, 0.1], [1.0, 0.6])
    points = q.draw(np.random.default_rng(0), 400_000)
    ratios = np.exp(alpha * (p.log_density(points) - q.log_density(points)))
    sampled = math.log(ratios.mean()) / (alpha - 1)
    assert renyi_divergence(p, q, alpha) == pytest.approx(sampled, rel=0.02)


def test_the_divergence_is_infinite_from_twice_the_variance_on() -> None:
    q = gaussian([0.0], [1.0])
    assert math.isinf(renyi_divergence(gaussian([0.0], [math.sqrt(2.001)]), q))
    assert renyi_divergence(gaussian([0.0], [math.sqrt(1.999)]), q) < math.inf
    assert renyi_divergence(q, q) == pytest.approx(0.0)


def test_at_the_old_gaussian_the_bound_is_the_mean_less_the_risk() -> None:
    bound = batch()
    risk = np.abs(bound.returns).max() * math.sqrt(0.2 / (0.8 * 50))
    assert bound.value(bound.drawn_from) == pytest.approx(bound.returns.mean() - risk)
    assert bound.ess(bound.drawn_from) == pytest.approx(50)


def test_the_sample_size_falls_along_a_ray() -> None:
    bound = batch()
    sizes = [bound.ess(bound.drawn_from.moved(np.array([t, t, 0, 0]))) for t in (0, 0.2, 0.5, 1.0)]
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] < 10


def test_the_gradient_is_that_of_finite_differences() -> None:
    bound = batch()
    at = bound.drawn_from.moved(np.array([0.1, -0.2, -0.1, 0.05]))
    numeric = [
        (bound.value(at.moved(step)) - bound.value(at.moved(-step))) / 2e-6
        for step in 1e-6 * np.eye(4)
    ]
    np.testing.assert_allclose(bound.gradient(at), numeric, rtol=1e-4, atol=1e-6)


def test_a_step_that_leaves_too_few_episodes_is_refused() -> None:
    bound = batch(least_ess=0.5)
    reached, steps = climb(bound, bound.drawn_from, 50, 30)
    assert steps > 0 and bound.refused > 0
    assert bound.ess(reached) >= 25
    assert bound.value(reached) > bound.value(bound.drawn_from)


def test_ranks_are_centred_and_equal_returns_share_one() -> None:
    np.testing.assert_allclose(centred_ranks(np.array([5.0, 1.0, 9.0])), [0.0, -0.5, 0.5])
    np.testing.assert_allclose(centred_ranks(np.array([2.0, 2.0, 2.0])), 0.0)


@pytest.mark.parametrize(
    ("ess", "steps", "light"),
    [
        (100.0, 3, "green"),
        (50.0, 1, "green"),
        (49.9, 1, "amber"),
        (20.0, 1, "amber"),
        (19.9, 1, "red: collect more"),
        (100.0, 0, "red: collect more"),
    ],
)
def test_a_light_says_whether_a_batch_was_enough(ess: float, steps: int, light: str) -> None:
    assert traffic_light(ess, 100, steps) == light


def test_the_light_of_a_learner_comes_with_its_first_batch(
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = PPOIS("LinearPolicy", "CartPole-v1", batch_size=10)
    assert not model.traffic_light()
    model.learn(10)
    assert model.traffic_light() in ("green", "amber", "red: collect more")
    told = TrainingProgress(1, 2, "steps", 0.0, 0.0, 0.0, 1.0, 1.0, 12.34, model.traffic_light())
    JsonLines.tell(told)
    line = json.loads(capsys.readouterr().out)
    assert line["ess"] == 12.3 and line["traffic_light"] == model.traffic_light()
    JsonLines.tell(TrainingProgress(1, 2, "steps", 0.0, 0.0, 0.0, 1.0, 1.0))
    assert "ess" not in json.loads(capsys.readouterr().out)


FORM = PolicyArchitecture(2, (3,), (-1.0, -2.0), (1.0, 2.0), stochastic=True, log_std=-0.7)


def action_batch(episodes: int = 30, least_ess: float = 0.0) -> tuple[ActionBound, FloatArray]:
    """Return the bound of a batch in a world that drifts, and the policy that acted in it."""
    rng = np.random.default_rng(0)
    theta = FORM.initial(rng)
    actor = Actor(FORM, theta, np.full(2, 0.1), np.full(2, 2.0))
    steps = []
    for _ in range(episodes):
        seen = rng.normal(size=(4, 2)).cumsum(0)
        outputs = actor.outputs(seen) + math.exp(FORM.log_std) * rng.standard_normal((4, 2))
        steps.append(Transitions(seen, outputs, outputs[:-1].sum(1), True))
    normalisation = (np.full(2, 0.1), np.full(2, 2.0))
    samples = samples_of(FORM, [Batch(theta, FORM.log_std, steps)], 1.0, 1.0, by_step=False)
    about = ActionPoisSettings(delta=0.8, least_ess=least_ess)
    return ActionBound(FORM, theta, samples, normalisation, about), theta


def test_at_the_acting_policy_all_episodes_count() -> None:
    bound, theta = action_batch()
    assert bound.size(theta) == pytest.approx((30.0, 1.0))


def test_the_gradient_over_actions_is_that_of_finite_differences() -> None:
    bound, theta = action_batch()
    at = theta + 0.05 * np.random.default_rng(1).standard_normal(theta.size)
    numeric = [
        (bound.value(at + step) - bound.value(at - step)) / 2e-6
        for step in 1e-6 * np.eye(theta.size)
    ]
    np.testing.assert_allclose(bound.gradient(at), numeric, rtol=1e-4, atol=1e-6)


def test_the_divergence_over_actions_is_that_of_sampling() -> None:
    bound, theta = action_batch(episodes=4_000)
    at = theta + 0.2 * np.random.default_rng(1).standard_normal(theta.size)
    ess, d2 = bound.size(at)
    # 1 / sum w^2 estimates N / d_2, too: the weights are drawn, d_2 is exact in each state.
    assert 1.2 < d2 < 3 and ess == pytest.approx(4_000 / d2, rel=0.1)


def test_over_actions_a_step_that_leaves_too_few_episodes_is_refused() -> None:
    bound, theta = action_batch(least_ess=0.5)
    reached, steps = climb(bound, theta, 20, 30)
    assert steps > 0 and bound.refused > 0
    assert bound.size(reached)[0] >= 15 and bound.value(reached) > bound.value(theta)


def test_a_policy_is_the_same_through_other_statistics() -> None:
    rng = np.random.default_rng(0)
    theta, seen = FORM.initial(rng), rng.normal(size=(5, 2))
    old, new = (np.zeros(2), np.ones(2)), (np.array([0.5, -1.0]), np.array([2.0, 0.3]))
    again = FORM.rebased(theta, old, new)
    np.testing.assert_allclose(
        Actor(FORM, again, *new).outputs(seen), Actor(FORM, theta, *old).outputs(seen)
    )


@pytest.mark.parametrize(
    ("environment", "options"),
    [("CartPole-v1", {}), ("MountainCarContinuous-v0", {"stochastic": False})],
)
def test_what_apois_cannot_learn_is_told(environment: str, options: dict[str, bool]) -> None:
    with pytest.raises(UserError, match="apois needs continuous actions and a stochastic policy"):
        APOIS("LinearPolicy", environment, **options)
