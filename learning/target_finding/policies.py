"""Searchers by name: whatever can answer "where next?" for the target-finding task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from hardware.limb import FloatArray
from learning.target_finding.brownian import BrownianSearcher


class Searcher(Protocol):
    """A policy of the target-finding task."""

    def act(self, position_rad: FloatArray) -> FloatArray:
        """Next ``(n,)`` positions to command, from the last commanded ones."""


Maker = Callable[[FloatArray, FloatArray, np.random.Generator], Searcher]

_MAKERS: dict[str, Maker] = {
    "bmms": lambda low, high, rng: BrownianSearcher(low, high, single=False, rng=rng),
    "bmss": lambda low, high, rng: BrownianSearcher(low, high, single=True, rng=rng),
}

DEFAULT_POLICY = "bmms"


def policy_names() -> list[str]:
    """Names that :func:`make_searcher` knows."""
    return sorted(_MAKERS)


def make_searcher(
    name: str, lower_rad: FloatArray, upper_rad: FloatArray, rng: np.random.Generator
) -> Searcher:
    """The searcher called ``name`` (the default for an empty name) for ``(n,)`` limits.

    Raises:
        ValueError: there is none of that name.
    """
    name = name or DEFAULT_POLICY
    if name not in _MAKERS:
        raise ValueError(f"Unknown policy '{name}'; known are {', '.join(policy_names())}.")
    return _MAKERS[name](lower_rad, upper_rad, rng)
