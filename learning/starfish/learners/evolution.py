"""PGPE of :mod:`learning.policy_search` on whole-body searches, all policies of a batch at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from asterias.arrays import FloatArray
from learning.policy_search.algorithms.evolution import PGPE
from learning.policy_search.common.architecture import PolicyArchitecture
from learning.policy_search.common.rollouts import PolicyEpisode
from learning.starfish.body_sight import BodySight
from learning.starfish.environment import StarfishTargetFindingEnv
from learning.starfish.episodes import COUNTED_STEPS, joints_of, moved, observe, views_of_limbs
from learning.starfish.policy import BodyPolicy
from learning.starfish.searches import BodySearches
from learning.starfish.settings import GAMMA, LONGEST, WITHIN, BodyTraining, OnBodyProgress

_SEARCHES, _TARGETS = 24, 8


class BodyPGPE(PGPE):
    """PGPE whose policies of an iteration all run the same searches, by geometry.

    Args:
        training: what is trained; its policies are linear.
        sight: what cameras see.
    """

    def __init__(self, training: BodyTraining, sight: BodySight) -> None:
        self.training, self.sight = training, sight
        self.searches = BodySearches(sight, training.settings, _SEARCHES, _TARGETS, training.seed)
        self.found: list[float] = []
        moves = sight.joints * (1 if training.sharing == "limbs" else sight.limbs)
        form = PolicyArchitecture(
            observations=sight.limbs * (sight.joints + sight.cameras + 1) + COUNTED_STEPS,
            low=(-1.0,) * moves,
            high=(1.0,) * moves,
        )
        super().__init__(
            "LinearPolicy",
            partial(StarfishTargetFindingEnv, training.options),
            seed=training.seed,
            architecture=form,
            normalise=False,
            pairs=30,
            sigma=0.3,
            learning_rate=10.0,
            std_learning_rate=0.05,
        )

    def run_policies(
        self,
        thetas: Sequence[FloatArray],
        *,
        keep: bool = False,
        alike: Sequence[int] | None = None,
    ) -> list[PolicyEpisode]:
        """Run each vector on the same new searches.

        Args:
            thetas: vectors ``(n,)``.
            keep: unused: nobody asks for transitions.
            alike: unused: all searches are the same.

        Returns:
            A result for each, in order: a find after s steps counts ``GAMMA ** (s - 1)``.
        """
        self.searches.reset()
        weight, bias = (np.stack(part) for part in zip(*map(self._layer, thetas), strict=True))
        gains = self._gains(weight, bias)
        returns = (gains * GAMMA ** np.arange(LONGEST)).sum(axis=1)
        self.num_timesteps += len(thetas) * self.searches.count * LONGEST
        self.num_episodes += len(thetas) * self.searches.count
        self.found.append(float(gains[:, :WITHIN].sum(axis=1).mean()))
        return [
            PolicyEpisode(float(value), float(value), LONGEST, self.statistics, {})
            for value in returns
        ]

    def policy(self) -> BodyPolicy:
        """Return the mean policy so far."""
        layer = self._layer(self.theta)
        return BodyPolicy((layer,), self.training.sharing, self.sight.limbs, {}, squashed=True)

    def _layer(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        ((weight, bias),) = self.architecture.layers(theta)
        return weight, bias

    def _gains(self, weight: FloatArray, bias: FloatArray) -> FloatArray:
        """Return ``(k, steps)`` shares of targets found in each step by each of k policies."""
        starts, sight = self.searches, self.sight
        count, failures, options = len(weight), starts.failures, starts.options
        limits = sight.limits_rad
        shows = (failures.live & ~failures.blind)[:, None]
        command = np.repeat(starts.command[None], count, axis=0)
        left = np.ones((count, starts.count, starts.targets))
        gains = np.zeros((count, LONGEST))
        for step in range(LONGEST):
            now = np.full(starts.count, step)
            for k in range(count):
                told = observe(command[k], failures, now)
                if self.training.sharing == "limbs":
                    told = views_of_limbs(told, sight.limbs)
                action = np.tanh(told @ weight[k].T + bias[k])
                command[k] = moved(command[k], action, failures.works, options)
                angles = joints_of(command[k], limits)
                chances = sight.chances(angles, starts.place_m, starts.turn) * shows
                found = left[k] * (1.0 - np.prod(1.0 - chances, axis=(2, 3)))
                left[k] -= found
                gains[k, step] = found.mean()
        return gains


def train_pgpe(training: BodyTraining, sight: BodySight, told: OnBodyProgress) -> BodyPolicy:
    """Return a linear policy learned by PGPE."""
    model = BodyPGPE(training, sight)
    while model.num_timesteps < training.steps:
        model._iterate()
        told(min(model.num_timesteps, training.steps), float(np.mean(model.found[-20:])))
    return model.policy()
