"""The operator in plain PyTorch: slow, on any device, and obviously right.

The other backends are tested against it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from planners.operator.arguments import OperatorInputs


def action_values(transition: Tensor, reward: Tensor, value: Tensor) -> Tensor:
    """Return Q ``(B, A, H, W)``, for each latent action the kernel-weighted sum of R + V around."""
    batch, height, width = reward.shape
    field = int(transition.shape[2] ** 0.5)
    patches = functional.unfold((reward + value).unsqueeze(1), field, padding=field // 2)
    patches = patches.view(batch, 1, field * field, height, width)
    return (transition * patches).sum(dim=2)


def value_iteration(inputs: OperatorInputs) -> Tensor:
    """Return V after the saved layers: ``(len(saved_layers), B, H, W)``."""
    value, forced, saved = inputs.value, inputs.forced, []
    for layer in range(inputs.depth):
        q = action_values(inputs.transition, inputs.reward, value)
        if forced is None:
            value = q.amax(dim=1) if not q.requires_grad else q.max(dim=1).values
        else:
            choice = torch.where(forced[layer] < 0, q.argmax(dim=1), forced[layer].long())
            value = q.gather(1, choice.unsqueeze(1)).squeeze(1)
        if layer + 1 in inputs.saved_layers:
            saved.append(value)
    return torch.stack(saved)
