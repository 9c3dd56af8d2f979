"""Rényi divergences and bounds: closed forms against sampling and quadrature, limits, anchors."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from asterias.errors import UserError
from learning.inference.bandit import (
    ALPHAS,
    Bandit,
    BanditOptions,
    arm_values,
    pay_off,
    random_pulls,
    run_bandit,
)
from learning.inference.mixture_fit import TWO_MODES, fit_gaussian
from learning.inference.renyi import (
    Gaussian,
    LinearGaussian,
    categorical_renyi,
    gaussian_renyi,
    renyi_bound,
)

Q = Gaussian.of([0.3, -0.2], [[0.5, 0.1], [0.1, 0.3]])
P = Gaussian.of([0.0, 0.1], [[1.0, -0.2], [-0.2, 0.6]])


def draws(gaussian: Gaussian, count: int) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal((count, gaussian.mean.size))
    return gaussian.mean + noise @ np.linalg.cholesky(gaussian.covariance).T


@pytest.mark.parametrize("alpha", [0.5, 1.0, 1.3])
def test_the_closed_form_of_gaussians_is_that_of_sampling(alpha: float) -> None:
    points = draws(Q, 200_000)
    ratios = Q.log_density(points) - P.log_density(points)
    sampled = (
        ratios.mean()
        if alpha == 1.0
        else math.log(np.exp((alpha - 1) * ratios).mean()) / (alpha - 1)
    )
    assert gaussian_renyi(Q, P, alpha) == pytest.approx(sampled, rel=0.02)


def gaussians(alpha: float) -> float:
    return gaussian_renyi(Q, P, alpha)


def categoricals(alpha: float) -> float:
    q, p = np.log([0.7, 0.2, 0.1]), np.log([0.3, 0.3, 0.4])
    return float(categorical_renyi(q, p, alpha))


@pytest.mark.parametrize("divergence", [gaussians, categoricals])
def test_orders_are_one_family(divergence: Callable[[float], float]) -> None:
    at = [divergence(alpha) for alpha in (0.0, 0.3, 1 - 1e-7, 1.0, 1 + 1e-7, 2.0, 50.0, math.inf)]
    assert at[0] == pytest.approx(0.0, abs=1e-12)
    assert at == sorted(at)
    assert at[2] == pytest.approx(at[3], rel=1e-5)
    assert at[4] == pytest.approx(at[3], rel=1e-5)
    assert at[6] == pytest.approx(at[7], rel=0.1)


def test_order_0_is_the_reverse_divergence() -> None:
    assert gaussian_renyi(Q, P, 1e-6) / 1e-6 == pytest.approx(gaussian_renyi(P, Q, 1.0), rel=1e-4)
    skewed = 0.3 / 0.7 * gaussian_renyi(P, Q, 0.7)
    assert gaussian_renyi(Q, P, 0.3) == pytest.approx(skewed)


def test_order_2_is_infinite_from_twice_the_variance_on() -> None:
    narrow = Gaussian.of(0.0, 1.0)
    assert math.isinf(gaussian_renyi(Gaussian.of(0.0, 2.001), narrow, 2.0))
    assert gaussian_renyi(Gaussian.of(0.0, 1.999), narrow, 2.0) < math.inf
    assert math.isinf(gaussian_renyi(Gaussian.of(0.0, 1.001), narrow, math.inf))


def test_a_category_that_p_lacks() -> None:
    q, p = np.log([0.5, 0.5]), np.array([0.0, -np.inf])
    assert math.isinf(categorical_renyi(q, p, 1.0))
    assert categorical_renyi(q, p, 0.5) == pytest.approx(-2 * math.log(math.sqrt(0.5)))
    assert categorical_renyi(p, q, 2.0) == pytest.approx(math.log(2.0))


MODEL = LinearGaussian(Gaussian.of(1.0, 4.0), np.array([[2.0]]), np.array([[0.5]]))


def test_the_bound_is_exact_at_the_posterior_and_falls_with_the_order() -> None:
    posterior = MODEL.posterior(3.0)
    for alpha in (0.0, 0.5, 1.0, 7.0, math.inf):
        assert MODEL.bound(3.0, posterior, alpha) <= MODEL.log_evidence(3.0) + 1e-9
        if not math.isinf(alpha):  # no q equal to p has a wider p
            assert MODEL.bound(3.0, posterior, alpha) == pytest.approx(MODEL.log_evidence(3.0))
    q = Gaussian.of(1.2, 0.2)
    bounds = [MODEL.bound(3.0, q, alpha) for alpha in (0.0, 0.5, 1.0, 1.5)]
    assert bounds == sorted(bounds, reverse=True)


def test_the_bound_of_samples_is_the_exact_one() -> None:
    q = Gaussian.of(1.4, 0.09)
    z = draws(q, 200_000)
    noise = Gaussian.of(0.0, MODEL.noise)
    joint = MODEL.prior.log_density(z) + noise.log_density(3.0 - z @ MODEL.matrix.T)
    for alpha in (0.0, 0.5, 1.0, 2.0):
        estimate = float(renyi_bound(joint - q.log_density(z), alpha))
        assert estimate == pytest.approx(MODEL.bound(3.0, q, alpha), abs=0.02)
    assert renyi_bound([0.3, -2.0, 1.0], math.inf) == -2.0


def test_a_wide_q_has_a_bound_below_an_order_only() -> None:
    exact = float(MODEL.posterior(3.0).covariance[0, 0])
    wide = 3.0 * exact
    limit = wide / (wide - exact)
    q = Gaussian.of(1.4, wide)
    assert MODEL.bound(3.0, q, limit - 1e-3) > -math.inf
    assert MODEL.bound(3.0, q, limit + 1e-3) == -math.inf


def test_wrong_orders_and_covariances_are_named() -> None:
    with pytest.raises(UserError, match="alpha must be 0 or more"):
        renyi_bound([0.0], -1.0)
    with pytest.raises(UserError, match="alpha"):
        gaussian_renyi(Q, P, math.nan)
    with pytest.raises(UserError, match="positive definite"):
        Gaussian.of(0.0, -1.0)


@pytest.mark.parametrize(
    ("alpha", "mean", "std"), [(0.05, -0.8, 1.9), (0.5, -2.0, 0.6), (2.0, -2.0, 0.6)]
)
def test_a_mixture_is_covered_or_its_larger_mode_is(alpha: float, mean: float, std: float) -> None:
    fit = fit_gaussian(TWO_MODES, alpha)
    assert fit.mean == pytest.approx(mean, abs=0.02)
    assert fit.std == pytest.approx(std, abs=0.03)


def test_small_orders_match_the_moments() -> None:
    fit = fit_gaussian(TWO_MODES, 1e-3)
    assert (fit.mean, fit.std) == pytest.approx(TWO_MODES.moments(), abs=1e-3)


def test_the_arms_pay_what_was_published() -> None:
    assert arm_values() == pytest.approx([2.00, 1.78, 6.21], abs=0.01)
    arms = np.repeat(np.arange(3), 200_000)
    paid = pay_off(arms, np.random.default_rng(0)).reshape(3, -1)
    assert paid.mean(1) / paid.var(1) == pytest.approx(arm_values(), rel=0.02)


def test_a_bandit_learns_with_order_near_1_and_not_with_order_near_0() -> None:
    options = BanditOptions(pulls=250, adam_steps=10)
    good, wide = (run_bandit(alpha, 4, 0, options) for alpha in (ALPHAS[2], ALPHAS[0]))
    # Measured 0.9 and 0.3; arms at random would be at a third.
    assert good["best_arm_share"] > wide["best_arm_share"]
    assert max(good["q_variance"]) < min(wide["q_variance"])
    assert len(good["curve"]) >= 100
    reference = random_pulls(20, 0)
    assert reference["cumulative_regret"] == pytest.approx(5000 * (6.2046 - 3.3262), rel=0.03)


def test_the_gradient_is_that_of_the_bound() -> None:
    """By finite differences with the same noise, in mean and log-variance."""
    arms = np.array([0])
    reward, scale = np.array([[11.0]]), np.array([[3.0]])

    def bandit(mean: float, log_var: float) -> Bandit:
        made = Bandit(0.5, 1, np.random.default_rng(3))
        made.mean[0, 0], made.log_var[0, 0] = mean, log_var
        return made

    def minus_bound(mean: float, log_var: float) -> float:
        noise = np.random.default_rng(3).standard_normal((1, 300))
        std = math.exp(0.5 * log_var)
        z = mean + std * noise
        prior = np.log(
            0.5 * np.exp(-0.5 * ((z - 13) / 1.5) ** 2) + 0.5 * np.exp(-0.5 * ((z - 20) / 1.5) ** 2)
        )
        ratio = prior - 0.5 * ((z - reward) / scale) ** 2 + 0.5 * noise**2 + math.log(std)
        return -float(renyi_bound(ratio, 0.5)[0])

    at = (12.0, 0.4)
    gradient = bandit(*at)._gradient(arms, reward, scale)[0]
    step = 1e-5
    numeric = [
        (minus_bound(at[0] + step, at[1]) - minus_bound(at[0] - step, at[1])) / (2 * step),
        (minus_bound(at[0], at[1] + step) - minus_bound(at[0], at[1] - step)) / (2 * step),
    ]
    assert gradient == pytest.approx(numeric, rel=1e-4)
