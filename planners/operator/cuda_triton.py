# Triton has no type stubs, and may be absent where types are checked.
# mypy: ignore-errors
# ruff: noqa: N803
"""The operator on a GPU, in Triton: one program per maze, all layers in one launch.

The cells of a maze are one block of lanes. V goes from layer to layer through two small buffers in
global memory, which a program's own first-level cache serves; a barrier separates the layers.
Backward walks the layers in reverse, each cell gathering the adjoints of the products that it is
a factor of, so that nothing needs atomics.

The body for what `cuda_kernels` does not take: imposed actions, other fields, larger maps. Not
measured on a GPU yet: its results are checked by Triton's interpreter.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from planners.operator.arguments import OperatorInputs, Sizes, sizes_of

try:
    import triton
    import triton.language as tl
except ImportError as error:  # pragma: no cover - depends on the machine
    raise NotImplementedError(
        "the GPU backend of value_iteration needs Triton: pip install triton, or use the backend "
        "'reference'."
    ) from error


@triton.jit
def _neighbour(row, column, tap, height, width, FIELD: tl.constexpr, SIGN: tl.constexpr):
    """Place and presence of the cell that a tap looks at (SIGN 1), or that looks at a cell (-1).

    Returns:
        Place and presence.
    """
    r = row + SIGN * (tap // FIELD - FIELD // 2)
    c = column + SIGN * (tap % FIELD - FIELD // 2)
    return r * width + c, (r >= 0) & (r < height) & (c >= 0) & (c < width)


@triton.jit
def _forward(
    transition,
    reward,
    value,
    forced,
    slots,
    saved,
    values,
    choices,
    depth,
    height,
    width,
    batch,
    maze_stride,
    tap_stride,
    cell_stride,
    ACTIONS: tl.constexpr,
    FIELD: tl.constexpr,
    FORCED: tl.constexpr,
    TAPE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Fill ``saved``; with TAPE also ``values`` and ``choices`` of all layers."""
    maze = tl.program_id(0).to(tl.int64)
    area = height * width
    x = tl.arange(0, BLOCK)
    here = x < area
    row, column = x // width, x % width
    layer_stride = batch.to(tl.int64) * area
    r = tl.load(reward + maze * area + x, here, 0.0)
    tl.store(values + maze * area + x, tl.load(value + maze * area + x, here, 0.0) + r, here)
    tl.debug_barrier()
    for n in range(depth):
        source = (n if TAPE else n % 2) * layer_stride + maze * area
        target = (n + 1 if TAPE else (n + 1) % 2) * layer_stride + maze * area
        best = tl.full((BLOCK,), -float("inf"), tl.float32)
        winner = tl.zeros((BLOCK,), tl.int32)
        if FORCED:
            imposed = tl.load(forced + n * layer_stride + maze * area + x, here, -1).to(tl.int32)
        for a in range(ACTIONS):
            q = tl.zeros((BLOCK,), tl.float32)
            for tap in tl.static_range(FIELD * FIELD):
                y, there = _neighbour(row, column, tap, height, width, FIELD, 1)
                s = tl.load(values + source + y, here & there, 0.0)
                k = maze * maze_stride + (a * FIELD * FIELD + tap) * tap_stride + x * cell_stride
                q += tl.load(transition + k, here, 0.0) * s
            better = q > best
            if FORCED:
                better = (imposed == a) | ((imposed < 0) & better)
            best = tl.where(better, q, best)
            winner = tl.where(better, a, winner)
        tl.store(values + target + x, best + r, here)
        if TAPE:
            tl.store(choices + source + x, winner.to(tl.uint8), here)
        slot = tl.load(slots + n)
        tl.store(saved + slot * layer_stride + maze * area + x, best, here & (slot >= 0))
        tl.debug_barrier()


@triton.jit
def _backward(
    transition,
    slots,
    grad_saved,
    values,
    choices,
    grad,
    grad_transition,
    grad_reward,
    depth,
    height,
    width,
    batch,
    maze_stride,
    tap_stride,
    cell_stride,
    ACTIONS: tl.constexpr,
    FIELD: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Fill the gradients; ``grad (B, H, W)`` is that of V layer by layer, and of V^(0) at last."""
    maze = tl.program_id(0).to(tl.int64)
    area = height * width
    x = tl.arange(0, BLOCK)
    here = x < area
    row, column = x // width, x % width
    layer_stride = batch.to(tl.int64) * area
    taps: tl.constexpr = FIELD * FIELD
    due = tl.zeros((BLOCK,), tl.float32)
    total = tl.zeros((BLOCK,), tl.float32)
    for back in range(depth):
        n = depth - 1 - back
        place = n * layer_stride + maze * area
        slot = tl.load(slots + n)
        outside = tl.load(
            grad_saved + slot * layer_stride + maze * area + x, here & (slot >= 0), 0.0
        )
        g = due + outside
        tl.store(grad + maze * area + x, g, here)
        winner = tl.load(choices + place + x, here, 0).to(tl.int64)
        tl.debug_barrier()
        due = tl.zeros((BLOCK,), tl.float32)
        for tap in tl.static_range(taps):
            y, there = _neighbour(row, column, tap, height, width, FIELD, 1)
            s = tl.load(values + place + y, here & there, 0.0)
            k = maze * ACTIONS * taps * area + (winner * taps + tap) * area + x
            tl.store(grad_transition + k, tl.load(grad_transition + k, here, 0.0) + g * s, here)
            z, present = _neighbour(row, column, tap, height, width, FIELD, -1)
            theirs = tl.load(choices + place + z, here & present, 0).to(tl.int64)
            w = maze * maze_stride + (theirs * taps + tap) * tap_stride + z * cell_stride
            adjoint = tl.load(grad + maze * area + z, here & present, 0.0)
            due += adjoint * tl.load(transition + w, here & present, 0.0)
        total += due
        tl.debug_barrier()
    tl.store(grad + maze * area + x, due, here)
    tl.store(grad_reward + maze * area + x, total, here)


def value_iteration(inputs: OperatorInputs) -> Tensor:
    """Return V after the saved layers: ``(len(saved_layers), B, H, W)``; gradients are exact."""
    settings = (inputs.forced, inputs.depth, inputs.saved_layers)
    result: Tensor = _Recursion.apply(inputs.transition, inputs.reward, inputs.value, *settings)
    return result


def _geometry(sizes: Sizes) -> tuple[tuple[Any, ...], dict[str, int]]:
    """Return the sizes and strides that both kernels take, and their constants."""
    area = sizes.height * sizes.width
    cells = 1 if sizes.shared else area
    maze_stride = sizes.actions * sizes.field**2 * cells if sizes.kernels > 1 else 0
    strides = (maze_stride, cells, 0 if sizes.shared else 1)
    block = max(16, 1 << (area - 1).bit_length())
    warps = min(32, max(1, block // 256))
    constants = {"ACTIONS": sizes.actions, "FIELD": sizes.field, "BLOCK": block}
    constants["num_warps"] = warps
    return (sizes.height, sizes.width, sizes.batch, *strides), constants


class _Recursion(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        transition: Tensor,
        reward: Tensor,
        value: Tensor,
        forced: Tensor | None,
        depth: int,
        saved_layers: tuple[int, ...],
    ) -> Tensor:
        ctx.sizes = sizes_of("cuda", transition, reward, value)
        transition, reward = transition.contiguous(), reward.contiguous()
        tape = any(ctx.needs_input_grad)
        slots = torch.full((depth,), -1, dtype=torch.int32)
        slots[torch.tensor(saved_layers) - 1] = torch.arange(len(saved_layers), dtype=torch.int32)
        slots = slots.to(reward.device)
        saved = reward.new_empty((len(saved_layers), *reward.shape))
        values = reward.new_empty((depth + 1 if tape else 2, *reward.shape))
        choices = torch.empty(
            (depth if tape else 1, *reward.shape), dtype=torch.uint8, device=reward.device
        )
        imposed = slots if forced is None else forced.to(torch.int8).contiguous()
        sizes, constants = _geometry(ctx.sizes)
        _forward[(len(reward),)](
            *(transition, reward, value.contiguous(), imposed, slots, saved, values, choices),
            *(depth, *sizes),
            FORCED=forced is not None,
            TAPE=tape,
            **constants,
        )
        ctx.save_for_backward(transition, reward, slots, values, choices)
        ctx.depth = depth
        return saved

    @staticmethod
    def backward(ctx: Any, grad_saved: Tensor) -> Any:
        transition, reward, slots, values, choices = ctx.saved_tensors
        whole = (len(reward), *transition.shape[1:3], *reward.shape[1:])
        grad_transition = reward.new_zeros(whole)
        grad, grad_reward = torch.empty_like(reward), torch.empty_like(reward)
        sizes, constants = _geometry(ctx.sizes)
        _backward[(len(reward),)](
            *(transition, slots, grad_saved.contiguous(), values, choices),
            *(grad, grad_transition, grad_reward, ctx.depth, *sizes),
            **constants,
        )
        if ctx.sizes.shared:
            grad_transition = grad_transition.sum(dim=(3, 4), keepdim=True)
        if ctx.sizes.kernels == 1:
            grad_transition = grad_transition.sum(dim=0, keepdim=True)
        return grad_transition, grad_reward, grad, None, None, None
