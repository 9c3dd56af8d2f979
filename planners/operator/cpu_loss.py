"""The loss of a linear policy over saved layers, with its gradients, in one pass over the cells.

A policy that is linear in Q less its mean (VIN, DT-VIN) is read from every layer that carries loss.
Plain PyTorch moves dozens of maps of all actions through memory for each: several times the cost of
value iteration. Here a block of cells goes from V to Q, loss and the gradient of Q in registers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import FunctionCtx

from planners.operator.cpu_arrays import OperatorCall
from planners.operator.cpu_backward import (
    accumulate_action_kernel_grad,
    adjoint_of_action_values,
)
from planners.operator.cpu_batches import ActionBuffers
from planners.operator.cpu_forward import action_values
from planners.operator.cpu_layout import (
    BatchArrays,
    BatchGradients,
    LaneSets,
    Layout,
    fill_zeros,
    line_to_map,
    load_kernel,
    map_to_line,
    reduce_shared_grad,
    start_layers,
    unload_kernel_grad,
)
from planners.operator.cpu_threads import line, line_of, pool, threads
from planners.operator.numba_options import compiled, inlined
from planners.operator.simd import (
    LANES,
    FloatLine,
    Lanes,
    add,
    divide,
    exp,
    fill,
    greater,
    load,
    log,
    multiply,
    multiply_add,
    select,
    store,
    subtract,
    zeros,
)

_RING = 8  # layers of which the kernel's gradient is taken at once: loads of it are shared
_LOWEST = np.float32(-1e30)  # below every logit, and far from float32's own limits


@inlined
def _centre(lines: FloatLine, start: int, step: int, actions: int) -> None:
    """Subtract from a block of each of the actions' lines their mean."""
    mean = zeros()
    for a in range(actions):
        mean = add(mean, load(lines, start + a * step))
    mean = multiply(mean, fill(np.float32(1) / np.float32(actions)))
    for a in range(actions):
        store(lines, start + a * step, subtract(load(lines, start + a * step), mean))


@inlined
def _bound(lines: FloatLine, start: int, step: int, actions: int) -> None:
    """Turn a block's Q into -d / (1 + d), d being how far each action is below the best."""
    top = load(lines, start)
    for a in range(actions):
        q = load(lines, start + a * step)
        top = select(greater(q, top), q, top)
    for a in range(actions):
        below = subtract(top, load(lines, start + a * step))
        x = divide(subtract(zeros(), below), add(fill(np.float32(1)), below))
        store(lines, start + a * step, x)


@inlined
def _adjoint_of_bound(
    grads: FloatLine, lines: FloatLine, start: int, step: int, actions: int
) -> None:
    """Turn bounded Q into the gradient of Q, from that of bounded Q, a block per action.

    With x = -d / (1 + d), dx/dd = -(1 + x)^2, and the best action, the first of equal ones, takes
    what all others give.
    """
    total = zeros()
    for a in range(actions):
        slope = add(load(lines, start + a * step), fill(np.float32(1)))
        grad = multiply(load(grads, a * LANES), multiply(slope, slope))
        total = add(total, grad)
        store(grads, a * LANES, grad)
    for a in range(actions):
        is_best = ~greater(zeros(), load(lines, start + a * step))
        grad = load(grads, a * LANES)
        store(lines, start + a * step, select(is_best, subtract(grad, total), grad))
        total = select(is_best, zeros(), total)


@inlined
def _logits(
    policy: FloatLine, lines: FloatLine, start: int, step: int, logits: FloatLine, layout: Layout
) -> None:
    """Write the logits of a block from its centred Q."""
    moves = policy.size // layout.actions
    for c in range(moves):
        total = zeros()
        for a in range(layout.actions):
            weight = fill(policy[np.uint64(c * layout.actions + a)])
            total = multiply_add(weight, load(lines, start + a * step), total)
        store(logits, c * LANES, total)


@inlined
def _cross_entropy(
    logits: FloatLine, optimal: LaneSets, o: int, moves: int, weight: Lanes
) -> Lanes:
    """Return a block's loss, -log of the chance of an optimal action, times ``weight``.

    Turn ``logits`` into its gradient.
    """
    top, top_optimal = fill(_LOWEST), fill(_LOWEST)
    for c in range(moves):
        z, lanes = load(logits, c * LANES), optimal[np.uint64(o + c)]
        top = select(greater(z, top), z, top)
        top_optimal = select(lanes & greater(z, top_optimal), z, top_optimal)
    total, total_optimal = zeros(), zeros()
    for c in range(moves):
        z, lanes = load(logits, c * LANES), optimal[np.uint64(o + c)]
        chance = exp(subtract(z, top))
        chance_optimal = select(lanes, exp(subtract(z, top_optimal)), zeros())
        total, total_optimal = add(total, chance), add(total_optimal, chance_optimal)
        store(logits, c * LANES, chance)
        store(logits, (moves + c) * LANES, chance_optimal)
    known = greater(weight, zeros())
    total_optimal = select(known, total_optimal, fill(np.float32(1)))
    scale, scale_optimal = divide(weight, total), divide(weight, total_optimal)
    for c in range(moves):
        grad = multiply(scale, load(logits, c * LANES))
        grad = subtract(grad, multiply(scale_optimal, load(logits, (moves + c) * LANES)))
        store(logits, c * LANES, select(known, grad, zeros()))
    loss = add(subtract(top, top_optimal), subtract(log(total), log(total_optimal)))
    return select(known, multiply(loss, weight), zeros())


class LossBuffers(NamedTuple):
    """Work arrays of one maze."""

    actions: ActionBuffers
    optimal: LaneSets
    """For each block and move the cells in which it is optimal."""
    logits: FloatLine
    """Of a block: logits or their gradient, then the chances of optimal moves."""
    weights: FloatLine
    """Of one layer's cells."""
    grad_policy: FloatLine
    """Sixteen sums for each weight of the policy."""
    loss: FloatLine
    """Sixteen sums."""
    grads: FloatLine
    """Of a block's bounded Q, by action."""


@inlined
def _adjoint_of_logits(
    policy: FloatLine,
    lines: FloatLine,
    start: int,
    step: int,
    buffers: LossBuffers,
    bounded: bool,
    layout: Layout,
) -> None:
    """Add a block's gradient of the logits to the policy's, and write that of Q over Q."""
    moves, logits = policy.size // layout.actions, buffers.logits
    grad_policy, grads = buffers.grad_policy, buffers.grads
    for a in range(layout.actions):
        q, total = load(lines, start + a * step), zeros()
        for c in range(moves):
            grad, place = load(logits, c * LANES), (c * layout.actions + a) * LANES
            store(grad_policy, place, multiply_add(grad, q, load(grad_policy, place)))
            total = multiply_add(fill(policy[np.uint64(c * layout.actions + a)]), grad, total)
        if bounded:
            store(grads, a * LANES, total)
        else:
            store(lines, start + a * step, total)
    if bounded:
        _adjoint_of_bound(grads, lines, start, step, layout.actions)
    else:
        _centre(lines, start, step, layout.actions)


@compiled
def _mark_optimal(source: NDArray[np.float32], optimal: LaneSets, layout: Layout) -> None:
    """Write which lanes of each block an action is optimal in; ``source (C, H, W)``."""
    moves, height, width = source.shape
    for x in range(optimal.size):
        optimal[x] = 0
    for c in range(moves):
        for i in range(height):
            for j in range(width):
                x = i * layout.row + j
                if source[c, i, j] != 0:
                    optimal[x // LANES * moves + c] |= np.uint16(1 << x % LANES)


class LossLabels(NamedTuple):
    """What the policy is compared with."""

    optimal: NDArray[np.float32]
    """``(B, moves, H, W)``, 0 or 1."""
    weights: NDArray[np.float32]
    """``(N, B, H, W)``."""


@compiled
def _layer_loss(
    policy: FloatLine,
    lines: FloatLine,
    first: int,
    buffers: LossBuffers,
    bounded: bool,
    layout: Layout,
) -> None:
    """Add the loss of one layer to ``buffers.loss``, and turn its Q.

    A line per action from ``first`` on, into their gradient.
    """
    moves, step = policy.size // layout.actions, layout.blocks * LANES
    logits, loss = buffers.logits, buffers.loss
    for block in range(layout.blocks):
        start, weight = first + block * LANES, load(buffers.weights, block * LANES)
        if not greater(weight, zeros()):
            for a in range(layout.actions):
                store(lines, start + a * step, zeros())
            continue
        if bounded:
            _bound(lines, start, step, layout.actions)
        else:
            _centre(lines, start, step, layout.actions)
        _logits(policy, lines, start, step, logits, layout)
        lost = _cross_entropy(logits, buffers.optimal, block * moves, moves, weight)
        store(loss, 0, add(load(loss, 0), lost))
        _adjoint_of_logits(policy, lines, start, step, buffers, bounded, layout)


@compiled
def _reduce_sums(buffers: LossBuffers, losses: NDArray[np.float64], grad_weight: FloatLine) -> None:
    """Add the sixteen sums of the loss and of the policy's gradient up, and zero them.

    Called now and then: millions of terms in one sum lose digits.
    """
    for x in range(LANES):
        losses[0] += buffers.loss[x]
        buffers.loss[x] = 0
        for c in range(grad_weight.size):
            grad_weight[c] += buffers.grad_policy[c * LANES + x]
            buffers.grad_policy[c * LANES + x] = 0


@compiled
def _loss_batch(
    inputs: BatchArrays,
    values: NDArray[np.float32],
    policy: FloatLine,
    labels: LossLabels,
    ring: int,
    buffers: LossBuffers,
    gradients: BatchGradients,
    grad_policy: NDArray[np.float32],
    losses: NDArray[np.float64],
    bounded: bool,
    first: int,
    last: int,
) -> None:
    """Write the loss of mazes ``first`` to ``last - 1``, and its gradients."""
    layout, room = inputs.layout, buffers.actions
    maze, lines, width = room.maze, room.lines, inputs.reward.shape[2]
    row, cells = layout.row, layout.blocks * LANES
    for b in range(first, last):
        source = inputs.transition[min(b, len(inputs.transition) - 1)]
        load_kernel(source, maze.kernel, maze.inside, layout, width)
        map_to_line(inputs.reward[b], maze.reward, 0, row)
        _mark_optimal(labels.optimal[b], buffers.optimal, layout)
        fill_zeros(room.grad_kernel)
        fill_zeros(room.grad_reward)
        fill_zeros(buffers.grad_policy)
        fill_zeros(buffers.loss)
        for start in range(0, len(values), ring):
            count = min(ring, len(values) - start)
            for n in range(count):
                plane, place = n * layout.plane, n * layout.actions * cells
                at = plane + layout.margin
                start_layers(values[start + n, b], maze.reward, room.summed, at, row)
                map_to_line(labels.weights[start + n, b], buffers.weights, 0, row)
                action_values(maze.kernel, room.summed, plane, lines, place, layout)
                _layer_loss(policy, lines, place, buffers, bounded, layout)
                adjoint_of_action_values(
                    maze, lines, place, room.products, room.target, room.grad_reward, layout
                )
                line_to_map(room.target, 0, gradients.value[start + n, b], row)
            accumulate_action_kernel_grad(room.grad_kernel, room.summed, lines, layout, count)
            reduce_shared_grad(room.grad_kernel, gradients.transition[b], layout)
            _reduce_sums(buffers, losses[b : b + 1], grad_policy[b])
        line_to_map(room.grad_reward, 0, gradients.reward[b], row)
        unload_kernel_grad(room.grad_kernel, gradients.transition[b], maze.inside, layout, width)


class _LossContext(FunctionCtx):
    saved_tensors: tuple[Tensor, ...]


def _make_buffers(call: OperatorCall, ring: int, moves: int) -> LossBuffers:
    layout = call.layout
    return LossBuffers(
        call.action_buffers(ring, backward=True),
        line_of(layout.blocks * moves, np.uint16).view(np.uint16),
        line(2 * moves * LANES),
        line(call.cells),
        line(moves * layout.actions * LANES),
        line(LANES),
        line(layout.actions * LANES),
    )


class _PolicyLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: _LossContext,
        transition: Tensor,
        reward: Tensor,
        values: Tensor,
        policy: Tensor,
        optimal: Tensor,
        weights: Tensor,
        bounded: bool,
    ) -> Tensor:
        call = OperatorCall(transition, reward, None, values)
        ring, weight = max(1, min(_RING, len(values))), policy.detach().contiguous().numpy()
        gradients = call.gradients()
        grad_policies = np.zeros((len(reward), weight.size), np.float32)
        losses = np.zeros(len(reward), np.float64)
        labels = LossLabels(optimal.contiguous().numpy(), weights.contiguous().numpy())

        def work(first: int, last: int) -> None:
            key = ("loss", call.key, ring, len(weight))
            with pool.borrow(key, lambda: _make_buffers(call, ring, len(weight))) as buffers:
                _loss_batch(
                    *(call.inputs, call.value, weight.ravel(), labels, ring, buffers),
                    *(gradients, grad_policies, losses, bounded, first, last),
                )

        threads.over_batch(work, len(reward))
        grad_policy = torch.from_numpy(grad_policies).sum(dim=0).view(policy.shape)
        ctx.save_for_backward(*call.as_tensors(gradients), grad_policy)
        return reward.new_tensor(losses.sum())

    @staticmethod
    def backward(ctx: _LossContext, grad_loss: Tensor) -> tuple[Tensor | None, ...]:
        return (*(grad * grad_loss for grad in ctx.saved_tensors), None, None, None)


def policy_loss(
    transition: Tensor,
    reward: Tensor,
    values: Tensor,
    policy: Tensor,
    optimal: Tensor,
    weights: Tensor,
    *,
    bounded: bool = False,
) -> Tensor:
    """Return the weighted sum of -log(chance of an optimal action) over layers and cells, a scalar.

    Gradients reach the first four arguments.

    Args:
        transition: as in ``action_values``.
        reward: as in ``action_values``.
        values: V of N layers ``(N, B, H, W)``, from which Q is one more layer.
        policy: ``(actions, A)``, logits from what the readout makes of Q.
        optimal: 0 and 1, float ``(B, actions, H, W)``.
        weights: ``(N, B, H, W)``, not negative.
        bounded: the readout takes Q less the best one, bounded, instead of less their mean.
    """
    result: Tensor = _PolicyLoss.apply(  # type: ignore[no-untyped-call]
        transition, reward, values, policy, optimal, weights, bounded
    )
    return result
