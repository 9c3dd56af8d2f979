"""Maps from logits to distributions with exact zeros."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from planners.networks.simplex import entmax15, sparsemax, thresholded

MAPS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "sparsemax": sparsemax,
    "entmax15": entmax15,
    "threshold": lambda logits, dim: thresholded(logits, torch.tensor(0.3), dim),
}


@pytest.mark.parametrize("name", MAPS)
def test_they_give_distributions_with_zeros(name: str) -> None:
    logits = 2 * torch.randn(50, 9, 3, generator=torch.Generator().manual_seed(0))
    result = MAPS[name](logits, 1)
    torch.testing.assert_close(result.sum(dim=1), torch.ones(50, 3))
    assert (result >= 0).all() and 0.1 < (result == 0).float().mean() < 0.9
    assert (result.argmax(dim=1) == logits.argmax(dim=1)).all()
    torch.testing.assert_close(MAPS[name](logits + 5, 1), result)  # only differences count
    torch.testing.assert_close(MAPS[name](logits.transpose(0, 1), 0), result.transpose(0, 1))


@pytest.mark.parametrize("name", MAPS)
def test_their_gradients_are_those_of_finite_differences(name: str) -> None:
    logits = torch.randn(4, 9, generator=torch.Generator().manual_seed(1)).double()
    assert torch.autograd.gradcheck(lambda x: MAPS[name](x, 1), logits.requires_grad_())


def test_one_that_leads_takes_all() -> None:
    logits = torch.tensor([[2.0, 0.9, 0.0]])
    assert sparsemax(logits, 1).tolist() == [[1, 0, 0]]
    assert entmax15(logits + torch.tensor([[1.0, 0, 0]]), 1).tolist() == [[1, 0, 0]]
    assert 0 < float(entmax15(logits, 1)[0, 1]) < float(torch.softmax(logits, 1)[0, 1])


def test_the_solution_of_sparsemax_is_the_nearest_distribution() -> None:
    draw = torch.Generator().manual_seed(2)
    logits = torch.randn(9, generator=draw)
    nearest = (sparsemax(logits, 0) - logits).norm()
    others = torch.distributions.Dirichlet(torch.full((9,), 0.3)).sample((2000,))
    assert (others - logits).norm(dim=1).min() >= nearest - 1e-6
