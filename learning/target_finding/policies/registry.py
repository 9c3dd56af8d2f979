"""Searchers of the target-finding task by name: baselines and trained policies."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

import numpy as np

from asterias.arrays import FloatArray
from asterias.errors import UserError
from asterias.registry import Registry
from learning.target_finding.env.observation import Tiles
from learning.target_finding.policies.brownian import BrownianSearcher
from learning.target_finding.policies.policy_files import (
    PolicySearcher,
    find_policy,
    trained_policies,
)
from learning.target_finding.policies.weight_files import path_of, shortened


class Searcher(Protocol):
    """A policy of the target-finding task."""

    @property
    def wants_images(self) -> bool:
        """Whether it must be given the cameras' pictures."""

    def act(
        self, position_rad: FloatArray, live: Collection[int], tiles: Tiles | None = None
    ) -> FloatArray:
        """Return the next ``(n,)`` positions to command, from the last ones and live cameras.

        ``tiles`` ``(c, H, W)`` are grey pictures of all cameras, black where one is dead.
        """


Maker = Callable[[FloatArray, FloatArray, np.random.Generator], Searcher]

# The paper's names: Brownian motion of multiple servos, and of a single one.
BASELINES: Registry[Maker] = Registry("baseline")
BASELINES.register(
    "bmms", lambda low, high, rng: BrownianSearcher(low, high, single=False, rng=rng)
)
BASELINES.register("bmss", lambda low, high, rng: BrownianSearcher(low, high, single=True, rng=rng))

DEFAULT_POLICY = "bmms"
# The trained policy for 0, 1 and 2 dead cameras; the last one for more.
BEST = ("ppo_kill0", "ppo_kill1", "ppo_kill12")


def best_policy(joints: int, cameras: int, dead: int) -> str:
    """Return the name of the best policy for a limb with dead cameras.

    Args:
        joints: number of the limb's joints.
        cameras: number of its cameras.
        dead: how many of them are dead.

    Returns:
        A trained policy; a baseline, where none was trained for such a limb.
    """
    name = BEST[min(dead, len(BEST) - 1)]
    if name not in trained_policies():
        return DEFAULT_POLICY
    card = find_policy(name).card
    trained = len(card["options"]["command_range"]), int(card.get("cameras", 4))
    return name if trained == (joints, cameras) else DEFAULT_POLICY


def policy_names() -> list[str]:
    """Return the names that :func:`make_searcher` knows."""
    return [*sorted(BASELINES.names()), *trained_policies()]


def make_searcher(
    name: str,
    lower_rad: FloatArray,
    upper_rad: FloatArray,
    rng: np.random.Generator,
    *,
    cameras: int,
) -> Searcher:
    """Return the searcher called ``name`` (the default for an empty name) for a limb.

    Args:
        name: a baseline, one of the trained policies, or the path of one.
        lower_rad: ``(n,)`` lower limits of the joints.
        upper_rad: ``(n,)`` upper limits of the joints.
        rng: source of the searcher's randomness.
        cameras: number of the limb's cameras, dead ones included.

    Returns:
        The searcher.

    Raises:
        UserError: there is none of that name, or it does not fit the limb.
    """
    name = name or DEFAULT_POLICY
    if name in BASELINES:
        return BASELINES.get(name)(lower_rad, upper_rad, rng)
    if name in trained_policies() or path_of(name) is not None:
        return PolicySearcher.on_limb(name, lower_rad, upper_rad, cameras, rng)
    raise UserError(
        f"Unknown policy '{shortened(name)}': neither a path nor one of "
        f"{', '.join(policy_names())}."
    )
