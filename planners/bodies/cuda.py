"""The operator on a GPU: not there yet. The reference body serves a GPU meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def value_iteration(
    transition: Tensor,
    reward: Tensor,
    depth: int,
    keep: Sequence[int],
    value: Tensor,
    forced: Tensor | None,
) -> Tensor:
    """Raise ``NotImplementedError``: the fused GPU body has not been written."""
    raise NotImplementedError(
        "the fused GPU body of value_iteration is not there yet: use body='reference' on a GPU."
    )
