"""Searchers by name: whatever can answer "where next?" for the target-finding task."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

import numpy as np

from asterias.arrays import FloatArray
from learning.target_finding.env.observation import Tiles
from learning.target_finding.policies.brownian import BrownianSearcher
from learning.target_finding.policies.policy_files import (
    PolicySearcher,
    find_policy,
    trained_policies,
)


class Searcher(Protocol):
    """A policy of the target-finding task."""

    @property
    def wants_images(self) -> bool:
        """Whether it must be given the cameras' pictures."""

    def act(
        self, position_rad: FloatArray, live: Collection[int], tiles: Tiles | None = None
    ) -> FloatArray:
        """Next ``(n,)`` positions to command, from the last commanded ones and live cameras.

        ``tiles`` ``(c, H, W)`` are grey pictures of all cameras, black where one is dead.
        """


Maker = Callable[[FloatArray, FloatArray, np.random.Generator], Searcher]

_MAKERS: dict[str, Maker] = {
    "bmms": lambda low, high, rng: BrownianSearcher(low, high, single=False, rng=rng),
    "bmss": lambda low, high, rng: BrownianSearcher(low, high, single=True, rng=rng),
}

DEFAULT_POLICY = "bmms"
# The trained policy for so many dead cameras; the last one for more.
BEST = ("ppo_kill0", "ppo_kill1", "ppo_kill12")


def best_policy(joints: int, cameras: int, dead: int) -> str:
    """Name of the best policy for a limb of which so many cameras are dead.

    A baseline, where no policy was trained for such a limb.
    """
    name = BEST[min(dead, len(BEST) - 1)]
    if name not in trained_policies():
        return DEFAULT_POLICY
    card = find_policy(name).card
    trained = len(card["options"]["command_range"]), int(card.get("cameras", 4))
    return name if trained == (joints, cameras) else DEFAULT_POLICY


def policy_names() -> list[str]:
    """Names that :func:`make_searcher` knows."""
    return [*sorted(_MAKERS), *trained_policies()]


def make_searcher(
    name: str,
    lower_rad: FloatArray,
    upper_rad: FloatArray,
    rng: np.random.Generator,
    *,
    cameras: int,
) -> Searcher:
    """The searcher called ``name`` (the default for an empty name) for a limb.

    Args:
        name: a baseline, one of the trained policies, or the path of one.
        lower_rad, upper_rad: ``(n,)`` limits of the joints.
        rng: source of the searcher's randomness.
        cameras: number of the limb's cameras, dead ones included.

    Raises:
        ValueError: there is none of that name, or it does not fit the limb.
    """
    name = name or DEFAULT_POLICY
    if name in _MAKERS:
        return _MAKERS[name](lower_rad, upper_rad, rng)
    if name in trained_policies() or Path(name).exists():
        return PolicySearcher.on_limb(name, lower_rad, upper_rad, cameras, rng)
    raise ValueError(
        f"Unknown policy '{name}': neither a path nor one of {', '.join(policy_names())}."
    )
