"""The operator: fused backends against the plain one, the plain one against finite differences."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from hypothesis import event, example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from planners.networks.readout import Readout, readout
from planners.operator import cpu, reference
from planners.operator.cpu_loss import policy_loss
from planners.operator.value_iteration import OperatorBackend, action_values, value_iteration
from planners.training.losses import Labels, term

torch.set_num_threads(1)  # little tensors, and tests may share the machine


def inputs(
    seed: int, batch: int, actions: int, field: int, height: int, width: int, shared: bool
) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    cells = (1, 1) if shared else (height, width)
    transition = torch.randn(batch, actions, field**2, *cells, generator=draw).softmax(dim=2)
    reward = torch.randn(batch, height, width, generator=draw)
    value = torch.randn(batch, height, width, generator=draw)
    return transition, reward, value


def run(
    backend: OperatorBackend,
    tensors: tuple[Tensor, ...],
    depth: int,
    keep: list[int],
    forced: Tensor | None,
) -> list[Tensor]:
    """Return the kept values and the gradients of a random weighting of them."""
    transition, reward, value = (tensor.clone().requires_grad_() for tensor in tensors)
    kept = value_iteration(
        transition, reward, depth, keep, value=value, forced=forced, backend=backend
    )
    weights = torch.randn(kept.shape, generator=torch.Generator().manual_seed(depth))
    (kept * weights).sum().backward()
    return [kept.detach(), *(tensor.grad for tensor in (transition, reward, value))]  # type: ignore[list-item]


def lead(tensors: tuple[Tensor, ...], depth: int, forced: Tensor | None) -> float:
    """Return by how much the best action leads the second best where it leads least.

    As a fraction of its Q: below the rounding error, two right backends may choose differently.
    """
    transition, reward, value = (tensor.double() for tensor in tensors)
    least = float("inf")
    for layer in range(depth if transition.shape[1] > 1 else 0):
        q = reference.action_values(transition, reward, value)
        best = q.topk(2, dim=1).values
        least = min(least, float(((best[:, 0] - best[:, 1]) / best[:, 0].abs()).min()))
        one = None if forced is None else forced[layer : layer + 1]
        value = value_iteration(
            transition, reward, 1, value=value, forced=one, backend="reference"
        )[0]
    return least


def assert_close(found: list[Tensor], expected: list[Tensor]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert (one - other).abs().max() <= 1e-5 * other.abs().max()


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    batch=st.integers(1, 3),
    actions=st.integers(1, 20),
    field=st.sampled_from([1, 3, 5]),
    height=st.integers(1, 24),
    width=st.integers(1, 24),
    depth=st.integers(1, 24),
    shared=st.booleans(),
    forcing=st.booleans(),
)
@example(0, 1, 1, 1, 2, 1, 1, True, False)
@example(1, 1, 4, 3, 1, 1, 1, False, False)
@example(2, 2, 4, 3, 15, 15, 40, False, False)
@example(5, 1, 4, 3, 100, 100, 20, False, False)
@example(4, 3, 4, 3, 35, 35, 25, False, True)
@example(5, 3, 4, 3, 1, 1, 3, True, False)
@example(6, 2, 10, 3, 15, 16, 20, True, False)
@example(6, 1, 4, 3, 35, 35, 70, False, False)
@example(8, 1, 4, 3, 1, 100, 12, False, False)
@example(9, 1, 4, 3, 100, 1, 12, False, True)
@example(10, 2, 19, 5, 8, 33, 70, True, True)
def test_the_cpu_backend_agrees_with_the_reference(
    seed: int,
    batch: int,
    actions: int,
    field: int,
    height: int,
    width: int,
    depth: int,
    shared: bool,
    forcing: bool,
) -> None:
    tensors = inputs(seed, batch, actions, field, height, width, shared)
    draw = torch.Generator().manual_seed(seed)
    keep = sorted({1 + int(n) for n in torch.randint(depth, (4,), generator=draw)} | {depth})
    forced = None
    if forcing:
        forced = torch.randint(-1, actions, (depth, batch, height, width), generator=draw)
    found, expected = (
        run(backend, tensors, depth, keep, forced) for backend in ("cpu", "reference")
    )
    assert_close(found[:1], expected[:1])
    if lead(tensors, depth, forced) > 1e-6:
        assert_close(found, expected)
    else:
        event("two actions as good as one another: gradients not compared")


@pytest.mark.parametrize("forcing", [False, True])
def test_beyond_the_memory_budget_gradients_are_the_same(
    forcing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors, keep = inputs(12, 3, 4, 3, 21, 18, shared=False), [5, 64, 65, 137]
    draw = torch.Generator().manual_seed(0)  # no two actions are nearly as good as one another
    forced = torch.randint(-1, 4, (137, 3, 21, 18), generator=draw) if forcing else None
    within = run("cpu", tensors, 137, keep, forced)
    assert_close(within, run("reference", tensors, 137, keep, forced))
    monkeypatch.setattr(cpu, "MEMORY_BUDGET", 0)
    beyond = run("cpu", tensors, 137, keep, forced)
    torch.testing.assert_close(beyond[0], within[0], rtol=0, atol=0)
    assert_close(beyond, within)


def test_a_call_leaves_nothing_behind_for_the_next() -> None:
    tensors, large = inputs(13, 2, 4, 3, 17, 14, shared=False), 1e30
    first = run("cpu", tensors, 25, [10, 25], None)
    with torch.no_grad():
        value_iteration(tensors[0] * 3, tensors[1] * large, 90, value=tensors[2] * large)
    run("cpu", tuple(tensor * large for tensor in tensors), 25, [10, 25], None)
    for one, other in zip(run("cpu", tensors, 25, [10, 25], None), first, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_no_mazes_are_no_error() -> None:
    transition, reward, value = inputs(14, 2, 4, 3, 6, 6, shared=False)
    none = (transition[:0], reward[:0], value[:0])
    assert [tuple(t.shape) for t in run("cpu", none, 5, [2, 5], None)] == [
        (2, 0, 6, 6),
        *(tuple(t.shape) for t in none),
    ]


def test_one_kernel_for_all_mazes_sums_its_gradient() -> None:
    transition, reward, value = inputs(7, 3, 4, 3, 9, 9, shared=False)
    tensors = (transition[:1], reward, value)
    assert_close(run("cpu", tensors, 12, [12], None), run("reference", tensors, 12, [12], None))


def test_ties_go_to_the_first_action_in_both_backends() -> None:
    transition = torch.full((1, 4, 9, 6, 6), 1 / 8)  # sums of eighths are exact: all actions tie
    reward = torch.arange(36.0).view(1, 6, 6)
    tensors = (transition, reward, torch.zeros(1, 6, 6))
    found, expected = (run(backend, tensors, 4, [2, 4], None) for backend in ("cpu", "reference"))
    assert_close(found, expected)
    assert found[1][:, 1:].abs().max() == 0


def test_gradients_of_the_reference_are_those_of_finite_differences() -> None:
    transition, reward, value = (
        t.double().requires_grad_() for t in inputs(3, 2, 3, 3, 4, 5, False)
    )
    torch.autograd.gradcheck(
        lambda t, r, v: value_iteration(t, r, 3, (2, 3), value=v, backend="reference"),
        (transition, reward, value),
    )


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(
    ("actions", "field", "height", "width"),
    [(4, 3, 9, 12), (4, 3, 35, 35), (10, 3, 15, 15), (4, 3, 1, 1), (3, 5, 8, 2), (1, 1, 5, 40)],
)
def test_action_values_agree_in_both_backends(
    actions: int, field: int, height: int, width: int, shared: bool
) -> None:
    transition, reward, _ = inputs(11, 2, actions, field, height, width, shared)
    results = []
    for backend in ("cpu", "reference"):
        t, r = transition.clone().requires_grad_(), reward.clone().requires_grad_()
        draw = torch.Generator().manual_seed(0)
        v = torch.randn(19, 2, height, width, generator=draw).requires_grad_()
        q = action_values(t, r, v, backend=backend)
        (q * torch.randn(q.shape, generator=torch.Generator().manual_seed(1))).sum().backward()
        results.append([q.detach(), t.grad, r.grad, v.grad])
    assert_close(results[0], results[1])  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["centred", "bounded"])
@pytest.mark.parametrize("scale", [1.0, 30.0])
@pytest.mark.parametrize(
    ("actions", "moves", "height", "width", "shared"),
    [(4, 4, 35, 35, False), (8, 8, 6, 40, False), (10, 4, 15, 15, True), (4, 4, 1, 1, False)],
)
def test_the_loss_in_one_pass_is_the_loss_in_many(
    kind: Readout, scale: float, actions: int, moves: int, height: int, width: int, shared: bool
) -> None:
    transition, reward, _ = inputs(21, 2, actions, 3, height, width, shared)
    draw = torch.Generator().manual_seed(2)
    values = torch.randn(11, 2, height, width, generator=draw)
    policy = scale * torch.randn(moves, actions, generator=draw)
    optimal = (torch.rand(2, moves, height, width, generator=draw) < 0.4).float()
    optimal[:, 0, 0, 0] = 1
    weights = (torch.rand(11, 2, height, width, generator=draw) < 0.7) & (optimal.sum(dim=1) > 0)
    weights = weights / weights.sum().clamp(min=1)

    def plain(t: Tensor, r: Tensor, v: Tensor, p: Tensor) -> Tensor:
        q = readout(action_values(t, r, v, backend="reference"), kind)
        logits = torch.einsum("nbahw,ca->nbchw", q, p)
        return (term(logits, Labels(reward, optimal), "any_optimal") * weights).sum()

    results = []
    bounded = kind == "bounded"
    for loss in (lambda *leaves: policy_loss(*leaves, optimal, weights, bounded=bounded), plain):
        leaves = [
            tensor.clone().requires_grad_() for tensor in (transition, reward, values, policy)
        ]
        found = loss(*leaves)
        (3 * found).backward()
        results.append([found.detach(), *(leaf.grad for leaf in leaves)])
    assert_close(results[0], results[1])  # type: ignore[arg-type]


def test_layers_build_on_one_another() -> None:
    transition, reward, value = inputs(5, 2, 4, 3, 9, 9, shared=False)
    whole = value_iteration(transition, reward, 20, (10, 20), value=value)
    second = value_iteration(transition, reward, 10, value=whole[0])
    torch.testing.assert_close(second[0], whole[1], rtol=0, atol=0)
    q = action_values(transition, reward, whole[:1])
    torch.testing.assert_close(
        q.amax(dim=2)[0], value_iteration(transition, reward, 11, value=value)[0]
    )


def test_a_batch_gives_what_its_mazes_give_alone() -> None:
    tensors = inputs(9, 5, 4, 3, 15, 15, shared=False)
    torch.set_num_threads(3)
    together = run("cpu", tensors, 30, [30], None)[0]
    torch.set_num_threads(1)
    for maze in range(5):
        alone = run("cpu", tuple(t[maze : maze + 1] for t in tensors), 30, [30], None)[0]
        torch.testing.assert_close(alone[:, 0], together[:, maze], rtol=0, atol=0)


def test_wrong_input_is_told_in_one_sentence() -> None:
    transition, reward, _ = inputs(0, 2, 4, 3, 6, 6, shared=False)
    with pytest.raises(ValueError, match="at least one layer"):
        value_iteration(transition, reward, 0)
    with pytest.raises(ValueError, match="rising layer numbers"):
        value_iteration(transition, reward, 3, (2, 4))
    with pytest.raises(ValueError, match="square of an odd number"):
        value_iteration(transition[:, :, :4], reward, 3)
    with pytest.raises(ValueError, match=r"expected \(B, A"):
        value_iteration(transition[:, 0], reward, 3)
    with pytest.raises(ValueError, match="give all or 1 x 1"):
        value_iteration(transition[..., :3], reward, 3)
    with pytest.raises(ValueError, match="at least one cell"):
        value_iteration(transition[..., :0], reward[..., :0], 3)
    with pytest.raises(ValueError, match="forced is"):
        value_iteration(transition, reward, 3, forced=torch.zeros(2, 2, 6, 6))
    with pytest.raises(ValueError, match="float32"):
        value_iteration(transition.double(), reward.double(), 3, backend="cpu")
    with pytest.raises(ValueError, match="needs tensors on a GPU"):
        value_iteration(transition, reward, 3, backend="cuda")


INTERPRETED = """
import sys
sys.path.insert(0, sys.argv[1])
from test_value_iteration import assert_close, inputs, run
import torch
cases = [(2, 4, 3, 4, 5, False, False), (2, 5, 3, 4, 3, True, False), (1, 2, 5, 6, 5, False, True)]
for batch, actions, field, height, width, shared, forcing in cases:
    tensors = inputs(1, batch, actions, field, height, width, shared)
    forced = torch.randint(-1, actions, (3, batch, height, width)) if forcing else None
    assert_close(*(run(backend, tensors, 3, [2, 3], forced) for backend in ("cuda", "reference")))
"""


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed: no interpreter")
def test_the_cuda_backend_agrees_with_the_reference_in_the_interpreter() -> None:
    here = Path(__file__).parent
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": str(here.parents[1])}
    command = [sys.executable, "-c", INTERPRETED, str(here)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no GPU here: the CUDA backend is untested"
)
def test_the_cuda_backend_agrees_with_the_reference() -> None:
    tensors = tuple(tensor.cuda() for tensor in inputs(1, 2, 4, 3, 15, 15, shared=False))
    assert_close(
        run("cuda", tensors, 20, [10, 20], None), run("reference", tensors, 20, [10, 20], None)
    )
