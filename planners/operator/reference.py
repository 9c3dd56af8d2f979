"""The operator in plain PyTorch: slow, on any device, and obviously right. The other bodies are
tested against it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def action_values(transition: Tensor, reward: Tensor, value: Tensor) -> Tensor:
    """Return Q ``(B, A, H, W)``: for each latent action the kernel-weighted sum of R + V around the
    cell.
    """
    batch, height, width = reward.shape
    field = int(transition.shape[2] ** 0.5)
    patches = functional.unfold((reward + value).unsqueeze(1), field, padding=field // 2)
    patches = patches.view(batch, 1, field * field, height, width)
    return (transition * patches).sum(dim=2)


def value_iteration(
    transition: Tensor,
    reward: Tensor,
    depth: int,
    keep: Sequence[int],
    value: Tensor,
    forced: Tensor | None,
) -> Tensor:
    """Return V after the layers in ``keep``: ``(len(keep), B, H, W)``."""
    kept = []
    for layer in range(depth):
        q = action_values(transition, reward, value)
        if forced is None:
            value = q.amax(dim=1) if not q.requires_grad else q.max(dim=1).values
        else:
            choice = torch.where(forced[layer] < 0, q.argmax(dim=1), forced[layer].long())
            value = q.gather(1, choice.unsqueeze(1)).squeeze(1)
        if layer + 1 in keep:
            kept.append(value)
    return torch.stack(kept)
