"""Searchers of a whole body as ``/find_target`` runs them: joints in rad, cameras by number."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np

from asterias.arrays import BoolArray, FloatArray
from asterias.errors import UserError
from learning.starfish.body_sight import BodySight, Observations
from learning.starfish.episodes import Failures, draw_failures, joints_of, moved, observe
from learning.starfish.options import BodySearchOptions
from learning.starfish.policy import DEFAULT_POLICY, body_policies
from learning.starfish.searchers import (
    BODY_SEARCHERS,
    KNOWING,
    BodyPolicySearcher,
    make_body_searcher,
)
from learning.starfish.settings import LONGEST
from learning.target_finding.env.observation import Tiles

THEREAFTER = "together"


def best_body_policy(sight: BodySight) -> str:
    """Return the name of the best policy for a body; a searcher, where none was trained for it."""
    if DEFAULT_POLICY in body_policies() and (sight.limbs, sight.joints, sight.cameras) == (
        6,
        8,
        8,
    ):
        return DEFAULT_POLICY
    return THEREAFTER


class LiveBodySearcher:
    """A searcher for ``/find_target``, whose steps are no wider than in its training.

    A trained policy knows searches of :data:`LONGEST` steps; what is not found by then is looked
    for by belief, which has followed all looks.

    Args:
        name: of a searcher or policy, as ``python -m learning evaluate`` takes it.
        sight: of the robot.
        rng: source of randomness.
        works: tells ``(limbs,)`` which limbs work now.

    Raises:
        UserError: there is none, or it was made for another robot.
    """

    wants_images = False

    def __init__(
        self,
        name: str,
        sight: BodySight,
        rng: np.random.Generator,
        works: Callable[[], BoolArray],
    ) -> None:
        if name == KNOWING:
            raise UserError(f"'{KNOWING}' has to be told where the target is: simulation alone.")
        self._sight, self._works = sight, works
        self._options = BodySearchOptions()
        self._searcher = make_body_searcher(name, sight, self._options)
        if isinstance(self._searcher, BodyPolicySearcher):
            trained = self._searcher.policy.card.get("options", {})
            increment = float(trained.get("increment", self._options.increment))
            self._options = BodySearchOptions(increment=increment)
        self._searcher.start(rng)
        self._belief = BODY_SEARCHERS.get(THEREAFTER)(sight, self._options)
        self._belief.start(rng)
        self._steps = 0
        self._past: list[Observations] = []

    def warm_up(self) -> None:
        """Load or compile what a search needs."""
        middle = self._sight.limits_rad.mean(axis=-1)
        self._searcher.act(
            observe(
                0.0 * middle[None],
                draw_failures(np.random.default_rng(0), 1, self._sight, self._options),
                np.zeros(1, np.int64),
            )[0]
        )

    def act(
        self, position_rad: FloatArray, live: Collection[int], tiles: Tiles | None = None
    ) -> FloatArray:
        """Return the next ``(limbs joints,)`` positions to command, in rad.

        Args:
            position_rad: ``(limbs joints,)`` commanded last.
            live: numbers of the cameras that work, through all limbs.
            tiles: unused.
        """
        sight = self._sight
        low, high = sight.limits_rad[..., 0], sight.limits_rad[..., 1]
        angles = position_rad.reshape(sight.limbs, sight.joints)
        command = np.clip(2.0 * (angles - low) / (high - low) - 1.0, -1.0, 1.0)[None]
        flat = np.zeros(sight.limbs * sight.cameras, np.bool_)
        flat[list(live)] = True
        flags = flat.reshape(1, sight.limbs, sight.cameras)
        works = self._works()[None] & flags.any(axis=2)
        nothing = np.zeros_like(flags)
        failures = Failures(works, flags & works[:, :, None], nothing, nothing)
        observation = observe(command, failures, np.array([self._steps]))[0]
        self._steps += 1
        self._past.append(observation)
        if self._steps > LONGEST and isinstance(self._searcher, BodyPolicySearcher):
            while self._past:
                wanted = self._belief.act(self._past.pop(0))
        else:
            wanted = self._searcher.act(observation)
        goal: FloatArray = joints_of(
            moved(command, wanted, works, self._options)[0], sight.limits_rad
        )
        return goal.ravel()
