"""Threads over a batch, and work arrays that are used again, for the CPU backend."""

from __future__ import annotations

import ctypes
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray

from planners.operator.simd import FloatLine

_CACHE_LINE = 64  # bytes, of all processors that this runs on
# Bytes of work arrays that are kept from one call to the next: those of a training step at
# 100 x 100 on a few threads.
_POOL = 64 * 2**20

# omp_pause_soft of OpenMP 5.0, section 3.2.44; the library is the one that PyTorch has loaded.
_PAUSE_SOFT = 1
_process = ctypes.CDLL(None)

Buffers = TypeVar("Buffers", bound=tuple[object, ...])


def line(count: int) -> FloatLine:
    """Return float32 zeros that start a cache line."""
    return line_of(count, np.float32).view(np.float32)


def line_of(count: int, dtype: DTypeLike) -> NDArray[np.generic]:
    """Return zeros of any type that start a cache line."""
    size = count * np.dtype(dtype).itemsize
    raw = np.zeros(size + _CACHE_LINE, np.uint8)
    start = -raw.ctypes.data % _CACHE_LINE
    return raw[start : start + size].view(dtype)


def end_openmp_threads() -> None:
    """End the OpenMP threads of the calling thread; PyTorch's next operation starts them anew.

    After an operation that PyTorch shared they look for more work for some milliseconds, and keep
    cores busy. Takes a tenth of a millisecond. Does nothing where PyTorch has no OpenMP 5.
    """
    pause = getattr(_process, "omp_pause_resource_all", None)
    if pause is not None:
        pause(_PAUSE_SOFT)


class BatchThreads:
    """Threads that stay, started when first needed; a forked process starts its own."""

    def __init__(self) -> None:
        self.pool: ThreadPoolExecutor | None = None
        self.count = 0
        self.lock = threading.Lock()

    def reset(self) -> None:
        """Drop the threads, as a forked process must."""
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

    def beside(self, work: Callable[[], bool]) -> Future[bool]:
        """Start ``work`` in a thread beside the caller's.

        Returns:
            What it will return.
        """
        with self.lock:
            if self.pool is None:
                self.pool, self.count = ThreadPoolExecutor(1), 1
            return self.pool.submit(work)


class BufferPool:
    """Work arrays that stay from one call to the next: fresh memory is slow memory.

    What is outside the cells of a map stays zero in them.
    """

    def __init__(self) -> None:
        self.free: OrderedDict[Hashable, list[tuple[int, object]]] = OrderedDict()
        self.bytes = 0
        self.lock = threading.Lock()

    def reset(self) -> None:
        """Drop all buffers."""
        self.__init__()  # type: ignore[misc]

    @contextmanager
    def borrow(self, key: Hashable, make: Callable[[], Buffers]) -> Iterator[Buffers]:
        """Lend buffers made by ``make`` earlier under this key, or now.

        Yields:
            The buffers, for the block's own use.
        """
        with self.lock:
            known = self.free.get(key)
            size, found = known.pop() if known else (0, None)
            self.bytes -= size
        if found is None:
            buffers = make()
            size = _bytes_of(buffers)
        else:
            buffers = found  # type: ignore[assignment]  # of the key's type
        yield buffers
        with self.lock:
            self.free.setdefault(key, []).append((size, buffers))
            self.free.move_to_end(key)
            self.bytes += size
            while self.bytes > _POOL:
                oldest = next(iter(self.free))
                for dropped, _ in self.free.pop(oldest):
                    self.bytes -= dropped


def _bytes_of(buffers: object) -> int:
    if isinstance(buffers, np.ndarray):
        return buffers.nbytes
    return sum(map(_bytes_of, buffers)) if isinstance(buffers, tuple) else 0


threads, pool = BatchThreads(), BufferPool()
if hasattr(os, "register_at_fork"):  # threads and locks do not survive a fork
    os.register_at_fork(after_in_child=threads.reset)
    os.register_at_fork(after_in_child=pool.reset)
