"""The bound of P-POIS, the Renyi divergence, ranks."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from asterias.progress import JsonLines, TrainingProgress
from learning.policy_search.algorithms.evolution import centred_ranks
from learning.policy_search.algorithms.gaussian import DiagonalGaussian, renyi_divergence
from learning.policy_search.algorithms.pois import PPOIS, Bound, climb, traffic_light


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
    reached, steps = climb(bound, 50, 30)
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
