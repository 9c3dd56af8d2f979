"""The acceptance test of command-conditioned learners: two actions, two goals, noise.

A learner that finds which action is best reaches ``alpha``; one that learns what was done when it
worked reaches ``alpha^2 + (1 - alpha)^2``, 0.52 instead of 0.60 at ``alpha`` 0.6, from uniform
behaviour (arXiv 2205.06595). The card of a learner says which.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from asterias.arrays import FloatArray
from asterias.errors import UserError
from learning.upside_down.learners import ACTIONS, GOALS, CommandedLearner, Episodes


@dataclass(frozen=True)
class AcceptanceCard:
    """What a learner reached.

    Attributes:
        alpha: probability that an action leads to its goal.
        episodes: in each round.
        rounds: the first learns from uniform behaviour, each other one from its predecessor's.
        reached: J after each round, of the learned probabilities, exactly.
        matching: J of a learner that matches probabilities.
        optimum: the largest J.
    """

    alpha: float
    episodes: int
    rounds: int
    reached: list[float]
    matching: float
    optimum: float

    @property
    def verdict(self) -> str:
        """Where the first round's J lies, in words."""
        first, middle = self.reached[0], (self.matching + self.optimum) / 2
        if self.optimum - self.matching < 1e-9:
            return "no noise: both are the same"
        return "finds the best action" if first > middle else "repeats what was done when it worked"

    def to_dict(self) -> dict[str, object]:
        """Return the card as it is written."""
        return {**asdict(self), "verdict": self.verdict}


def accept(
    make: Callable[[int], CommandedLearner],
    alpha: float = 0.6,
    episodes: int = 10_000,
    rounds: int = 1,
    seed: int = 0,
) -> AcceptanceCard:
    """Run a learner through the test.

    Args:
        make: takes a seed and returns the learner.
        alpha: probability that an action leads to its goal.
        episodes: in each round, goals drawn uniformly.
        rounds: 1 or more.
        seed: of learner and episodes.

    Returns:
        Its card.

    Raises:
        UserError: a number cannot be used.
    """
    if not 0 <= alpha <= 1 or episodes < 1 or rounds < 1:
        raise UserError("alpha must be from 0 to 1, episodes and rounds 1 or more.")
    rng, learner, reached = np.random.default_rng(seed), make(seed), []
    policy = np.full((GOALS, ACTIONS), 1 / ACTIONS)
    for _ in range(rounds):
        learner.fit(run_episodes(policy, alpha, episodes, rng))
        policy = np.array([learner.probabilities(goal) for goal in range(GOALS)])
        reached.append(_reached(policy, alpha))
    return AcceptanceCard(
        alpha=alpha,
        episodes=episodes,
        rounds=rounds,
        reached=[round(one, 5) for one in reached],
        matching=alpha**2 + (1 - alpha) ** 2,
        optimum=max(alpha, 1 - alpha),
    )


def run_episodes(
    policy: FloatArray, alpha: float, episodes: int, rng: np.random.Generator
) -> Episodes:
    """Run episodes of one decision.

    Args:
        policy: ``(2, 2)`` probabilities of the actions for each goal.
        alpha: probability that an action leads to its goal.
        episodes: how many.
        rng: of the draws.

    Returns:
        The episodes.
    """
    told = rng.integers(GOALS, size=episodes)
    actions = (rng.random(episodes) >= policy[told, 0]).astype(np.int64)
    got = np.where(rng.random(episodes) < alpha, actions, 1 - actions)
    return Episodes(told, actions, got)


def _reached(policy: FloatArray, alpha: float) -> float:
    leads = alpha * np.eye(GOALS) + (1 - alpha) * (1 - np.eye(GOALS))
    return float((policy * leads).sum(1).mean())
