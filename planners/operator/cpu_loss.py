"""The loss of a linear policy over kept layers, with its gradients, in one pass over the cells.

A policy that is linear in the cell's Q less their mean (VIN, DT-VIN) is read from every layer that
carries loss. In plain PyTorch this moves a few dozen maps of all actions through memory for each
of them, and takes several times as long as the thousands of layers of value iteration themselves.
Here a block of cells goes from V to Q, logits, loss and back to the gradient of Q while it is in
registers and in the first-level cache."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from planners.operator.cpu_batches import (
    begin,
    clear,
    fold,
    load_kernel,
    spread_out,
    take_shared,
    unload_kernel,
)
from planners.operator.cpu_kernels import (
    Array,
    action_lines,
    collect,
    credit_all,
)
from planners.operator.cpu_threads import Job, line, pool, threads
from planners.operator.numba_options import compiled, inlined
from planners.operator.simd import (
    LANES,
    choose,
    exponent,
    fill,
    fused,
    greater,
    load,
    minus,
    nothing,
    over,
    plus,
    power_of_two,
    store,
    times,
)

_RING = 8  # layers of which the kernel's gradient is taken at once
_SHIFT = np.float32(1.5 * 2**23)  # plus a number: the number's whole part, in the lowest bits
_LOWEST = np.float32(-1e30)
_LOG2_E = np.float32(1.44269504)
_LN_2_HIGH, _LN_2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)


@inlined
def _exp(x: Any) -> Any:
    """e**x of numbers that are not positive, to two units in the last place; 0 below 1e-26.

    Products of such numbers would be denormal, which takes a hundred times as long."""
    lowest = fill(np.float32(-60))
    small = greater(lowest, x)
    x = choose(small, lowest, x)
    shifted = fused(x, fill(_LOG2_E), fill(_SHIFT))
    n = minus(shifted, fill(_SHIFT))
    r = fused(n, fill(-_LN_2_HIGH), x)
    r = fused(n, fill(-_LN_2_LOW), r)
    p = fill(np.float32(1.9875691e-4))
    p = fused(p, r, fill(np.float32(1.3981999e-3)))
    p = fused(p, r, fill(np.float32(8.3334519e-3)))
    p = fused(p, r, fill(np.float32(4.1665796e-2)))
    p = fused(p, r, fill(np.float32(1.6666666e-1)))
    p = fused(p, r, fill(np.float32(0.5)))
    p = plus(fused(p, times(r, r), r), fill(np.float32(1)))
    return choose(small, nothing(), times(p, power_of_two(shifted)))


@inlined
def _log(a: Any) -> Any:
    """The natural logarithm of positive numbers, to two units in the last place."""
    n = exponent(a)
    f = minus(times(a, power_of_two(minus(fill(_SHIFT), n))), fill(np.float32(1)))
    square = times(f, f)
    p = fill(np.float32(7.0376836e-2))
    p = fused(p, f, fill(np.float32(-1.1514610e-1)))
    p = fused(p, f, fill(np.float32(1.1676999e-1)))
    p = fused(p, f, fill(np.float32(-1.2420141e-1)))
    p = fused(p, f, fill(np.float32(1.4249323e-1)))
    p = fused(p, f, fill(np.float32(-1.6668058e-1)))
    p = fused(p, f, fill(np.float32(2.0000715e-1)))
    p = fused(p, f, fill(np.float32(-2.4999994e-1)))
    p = fused(p, f, fill(np.float32(3.3333331e-1)))
    p = times(times(p, f), square)
    p = fused(n, fill(_LN_2_LOW), p)
    p = fused(square, fill(np.float32(-0.5)), p)
    return fused(n, fill(_LN_2_HIGH), plus(f, p))


@inlined
def _centre(lines: Array, start: Any, step: Any, actions: Any) -> None:
    """Subtract from a block of each of the actions' lines their mean."""
    mean = nothing()
    for a in range(actions):
        mean = plus(mean, load(lines, start + a * step))
    mean = times(mean, fill(np.float32(1) / np.float32(actions)))
    for a in range(actions):
        store(lines, start + a * step, minus(load(lines, start + a * step), mean))


@inlined
def _logits(policy: Array, lines: Array, start: Any, step: Any, logits: Array, shape: Any) -> None:
    """Write the logits of a block from its centred Q."""
    moves = policy.size // shape.actions
    for c in range(moves):
        total = nothing()
        for a in range(shape.actions):
            weight = fill(policy[np.uint64(c * shape.actions + a)])
            total = fused(weight, load(lines, start + a * step), total)
        store(logits, c * LANES, total)


@inlined
def _cross_entropy(logits: Array, optimal: Array, o: Any, moves: Any, weight: Any) -> Any:
    """Return a block's loss, -log of the chance of an optimal action, times ``weight``; turn
    ``logits`` into its gradient.
    """
    top, top_optimal = fill(_LOWEST), fill(_LOWEST)
    for c in range(moves):
        z, lanes = load(logits, c * LANES), optimal[np.uint64(o + c)]
        top = choose(greater(z, top), z, top)
        top_optimal = choose(lanes & greater(z, top_optimal), z, top_optimal)
    total, total_optimal = nothing(), nothing()
    for c in range(moves):
        z, lanes = load(logits, c * LANES), optimal[np.uint64(o + c)]
        chance = _exp(minus(z, top))
        chance_optimal = choose(lanes, _exp(minus(z, top_optimal)), nothing())
        total, total_optimal = plus(total, chance), plus(total_optimal, chance_optimal)
        store(logits, c * LANES, chance)
        store(logits, (moves + c) * LANES, chance_optimal)
    known = greater(weight, nothing())
    total_optimal = choose(known, total_optimal, fill(np.float32(1)))
    share, share_optimal = over(weight, total), over(weight, total_optimal)
    for c in range(moves):
        grad = times(share, load(logits, c * LANES))
        grad = minus(grad, times(share_optimal, load(logits, (moves + c) * LANES)))
        store(logits, c * LANES, choose(known, grad, nothing()))
    loss = plus(minus(top, top_optimal), minus(_log(total), _log(total_optimal)))
    return choose(known, times(loss, weight), nothing())


@inlined
def _return(
    policy: Array,
    grad_policy: Array,
    lines: Array,
    start: Any,
    step: Any,
    logits: Array,
    shape: Any,
) -> None:
    """Credit a block's gradient of the logits to the policy, and write that of Q over Q."""
    moves = policy.size // shape.actions
    for a in range(shape.actions):
        q, total = load(lines, start + a * step), nothing()
        for c in range(moves):
            grad, place = load(logits, c * LANES), (c * shape.actions + a) * LANES
            store(grad_policy, place, fused(grad, q, load(grad_policy, place)))
            total = fused(fill(policy[np.uint64(c * shape.actions + a)]), grad, total)
        store(lines, start + a * step, total)
    _centre(lines, start, step, shape.actions)


@compiled
def _lose(
    policy: Array,
    grad_policy: Array,
    lines: Array,
    first: int,
    weights: Array,
    optimal: Array,
    logits: Array,
    losses: Array,
    shape: Any,
) -> None:
    """Add the loss of one layer to ``losses``, and turn its Q, a line per action from ``first``
    on, into their gradient.
    """
    moves, step = policy.size // shape.actions, shape.blocks * LANES
    for block in range(shape.blocks):
        start, weight = first + block * LANES, load(weights, block * LANES)
        if not greater(weight, nothing()):
            for a in range(shape.actions):
                store(lines, start + a * step, nothing())
            continue
        _centre(lines, start, step, shape.actions)
        _logits(policy, lines, start, step, logits, shape)
        loss = _cross_entropy(logits, optimal, block * moves, moves, weight)
        store(losses, 0, plus(load(losses, 0), loss))
        _return(policy, grad_policy, lines, start, step, logits, shape)


@compiled
def _mark(source: Array, optimal: Array, shape: Any) -> None:
    """Write which lanes of each block an action is optimal in; ``source (C, H, W)``."""
    moves, height, width = source.shape
    for x in range(optimal.size):
        optimal[x] = 0
    for c in range(moves):
        for i in range(height):
            for j in range(width):
                x = i * shape.row + j
                if source[c, i, j] != 0:
                    optimal[x // LANES * moves + c] |= np.uint16(1 << x % LANES)


@compiled
def _loss_batch(
    inputs: Any,
    values: Array,
    policy: Array,
    labels: Any,
    ring: int,
    room: Any,
    gradients: Any,
    losses: Array,
    first: int,
    last: int,
) -> None:
    """Write the loss of mazes ``first`` to ``last - 1``, and its gradients."""
    transition, rewards, _, shape = inputs
    best, weights = labels
    one, summed, lines, marks, owed, target, sums = room
    kernel, reward, inside = one
    optimal, logits, weight = marks
    grad_kernel, grad_reward, grad_policy, loss = sums
    grad_transition, grad_rewards, grad_value, grad_weight = gradients
    row, cells, width = shape.row, shape.blocks * LANES, rewards.shape[2]
    for maze in range(first, last):
        load_kernel(transition[min(maze, len(transition) - 1)], kernel, inside, shape, width)
        spread_out(rewards[maze], reward, 0, row)
        _mark(best[maze], optimal, shape)
        for total in sums:
            clear(total)
        for start in range(0, len(values), ring):
            count = min(ring, len(values) - start)
            for n in range(count):
                plane, place = n * shape.plane, n * shape.actions * cells
                begin(values[start + n, maze], reward, summed, plane + shape.margin, row)
                spread_out(weights[start + n, maze], weight, 0, row)
                action_lines(kernel, summed, plane, lines, place, shape)
                _lose(policy, grad_policy, lines, place, weight, optimal, logits, loss, shape)
                collect(one, lines, place, owed, target, grad_reward, shape)
                fold(target, 0, grad_value[start + n, maze], row)
            credit_all(grad_kernel, summed, lines, shape, count)
            take_shared(grad_kernel, grad_transition[maze], shape)
            for x in range(LANES):  # now and then: millions of terms in one sum lose digits
                losses[maze] += loss[x]
                loss[x] = 0
                for c in range(policy.size):
                    grad_weight[maze, c] += grad_policy[c * LANES + x]
                    grad_policy[c * LANES + x] = 0
        fold(grad_reward, 0, grad_rewards[maze], row)
        unload_kernel(grad_kernel, grad_transition[maze], inside, shape, width)


class _PolicyLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        transition: Tensor,
        reward: Tensor,
        values: Tensor,
        policy: Tensor,
        optimal: Tensor,
        weights: Tensor,
    ) -> Tensor:
        job = Job(transition, reward, None, values)
        ring, weight = max(1, min(_RING, len(values))), policy.detach().contiguous().numpy()
        moves, shape = len(weight), job.shape
        gradients = (*job.gradients(), np.zeros((len(reward), weight.size), np.float32))
        losses = np.zeros(len(reward), np.float64)
        labels = optimal.contiguous().numpy(), weights.contiguous().numpy()

        def make() -> Any:
            lines = line(ring * shape.plane), line(ring * shape.actions * job.cells)
            marks = line(shape.blocks * moves, np.uint16), line(2 * moves * LANES), line(job.cells)
            owed = line(shape.field**2 * shape.plane), line(job.cells)
            kernel = line(job.kernel_size), line(job.cells)
            return (
                job.one(),
                *lines,
                marks,
                *owed,
                (*kernel, line(weight.size * LANES), line(LANES)),
            )

        def work(first: int, last: int) -> None:
            with pool.room(("loss", job.key, ring, moves), make) as room:
                _loss_batch(
                    job.inputs,
                    job.value,
                    weight.ravel(),
                    labels,
                    ring,
                    room,
                    gradients,
                    losses,
                    first,
                    last,
                )

        threads.over_batch(work, len(reward))
        grad_policy = torch.from_numpy(gradients[3]).sum(dim=0).view(policy.shape)
        ctx.save_for_backward(*job.returned(gradients[:3]), grad_policy)
        return reward.new_tensor(losses.sum())

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor) -> Any:
        return (*(grad * grad_loss for grad in ctx.saved_tensors), None, None)


def policy_loss(
    transition: Tensor,
    reward: Tensor,
    values: Tensor,
    policy: Tensor,
    optimal: Tensor,
    weights: Tensor,
) -> Tensor:
    """Return the weighted sum of -log(chance of an optimal action) over layers and cells, a scalar.

    ``values``: V of N layers ``(N, B, H, W)``, from which Q is one more layer (``transition`` and
    ``reward`` as in ``action_values``); ``policy``: ``(actions, A)``, logits from Q less its mean
    over the A latent actions; ``optimal``: 0 and 1, float ``(B, actions, H, W)``; ``weights``:
    ``(N, B, H, W)``, not negative. Gradients reach the first four."""
    result: Tensor = _PolicyLoss.apply(transition, reward, values, policy, optimal, weights)  # type: ignore[no-untyped-call]
    return result
