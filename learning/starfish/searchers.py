"""Searchers for a whole body: what trained policies are measured beside.

A searcher is told what the environment observes, and returns the next commands of all servos.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from asterias.arrays import BoolArray, FloatArray
from asterias.registry import Registry
from learning.starfish.body_sight import BodySight, Observations
from learning.starfish.episodes import COUNTED_STEPS, draw_targets, facing, joints_of
from learning.starfish.options import BodySearchOptions
from learning.starfish.policy import BodyPolicy, check_fit, load_body_policy

# Of a belief: targets that stand for all, and poses that are compared in each step.
_TARGETS, _POSES = 192, 48
# Poses among which one that knows the target looks for those that see it.
_KNOWN_POSES = 512
# Servos and rods miss a pose by a little: a tag near the picture's edge may be lost.
_MARGIN_PX = 5.0


class BodySearcher(Protocol):
    """Chooses where all limbs go."""

    def start(self, rng: np.random.Generator) -> None:
        """Forget the last search."""

    def act(self, observation: Observations) -> FloatArray:
        """Return ``(limbs, joints)`` commands from -1 to 1 for an observation ``(o,)``."""


class ToldBody:
    """What an observation says.

    Args:
        observation: ``(o,)``.
        sight: of the robot.

    Attributes:
        command: ``(limbs, joints)``.
        live: ``(limbs, c)`` cameras that are alive.
        works: ``(limbs,)`` limbs that work.
    """

    def __init__(self, observation: Observations, sight: BodySight) -> None:
        table = observation[:-COUNTED_STEPS].reshape(sight.limbs, -1)
        self.command: FloatArray = table[:, : sight.joints].astype(np.float64)
        self.live: BoolArray = table[:, sight.joints : -1] > 0.5
        self.works: BoolArray = table[:, -1] > 0.5


class BodyPolicySearcher:
    """A trained policy.

    Args:
        policy: made for this robot.
    """

    def __init__(self, policy: BodyPolicy) -> None:
        self.policy = policy

    def start(self, rng: np.random.Generator) -> None:
        """Do nothing: it has no memory."""

    def act(self, observation: Observations) -> FloatArray:
        """Return the network's commands."""
        command: FloatArray = self.policy.act(observation[None])[0]
        return command


class RandomSearcher:
    """Brownian search of all servos, as the paper's BMMS: anywhere, at random.

    Args:
        sight: of the robot.
    """

    def __init__(self, sight: BodySight, options: BodySearchOptions) -> None:
        self._sight = sight

    def start(self, rng: np.random.Generator) -> None:
        """Take the source of randomness."""
        self._rng = rng

    def act(self, observation: Observations) -> FloatArray:
        """Return random commands."""
        command: FloatArray = self._rng.uniform(-1.0, 1.0, (self._sight.limbs, self._sight.joints))
        return command


class BodyBeliefSearcher:
    """Looks where the target may still be: poses at random, of which the best is taken.

    As the grid filter of a single limb it keeps how probable each place still is after all looks
    that saw nothing, and goes where it is most probable to be seen.

    Args:
        sight: of the robot.
        options: of the task: where targets are, and how far a step goes.
        together: limbs choose in turn, each what those before it leave; otherwise each limb
            searches as if it were alone, from what its own cameras have looked at.
    """

    def __init__(self, sight: BodySight, options: BodySearchOptions, *, together: bool) -> None:
        self._sight, self._options, self._together = sight, options, together

    def start(self, rng: np.random.Generator) -> None:
        """Draw places, all as probable."""
        self._rng = rng
        place, rpy = draw_targets(rng, _TARGETS, self._sight.middle_m, self._options)
        self._place, self._turn = place.astype(np.float32), facing(rpy)
        self._left = np.ones((self._sight.limbs, _TARGETS))

    def act(self, observation: Observations) -> FloatArray:
        """Return the poses from which most of what is left is seen."""
        told, limbs = ToldBody(observation, self._sight), self._sight.limbs
        self._look_from(told)
        reach = self._options.increment
        wanted = self._rng.uniform(-1.0, 1.0, (_POSES, *told.command.shape))
        wanted[_POSES // 2 :] = np.sign(wanted[_POSES // 2 :])  # as far as a step goes
        poses = np.clip(told.command + np.clip(wanted, -reach, reach), -1.0, 1.0)
        if reach >= 1.0:
            poses = wanted
        missed = self._missed(poses, told.live)  # (poses, targets, limbs)
        left = self._left.copy()
        chosen: FloatArray = told.command.copy()
        for limb in self._rng.permutation(limbs):
            if not told.works[limb]:
                continue
            gain = (left[limb] * (1.0 - missed[:, :, limb])).sum(axis=1)
            best = int(gain.argmax())
            chosen[limb] = poses[best, limb]
            if self._together:
                left *= missed[best, :, limb]
        return chosen

    def _look_from(self, told: ToldBody) -> None:
        """Take in that nothing is seen from the present pose."""
        missed = self._missed(told.command[None], told.live)[0]
        self._left *= np.prod(missed, axis=1) if self._together else missed.T

    def _missed(self, poses: FloatArray, live: BoolArray) -> FloatArray:
        """Return ``(k, targets, limbs)`` how probable it is that a limb sees nothing of it."""
        angles = joints_of(poses, self._sight.limits_rad)
        count = len(poses)
        place = np.repeat(self._place[None], count, axis=0)
        turn = np.repeat(self._turn[None], count, axis=0)
        chances = self._sight.chances(angles, place, turn) * live
        missed: FloatArray = np.prod(1.0 - chances, axis=3)
        return missed


class KnowingSearcher:
    """Knows where the target is: each limb goes to the nearest of many poses that see it.

    Its steps are few, not fewest: poses are drawn, and what rods and links do besides is not known.

    Args:
        sight: of the robot.
        options: of the task.
    """

    def __init__(self, sight: BodySight, options: BodySearchOptions) -> None:
        self._sight, self._options = sight.with_margin(_MARGIN_PX), options
        self.target: tuple[Observations, Observations] | None = None

    def start(self, rng: np.random.Generator) -> None:
        """Take the source of randomness."""
        self._rng = rng

    def act(self, observation: Observations) -> FloatArray:
        """Return commands that lead limbs to where they see the target."""
        assert self.target is not None, "whoever runs it says where the target is"
        told, reach = ToldBody(observation, self._sight), self._options.increment
        shape = (_KNOWN_POSES // 2, *told.command.shape)
        near = np.clip(told.command + self._rng.uniform(-reach, reach, shape), -1.0, 1.0)
        far = self._rng.uniform(-1.0, 1.0, shape)
        poses = np.concatenate([near, far])
        place = np.repeat(self.target[0], len(poses), axis=0)
        turn = np.repeat(self.target[1], len(poses), axis=0)
        angles = joints_of(poses, self._sight.limits_rad)
        chance = (self._sight.chances(angles, place, turn) * told.live).max(axis=2)
        away = np.abs(poses - told.command).max(axis=2)
        steps = np.ceil(np.maximum(away, 1e-9) / reach)
        cost = np.where((chance > 0) & told.works, steps - chance, np.inf)
        limbs = np.arange(self._sight.limbs)
        chosen: FloatArray = poses[cost.argmin(axis=0), limbs]
        return chosen


BodyMaker = Callable[[BodySight, BodySearchOptions], BodySearcher]
KNOWING = "knows"
BODY_SEARCHERS: Registry[BodyMaker] = Registry("whole-body searcher")
BODY_SEARCHERS.register("random", RandomSearcher)
BODY_SEARCHERS.register("alone", lambda s, o: BodyBeliefSearcher(s, o, together=False))
BODY_SEARCHERS.register("together", lambda s, o: BodyBeliefSearcher(s, o, together=True))


def make_body_searcher(name: str, sight: BodySight, options: BodySearchOptions) -> BodySearcher:
    """Return a searcher, or a trained policy, by name or path.

    Passes on ``UserError``: there is none, or it was made for another robot.
    """
    if name == KNOWING:
        return KnowingSearcher(sight, options)
    if name in BODY_SEARCHERS.names():
        return BODY_SEARCHERS.get(name)(sight, options)
    policy = load_body_policy(name)
    check_fit(policy, sight.limbs, sight.joints, sight.cameras)
    return BodyPolicySearcher(policy)
