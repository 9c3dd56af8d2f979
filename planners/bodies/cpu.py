"""The operator on a CPU: one fused, compiled pass per maze, parallel over the batch, exact
gradients.

The forward pass keeps V at the layers asked for and at every L-th layer; the backward pass computes
the L layers between two of those again, this time noting which action won, and walks back through
them. With L near the square root of the depth, 5000 layers of a 100x100 map are trained in a few
megabytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from planners.bodies.cpu_batches import (
    actions_backward_batch,
    actions_batch,
    backward_batch,
    forward_batch,
)
from planners.bodies.cpu_kernels import BLOCK, level_size

_LINE = 64  # bytes
_RING = 8  # layers computed between two looks at what to keep

Array = NDArray[Any]


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


def _segment(depth: int) -> int:
    """Layers between two stored ones: near the square root of the depth, in whole rings."""
    return max(_RING, _RING * round(math.sqrt(depth) / _RING))


def _over_batch(work: Callable[[int, int], None], batch: int) -> None:
    """Call ``work(first, last)`` on equal parts of the batch, one thread each."""
    threads = max(1, min(torch.get_num_threads(), batch))
    edges = [batch * t // threads for t in range(threads + 1)]
    if threads == 1:
        work(0, batch)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, edges[:-1], edges[1:]))


def _line(count: int, dtype: Any = np.float32) -> Array:
    """Return zeros that start a cache line."""
    size = count * np.dtype(dtype).itemsize
    raw = np.zeros(size + _LINE, np.uint8)
    start = -raw.ctypes.data % _LINE
    return raw[start : start + size].view(dtype)


class _Job:
    """The inputs of one call as arrays, and room for one maze in the layout of ``cpu_kernels``."""

    def __init__(
        self, transition: Tensor, reward: Tensor, forced: Tensor | None, value: Tensor
    ) -> None:
        _require_float32(transition, reward, value)
        forced = torch.empty((0, *reward.shape)) if forced is None else forced
        field = math.isqrt(transition.shape[2])
        self.row = reward.shape[2] + field // 2
        self.shape = (transition.shape[1], field, self.row)
        self.inputs = (
            transition.detach().contiguous().numpy(),
            reward.detach().contiguous().numpy(),
            forced.to(torch.int8).contiguous().numpy(),
            self.shape,
        )
        self.value = value.detach().contiguous().numpy()
        self.cells = -(-reward.shape[1] * self.row // BLOCK) * BLOCK
        self.plane = int(level_size(self.cells, field // 2 * (self.row + 1)))
        shared = transition.shape[3:] == (1, 1) and reward.shape[1:] != (1, 1)
        self.kernel_size = math.prod(transition.shape[1:3]) * (BLOCK if shared else self.cells)

    def room(self, layers: int) -> tuple[Any, ...]:
        """Room for one maze and ``layers`` layers besides the first."""
        count = layers + 1
        one = (_line(self.kernel_size), _line(self.cells), self._inside())
        lines = (
            _line(count * self.plane),
            _line(count * self.cells),
            _line(count * self.cells, np.uint8),
        )
        forced = _line(layers * self.cells if len(self.inputs[2]) else 0, np.int8)
        return one, lines, forced, _line(BLOCK)

    def tape(self, layers: int) -> tuple[Array, ...]:
        """Room for the gradients of one maze and ``layers`` layers besides the first."""
        return (
            _line((layers + 1) * self.cells),
            _line(self.shape[1] ** 2 * BLOCK),
            _line((layers + 1) * self.plane),
            _line(self.kernel_size),
            _line(self.cells),
        )

    def gradients(self) -> tuple[Array, Array, Array]:
        """Zeros for the gradients of the transition of each maze, the reward and the value."""
        transition, reward = self.inputs[:2]
        whole = np.zeros((len(reward), *transition.shape[1:]), np.float32)
        return whole, np.zeros_like(reward), np.zeros_like(self.value)

    def _inside(self) -> Array:
        inside = _line(self.cells)
        height, width = self.inputs[1].shape[1:]
        inside[: height * self.row].reshape(height, self.row)[:, :width] = 1
        return inside


def _require_float32(*tensors: Tensor) -> None:
    for tensor in tensors:
        if tensor.dtype != torch.float32:
            raise ValueError(f"body 'cpu' was given {tensor.dtype}: it computes in float32.")


def _returned(gradients: tuple[Array, ...], mazes: int) -> list[Tensor]:
    """Return gradients as tensors, that of a transition of one maze summed over the batch."""
    transition, *others = (torch.from_numpy(gradient) for gradient in gradients)
    if mazes == 1:
        transition = transition.sum(dim=0, keepdim=True)
    return [transition, *others]


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
        job = _Job(transition, reward, forced, value)
        stride = _segment(depth) if any(ctx.needs_input_grad) else depth
        stored = np.empty((-(-depth // stride), *reward.shape), np.float32)
        stored[0] = job.value
        kept = np.empty((len(keep), *reward.shape), np.float32)
        rising, ring = np.asarray(keep, dtype=np.int64), min(_RING, depth)

        def work(first: int, last: int) -> None:
            outputs = (kept, stored, stride)
            forward_batch(job.inputs, rising, depth, ring, outputs, job.room(ring), first, last)

        _over_batch(work, len(reward))
        ctx.job, ctx.stored, ctx.stride, ctx.depth, ctx.keep = job, stored, stride, depth, rising
        return torch.from_numpy(kept)

    @staticmethod
    def backward(ctx: Any, grad_kept: Tensor) -> Any:
        job: _Job = ctx.job
        gradients = job.gradients()
        layers = min(ctx.stride, ctx.depth)
        outputs = (grad_kept.contiguous().numpy(), ctx.stored, ctx.stride)

        def work(first: int, last: int) -> None:
            room, tape = job.room(layers), job.tape(layers)
            backward_batch(
                job.inputs, ctx.keep, ctx.depth, outputs, room, tape, gradients, first, last
            )

        _over_batch(work, grad_kept.shape[1])
        return (*_returned(gradients, len(job.inputs[0])), None, None, None)


class _ActionValues(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, transition: Tensor, reward: Tensor, value: Tensor) -> Tensor:
        job = _Job(transition, reward, None, value)
        shape = (len(value), len(reward), transition.shape[1], *reward.shape[1:])
        result = np.empty(shape, np.float32)

        def work(first: int, last: int) -> None:
            actions_batch(job.inputs, job.value, result, job.room(1), first, last)

        _over_batch(work, len(reward))
        ctx.job = job
        return torch.from_numpy(result)

    @staticmethod
    def backward(ctx: Any, grad_result: Tensor) -> Any:
        job: _Job = ctx.job
        gradients = job.gradients()
        grad = grad_result.contiguous().numpy()

        def work(first: int, last: int) -> None:
            room, tape = job.room(1), job.tape(0)
            actions_backward_batch(job.inputs, job.value, grad, room, tape, gradients, first, last)

        _over_batch(work, grad.shape[1])
        return tuple(_returned(gradients, len(job.inputs[0])))
