"""A call of the operator by two threads, where that is possible and worth it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planners.operator.cpu_arrays import OperatorCall
from planners.operator.cpu_batches import Tape
from planners.operator.cpu_layout import BatchGradients
from planners.operator.cpu_threads import pool
from planners.operator.two_threads.backward import (
    backward_half,
    finish_backward,
    start_backward,
)
from planners.operator.two_threads.forward import forward_half, is_worth_two, load_maze
from planners.operator.two_threads.pairs import pairs
from planners.operator.two_threads.progress import Counters, WaitClock, sides_of

LEAST_BLOCKS = 300_000
"""Blocks of all layers together from which on two threads are tried. Measured on two free cores:
330,000 (51 x 51, 2000 layers) take 0.6 to 0.7 times as long by two threads as by one, forward and
in training; 250,000 (35 x 35, 3200) take 0.8 times as long, and more where others work, too."""


def are_wanted(call: OperatorCall, depth: int) -> bool:
    """Return whether a call is to be tried by two threads."""
    if not pairs.are_possible(call.sizes.batch) or call.is_forced:
        return False
    return bool(is_worth_two(call.layout, depth, LEAST_BLOCKS))


def forward(
    call: OperatorCall, saved_layers: NDArray[np.int64], depth: int, ring: int, tape: Tape
) -> bool:
    """Fill the tape of one maze.

    Returns:
        False if one thread has to do it: a second one is not worth it, or did not come.
    """
    if not are_wanted(call, depth) or ring < 2:
        return False
    sides = sides_of(call.layout)
    with pool.borrow(("forward", call.key, ring), lambda: call.forward_buffers(ring)) as buffers:
        load_maze(call.inputs, 0, tape, buffers)

        def half(number: int, counters: Counters, clock: WaitClock) -> bool:
            work = (call.inputs, saved_layers, depth, ring, tape, buffers, 0)
            return forward_half(*work, sides[number], counters, clock)

        return pairs.run(half)


def backward(
    call: OperatorCall,
    saved_layers: NDArray[np.int64],
    depth: int,
    tape: Tape,
    gradients: BatchGradients,
) -> bool:
    """Fill in the gradients of one maze, of whose layers the tape has all choices.

    Returns:
        False if one thread has to do it: a second one is not worth it, or did not come.
    """
    if not are_wanted(call, depth):
        return False
    sides, layers = sides_of(call.layout), min(tape.stride, depth)
    key = ("backward halves", call.key, layers)
    with pool.borrow(key, lambda: call.backward_halves(layers)) as buffers:
        start_backward(call.inputs, 0, buffers[0])

        def half(number: int, counters: Counters, clock: WaitClock) -> bool:
            work = (call.inputs, saved_layers, depth, tape, buffers[number], 0)
            return backward_half(*work, sides[number], counters, clock)

        if not pairs.run(half):
            return False
        finish_backward(call.inputs, 0, buffers[0], gradients)
        return True
