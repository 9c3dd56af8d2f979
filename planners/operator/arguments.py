"""What the fused bodies read from the arguments of the operator."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Sizes(NamedTuple):
    """Sizes of a batch of mazes and of their transition kernels."""

    batch: int
    height: int
    width: int
    actions: int
    field: int
    kernels: int  # 1 if all mazes share one, else the batch
    shared: bool  # one kernel for all cells


def sizes_of(body: str, transition: Tensor, reward: Tensor, *others: Tensor) -> Sizes:
    """Return the sizes of arguments that ``value_iteration`` has checked.

    Raises ``ValueError`` where a tensor is not float32.
    """
    for tensor in (transition, reward, *others):
        if tensor.dtype != torch.float32:
            raise ValueError(f"body {body!r} was given {tensor.dtype}: it computes in float32.")
    batch, height, width = reward.shape
    shared = tuple(transition.shape[3:]) == (1, 1) and (height, width) != (1, 1)
    kernels, actions, taps = transition.shape[:3]
    return Sizes(batch, height, width, actions, math.isqrt(taps), kernels, shared)
