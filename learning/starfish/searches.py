"""Many searches at once, by geometry, each for many targets: the world in which policies learn.

What a policy is told does not depend on where the target is, as a search ends when it is seen. So
each search goes to its end, and counts the share of its targets that are found in each step: the
expected reward instead of a drawn one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray
from learning.starfish.body_sight import BodySight, Observations
from learning.starfish.episodes import (
    Failures,
    draw_failures,
    draw_targets,
    facing,
    joints_of,
    moved,
    observe,
)
from learning.starfish.options import BodySearchOptions

SearchNumbers = npt.NDArray[np.int64]


class BodySearches:
    """``N`` searches, each for ``M`` targets that none of its live cameras sees at the start.

    Args:
        sight: what cameras see.
        settings: of the task, by turns: search k has those of number k modulo their number.
        count: N.
        targets: M.
        seed: of everything that is drawn.

    Attributes:
        command: ``(N, limbs, joints)`` from -1 to 1.
        left: ``(N, M)`` how probable it is that a target has not been found yet.
        steps: ``(N,)`` since the start.
    """

    def __init__(
        self,
        sight: BodySight,
        settings: Sequence[BodySearchOptions],
        count: int,
        targets: int,
        seed: int,
    ) -> None:
        self.sight, self.settings = sight, tuple(settings)
        self.count, self.targets = count, targets
        self.options = self.settings[0]  # all but what fails is the same in all
        self.rng = np.random.default_rng(seed)
        self.command = np.zeros((count, sight.limbs, sight.joints))
        self.steps = np.zeros(count, np.int64)
        self.place_m = np.zeros((count, targets, 3), np.float32)
        self.turn = np.zeros((count, targets, 3, 3), np.float32)
        shape = (count, sight.limbs, sight.cameras)
        flags = [np.zeros(shape, np.bool_) for _ in range(3)]
        self.failures = Failures(np.zeros(shape[:2], np.bool_), *flags)
        self.left = np.ones((count, targets))
        self._before = np.zeros((count, targets, *shape[1:]))
        self.reset()

    def reset(self) -> Observations:
        """Begin all searches.

        Returns:
            The observations.
        """
        every, every_target = np.arange(self.count), np.arange(1, self.targets)
        for number, options in enumerate(self.settings):
            own = every[every % len(self.settings) == number]
            self.failures.put(own, draw_failures(self.rng, len(own), self.sight, options))
        self.steps[:], self.left[:] = 0, 1.0
        rows, numbers = every, np.zeros_like(every)
        while len(rows):  # poses and their first targets together, as the task draws them
            self.command[rows] = self.rng.uniform(-1.0, 1.0, self.command[rows].shape)
            rows, numbers = self._draw_targets(rows, numbers)
        rows, numbers = np.repeat(every, self.targets - 1), np.tile(every_target, self.count)
        while len(rows):
            rows, numbers = self._draw_targets(rows, numbers)
        self._before = self.chances()
        return self.observation()

    def observation(self) -> Observations:
        """Return the observations ``(N, o)``."""
        return observe(self.command, self.failures, self.steps)

    def chances(self) -> FloatArray:
        """Return ``(N, M, limbs, c)`` how probable it is that each camera, if it worked, sees."""
        angles = joints_of(self.command, self.sight.limits_rad)
        return self.sight.chances(angles, self.place_m, self.turn)

    def step(self, action: npt.ArrayLike) -> tuple[Observations, FloatArray]:
        """Command ``(N, limbs, joints)`` from -1 to 1.

        Returns:
            Observations, and ``(N, 1 + limbs)``: the share of targets that are found in this step,
            then those that would not have been found without each limb.
        """
        self.command = moved(self.command, np.asarray(action), self.failures.works, self.options)
        self.steps += 1
        now, failures = self.chances(), self.failures
        shown = np.where(failures.late[:, None], self._before, now)
        self._before = now
        shown *= (failures.live & ~failures.blind)[:, None]
        missed = np.prod(1.0 - shown, axis=3)  # (N, M, limbs)
        others = np.prod(missed, axis=2, keepdims=True) / np.maximum(missed, 1e-9)
        alone = (self.left[:, :, None] * others * (1.0 - missed)).mean(axis=1)
        found = self.left * (1.0 - np.prod(missed, axis=2))
        self.left = self.left - found
        gained = np.concatenate([found.mean(axis=1)[:, None], alone], axis=1)
        return self.observation(), gained

    def _draw_targets(
        self, rows: SearchNumbers, numbers: SearchNumbers
    ) -> tuple[SearchNumbers, SearchNumbers]:
        """Draw targets, by their search and number.

        Returns:
            Search and number of those that are seen at once.
        """
        place, rpy = draw_targets(self.rng, len(rows), self.sight.middle_m, self.options)
        turn = facing(rpy)
        self.place_m[rows, numbers], self.turn[rows, numbers] = place, turn
        angles = joints_of(self.command[rows], self.sight.limits_rad)
        sees = self.sight.sees(angles, place.astype(np.float32), turn, self.rng)
        unlucky = (sees & self.failures.live[rows]).any((1, 2))
        return rows[unlucky], numbers[unlucky]
