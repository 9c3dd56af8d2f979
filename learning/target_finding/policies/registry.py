"""Searchers of the target-finding task by name: baselines, beliefs and trained policies."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol, runtime_checkable

import numpy as np

from asterias.arrays import FloatArray, ImageArray
from asterias.errors import UserError
from asterias.registry import Registry
from hardware.description.robot import RobotDescription, load_robot
from learning.inference.renyi import check_order
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


@runtime_checkable
class Believer(Searcher, Protocol):
    """A searcher with a belief about where the target is."""

    def found(self, position_rad: FloatArray, live: Collection[int], seeing: list[int]) -> None:
        """Take in that some of the live cameras see the target."""

    def picture(self) -> ImageArray:
        """Return the belief as ``(H, W, 3)`` RGB."""


Maker = Callable[[FloatArray, FloatArray, np.random.Generator], Searcher]

# The paper's names: Brownian motion of multiple servos, and of a single one.
BASELINES: Registry[Maker] = Registry("baseline")
BASELINES.register(
    "bmms", lambda low, high, rng: BrownianSearcher(low, high, single=False, rng=rng)
)
BASELINES.register("bmss", lambda low, high, rng: BrownianSearcher(low, high, single=True, rng=rng))

BeliefMaker = Callable[[RobotDescription, int, str, np.random.Generator], Searcher]

# Searchers that know the limb and remember where they looked. What follows the name after a colon
# sets one up: ``renyi:0.3`` is of order 0.3.
BELIEFS: Registry[BeliefMaker] = Registry("belief searcher")


@BELIEFS.register("renyi")
def _make_renyi(
    robot: RobotDescription, limb: int, setting: str, rng: np.random.Generator
) -> Searcher:
    """Return a searcher by a fit of the order that ``setting`` holds, if any.

    Raises:
        UserError: the setting is no order.
    """
    # Imported here: a node that runs another policy need not wait for machine code.
    from learning.target_finding.belief.searchers import DEFAULT_ALPHA, RenyiSearcher
    from learning.target_finding.belief.target_belief import view_table

    try:
        alpha = float(setting) if setting else DEFAULT_ALPHA
    except ValueError as error:
        text = f"'{shortened(setting)}' is no order of a Rényi divergence; try renyi:0.5."
        raise UserError(text) from error
    return RenyiSearcher(view_table(robot, limb), rng, check_order(alpha))


@BELIEFS.register("grid_filter")
def _make_grid_filter(
    robot: RobotDescription, limb: int, setting: str, rng: np.random.Generator
) -> Searcher:
    """Return a searcher by an exact filter.

    Raises:
        UserError: there is a setting.
    """
    from learning.target_finding.belief.searchers import GridFilterSearcher
    from learning.target_finding.belief.target_belief import view_table

    if setting:
        raise UserError(f"grid_filter takes no setting; leave out ':{shortened(setting)}'.")
    return GridFilterSearcher(view_table(robot, limb), rng)


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
    return [*sorted(BASELINES.names()), *sorted(BELIEFS.names()), *trained_policies()]


def is_searcher(name: str) -> bool:
    """Return whether a name is that of a searcher without training, with or without a setting."""
    return name in BASELINES or name.partition(":")[0] in BELIEFS


def make_searcher(
    name: str,
    lower_rad: FloatArray,
    upper_rad: FloatArray,
    rng: np.random.Generator,
    *,
    cameras: int,
    robot: RobotDescription | str | None = None,
    limb: int = 0,
) -> Searcher:
    """Return the searcher called ``name`` (the default for an empty name) for a limb.

    Args:
        name: a baseline, a belief searcher such as ``renyi`` or ``renyi:0.3``, one of the trained
            policies, or the path of one.
        lower_rad: ``(n,)`` lower limits of the joints.
        upper_rad: ``(n,)`` upper limits of the joints.
        rng: source of the searcher's randomness.
        cameras: number of the limb's cameras, dead ones included.
        robot: description of the robot, its name or path; belief searchers need it.
        limb: number of the limb.

    Returns:
        The searcher.

    Raises:
        UserError: there is none of that name, or it does not fit the limb.
    """
    name = name or DEFAULT_POLICY
    if name in BASELINES:
        return BASELINES.get(name)(lower_rad, upper_rad, rng)
    kind, _, setting = name.partition(":")
    if kind in BELIEFS:
        if robot is None:
            raise UserError(f"Policy '{kind}' needs the robot's description; none was given.")
        described = load_robot(robot) if isinstance(robot, str) else robot
        return BELIEFS.get(kind)(described, limb, setting, rng)
    if name in trained_policies() or path_of(name) is not None:
        return PolicySearcher.on_limb(name, lower_rad, upper_rad, cameras, rng)
    raise UserError(
        f"Unknown policy '{shortened(name)}': neither a path nor one of "
        f"{', '.join(policy_names())}."
    )
