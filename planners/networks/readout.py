"""What a linear policy sees of the latent Q-values of a cell."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

Readout = Literal["centred", "bounded"]


def readout(q: Tensor, kind: Readout) -> Tensor:
    """Return what f^pi sees of Q ``(N, B, A, H, W)``: differences, for only they tell what to do.

    Args:
        q: latent Q-values.
        kind: ``centred``, each less their mean over the actions; or ``bounded``, -d / (1 + d) of
            each one's distance d to the best, from 0 for the best to -1 for those far below. Walls
            that fall behind by a constant at every layer drown the differences that matter in the
            first, and count no more than -1 in the second.
    """
    if kind == "centred":
        return q - q.mean(dim=2, keepdim=True)
    below = q.max(dim=2, keepdim=True).values - q
    return -below / (1 + below)
