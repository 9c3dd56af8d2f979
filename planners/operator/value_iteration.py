"""The operator: thousands of layers of value iteration as one differentiable function.

One layer, Eq. (2) of DT-VIN (Wang et al., ICML 2025), over the F x F patch around each cell (i, j):

    Q[a, i, j] = sum over taps (u, v) of T[a, u, v, i, j] * (R + V)[i + u - r, j + v - r],   V' =
    max over a of Q[a]

with r = F // 2 and zeros beyond the border. With one kernel for all cells it is Eq. (1), VIN. Three
bodies compute it: ``reference`` (plain PyTorch), ``cpu`` (fused and compiled) and ``cuda`` (fused,
one launch)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from planners.operator import reference

Body = Literal["auto", "reference", "cpu", "cuda"]


def value_iteration(
    transition: Tensor,
    reward: Tensor,
    depth: int,
    keep: Sequence[int] | None = None,
    *,
    value: Tensor | None = None,
    forced: Tensor | None = None,
    body: Body = "auto",
) -> Tensor:
    """Return V after the layers in ``keep``: ``(len(keep), B, H, W)``.

    ``transition``: ``(B, A, F*F, H, W)``; B may be 1 for one kernel for all mazes, H and W may both
    be 1 for one kernel for all cells. ``reward``: ``(B, H, W)``. ``depth``: layers, at least 1.
    ``keep``: rising layer numbers from 1 to ``depth``, by default the last. ``value``: V before the
    first layer ``(B, H, W)``, by default zero. ``forced``: ``(depth, B, H, W)`` integers, the
    action taken in a cell instead of the best, or -1; this is how Highway VIN explores. Gradients
    reach ``transition``, ``reward`` and ``value``, exact but at ties of the max, where the first
    action takes all.

    Raises ``ValueError`` where shapes or layers do not fit.
    """
    keep = (depth,) if keep is None else tuple(keep)
    _check(transition, reward, depth, keep, forced)
    value = torch.zeros_like(reward) if value is None else value
    body = choose_body(reward, body)
    if body == "reference":
        return reference.value_iteration(transition, reward, depth, keep, value, forced)
    if body == "cuda":
        from planners.operator import cuda

        return cuda.value_iteration(transition, reward, depth, keep, value, forced)
    from planners.operator import cpu

    return cpu.value_iteration(transition, reward, depth, keep, value, forced)


def action_values(
    transition: Tensor, reward: Tensor, value: Tensor, *, body: Body = "auto"
) -> Tensor:
    """Return Q of one more layer on top of each of N value maps: ``(N, B, A, H, W)``.

    ``value``: ``(N, B, H, W)``; the other shapes are those of :func:`value_iteration`. Policies
    read the actions of a cell from this."""
    _check(transition, reward, 1, (1,), None)
    if choose_body(reward, body) == "cpu":
        from planners.operator import cpu

        return cpu.action_values(transition, reward, value)
    return torch.stack([reference.action_values(transition, reward, one) for one in value])


def choose_body(reward: Tensor, body: Body) -> Body:
    """Return the body that runs: the one asked for, or the fast one where ``reward`` is held."""
    if body == "auto":
        if reward.dtype != torch.float32:
            return "reference"
        if reward.is_cuda and find_spec("triton") is not None:
            return "cuda"
        return "cpu" if reward.device.type == "cpu" else "reference"
    if body == "cpu" and reward.device.type != "cpu":
        raise ValueError(f"body 'cpu' was given tensors on {reward.device}: move them with .cpu().")
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    if body == "cuda" and not reward.is_cuda and not interpreted:
        raise ValueError("body 'cuda' needs tensors on a GPU: move them with .cuda().")
    return body


def _check(
    transition: Tensor, reward: Tensor, depth: int, keep: Sequence[int], forced: Tensor | None
) -> None:
    batch, height, width = _sizes(reward)
    cells = tuple(transition.shape[3:])
    if transition.ndim != 5 or transition.shape[0] not in (1, batch):
        raise ValueError(
            f"transition is {tuple(transition.shape)} for reward {tuple(reward.shape)}: "
            "expected (B, A, F*F, H, W), with B = 1 for one kernel for all mazes."
        )
    if cells not in ((height, width), (1, 1)):
        raise ValueError(
            f"transition covers {cells} cells of a {height} x {width} map: give all or 1 x 1."
        )
    field = round(float(transition.shape[2]) ** 0.5)
    if field**2 != transition.shape[2] or field % 2 == 0:
        raise ValueError(
            f"transition has {transition.shape[2]} taps: give the square of an odd number."
        )
    if transition.shape[1] > 256:
        raise ValueError(f"transition has {transition.shape[1]} actions: at most 256 are possible.")
    if forced is not None and transition.shape[1] > 127:
        raise ValueError(f"transition has {transition.shape[1]} actions: imposing needs below 128.")
    _check_layers(depth, keep, forced, tuple(reward.shape))


def _sizes(reward: Tensor) -> tuple[int, int, int]:
    if reward.ndim != 3:
        raise ValueError(f"reward is {tuple(reward.shape)}: expected (B, H, W).")
    if 0 in reward.shape[1:]:
        raise ValueError(f"reward is {tuple(reward.shape)}: a map has at least one cell.")
    return reward.shape[0], reward.shape[1], reward.shape[2]


def _check_layers(
    depth: int, keep: Sequence[int], forced: Tensor | None, shape: tuple[int, ...]
) -> None:
    if depth < 1:
        raise ValueError(f"depth is {depth}: value iteration needs at least one layer.")
    rising = all(a < b for a, b in pairwise(keep))
    if not keep or not rising or keep[0] < 1 or keep[-1] > depth:
        raise ValueError(
            f"keep must be rising layer numbers from 1 to {depth}, not {tuple(keep)[:8]}."
        )
    if forced is not None and tuple(forced.shape) != (depth, *shape):
        raise ValueError(f"forced is {tuple(forced.shape)}: expected {(depth, *shape)}.")
