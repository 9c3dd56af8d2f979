"""Maps from logits to distributions that hold exact zeros, with their gradients.

A softmax never gives zero: of each kernel a little stays on walls, and over a path of thousands of
steps it adds up to a short cut. These maps put nothing there:

- ``sparsemax``: the distribution nearest to the logits (Martins and Astudillo, ICML 2016).
- ``entmax15``: between softmax and sparsemax, alpha = 1.5 (Peters, Niculae and Martins, ACL 2019).
- ``thresholded``: a softmax of which entries below a share of the largest become zero.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx


class _Context(FunctionCtx):
    saved_tensors: tuple[Tensor, ...]
    dim: int


def _ranks(logits: Tensor, dim: int) -> Tensor:
    """Return 1, 2, ... along ``dim``, to be broadcast."""
    shape = [1] * logits.ndim
    shape[dim] = -1
    return torch.arange(1, logits.shape[dim] + 1, device=logits.device, dtype=logits.dtype).view(
        shape
    )


class _Sparsemax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _Context, logits: Tensor, dim: int) -> Tensor:
        logits = logits - logits.amax(dim=dim, keepdim=True)
        falling = logits.sort(dim=dim, descending=True).values
        sums = falling.cumsum(dim=dim) - 1
        ranks = _ranks(logits, dim)
        size = (ranks * falling > sums).sum(dim=dim, keepdim=True)
        threshold = sums.gather(dim, size - 1) / size
        result = (logits - threshold).clamp(min=0)
        ctx.save_for_backward(result)
        ctx.dim = dim
        return result

    @staticmethod
    def backward(ctx: _Context, grad: Tensor) -> tuple[Tensor, None]:
        (result,) = ctx.saved_tensors
        inside = (result > 0).to(grad.dtype)
        mean = (grad * inside).sum(dim=ctx.dim, keepdim=True) / inside.sum(
            dim=ctx.dim, keepdim=True
        )
        return inside * (grad - mean), None


class _Entmax15(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _Context, logits: Tensor, dim: int) -> Tensor:
        logits = (logits - logits.amax(dim=dim, keepdim=True)) / 2
        falling = logits.sort(dim=dim, descending=True).values
        ranks = _ranks(logits, dim)
        mean = falling.cumsum(dim=dim) / ranks
        square = falling.square().cumsum(dim=dim) / ranks
        spread = ranks * (square - mean.square())
        thresholds = mean - ((1 - spread) / ranks).clamp(min=0).sqrt()
        size = (thresholds <= falling).sum(dim=dim, keepdim=True)
        result = (logits - thresholds.gather(dim, size - 1)).clamp(min=0).square()
        ctx.save_for_backward(result)
        ctx.dim = dim
        return result

    @staticmethod
    def backward(ctx: _Context, grad: Tensor) -> tuple[Tensor, None]:
        (result,) = ctx.saved_tensors
        root = result.sqrt()
        mean = (grad * root).sum(dim=ctx.dim, keepdim=True) / root.sum(dim=ctx.dim, keepdim=True)
        return root * (grad - mean), None


def sparsemax(logits: Tensor, dim: int) -> Tensor:
    """Return the distribution nearest to ``logits`` along ``dim``; one-hot if one leads by 1."""
    result: Tensor = _Sparsemax.apply(logits, dim)  # type: ignore[no-untyped-call]
    return result


def entmax15(logits: Tensor, dim: int) -> Tensor:
    """Return the 1.5-entmax of ``logits`` along ``dim``; one-hot if one leads by 2."""
    result: Tensor = _Entmax15.apply(logits, dim)  # type: ignore[no-untyped-call]
    return result


def thresholded(logits: Tensor, share: Tensor, dim: int) -> Tensor:
    """Return a softmax along ``dim`` whose entries below ``share`` of the largest are zero.

    What is left is lowered by the threshold and made to sum to one, so that it is continuous.

    Args:
        logits: any shape.
        share: a scalar from 0 to 1, trained with the rest.
        dim: axis.
    """
    soft = torch.softmax(logits, dim=dim)
    left = (soft - share * soft.amax(dim=dim, keepdim=True)).clamp(min=0)
    return left / left.sum(dim=dim, keepdim=True)
