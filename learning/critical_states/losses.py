"""What makes a mask over time good: sufficiency, necessity, sparsity (arXiv 2308.07795)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from learning.critical_states.networks import ReturnPredictor

# A predictor that is never quite certain has gradients left for the detector to learn from.
_SMOOTHING = 0.1


@dataclass(frozen=True)
class MaskLosses:
    """The detector's losses, each a number.

    Attributes:
        sufficiency: of the return's prediction from what the mask keeps.
        necessity: squared difference between what is predicted from the rest, and from nothing.
        sparsity: sum of a clip's mask.
        spurious: likewise, of clips whose class is not to be explained.
    """

    sufficiency: torch.Tensor
    necessity: torch.Tensor
    sparsity: torch.Tensor
    spurious: torch.Tensor

    def values(self) -> dict[str, float]:
        """Return them as numbers, by name."""
        return {
            "sufficiency": self.sufficiency.item(),
            "necessity": self.necessity.item(),
            "sparsity": self.sparsity.item(),
            "spurious": self.spurious.item(),
        }


def mask_losses(
    predictor: ReturnPredictor,
    mask: torch.Tensor,
    features: torch.Tensor,
    nothing: torch.Tensor,
    target: torch.Tensor,
    classes: int,
    explained: tuple[int, ...] = (),
) -> MaskLosses:
    """Return the losses of masks.

    "Uninformative" is what the predictor says of a clip without any frame. The paper takes equal
    probabilities in its grid world, and 0 where returns are numbers.

    Args:
        predictor: of the return.
        mask: ``(B, T)`` in [0, 1].
        features: ``(B, T, F)`` of the frames.
        nothing: ``(1, 1, F)`` of a black frame.
        target: ``(B,)`` classes or returns.
        classes: 0 for returns.
        explained: classes whose clips count for sufficiency and necessity; empty for all.
    """
    sums = mask.sum(1)
    own = torch.isin(target, torch.tensor(explained)) if explained else sums >= 0
    spurious = (sums * ~own).sum() / (~own).sum().clamp(min=1)
    if not own.any():
        none = 0.0 * spurious
        return MaskLosses(none, none, none, spurious)
    mask, features, target = mask[own], features[own], target[own]
    kept = mask[..., None]
    whole = predictor(kept * features + (1 - kept) * nothing)
    rest = predictor((1 - kept) * features + kept * nothing)
    with torch.no_grad():
        empty = predictor(nothing.expand(1, features.shape[1], -1))
    if classes:
        rest, empty = rest.softmax(1), empty.softmax(1)
    return MaskLosses(
        return_loss(whole, target, classes),
        ((rest - empty) ** 2).sum(1).mean(),
        mask.sum(1).mean(),
        spurious,
    )


def return_loss(out: torch.Tensor, target: torch.Tensor, classes: int) -> torch.Tensor:
    """Return the smoothed cross-entropy of classes, or the smooth absolute error of returns.

    Args:
        out: ``(B, outputs)``.
        target: ``(B,)``.
        classes: 0 for returns.
    """
    if classes:
        return functional.cross_entropy(out, target, label_smoothing=_SMOOTHING)
    return functional.smooth_l1_loss(out[:, 0], target)
