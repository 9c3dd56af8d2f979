"""The operator: thousands of layers of value iteration as one differentiable function.

One layer, Eq. (2) of DT-VIN (Wang et al., ICML 2025), over the F x F patch around each cell (i, j):

    Q[a, i, j] = sum over taps (u, v) of T[a, u, v, i, j] * (R + V)[i + u - r, j + v - r],   V' =
    max over a of Q[a]

with r = F // 2 and zeros beyond the border. With one kernel for all cells it is Eq. (1), VIN. Three
backends compute it: ``reference`` (plain PyTorch), ``cpu`` (fused and compiled) and ``cuda``
(fused, one launch).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from asterias.errors import UserError
from planners.operator import reference
from planners.operator.arguments import OperatorInputs

OperatorBackend = Literal["auto", "reference", "cpu", "cuda"]

# Actions are bytes in the tapes of the CPU and CUDA backends; imposed ones are signed.
_MOST_ACTIONS = 256
_MOST_FORCED_ACTIONS = 127


def value_iteration(
    transition: Tensor,
    reward: Tensor,
    depth: int,
    saved_layers: Sequence[int] | None = None,
    *,
    value: Tensor | None = None,
    forced: Tensor | None = None,
    backend: OperatorBackend = "auto",
) -> Tensor:
    """Return V after the saved layers: ``(len(saved_layers), B, H, W)``.

    Gradients reach ``transition``, ``reward`` and ``value``, exact but at ties of the max, where
    the first action takes all. A ``UserError`` names shapes or layers that do not fit.

    Args:
        transition: ``(B, A, F*F, H, W)``; B may be 1 for one kernel for all mazes, H and W may both
            be 1 for one kernel for all cells.
        reward: ``(B, H, W)``.
        depth: layers, at least 1.
        saved_layers: rising layer numbers from 1 to ``depth``, by default the last.
        value: V before the first layer ``(B, H, W)``, by default zero.
        forced: ``(depth, B, H, W)`` integers, the action taken in a cell instead of the best, or
            -1; this is how Highway VIN explores.
        backend: which implementation runs; auto takes the fast one where ``reward`` is.
    """
    saved_layers = (depth,) if saved_layers is None else tuple(saved_layers)
    _check(transition, reward, depth, saved_layers, forced)
    value = torch.zeros_like(reward) if value is None else value
    inputs = OperatorInputs(transition, reward, value, depth, saved_layers, forced)
    backend = choose_backend(reward, backend)
    if backend == "reference":
        return reference.value_iteration(inputs)
    if backend == "cuda":
        from planners.operator import cuda

        return cuda.value_iteration(inputs)
    from planners.operator import cpu

    return cpu.value_iteration(inputs)


def action_values(
    transition: Tensor, reward: Tensor, value: Tensor, *, backend: OperatorBackend = "auto"
) -> Tensor:
    """Return Q of one more layer on top of each of N value maps: ``(N, B, A, H, W)``.

    Policies read the actions of a cell from this.

    Args:
        transition: as in :func:`value_iteration`.
        reward: as in :func:`value_iteration`.
        value: ``(N, B, H, W)``.
        backend: as in :func:`value_iteration`.
    """
    _check(transition, reward, 1, (1,), None)
    if choose_backend(reward, backend) == "cpu":
        from planners.operator import cpu

        return cpu.action_values(transition, reward, value)
    return torch.stack([reference.action_values(transition, reward, one) for one in value])


def choose_backend(reward: Tensor, backend: OperatorBackend) -> OperatorBackend:
    """Return the backend that runs: the one asked for, or the fast one where ``reward`` is.

    Raises:
        UserError: the one asked for cannot take tensors from there.
    """
    if backend == "auto":
        if reward.dtype != torch.float32:
            return "reference"
        if reward.is_cuda:
            from planners.operator import cuda

            return "cuda" if cuda.is_available() else "reference"
        return "cpu" if reward.device.type == "cpu" else "reference"
    if backend == "cpu" and reward.device.type != "cpu":
        raise UserError(
            f"backend 'cpu' was given tensors on {reward.device}: move them with .cpu()."
        )
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    if backend == "cuda" and not reward.is_cuda and not interpreted:
        raise UserError("backend 'cuda' needs tensors on a GPU: move them with .cuda().")
    return backend


def _check(
    transition: Tensor,
    reward: Tensor,
    depth: int,
    saved_layers: Sequence[int],
    forced: Tensor | None,
) -> None:
    batch, height, width = _sizes(reward)
    cells = tuple(transition.shape[3:])
    if transition.ndim != 5 or transition.shape[0] not in (1, batch):
        raise UserError(
            f"transition is {tuple(transition.shape)} for reward {tuple(reward.shape)}: "
            "expected (B, A, F*F, H, W), with B = 1 for one kernel for all mazes."
        )
    if cells not in ((height, width), (1, 1)):
        raise UserError(
            f"transition covers {cells} cells of a {height} x {width} map: give all or 1 x 1."
        )
    field = round(float(transition.shape[2]) ** 0.5)
    if field**2 != transition.shape[2] or field % 2 == 0:
        raise UserError(
            f"transition has {transition.shape[2]} taps: give the square of an odd number."
        )
    if transition.shape[1] > _MOST_ACTIONS:
        raise UserError(f"transition has {transition.shape[1]} actions: at most 256 are possible.")
    if forced is not None and transition.shape[1] > _MOST_FORCED_ACTIONS:
        raise UserError(f"transition has {transition.shape[1]} actions: imposing needs below 128.")
    _check_layers(depth, saved_layers, forced, tuple(reward.shape))


def _sizes(reward: Tensor) -> tuple[int, int, int]:
    if reward.ndim != 3:
        raise UserError(f"reward is {tuple(reward.shape)}: expected (B, H, W).")
    if 0 in reward.shape[1:]:
        raise UserError(f"reward is {tuple(reward.shape)}: a map has at least one cell.")
    return reward.shape[0], reward.shape[1], reward.shape[2]


def _check_layers(
    depth: int, saved_layers: Sequence[int], forced: Tensor | None, shape: tuple[int, ...]
) -> None:
    if depth < 1:
        raise UserError(f"depth is {depth}: value iteration needs at least one layer.")
    rising = all(a < b for a, b in pairwise(saved_layers))
    if not saved_layers or not rising or saved_layers[0] < 1 or saved_layers[-1] > depth:
        raise UserError(
            f"saved layers must be rising layer numbers from 1 to {depth}, "
            f"not {tuple(saved_layers)[:8]}."
        )
    if forced is not None and tuple(forced.shape) != (depth, *shape):
        raise UserError(f"forced is {tuple(forced.shape)}: expected {(depth, *shape)}.")
