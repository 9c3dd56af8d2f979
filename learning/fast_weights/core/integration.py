"""Classical Runge-Kutta steps of fourth order from stamp to stamp, for batches.

Gradients are those of plain back-propagation through the steps: exact for what was computed, where
the adjoint method drifts over long spans.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch

from asterias.errors import UserError

# Time, state (B, ...) -> derivative of the state.
TimeField = Callable[[float, torch.Tensor], torch.Tensor]


def rk4_step(field: TimeField, state: torch.Tensor, time: float, step: float) -> torch.Tensor:
    """Return the state after one step of the classical method of order 4.

    Args:
        field: derivative of the state; asked at the step's start, middle (twice) and end.
        state: ``(B, ...)``.
        time: where the step begins.
        step: its length.

    Returns:
        The state, ``(B, ...)``.
    """
    half = 0.5 * step
    first = field(time, state)
    second = field(time + half, state + half * first)
    third = field(time + half, state + half * second)
    fourth = field(time + step, state + step * third)
    return state + step / 6.0 * (first + 2.0 * (second + third) + fourth)


def union_of_stamps(
    stamps: Sequence[torch.Tensor], largest_step: float = float("inf")
) -> torch.Tensor:
    """Return all stamps of several streams, rising and each once, ``(T,)``.

    Args:
        stamps: of each stream, ``(K,)``, in any order.
        largest_step: wider gaps are parted evenly.

    Returns:
        The union.

    Raises:
        UserError: there are no stamps, or one is no finite number, or the step is not above 0.
    """
    if not sum(len(own) for own in stamps):
        raise UserError("There are no time stamps to integrate over.")
    merged = torch.unique(torch.cat([own.reshape(-1) for own in stamps]))
    if not torch.isfinite(merged).all():
        raise UserError("A time stamp is no finite number.")
    if not largest_step > 0.0:
        raise UserError("The largest step of an integration must be above 0.")
    parts = torch.clamp(torch.ceil(torch.diff(merged) / largest_step - 1e-9), min=1).long()
    pieces = [
        start + (end - start) * torch.arange(int(count), dtype=merged.dtype) / int(count)
        for start, end, count in zip(merged[:-1], merged[1:], parts, strict=True)
    ]
    return torch.cat([*pieces, merged[-1:]])


def integrate(field: TimeField, start: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
    """Return the states ``(T, B, ...)`` at rising ``times`` ``(T,)``, one step between any two."""
    states = [start]
    stamps = times.tolist()
    for time, after in pairwise(stamps):
        states.append(rk4_step(field, states[-1], time, after - time))
    return torch.stack(states)
