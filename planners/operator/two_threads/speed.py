"""How long one maze takes by one thread and by two, side by side.

By the clock of the wall, which is worth something on a quiet machine, and as the processor time of
one half, which is what two free cores would need.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch

from planners.operator.cpu_arrays import OperatorCall
from planners.operator.cpu_batches import Tape, backward_batch, forward_batch
from planners.operator.two_threads.backward import backward_half, start_backward
from planners.operator.two_threads.forward import forward_half, load_maze
from planners.operator.two_threads.pairs import pairs
from planners.operator.two_threads.progress import (
    Counters,
    Side,
    new_clock,
    new_counters,
    sides_of,
    tell,
)
from planners.operator.value_iteration import value_iteration

_LOSS_EVERY = 10  # layers, as in training: J of DT-VIN's loss


def two_threads_rows(sizes: list[tuple[int, int]], repeats: int) -> Iterator[dict[str, Any]]:
    """Yield a row per size: milliseconds by the clock of the wall, the fastest of the repeats.

    One thread and two take turns, so that both meet the same load of the machine.

    Args:
        sizes: map size and layers.
        repeats: of each measurement.

    Yields:
        The rows; ``came`` is how often in a hundred the second thread came.
    """
    before = torch.get_num_threads()
    for size, depth in sizes:
        draw = torch.Generator().manual_seed(size)
        transition = torch.randn(1, 4, 9, size, size, generator=draw).softmax(dim=2)
        reward = torch.randn(1, size, size, generator=draw)
        row: dict[str, Any] = {"size": size, "depth": depth, "repeats": repeats}
        row |= _processor_times(OperatorCall(transition, reward, None, reward), depth, repeats)
        for name, work in (("forward", _forward), ("train", _train)):
            row |= _by_one_and_two(name, partial(work, transition, reward, depth), repeats)
        yield row
    torch.set_num_threads(before)


def _by_one_and_two(name: str, work: Callable[[], None], repeats: int) -> dict[str, float]:
    times: dict[int, list[float]] = {1: [], 2: []}
    came = 0
    for repeat in range(repeats + 1):
        for count, taken in times.items():
            torch.set_num_threads(count)
            pairs.alone_until_s = 0.0
            begun = time.perf_counter()
            work()
            took_s = time.perf_counter() - begun
            if repeat > 0:  # the first compiles
                taken.append(1e3 * took_s)
                came += count == 2 and pairs.alone_until_s == 0.0
    one, two = min(times[1]), min(times[2])
    return {f"{name}_one_ms": one, f"{name}_two_ms": two, f"{name}_came": 100 * came / repeats}


def _processor_times(call: OperatorCall, depth: int, repeats: int) -> dict[str, float]:
    """Return the processor time of both passes, and of the longer half where nobody waits.

    The last two are what two free cores would need for a forward pass and for a training step,
    without the loss.
    """
    ring, stride = 8, 48
    layers = np.arange(_LOSS_EVERY, depth + 1, _LOSS_EVERY)
    saved = np.zeros((len(layers), *call.value.shape), np.float32)
    stored = np.zeros((-(-depth // stride), *call.value.shape), np.float32)
    taped = Tape(saved, stored, stride, call.choices(depth))
    plain = taped._replace(choices=np.zeros((1, 0), np.uint16))
    forwards, backwards = call.forward_buffers(ring), call.backward_halves(stride)
    gradients = call.gradients()
    load_maze(call.inputs, 0, taped, forwards)
    start_backward(call.inputs, 0, backwards[0])

    def forward(tape: Tape, side: Side | None = None) -> None:
        given = (call.inputs, layers, depth, ring, tape, forwards)
        if side is None:
            forward_batch(*given, 0, 1)
        else:
            forward_half(*given, 0, side, _far_ahead(side, depth), new_clock())

    def train(side: Side | None = None) -> None:
        forward(taped, side)
        given = (call.inputs, layers, depth, taped, backwards[side.number if side else 0])
        if side is None:
            backward_batch(*given, gradients, 0, 1)
        else:
            backward_half(*given, 0, side, _far_ahead(side, depth), new_clock())

    works: dict[str, Callable[[], None]] = {"forward": partial(forward, plain), "train": train}
    for side in sides_of(call.layout):
        works |= {f"forward {side.number}": partial(forward, plain, side)}
        works |= {f"train {side.number}": partial(train, side)}
    times = _fastest(works, repeats)
    return {
        "forward_cpu_ms": times["forward"],
        "forward_half_cpu_ms": max(times["forward 0"], times["forward 1"]),
        "train_cpu_ms": times["train"],
        "train_half_cpu_ms": max(times["train 0"], times["train 1"]),
    }


def _far_ahead(side: Side, depth: int) -> Counters:
    """Return counters by which the other thread is done with everything."""
    counters = new_counters()
    tell(counters, Side(1 - side.number, 0, 0), 1000 * depth)
    return counters


def _fastest(works: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """Return milliseconds of processor time of each, the fastest of the repeats, in turns."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for repeat in range(repeats + 1):
        for name, work in works.items():
            begun = time.thread_time()
            work()
            if repeat > 0:
                times[name].append(1e3 * (time.thread_time() - begun))
    return {name: min(taken) for name, taken in times.items()}


def _forward(transition: torch.Tensor, reward: torch.Tensor, depth: int) -> None:
    with torch.no_grad():
        value_iteration(transition, reward, depth, backend="cpu")


def _train(transition: torch.Tensor, reward: torch.Tensor, depth: int) -> None:
    t, r = transition.clone().requires_grad_(), reward.clone().requires_grad_()
    kept = value_iteration(t, r, depth, range(_LOSS_EVERY, depth + 1, _LOSS_EVERY), backend="cpu")
    kept.sum().backward()  # type: ignore[no-untyped-call]
