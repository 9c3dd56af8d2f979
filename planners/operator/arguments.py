"""The arguments of the operator, as all backends take them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from asterias.errors import UserError


class Sizes(NamedTuple):
    """Sizes of a batch of mazes and of their transition kernels."""

    batch: int
    height: int
    width: int
    actions: int
    field: int
    kernels: int
    """1 if all mazes share one, else the batch."""
    shared: bool
    """One kernel for all cells."""


@dataclass(frozen=True)
class OperatorInputs:
    """What ``depth`` layers of value iteration are computed from."""

    transition: Tensor
    """``(B or 1, A, F*F, H or 1, W or 1)``."""
    reward: Tensor
    """``(B, H, W)``."""
    value: Tensor
    """V before the first layer ``(B, H, W)``."""
    depth: int
    """Layers."""
    saved_layers: tuple[int, ...]
    """Layers of which V is returned, rising."""
    forced: Tensor | None = None
    """``(depth, B, H, W)`` integers: imposed actions, or -1."""


def sizes_of(backend: str, transition: Tensor, reward: Tensor, *others: Tensor) -> Sizes:
    """Return the sizes of arguments that ``value_iteration`` has checked.

    Raises:
        UserError: a tensor is not float32.
    """
    for tensor in (transition, reward, *others):
        if tensor.dtype != torch.float32:
            raise UserError(
                f"backend {backend!r} was given {tensor.dtype}: it computes in float32."
            )
    batch, height, width = reward.shape
    shared = tuple(transition.shape[3:]) == (1, 1) and (height, width) != (1, 1)
    kernels, actions, taps = transition.shape[:3]
    return Sizes(batch, height, width, actions, math.isqrt(taps), kernels, shared)
