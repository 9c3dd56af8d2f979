"""One maze by two threads: the same bits as by one, and nobody waits for ever."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from planners.operator.cpu_arrays import OperatorCall
from planners.operator.cpu_batches import ForwardBuffers, Tape, backward_batch, forward_batch
from planners.operator.cpu_threads import end_openmp_threads, threads
from planners.operator.two_threads import pairs as module
from planners.operator.two_threads.backward import (
    backward_half,
    finish_backward,
    start_backward,
)
from planners.operator.two_threads.forward import forward_half, is_worth_two, load_maze
from planners.operator.two_threads.pairs import Pairs
from planners.operator.two_threads.progress import (
    Counters,
    WaitClock,
    has_given_up,
    new_clock,
    new_counters,
    sides_of,
)
from planners.operator.value_iteration import value_iteration

RING = 8
FOR_EVER = 10**12  # ns: a loaded machine may take its time


class Case:
    """A maze, and room for what its layers leave."""

    def __init__(self, height: int, width: int, depth: int, keep: list[int]) -> None:
        draw = torch.Generator().manual_seed(height)
        transition = torch.randn(1, 4, 9, height, width, generator=draw).softmax(dim=2)
        reward = torch.randn(1, height, width, generator=draw)
        value = torch.randn(1, height, width, generator=draw)
        self.call = OperatorCall(transition, reward, None, value)
        self.depth, self.keep = depth, np.array(keep, np.int64)
        self.buffers: ForwardBuffers = self.call.forward_buffers(RING)

    def tape(self, stride: int) -> Tape:
        shape, choices = self.call.value.shape, self.call.choices(self.depth)
        choices.fill(0)
        stored = np.zeros((-(-self.depth // stride), *shape), np.float32)
        stored[0] = self.call.value
        return Tape(np.zeros((len(self.keep), *shape), np.float32), stored, stride, choices)

    def half(self, tape: Tape) -> Callable[[int, Counters, WaitClock], bool]:
        sides = sides_of(self.call.layout)
        load_maze(self.call.inputs, 0, tape, self.buffers)
        inputs, buffers = self.call.inputs, self.buffers

        def work(number: int, counters: Counters, clock: WaitClock) -> bool:
            given = (inputs, self.keep, self.depth, RING, tape, buffers, 0)
            return forward_half(*given, sides[number], counters, clock)

        return work


def both(half: Callable[[int, Counters, WaitClock], bool], core: int | None = None) -> list[bool]:
    """Run two halves in two threads, on one core if its number is given."""
    counters = new_counters()

    def run(number: int) -> bool:
        if core is not None:
            os.sched_setaffinity(0, {core})
        return half(number, counters, new_clock(FOR_EVER))

    with ThreadPoolExecutor(2) as executor:
        return list(executor.map(run, (0, 1)))


def assert_same(found: Tape, expected: Tape) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("height", "width", "depth", "keep"),
    [
        (40, 40, 37, [1, 8, 9, 36, 37]),
        (17, 60, 8, [8]),
        (100, 100, 33, [33]),
        (61, 33, 65, [16, 64]),
    ],
)
def test_two_halves_are_the_whole_to_the_last_bit(
    height: int, width: int, depth: int, keep: list[int]
) -> None:
    case = Case(height, width, depth, keep)
    expected, found = case.tape(16), case.tape(16)
    inputs, buffers = case.call.inputs, case.buffers
    forward_batch(inputs, case.keep, depth, RING, expected, buffers, 0, 1)
    assert both(case.half(found)) == [True, True]
    assert_same(found, expected)


@pytest.mark.parametrize(
    ("height", "width", "depth", "keep"),
    [(40, 40, 37, [1, 8, 16, 36, 37]), (17, 60, 16, [16]), (61, 33, 70, [16, 17, 64, 69])],
)
def test_gradients_of_two_halves_are_those_of_the_whole_to_the_last_bit(
    height: int, width: int, depth: int, keep: list[int]
) -> None:
    case = Case(height, width, depth, keep)
    call, layers, tape = case.call, case.keep, case.tape(16)
    forward_batch(call.inputs, layers, depth, RING, tape, case.buffers, 0, 1)
    draw = np.random.default_rng(1)
    tape = tape._replace(saved=draw.standard_normal(tape.saved.shape, np.float32))
    expected, found = call.gradients(), call.gradients()
    whole = call.backward_buffers(16, again=False)
    backward_batch(call.inputs, layers, depth, tape, whole, expected, 0, 1)
    buffers, sides = call.backward_halves(16), sides_of(call.layout)

    def half(number: int, counters: Counters, clock: WaitClock) -> bool:
        work = (call.inputs, layers, depth, tape, buffers[number], 0)
        return backward_half(*work, sides[number], counters, clock)

    for gradients in (call.gradients(), found):  # what one call leaves does not harm the next
        start_backward(call.inputs, 0, buffers[0])
        assert both(half) == [True, True]
        finish_backward(call.inputs, 0, buffers[0], gradients)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("size", [(40, 40), (17, 60), (100, 100)])
def test_threads_write_choices_to_cache_lines_of_their_own(size: tuple[int, int]) -> None:
    call = Case(*size, 5, [5]).call
    choices, middle = call.choices(5), sides_of(call.layout)[1].middle
    for layer in range(5):
        first = choices[0, layer * call.layout.words + middle * call.layout.bits :]
        assert first.ctypes.data % 64 == 0


def tasks() -> int:
    """How many threads this process has."""
    return len(list(Path("/proc/self/task").iterdir()))


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads as Linux does")
def test_openmp_threads_of_pytorch_are_ended_and_start_again() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    numbers = torch.ones(1_000_000)
    numbers.sum()
    count = tasks()
    end_openmp_threads()
    deadline_s = time.monotonic() + 5  # a thread that has ended is listed for a moment
    while tasks() == count and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert tasks() < count
    assert numbers.sum() == 1_000_000
    assert tasks() == count
    torch.set_num_threads(before)


def test_two_threads_take_turns_on_one_core() -> None:
    case = Case(40, 40, 60, [60])
    expected, found = case.tape(16), case.tape(16)
    forward_batch(case.call.inputs, case.keep, 60, RING, expected, case.buffers, 0, 1)
    assert both(case.half(found), core=min(os.sched_getaffinity(0))) == [True, True]
    assert_same(found, expected)


def test_a_thread_that_waits_in_vain_gives_up_and_tells_the_other() -> None:
    case, counters = Case(40, 40, 60, [60]), new_counters()
    half = case.half(case.tape(16))
    assert not half(0, counters, new_clock(1_000_000))
    assert has_given_up(counters)
    begun = time.monotonic()
    assert not half(1, counters, new_clock(FOR_EVER))  # what thread 0 had told is used up soon
    assert time.monotonic() - begun < FOR_EVER / 1e9


@pytest.fixture
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pairs]:
    """Let the operator try pairs, whatever the machine has and other tests have left."""
    pairs, before = Pairs(), torch.get_num_threads()
    monkeypatch.setattr(module, "_cores", lambda: 2)
    monkeypatch.setattr("planners.operator.two_threads.pair_calls.pairs", pairs)
    monkeypatch.setattr("planners.operator.two_threads.pair_calls.LEAST_BLOCKS", 100_000)
    torch.set_num_threads(2)
    yield pairs
    torch.set_num_threads(before)


def deep_values() -> NDArray[np.float32]:
    draw = torch.Generator().manual_seed(3)
    transition = torch.randn(1, 4, 9, 64, 64, generator=draw).softmax(dim=2)
    with torch.no_grad():
        kept = value_iteration(transition, torch.randn(1, 64, 64, generator=draw), 800, (100, 800))
    return kept.numpy()


def test_the_operator_gives_the_same_values_with_one_thread_and_two(two_threads: Pairs) -> None:
    found = deep_values()  # by a pair, or by one thread where the machine is busy
    torch.set_num_threads(1)
    np.testing.assert_array_equal(found, deep_values())


def test_where_no_second_thread_comes_one_does_it_all_and_tries_less_often(
    two_threads: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Future[bool]] = []

    def never(work: Callable[[], bool]) -> Future[bool]:
        asked.append(Future())  # waits in the queue of a pool without threads
        return asked[-1]

    monkeypatch.setattr(threads, "beside", never)
    found = deep_values()
    assert len(asked) == 1 and asked[0].cancelled()
    assert not two_threads.are_possible(1)
    deep_values()
    assert len(asked) == 1  # it is not tried again at once
    two_threads.alone_until_s = 0.0
    deep_values()
    assert len(asked) == 2 and two_threads.pause_s == 2.0
    torch.set_num_threads(1)
    np.testing.assert_array_equal(found, deep_values())


def test_where_others_have_the_core_while_a_half_waits_pairs_are_tried_less_often() -> None:
    pairs = Pairs()

    def slow(number: int, counters: Counters, clock: WaitClock) -> bool:
        time.sleep(0.02)
        return True

    assert pairs.run(slow)  # the halves are done, and count
    assert pairs.alone_until_s > time.monotonic() - 60 and pairs.pause_s == 1.0


def test_small_and_shallow_mazes_are_left_to_one_thread() -> None:
    layout = Case(40, 40, 1, [1]).call.layout
    assert is_worth_two(layout, 5000, 100_000) and not is_worth_two(layout, 500, 100_000)
    assert not is_worth_two(layout._replace(actions=9), 5000, 100_000)
    assert not Pairs().are_possible(2)
