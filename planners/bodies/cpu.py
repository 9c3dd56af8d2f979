"""The operator on a CPU: one fused, compiled pass per maze, parallel over the batch, exact
gradients.

For training, the forward pass keeps who won in every cell of every layer, two bits for four
actions, and V at every L-th layer. The backward pass computes the L layers between two of those
again, which takes a quarter of the work when the winners are known, and walks back through them. L
is such that this happens in the second-level cache. Where all that would fill more than
``MEMORY_BUDGET``, the winners are found again as well, and L is near the square root of the depth:
a training step then takes a few megabytes and a third more time."""

from __future__ import annotations

import math
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from planners.bodies.arguments import Sizes, sizes_of
from planners.bodies.cpu_batches import (
    actions_backward_batch,
    actions_batch,
    backward_batch,
    forward_batch,
)
from planners.bodies.cpu_kernels import Shape
from planners.bodies.lanes import LANES

MEMORY_BUDGET = 256 * 2**20  # bytes of one call, from its forward pass to its backward pass

_LINE = 64  # bytes
_RING = 8  # layers computed between two looks at what to keep
_SEGMENT = 2**20  # bytes of R + V and of gradients that the backward pass works on at a time
_LONGEST = 64  # layers of a segment
_POOL = 64 * 2**20  # bytes of work arrays that are kept from one call to the next

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


def _line(count: int, dtype: Any = np.float32) -> Array:
    """Return zeros that start a cache line."""
    size = count * np.dtype(dtype).itemsize
    raw = np.zeros(size + _LINE, np.uint8)
    start = -raw.ctypes.data % _LINE
    return raw[start : start + size].view(dtype)


class _Threads:
    """Threads that stay, started when first needed; a forked process starts its own."""

    def __init__(self) -> None:
        self.pool: ThreadPoolExecutor | None = None
        self.count = 0
        self.lock = threading.Lock()

    def forget(self) -> None:
        self.__init__()  # type: ignore[misc]

    def over_batch(self, work: Callable[[int, int], None], batch: int) -> None:
        """Call ``work(first, last)`` on equal parts of the batch, one thread each."""
        threads = max(1, min(torch.get_num_threads(), batch))
        if threads == 1:
            work(0, batch)
            return
        edges = [batch * t // threads for t in range(threads + 1)]
        with self.lock:
            if self.pool is None or self.count < threads:
                self.pool, self.count = ThreadPoolExecutor(threads), threads
            others = [self.pool.submit(work, *part) for part in pairwise(edges[1:])]
        work(edges[0], edges[1])
        for other in others:
            other.result()


class _Pool:
    """Work arrays that stay from one call to the next: fresh memory is slow memory.

    What is outside the cells of a map stays zero in them."""

    def __init__(self) -> None:
        self.free: OrderedDict[Any, list[tuple[int, Any]]] = OrderedDict()
        self.bytes = 0
        self.lock = threading.Lock()

    def forget(self) -> None:
        self.__init__()  # type: ignore[misc]

    @contextmanager
    def room(self, key: Any, make: Callable[[], Any]) -> Iterator[Any]:
        """Lend arrays made by ``make`` earlier under this key, or now."""
        with self.lock:
            rooms = self.free.get(key)
            size, room = rooms.pop() if rooms else (0, None)
            self.bytes -= size
        if room is None:
            room = make()
            size = _bytes_of(room)
        yield room
        with self.lock:
            self.free.setdefault(key, []).append((size, room))
            self.free.move_to_end(key)
            self.bytes += size
            while self.bytes > _POOL:
                oldest = next(iter(self.free))
                for dropped, _ in self.free.pop(oldest):
                    self.bytes -= dropped


def _bytes_of(room: Any) -> int:
    return room.nbytes if isinstance(room, np.ndarray) else sum(map(_bytes_of, room))


_threads, _pool = _Threads(), _Pool()
if hasattr(os, "register_at_fork"):  # threads and locks do not survive a fork
    os.register_at_fork(after_in_child=_threads.forget)
    os.register_at_fork(after_in_child=_pool.forget)


class _Job:
    """The inputs of one call as arrays, and room for one maze in the layout of ``cpu_kernels``."""

    def __init__(
        self, transition: Tensor, reward: Tensor, forced: Tensor | None, value: Tensor
    ) -> None:
        sizes = sizes_of("cpu", transition, reward, value)
        self.sizes, self.shape = sizes, _shape(sizes)
        self.cells = self.shape.blocks * LANES
        forced = torch.empty((0, *reward.shape)) if forced is None else forced
        self.forcing = len(forced) > 0
        kernels = transition.detach().contiguous().numpy()
        self.inputs = (
            kernels.reshape(len(kernels), math.prod(kernels.shape[1:])),
            reward.detach().contiguous().numpy(),
            forced.to(torch.int8).contiguous().numpy(),
            self.shape,
        )
        self.value = value.detach().contiguous().numpy()
        blocks = 1 if sizes.shared else self.shape.blocks
        self.kernel_size = blocks * sizes.actions * sizes.field**2 * LANES
        self.key = (sizes.height, sizes.width, self.shape)

    def one(self) -> tuple[Array, ...]:
        """Room for the kernel and the reward of a maze, and which of its cells are no border."""
        cells = np.zeros(self.cells, bool)
        rows = cells[: self.sizes.height * self.shape.row].reshape(self.sizes.height, -1)
        rows[:, : self.sizes.width] = True
        inside = np.packbits(cells, bitorder="little").view("<u2").astype(np.uint16)
        return _line(self.kernel_size), _line(self.cells), inside

    def layers(self, count: int) -> tuple[Any, ...]:
        """Room for a maze, and for R + V, V and imposed actions of ``count`` layers and the one
        before.
        """
        lines = _line((count + 1) * self.shape.plane), _line((count + 1) * self.cells)
        return self.one(), lines, _line(count * self.cells * self.forcing, np.int8)

    def tape(self, count: int, again: bool) -> tuple[Any, ...]:
        """Room to compute ``count`` layers again, their choices included or not, and to walk back
        through them.
        """
        plane, bits = self.shape.plane, self.shape.blocks * self.shape.bits
        values = _line((count + 1) * self.cells * again)
        forced = _line(count * self.cells * self.forcing * again, np.int8)
        scratch = _line(count * bits * again, np.uint16)
        room = self.one(), (_line((count + 1) * plane), values), forced, scratch
        policy = _line(self.shape.field**2 * plane), _line(bits, np.uint16)
        lines = _line((count + 1) * plane), _line(self.kernel_size), _line(self.cells)
        return room, policy, (*lines, _line(count + 1, np.uint8))

    def gradients(self) -> tuple[Array, Array, Array]:
        """Room for the gradients of the transition of each maze, the reward and the value."""
        transition, reward = self.inputs[:2]
        whole = np.empty((len(reward), transition.shape[1]), np.float32)
        return whole, np.empty_like(reward), np.empty_like(self.value)

    def returned(self, gradients: tuple[Array, ...]) -> list[Tensor]:
        """Return gradients as tensors, that of a transition of one maze summed over the batch."""
        transition, *others = (torch.from_numpy(gradient) for gradient in gradients)
        if self.sizes.kernels == 1 and self.sizes.batch != 1:
            transition = transition.sum(dim=0, keepdim=True)
        cells = (1, 1) if self.sizes.shared else (self.sizes.height, self.sizes.width)
        shape = (self.sizes.kernels, self.sizes.actions, self.sizes.field**2, *cells)
        return [transition.view(shape), *others]


def _shape(sizes: Sizes) -> Shape:
    radius = sizes.field // 2
    row = sizes.width + radius
    blocks = -(-sizes.height * row // LANES)
    margin = -(-radius * (row + 1) // LANES) * LANES
    plane = blocks * LANES + 2 * margin
    plane += LANES * (plane // LANES % 2 == 0)  # equal places of layers share no cache set
    bits = max(1, (sizes.actions - 1).bit_length())
    return Shape(sizes.actions, sizes.field, row, blocks, margin, plane, bits, sizes.shared)


def _plan(job: _Job, depth: int) -> tuple[int, bool]:
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
        job = _Job(transition, reward, forced, value)
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
            with _pool.room(key, lambda: job.layers(ring)) as room:
                forward_batch(job.inputs, rising, depth, ring, outputs, room, first, last)

        _threads.over_batch(work, len(reward))
        ctx.job, ctx.stored, ctx.stride, ctx.choices = job, stored, stride, choices
        ctx.depth, ctx.keep = depth, rising
        return torch.from_numpy(kept)

    @staticmethod
    def backward(ctx: Any, grad_kept: Tensor) -> Any:
        job: _Job = ctx.job
        gradients = job.gradients()
        layers, again = min(ctx.stride, ctx.depth), ctx.choices.shape[1] == 0
        outputs = (grad_kept.contiguous().numpy(), ctx.stored, ctx.stride, ctx.choices)

        def work(first: int, last: int) -> None:
            key = ("backward", job.key, layers, again, job.forcing)
            with _pool.room(key, lambda: job.tape(layers, again)) as room:
                backward_batch(
                    job.inputs, ctx.keep, ctx.depth, outputs, *room, gradients, first, last
                )

        _threads.over_batch(work, grad_kept.shape[1])
        return (*job.returned(gradients), None, None, None)


class _ActionValues(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, transition: Tensor, reward: Tensor, value: Tensor) -> Tensor:
        job = _Job(transition, reward, None, value)
        shape = (len(value), len(reward), transition.shape[1], *reward.shape[1:])
        result = np.empty(shape, np.float32)

        def make() -> Any:
            return job.one(), _line(job.shape.plane), _line(job.shape.actions * job.cells)

        def work(first: int, last: int) -> None:
            with _pool.room(("actions", job.key), make) as room:
                actions_batch(job.inputs, job.value, result, room, first, last)

        _threads.over_batch(work, len(reward))
        ctx.job = job
        return torch.from_numpy(result)

    @staticmethod
    def backward(ctx: Any, grad_result: Tensor) -> Any:
        job: _Job = ctx.job
        gradients = job.gradients()
        grad = grad_result.contiguous().numpy()
        ring = min(_RING, len(grad))
        plane, cells = job.shape.plane, job.cells

        def make() -> Any:
            lines = _line(ring * plane), _line(ring * job.shape.actions * cells)
            kernel = _line(job.kernel_size), _line(cells)
            return (job.one(), *lines), (_line(job.shape.field**2 * plane), _line(cells), *kernel)

        def work(first: int, last: int) -> None:
            with _pool.room(("actions backward", job.key, ring), make) as room:
                actions_backward_batch(
                    job.inputs, job.value, grad, ring, *room, gradients, first, last
                )

        _threads.over_batch(work, grad.shape[1])
        return tuple(job.returned(gradients))
