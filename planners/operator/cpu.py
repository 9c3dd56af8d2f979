"""The operator on a CPU: one fused, compiled pass per maze, parallel over the batch, exact
gradients.

For training, the forward pass keeps who won in every cell of every layer, two bits for four
actions, and V at every L-th layer. The backward pass computes the L layers between two of those
again, which takes a quarter of the work when the winners are known, and walks back through them. L
is such that this happens in the second-level cache. Where all that would fill more than
``MEMORY_BUDGET``, the winners are found again as well, and L is near the square root of the depth:
a training step then takes a few megabytes per maze and about a tenth more time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from planners.operator.cpu_batches import (
    actions_backward_batch,
    actions_batch,
    backward_batch,
    forward_batch,
)
from planners.operator.cpu_threads import Job, line, pool, threads

MEMORY_BUDGET = 256 * 2**20  # bytes of one call, from its forward pass to its backward pass

_RING = 8  # layers computed between two looks at what to keep
_SEGMENT = 2**21  # bytes of R + V and of gradients that the backward pass works on at a time
_LONGEST = 32  # layers of a segment


def action_values(transition: Tensor, reward: Tensor, value: Tensor) -> Tensor:
    """Return Q ``(N, B, A, H, W)`` of one layer on top of ``value (N, B, H, W)``."""
    result: Tensor = _ActionValues.apply(transition, reward, value)  # type: ignore[no-untyped-call]
    return result


def value_iteration(
    transition: Tensor,
    reward: Tensor,
    depth: int,
    keep: Sequence[int],
    value: Tensor,
    forced: Tensor | None,
) -> Tensor:
    """Return V after the layers in ``keep``: ``(len(keep), B, H, W)``; gradients are exact."""
    settings = (forced, depth, tuple(keep))
    result: Tensor = _Recursion.apply(transition, reward, value, *settings)  # type: ignore[no-untyped-call]
    return result


def _plan(job: Job, depth: int) -> tuple[int, bool]:
    """Return after how many layers V is stored for the backward pass, and whether all choices
    are.
    """
    shape, batch = job.shape, job.sizes.batch
    whole = _SEGMENT // (2 * 4 * shape.plane) // _RING * _RING
    stride = max(_RING, min(_LONGEST, whole))
    choices = batch * depth * shape.blocks * shape.bits * 2
    stored = batch * -(-depth // stride) * job.sizes.height * job.sizes.width * 4
    if choices + stored <= MEMORY_BUDGET:
        return stride, True
    return max(_RING, _RING * round(math.sqrt(depth) / _RING)), False


class _Recursion(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        transition: Tensor,
        reward: Tensor,
        value: Tensor,
        forced: Tensor | None,
        depth: int,
        keep: tuple[int, ...],
    ) -> Tensor:
        job = Job(transition, reward, forced, value)
        stride, chosen = _plan(job, depth) if any(ctx.needs_input_grad) else (depth, False)
        stored = np.empty((-(-depth // stride), *reward.shape), np.float32)
        stored[0] = job.value
        steps = depth * job.shape.blocks * job.shape.bits if chosen else 0
        choices = np.empty((len(reward), steps), np.uint16)
        kept = np.empty((len(keep), *reward.shape), np.float32)
        rising, ring = np.asarray(keep, dtype=np.int64), min(_RING, depth)
        outputs = (kept, stored, stride, choices)

        def work(first: int, last: int) -> None:
            key = ("forward", job.key, ring, job.forcing)
            with pool.room(key, lambda: job.layers(ring)) as room:
                forward_batch(job.inputs, rising, depth, ring, outputs, room, first, last)

        threads.over_batch(work, len(reward))
        ctx.job, ctx.stored, ctx.stride, ctx.choices = job, stored, stride, choices
        ctx.depth, ctx.keep = depth, rising
        return torch.from_numpy(kept)

    @staticmethod
    def backward(ctx: Any, grad_kept: Tensor) -> Any:
        job: Job = ctx.job
        gradients = job.gradients()
        layers, again = min(ctx.stride, ctx.depth), ctx.choices.shape[1] == 0
        outputs = (grad_kept.contiguous().numpy(), ctx.stored, ctx.stride, ctx.choices)

        def work(first: int, last: int) -> None:
            key = ("backward", job.key, layers, again, job.forcing)
            with pool.room(key, lambda: job.tape(layers, again)) as room:
                backward_batch(
                    job.inputs, ctx.keep, ctx.depth, outputs, *room, gradients, first, last
                )

        threads.over_batch(work, grad_kept.shape[1])
        return (*job.returned(gradients), None, None, None)


class _ActionValues(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, transition: Tensor, reward: Tensor, value: Tensor) -> Tensor:
        job = Job(transition, reward, None, value)
        shape = (len(value), len(reward), transition.shape[1], *reward.shape[1:])
        result = np.empty(shape, np.float32)

        def make() -> Any:
            return job.one(), line(job.shape.plane), line(job.shape.actions * job.cells)

        def work(first: int, last: int) -> None:
            with pool.room(("actions", job.key), make) as room:
                actions_batch(job.inputs, job.value, result, room, first, last)

        threads.over_batch(work, len(reward))
        ctx.job = job
        return torch.from_numpy(result)

    @staticmethod
    def backward(ctx: Any, grad_result: Tensor) -> Any:
        job: Job = ctx.job
        gradients = job.gradients()
        grad = grad_result.contiguous().numpy()
        ring = min(_RING, len(grad))
        plane, cells = job.shape.plane, job.cells

        def make() -> Any:
            lines = line(ring * plane), line(ring * job.shape.actions * cells)
            kernel = line(job.kernel_size), line(cells)
            return (job.one(), *lines), (line(job.shape.field**2 * plane), line(cells), *kernel)

        def work(first: int, last: int) -> None:
            with pool.room(("actions backward", job.key, ring), make) as room:
                actions_backward_batch(
                    job.inputs, job.value, grad, ring, *room, gradients, first, last
                )

        threads.over_batch(work, grad.shape[1])
        return tuple(job.returned(gradients))
