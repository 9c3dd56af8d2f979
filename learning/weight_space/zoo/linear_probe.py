"""Linear probes: how much of a label can be read off frozen representations."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import cross_entropy

# Weight of the squared coefficients, on features of unit deviation.
_RIDGE = 1e-3
_STEPS = 100


def probe_accuracy(
    features: torch.Tensor,
    labels: torch.Tensor,
    held: torch.Tensor,
    taught: torch.Tensor | None = None,
) -> float:
    """Return the share of held-out labels that multinomial logistic regression gets right.

    Args:
        features: ``(rows, k)``.
        labels: ``(rows,)`` whole numbers from 0.
        held: ``(rows,)`` which are tested.
        taught: ``(rows,)`` which are learned from; None takes all others.
    """
    taught = ~held if taught is None else taught
    x = _scaled(features, taught)
    weight = torch.zeros(x.shape[1], int(labels.max()) + 1, requires_grad=True)
    solver: Any = torch.optim.LBFGS([weight], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        solver.zero_grad()
        value = cross_entropy(x[taught] @ weight, labels[taught]) + _RIDGE * (weight**2).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    solver.step(loss)
    right = (x[held] @ weight).argmax(1) == labels[held]
    return float(right.float().mean())


def explained(features: torch.Tensor, values: torch.Tensor, held: torch.Tensor) -> float:
    """Return the share of held-out variance that ridge regression explains; negative if none.

    Args:
        features: ``(rows, k)``.
        values: ``(rows,)``.
        held: ``(rows,)`` which are tested.
    """
    x = _scaled(features, ~held)
    own, wanted = x[~held], values[~held]
    normal = own.T @ own + _RIDGE * len(own) * torch.eye(x.shape[1])
    weight = torch.linalg.solve(normal, own.T @ wanted)
    rest = ((x[held] @ weight - values[held]) ** 2).mean()
    return float(1 - rest / values[held].var(correction=0).clamp(min=1e-12))


def _scaled(features: torch.Tensor, taught: torch.Tensor) -> torch.Tensor:
    """Return features of unit deviation over what is learned from, and a constant one."""
    own = features[taught]
    scaled = (features - own.mean(0)) / own.std(0).clamp(min=1e-6)
    return torch.cat([scaled, torch.ones(len(features), 1)], 1)
