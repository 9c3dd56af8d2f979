"""A policy that is searched for: form, numbers, statistics it sees through, and its runs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import numpy as np
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from asterias.arrays import FloatArray
from asterias.errors import UserError
from learning.policy_search.common.architecture import (
    Actor,
    PolicyArchitecture,
    architecture_for,
)
from learning.policy_search.common.rollouts import (
    AnyEnv,
    EpisodeRules,
    MakeEnv,
    PolicyEpisode,
    Rollouts,
    environment_maker,
)
from learning.policy_search.common.statistics import RunningStatistics

# Streams of random numbers of one seed: episodes of training, and of evaluation.
TRAINING, EVALUATION = 0, 1


@dataclass(frozen=True)
class SearchOptions:
    """Options that all algorithms have.

    Attributes:
        hidden: units of the hidden layers; None takes the policy's own.
        stochastic: actions are drawn.
        log_std: of a Gaussian policy's draws, before the tanh.
        gamma: discount of the return that is learned from.
        survival_bonus: taken off each step's reward in that return.
        normalise: observations by their running mean and deviation.
        episode_limit: steps after which an episode is cut.
    """

    hidden: tuple[int, ...] | None = None
    stochastic: bool = False
    log_std: float = -0.5
    gamma: float = 1.0
    survival_bonus: float = 0.0
    normalise: bool = True
    episode_limit: int = 10_000


class SearchedPolicy:
    """What a learner searches for.

    Args:
        policy: ``LinearPolicy`` or ``MlpPolicy``.
        env: name of an environment of Gymnasium, an environment, or a function that makes one.
        seed: of everything.
        processes: that simulate, 1 for this one; any number gives the same numbers.
        worlds: that this process moves together in one loop, in place of processes; 0: none.
        architecture: of the policy, where it is known already.
        options: fields of :class:`SearchOptions` and of the algorithm's own ``settings_class``.

    Attributes:
        theta: ``(n,)`` the policy that is learned, and that :meth:`predict` runs.
        statistics: of observations, stored with the policy.
        notes: of whoever uses it, JSON; on the card, and the same when learning goes on.

    Raises:
        UserError: an option is unknown, or the environment does not fit.
    """

    name: ClassVar[str]
    settings_class: ClassVar[type[Any]]
    settings: Any

    def __init__(
        self,
        policy: str,
        env: str | AnyEnv | MakeEnv,
        *,
        seed: int,
        processes: int,
        worlds: int,
        architecture: PolicyArchitecture | None,
        options: dict[str, Any],
    ) -> None:
        self.seed = seed
        self.options, self.settings = self._split_options(options)
        make, there = environment_maker(env, max(processes, worlds))
        self.environment_name = env if isinstance(env, str) else _name_of(there)
        self.rollouts = Rollouts(make, processes, there, worlds)
        self.architecture = architecture or architecture_for(
            self.rollouts.env,
            policy,
            self.options.hidden,
            stochastic=self.options.stochastic,
            log_std=self.options.log_std,
        )
        self.rng = np.random.default_rng(np.random.SeedSequence(seed))
        self.statistics = RunningStatistics(self.architecture.observations)
        self.notes: dict[str, Any] = {}
        self.theta: FloatArray = np.zeros(self.architecture.parameters)
        self._vec_env: VecEnv | None = None

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[Any, Any]:
        """Return the action of the learned policy, and the state as it was.

        Args:
            observation: ``(o,)``, or ``(B, o)`` for many.
            state: of a recurrent policy; there is none here.
            episode_start: likewise.
            deterministic: take a stochastic policy's likeliest action.

        Returns:
            The action, or ``(B, ...)`` actions; and ``state``.
        """
        rng = None if deterministic else self.rng
        action = self.actor().act(np.asarray(observation, dtype=np.float64), rng)
        if self.architecture.low:
            action = np.asarray(action, dtype=np.float32)
        return action, state

    def get_env(self) -> VecEnv:
        """Return this process's environment as stable-baselines3's callbacks want it."""
        if self._vec_env is None:
            self._vec_env = DummyVecEnv([lambda: self.rollouts.env])
        return self._vec_env

    def card(self) -> dict[str, Any]:
        """Return what this learner is, as JSON."""
        card = {
            "algorithm": self.name,
            "environment": self.environment_name,
            "seed": self.seed,
            "form": asdict(self.architecture),
            "options": asdict(self.options),
            "settings": asdict(self.settings),
            "notes": self.notes,
        }
        plain: dict[str, Any] = json.loads(json.dumps(card))  # tuples are lists in JSON
        return plain

    def actor(self, theta: FloatArray | None = None) -> Actor:
        """Return a policy that acts: the learned one, or that of ``theta`` ``(n,)``."""
        chosen = self.theta if theta is None else theta
        return Actor(self.architecture, chosen, *self._normalisation())

    def evaluate(
        self,
        episodes: int,
        theta: FloatArray | None = None,
        form: PolicyArchitecture | None = None,
        *,
        keep: bool = False,
    ) -> list[PolicyEpisode]:
        """Run episodes of evaluation, whose seeds are those of no episode of training.

        Args:
            episodes: how many.
            theta: ``(n,)`` a policy; None takes the learned one.
            form: of that policy; None takes this learner's.
            keep: keep transitions.

        Returns:
            A result for each.
        """
        seeds = [self._seed(EVALUATION, i) for i in range(episodes)]
        chosen = self.theta if theta is None else theta
        return self.rollouts.run(
            form or self.architecture,
            [chosen] * episodes,
            seeds,
            self._normalisation(),
            self._rules(keep),
        )

    def normalised(self, observations: FloatArray) -> FloatArray:
        """Return observations ``(..., o)`` as policies see them."""
        mean, std = self._normalisation()
        seen: FloatArray = (observations - mean) / std
        return seen

    def close(self) -> None:
        """Close the environment."""
        self.rollouts.close()

    # -- parts --------------------------------------------------------------------------------

    def _split_options(self, given: dict[str, Any]) -> tuple[SearchOptions, Any]:
        common = {field.name for field in fields(SearchOptions)}
        own = {field.name for field in fields(self.settings_class)}
        unknown = sorted(set(given) - common - own)
        if unknown:
            raise UserError(
                f"{self.name} has no option {unknown[0]!r}; it has "
                f"{', '.join(sorted(own | common))}."
            )
        options = SearchOptions(**{k: v for k, v in given.items() if k in common})
        return options, self.settings_class(**{k: v for k, v in given.items() if k in own})

    def _normalisation(self) -> tuple[FloatArray, FloatArray]:
        if self.options.normalise:
            return self.statistics.mean, self.statistics.std
        return np.zeros_like(self.statistics.mean), np.ones_like(self.statistics.mean)

    def _rules(self, keep: bool) -> EpisodeRules:
        about = self.options
        return EpisodeRules(about.gamma, about.survival_bonus, about.episode_limit, keep)

    def _seed(self, stream: int, episode: int) -> int:
        words = np.random.SeedSequence((self.seed, stream, episode)).generate_state(1)
        return int(words[0]) % 2**31

    def get_vec_normalize_env(self) -> None:
        """Return None: observations are normalised by this object itself."""


def _name_of(env: Any) -> str:
    return str(env.spec.id) if env is not None and env.spec is not None else ""
