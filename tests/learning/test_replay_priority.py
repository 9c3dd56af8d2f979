"""Replay priority: what is drawn, how often, and what it is weighed with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from asterias.errors import UserError
from learning.target_finding.algorithms.registry import (
    ALGORITHMS,
    BODY,
    TrainingRequest,
    ignore_progress,
    never_stop,
    train,
)
from learning.target_finding.env.options import TargetFindingOptions
from learning.training.replay_options import ReplayOptions
from learning.training.replay_priority import (
    draw_examples,
    priority_of,
    replay_priority,
    window_means,
)

CRITICALITY = np.zeros(50)
CRITICALITY[[7, 30]] = 0.9, 0.3


def test_a_share_of_the_probability_follows_what_decided() -> None:
    priority = replay_priority(CRITICALITY, share=0.5)
    assert priority.probabilities.sum() == pytest.approx(1.0)
    assert priority.probabilities[7] == pytest.approx(0.01 + 0.5 * 0.75)
    assert priority.probabilities[0] == pytest.approx(0.01)
    assert np.allclose(replay_priority(CRITICALITY, share=0.0).probabilities, 0.02)
    assert np.allclose(replay_priority(np.zeros(4)).probabilities, 0.25)
    for wrong in ({"criticality": np.array([np.nan])}, {"share": 1.0}, {"correction": 2.0}):
        with pytest.raises(UserError):
            replay_priority(**{"criticality": CRITICALITY, **wrong})


def test_what_is_drawn_has_these_probabilities_and_depends_on_the_seed_alone() -> None:
    priority = replay_priority(CRITICALITY, share=0.5)
    draws = 40_000
    drawn, _ = priority.draw(draws, torch.Generator().manual_seed(1))
    shares = np.bincount(drawn.numpy(), minlength=50) / draws
    spread = np.sqrt(priority.probabilities * (1 - priority.probabilities) / draws)
    assert (np.abs(shares - priority.probabilities) < 5 * spread).all()
    first, other, again = (
        priority.draw(20, torch.Generator().manual_seed(seed))[0].tolist() for seed in (3, 4, 3)
    )
    assert first == again != other
    sampled = np.bincount(list(priority.sampler(4000)), minlength=50)
    assert sampled[7] > 1200 and sampled[30] > 350 and (sampled > 0).sum() > 45
    assert list(priority.sampler(20)) == list(priority.sampler(20))


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_the_correction_makes_the_expected_loss_that_of_even_draws(share: float) -> None:
    losses = np.random.default_rng(0).normal(3.0, 1.0, 50)
    losses[7] += 20.0  # else a bias would hardly show
    whole, none = (replay_priority(CRITICALITY, share, correction) for correction in (1.0, 0.0))
    expected = (whole.probabilities * whole.corrections * losses).sum()
    assert expected == pytest.approx(losses.mean())
    assert (none.probabilities * none.corrections * losses).sum() > 1.5 * losses.mean()
    chosen, weights = whole.draw(200_000, torch.Generator().manual_seed(0))
    measured = (weights.numpy() * losses[chosen.numpy()]).mean()
    assert measured == pytest.approx(losses.mean(), rel=0.02)
    assert whole.corrections.max() <= 1 / (1 - share) + 1e-9


def test_without_a_priority_draws_are_those_of_before() -> None:
    assert priority_of(ReplayOptions(), None) is None
    torch.manual_seed(2)
    expected = torch.randint(50, (8,))
    torch.manual_seed(2)
    chosen, weights = draw_examples(50, 8, None)
    assert torch.equal(chosen, expected) and torch.equal(weights, torch.ones(8))


def test_an_example_has_the_mean_of_the_frames_that_it_looks_at() -> None:
    means = window_means(np.array([0.0, 0.0, 1.0, 0.0, 0.5]), 2)
    np.testing.assert_allclose(means, [0.0, 0.5, 0.5, 0.25, 0.25])
    values = np.random.default_rng(0).random(30)
    padded = np.concatenate([values, np.zeros(9)])
    expected = [padded[t : t + 10].mean() for t in range(30)]
    np.testing.assert_allclose(window_means(values, 10), expected, atol=1e-12)


def test_options_out_of_range_and_other_learners_are_refused(tmp_path: Path) -> None:
    for wrong, said in (
        ({"by": "luck"}, "uniform or criticality"),
        ({"share": 1.0}, "--replay-share"),
        ({"correction": -0.1}, "--replay-correction"),
    ):
        with pytest.raises(UserError, match=said):
            ReplayOptions(**wrong)
    by = ReplayOptions("criticality")
    request = TrainingRequest(tmp_path, TargetFindingOptions(), "bc", replay=by)
    with pytest.raises(UserError, match="is for act and diffusion"):
        ALGORITHMS.get("bc").run(request)
    whole = TrainingRequest(tmp_path, TargetFindingOptions(), "ppo", env=BODY, replay=by)
    with pytest.raises(UserError, match="--replay-by is for a limb"):
        train(whole, ignore_progress, never_stop)
    assert ReplayOptions(share=0.3, correction=1.0).told == ReplayOptions().told
