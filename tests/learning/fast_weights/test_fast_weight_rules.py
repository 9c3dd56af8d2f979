"""Update rules against their closed forms, and our integration against another's."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from asterias.errors import UserError
from learning.fast_weights.core import rules
from learning.fast_weights.core.integration import integrate, rk4_step, union_of_stamps
from learning.fast_weights.core.layer import FastWeightLayer, Memory
from learning.fast_weights.core.paths import PATHS, hermite, linear, natural
from learning.fast_weights.core.rules import RULES, Field

BETA = 0.7


def _inputs(size: int = 5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A start of the weights, a soft key and a value, ``(2, ...)`` float64."""
    torch.manual_seed(3)
    start = 0.5 * torch.randn(2, size, size, dtype=torch.float64)
    key = torch.softmax(torch.randn(2, size, dtype=torch.float64), -1)
    return start, key, torch.tanh(torch.randn(2, size, dtype=torch.float64))


def _run(rule: Field, end: float, steps: int = 200) -> torch.Tensor:
    """The weights at times from 0 to ``end`` under constant key and value."""
    start, key, value = _inputs()
    beta = torch.full((2, 1), BETA, dtype=torch.float64)
    times = torch.linspace(0.0, end, steps + 1, dtype=torch.float64)
    return integrate(lambda time, weights: rule(weights, key, value, beta), start, times)


def test_hebb_grows_linearly() -> None:
    start, key, value = _inputs()
    expected = start + 20.0 * BETA * rules.outer(value, key)
    assert torch.allclose(_run(rules.hebb, 20.0)[-1], expected, atol=1e-10)


def test_oja_drives_w_transposed_v_to_the_key_and_stays_bounded() -> None:
    start, key, value = _inputs()
    weights = _run(rules.oja, 60.0)
    squared = value.square().sum(-1, keepdim=True)
    decay = torch.exp(-BETA * squared * 60.0)
    expected = key + (rules.apply_transposed(start, value) - key) * decay
    assert torch.allclose(rules.apply_transposed(weights[-1], value), expected, atol=1e-8)
    # W = W0 + v z^T, where z never leaves the way to its limit.
    assert weights.abs().max() < start.abs().max() + (key.abs().max() + 3.0) / squared.min().sqrt()


def test_the_coded_oja_grows_without_end_by_beta_v_per_row() -> None:
    start, _, value = _inputs()
    grown = _run(rules.coded_oja, 60.0)[-1].sum(-1) - start.sum(-1)
    assert torch.allclose(grown, 60.0 * BETA * value, atol=1e-8)


def test_delta_drives_w_key_to_the_value() -> None:
    start, key, value = _inputs()
    lengths = key.square().sum(-1, keepdim=True)
    wrong = value - rules.apply(start, key)
    for rule, expected in (
        (rules.delta, wrong * torch.exp(-BETA * lengths * 5.0)),
        # d/dt sinh(e) = -beta |k|^2 sinh(e) cosh(e) / cosh(e) for e' = -beta |k|^2 tanh(e)
        (rules.squashed_delta, torch.asinh(torch.sinh(wrong) * torch.exp(-BETA * lengths * 5.0))),
    ):
        left = value - rules.apply(_run(rule, 5.0)[-1], key)
        assert torch.allclose(left, expected, atol=1e-8)
        assert torch.allclose(rules.apply(_run(rule, 200.0, 400)[-1], key), value, atol=1e-5), (
            "the limit"
        )


@pytest.mark.parametrize("name", ["hebb", "oja", "delta"])
def test_an_exact_step_is_where_many_small_ones_end(name: str) -> None:
    start, key, value = _inputs()
    rate = torch.full((2, 1), BETA * 3.0, dtype=torch.float64)
    stepped = getattr(rules, f"{name}_step")(start, key, value, rate)
    assert torch.allclose(stepped, _run(getattr(rules, name), 3.0)[-1], atol=1e-8)


def test_exact_steps_of_any_length_stop_at_the_limit() -> None:
    start, key, value = _inputs()
    far = torch.full((2, 1), 1e6, dtype=torch.float64)
    assert torch.allclose(rules.apply(rules.delta_step(start, key, value, far), key), value)
    drawn = rules.apply_transposed(rules.oja_step(start, key, value, far), value)
    assert torch.allclose(drawn, key)


def test_a_step_has_an_error_of_fifth_order() -> None:
    errors = []
    for steps in (4, 8):
        exact = _run(rules.squashed_delta, 2.0)[-1]
        errors.append(float((_run(rules.squashed_delta, 2.0, steps)[-1] - exact).abs().max()))
    assert errors[0] / errors[1] > 12.0  # 16 for order 4 of the whole


@pytest.mark.parametrize("name", ["hebb", "oja", "squashed_delta", "coded_oja"])
def test_ours_equals_dopri5_of_torchdiffeq(name: str) -> None:
    theirs = pytest.importorskip(
        "torchdiffeq", reason="pip install --no-deps torchdiffeq, to hold our integration to it"
    )
    start, key, value = _inputs()
    beta = torch.full((2, 1), BETA, dtype=torch.float64)
    rule: Field = getattr(rules, name)
    # The union of two streams' stamps, none of them regular.
    first = torch.rand(12, dtype=torch.float64).cumsum(0) * 0.3
    second = torch.rand(9, dtype=torch.float64).cumsum(0) * 0.4
    times = union_of_stamps([first, second], 0.1)

    def field(time: object, weights: torch.Tensor) -> torch.Tensor:
        return rule(weights, key * math.cos(float(time) / 3.0), value, beta)  # type: ignore[arg-type]

    expected = theirs.odeint(field, start, times, method="dopri5", rtol=1e-9, atol=1e-10)
    assert (integrate(field, start, times) - expected).abs().max() < 1e-5


def test_stamps_are_united_and_wide_gaps_parted() -> None:
    united = union_of_stamps([torch.tensor([0.0, 1.0]), torch.tensor([0.25, 1.0])], 0.4)
    assert united.tolist() == pytest.approx([0.0, 0.25, 0.625, 1.0])
    with pytest.raises(UserError, match="no time stamps"):
        union_of_stamps([])
    with pytest.raises(UserError, match="finite"):
        union_of_stamps([torch.tensor([0.0, float("nan")])])


def test_a_step_of_no_length_changes_nothing() -> None:
    state = torch.ones(3)
    assert torch.equal(rk4_step(lambda time, at: at + time, state, 2.0, 0.0), state)


# -- paths ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PATHS.names())
def test_a_path_goes_through_its_samples(name: str) -> None:
    torch.manual_seed(0)
    times = torch.rand(2, 7).cumsum(1)
    samples = torch.randn(2, 7, 3)
    pieces = PATHS.get(name)(samples, times)
    assert torch.allclose(pieces.at(0.0), samples[:, :-1], atol=1e-5)
    if name != "hold":
        assert torch.allclose(pieces.at(1.0), samples[:, 1:], atol=1e-5)


def test_causal_paths_do_not_change_when_a_sample_comes_and_the_natural_spline_does() -> None:
    torch.manual_seed(0)
    times, samples = torch.rand(1, 6).cumsum(1), torch.randn(1, 6, 2)
    for maker, is_causal in ((hermite, True), (linear, True), (natural, False)):
        early, late = maker(samples[:, :5], times[:, :5]), maker(samples, times)
        same = torch.allclose(early.at(0.5), late.at(0.5)[:, :4], atol=1e-6)
        assert same == is_causal


# -- the layer ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "about",
    [
        {"form": "ode"},
        {"form": "cde"},
        {"form": "cde", "keys": "unit", "steps": "exact"},
        {"form": "ode", "keys": "unit", "steps": "exact", "forgets": True},
    ],
    ids=lambda about: "-".join(map(str, about.values())),
)
@pytest.mark.parametrize("rule", RULES.names())
def test_samples_one_by_one_give_what_all_at_once_give(rule: str, about: dict[str, Any]) -> None:
    torch.manual_seed(1)
    layer = FastWeightLayer(6, 16, heads=2, rule=rule, **about)
    samples, times = torch.randn(3, 9, 6), torch.rand(3, 9).cumsum(1) * 0.1
    together = layer(samples, times)
    memory: Memory | None = None
    for place in range(9):
        memory, output = layer.step(memory, samples[:, place], times[:, place])
        assert torch.allclose(output, together[:, place], atol=1e-5)
    together.square().mean().backward()  # type: ignore[no-untyped-call]
    grad = layer.slow.weight.grad
    assert grad is not None and bool(torch.isfinite(grad).all()) and bool((grad != 0).any())


def test_a_sudden_sample_does_not_throw_the_weights_out_of_range() -> None:
    torch.manual_seed(1)
    samples, times = 100.0 * torch.randn(2, 30, 6), torch.rand(2, 30).cumsum(1)
    for rule in ("oja", "delta"):
        layer = FastWeightLayer(6, 16, heads=2, rule=rule, form="cde")
        moved = (layer(samples, times) - layer.enter(samples)).detach()
        assert float(moved.abs().max()) < 100.0


def test_weights_that_decay_forget_what_came_before() -> None:
    torch.manual_seed(1)
    layer = FastWeightLayer(6, 16, heads=2, steps="exact", forgets=True)
    assert layer.forget is not None
    torch.nn.init.constant_(layer.forget.bias, 30.0)
    samples, times = torch.randn(2, 5, 6), torch.arange(5.0).repeat(2, 1)
    times[:, 4] = 100.0
    told = layer(samples, times)
    samples[:, :2] = 0.0  # the last two are what the newest piece follows
    assert torch.allclose(layer(samples, times)[:, 4], told[:, 4], atol=1e-6)


def test_what_cannot_be_is_named() -> None:
    with pytest.raises(UserError, match="no keys 'hard'"):
        FastWeightLayer(4, keys="hard")
    with pytest.raises(UserError, match="no steps 'euler'"):
        FastWeightLayer(4, steps="euler")
    with pytest.raises(UserError, match="exact steps forgets"):
        FastWeightLayer(4, forgets=True)
    with pytest.raises(UserError, match="no form 'sde'"):
        FastWeightLayer(4, form="sde")
    with pytest.raises(UserError, match="hebbian"):
        FastWeightLayer(4, rule="hebbian")
    layer = FastWeightLayer(4, 8, heads=2, path="natural")
    with pytest.raises(UserError, match="looks into the future"):
        layer.step(None, torch.zeros(1, 4), torch.zeros(1))
