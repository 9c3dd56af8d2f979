"""The operator on a CPU.

One fused, compiled pass per maze, parallel over the batch, exact gradients.

For training, the forward pass saves who won in every cell of every layer, two bits for four
actions, and V at every L-th layer. The backward pass recomputes the L layers between two of those,
which takes a quarter of the work when the winners are known, and goes back through them. L is such
that this happens in the second-level cache. Where all that would fill more than ``MEMORY_BUDGET``,
the winners are found again as well, and L is near the square root of the depth: a training step
then takes a few megabytes per maze and about a tenth more time.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from planners.operator.arguments import OperatorInputs
from planners.operator.cpu_arrays import OperatorCall
from planners.operator.cpu_batches import (
    Tape,
    actions_backward_batch,
    actions_batch,
    backward_batch,
    forward_batch,
)
from planners.operator.cpu_threads import pool, threads
from planners.operator.two_threads import pair_calls

MEMORY_BUDGET = 256 * 2**20  # bytes of one call, from its forward pass to its backward pass

# Layers computed at a time before V is saved where it was asked for: long enough for the wavefront.
_RING = 8
# Bytes of R + V and of gradients that the backward pass works on at a time: a second-level cache.
# Two threads have two of them, and wait for each other three times a segment.
_SEGMENT = 2**21
_LONGEST = 32  # layers of a thread's segment; more do not make the backward pass faster (measured)


class _RecursionContext(FunctionCtx):
    call: OperatorCall
    tape: Tape
    depth: int
    saved: np.ndarray[tuple[int], np.dtype[np.int64]]
    needs_input_grad: tuple[bool, ...]


class _ActionsContext(FunctionCtx):
    call: OperatorCall


def action_values(transition: Tensor, reward: Tensor, value: Tensor) -> Tensor:
    """Return Q ``(N, B, A, H, W)`` of one layer on top of ``value (N, B, H, W)``."""
    result: Tensor = _ActionValues.apply(transition, reward, value)  # type: ignore[no-untyped-call]
    return result


def value_iteration(inputs: OperatorInputs) -> Tensor:
    """Return V after the saved layers: ``(len(saved_layers), B, H, W)``; gradients are exact."""
    settings = (inputs.forced, inputs.depth, inputs.saved_layers)
    result: Tensor = _Recursion.apply(  # type: ignore[no-untyped-call]
        inputs.transition, inputs.reward, inputs.value, *settings
    )
    return result


def _segments(call: OperatorCall, depth: int) -> tuple[int, bool]:
    """Return after how many layers V is stored for the backward pass.

    And whether all choices are.
    """
    layout, batch = call.layout, call.sizes.batch
    count = 1 + pair_calls.are_wanted(call, depth)
    whole = count * _SEGMENT // (2 * 4 * layout.plane) // _RING * _RING
    stride = max(_RING, min(count * _LONGEST, whole))
    choices = batch * depth * layout.words * 2
    stored = batch * -(-depth // stride) * call.sizes.height * call.sizes.width * 4
    if choices + stored <= MEMORY_BUDGET:
        return stride, True
    return max(_RING, _RING * round(math.sqrt(depth) / _RING)), False


class _Recursion(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: _RecursionContext,
        transition: Tensor,
        reward: Tensor,
        value: Tensor,
        forced: Tensor | None,
        depth: int,
        saved_layers: tuple[int, ...],
    ) -> Tensor:
        call = OperatorCall(transition, reward, forced, value)
        stride, chosen = _segments(call, depth) if any(ctx.needs_input_grad) else (depth, False)
        stored = np.empty((-(-depth // stride), *reward.shape), np.float32)
        stored[0] = call.value
        choices = call.choices(depth if chosen else 0)
        saved = np.empty((len(saved_layers), *reward.shape), np.float32)
        rising, ring = np.asarray(saved_layers, dtype=np.int64), min(_RING, depth)
        tape = Tape(saved, stored, stride, choices)

        def work(first: int, last: int) -> None:
            key = ("forward", call.key, ring)
            with pool.borrow(key, lambda: call.forward_buffers(ring)) as buffers:
                forward_batch(call.inputs, rising, depth, ring, tape, buffers, first, last)

        if not pair_calls.forward(call, rising, depth, min(_RING, depth), tape):
            threads.over_batch(work, len(reward))
        ctx.call, ctx.tape, ctx.depth, ctx.saved = call, tape, depth, rising
        return torch.from_numpy(saved)

    @staticmethod
    def backward(ctx: _RecursionContext, grad_saved: Tensor) -> tuple[Tensor | None, ...]:
        call, depth = ctx.call, ctx.depth
        gradients = call.gradients()
        layers, again = min(ctx.tape.stride, depth), ctx.tape.choices.shape[1] == 0
        tape = ctx.tape._replace(saved=grad_saved.contiguous().numpy())

        def work(first: int, last: int) -> None:
            key = ("backward", call.key, layers, again)
            with pool.borrow(key, lambda: call.backward_buffers(layers, again)) as buffers:
                backward_batch(call.inputs, ctx.saved, depth, tape, buffers, gradients, first, last)

        if again or not pair_calls.backward(call, ctx.saved, depth, tape, gradients):
            threads.over_batch(work, grad_saved.shape[1])
        return (*call.as_tensors(gradients), None, None, None)


class _ActionValues(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _ActionsContext, transition: Tensor, reward: Tensor, value: Tensor) -> Tensor:
        call = OperatorCall(transition, reward, None, value)
        shape = (len(value), len(reward), transition.shape[1], *reward.shape[1:])
        result = np.empty(shape, np.float32)

        def work(first: int, last: int) -> None:
            key = ("actions", call.key)
            with pool.borrow(key, lambda: call.action_buffers(1, backward=False)) as buffers:
                actions_batch(call.inputs, call.value, result, buffers, first, last)

        threads.over_batch(work, len(reward))
        ctx.call = call
        return torch.from_numpy(result)

    @staticmethod
    def backward(ctx: _ActionsContext, grad_result: Tensor) -> tuple[Tensor, ...]:
        call = ctx.call
        gradients = call.gradients()
        grad = grad_result.contiguous().numpy()
        ring = min(_RING, len(grad))

        def work(first: int, last: int) -> None:
            key = ("actions backward", call.key, ring)
            with pool.borrow(key, lambda: call.action_buffers(ring, backward=True)) as buffers:
                actions_backward_batch(
                    call.inputs, call.value, grad, ring, buffers, gradients, first, last
                )

        threads.over_batch(work, grad.shape[1])
        return tuple(call.as_tensors(gradients))
