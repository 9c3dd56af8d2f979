"""Rank correlation."""

from __future__ import annotations

import numpy as np

from asterias.arrays import FloatArray


def rank_correlation(one: FloatArray, other: FloatArray) -> float:
    """Return Spearman's rank correlation of ``(N,)`` and ``(N,)``; equal values share a rank."""
    ranks = []
    for values in (one, other):
        _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        ranks.append((counts.cumsum() - (counts - 1) / 2)[inverse])
    if min(np.std(ranks[0]), np.std(ranks[1])) == 0:
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])
