"""The operator by the kernels of ``value_iteration.cu``, with exact gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from planners.operator.arguments import OperatorInputs, Sizes, sizes_of
from planners.operator.cuda_kernels.geometry import LaunchGeometry
from planners.operator.cuda_kernels.launchers import CallSizes, Launch, Launcher


def value_iteration(inputs: OperatorInputs, launcher: Launcher, geometry: LaunchGeometry) -> Tensor:
    """Return V after the saved layers: ``(len(saved_layers), B, H, W)``; gradients are exact.

    Args:
        inputs: without imposed actions, on the launcher's device.
        launcher: what runs the kernels.
        geometry: one of :func:`~planners.operator.cuda_kernels.geometry.geometries`.
    """
    settings = (inputs.depth, inputs.saved_layers, launcher, geometry)
    result: Tensor = _Recursion.apply(  # type: ignore[no-untyped-call]
        inputs.transition, inputs.reward, inputs.value, *settings
    )
    return result


def _call_sizes(sizes: Sizes, depth: int) -> CallSizes:
    cells = 1 if sizes.shared else sizes.height * sizes.width
    maze_stride = sizes.actions * sizes.field**2 * cells if sizes.kernels > 1 else 0
    strides = (maze_stride, cells, 0 if sizes.shared else 1)
    return CallSizes(depth, sizes.batch, sizes.height, sizes.width, *strides)


class _Recursion(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        transition: Tensor,
        reward: Tensor,
        value: Tensor,
        depth: int,
        saved_layers: tuple[int, ...],
        launcher: Launcher,
        geometry: LaunchGeometry,
    ) -> Tensor:
        sizes, tape = sizes_of("cuda", transition, reward, value), any(ctx.needs_input_grad)
        inputs = [one.contiguous() for one in (transition, reward, value)]
        slots = torch.full((depth,), -1, dtype=torch.int32)
        slots[torch.tensor(saved_layers) - 1] = torch.arange(len(saved_layers), dtype=torch.int32)
        slots = slots.to(reward.device)
        saved = reward.new_empty((len(saved_layers), *reward.shape))
        kept = (depth if tape else 0, *reward.shape)
        summed = reward.new_empty(kept)
        winners = torch.empty(kept, dtype=torch.uint8, device=reward.device)
        arrays = (*inputs, slots, saved, summed, winners)
        launcher.run(
            Launch(
                "forward",
                geometry,
                tape=tape,
                clusters=sizes.batch,
                shared_floats=geometry.shared_floats(sizes, backward=False),
                pointers=[one.data_ptr() for one in arrays],
                sizes=_call_sizes(sizes, depth),
            )
        )
        ctx.save_for_backward(inputs[0], reward, slots, summed, winners)
        ctx.settings = (sizes, depth, launcher, geometry)
        return saved

    @staticmethod
    def backward(ctx: Any, grad_saved: Tensor) -> Any:
        transition, reward, slots, summed, winners = ctx.saved_tensors
        sizes, depth, launcher, geometry = ctx.settings
        grad_saved = grad_saved.contiguous()
        grad = reward.new_zeros((sizes.batch, *transition.shape[1:3], *reward.shape[1:]))
        grad_reward, grad_value = torch.empty_like(reward), torch.empty_like(reward)
        arrays = (transition, slots, grad_saved, summed, winners, grad, grad_reward, grad_value)
        launcher.run(
            Launch(
                "backward",
                geometry,
                tape=True,
                clusters=sizes.batch,
                shared_floats=geometry.shared_floats(sizes, backward=True),
                pointers=[one.data_ptr() for one in arrays],
                sizes=_call_sizes(sizes, depth),
            )
        )
        if sizes.shared:
            grad = grad.sum(dim=(3, 4), keepdim=True)
        if sizes.kernels == 1:
            grad = grad.sum(dim=0, keepdim=True)
        return grad, grad_reward, grad_value, None, None, None, None
