"""Threads, work arrays and the arguments as arrays, for the CPU body."""

from __future__ import annotations

import math
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from planners.operator.arguments import Sizes, sizes_of
from planners.operator.cpu_kernels import Shape
from planners.operator.simd import LANES

_LINE = 64  # bytes
_POOL = 64 * 2**20  # bytes of work arrays that are kept from one call to the next

Array = NDArray[Any]


def line(count: int, dtype: Any = np.float32) -> Array:
    """Return zeros that start a cache line."""
    size = count * np.dtype(dtype).itemsize
    raw = np.zeros(size + _LINE, np.uint8)
    start = -raw.ctypes.data % _LINE
    return raw[start : start + size].view(dtype)


class Threads:
    """Threads that stay, started when first needed; a forked process starts its own."""

    def __init__(self) -> None:
        self.pool: ThreadPoolExecutor | None = None
        self.count = 0
        self.lock = threading.Lock()

    def forget(self) -> None:
        self.__init__()  # type: ignore[misc]

    def over_batch(self, work: Callable[[int, int], None], batch: int) -> None:
        """Call ``work(first, last)`` on equal parts of the batch, one thread each."""
        count = max(1, min(torch.get_num_threads(), batch))
        if count == 1:
            work(0, batch)
            return
        edges = [batch * t // count for t in range(count + 1)]
        with self.lock:
            if self.pool is None or self.count < count:
                self.pool, self.count = ThreadPoolExecutor(count), count
            others = [self.pool.submit(work, *part) for part in pairwise(edges[1:])]
        work(edges[0], edges[1])
        for other in others:
            other.result()


class Pool:
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


threads, pool = Threads(), Pool()
if hasattr(os, "register_at_fork"):  # threads and locks do not survive a fork
    os.register_at_fork(after_in_child=threads.forget)
    os.register_at_fork(after_in_child=pool.forget)


class Job:
    """The inputs of one call as arrays, and room for one maze in the layout of ``cpu_kernels``."""

    def __init__(
        self, transition: Tensor, reward: Tensor, forced: Tensor | None, value: Tensor
    ) -> None:
        sizes = sizes_of("cpu", transition, reward, value)
        self.sizes, self.shape = sizes, shape_of(sizes)
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
        return line(self.kernel_size), line(self.cells), inside

    def layers(self, count: int) -> tuple[Any, ...]:
        """Room for a maze, and for R + V, V and imposed actions of ``count`` layers and the one
        before.
        """
        lines = line((count + 1) * self.shape.plane), line((count + 1) * self.cells)
        return self.one(), lines, line(count * self.cells * self.forcing, np.int8)

    def tape(self, count: int, again: bool) -> tuple[Any, ...]:
        """Room to compute ``count`` layers again, their choices included or not, and to walk back
        through them.
        """
        plane, bits = self.shape.plane, self.shape.blocks * self.shape.bits
        values = line((count + 1) * self.cells * again)
        forced = line(count * self.cells * self.forcing * again, np.int8)
        scratch = line(count * bits * again, np.uint16)
        room = self.one(), (line((count + 1) * plane), values), forced, scratch
        policy = line(self.shape.field**2 * plane), line(bits, np.uint16)
        lines = line((count + 1) * plane), line(self.kernel_size), line(self.cells)
        amounts = line(self.shape.field**2 * LANES)
        return room, policy, (*lines, amounts, line(count + 1, np.uint8))

    def gradients(self) -> tuple[Array, Array, Array]:
        """Room for the gradients of the transition of each maze, the reward and the value."""
        transition, reward = self.inputs[:2]
        whole = np.zeros((len(reward), transition.shape[1]), np.float32)
        return whole, np.empty_like(reward), np.empty_like(self.value)

    def returned(self, gradients: tuple[Array, ...]) -> list[Tensor]:
        """Return gradients as tensors, that of a transition of one maze summed over the batch."""
        transition, *others = (torch.from_numpy(gradient) for gradient in gradients)
        if self.sizes.kernels == 1 and self.sizes.batch != 1:
            transition = transition.sum(dim=0, keepdim=True)
        cells = (1, 1) if self.sizes.shared else (self.sizes.height, self.sizes.width)
        shape = (self.sizes.kernels, self.sizes.actions, self.sizes.field**2, *cells)
        return [transition.view(shape), *others]


def shape_of(sizes: Sizes) -> Shape:
    radius = sizes.field // 2
    row = sizes.width + radius
    blocks = -(-sizes.height * row // LANES)
    margin = -(-radius * (row + 1) // LANES) * LANES
    plane = blocks * LANES + 2 * margin
    plane += LANES * (plane // LANES % 2 == 0)  # equal places of layers share no cache set
    bits = max(1, (sizes.actions - 1).bit_length())
    return Shape(sizes.actions, sizes.field, row, blocks, margin, plane, bits, sizes.shared)
