"""Target finding in the nearest-pose copy, for learners that take an environment of Gymnasium."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from asterias.arrays import FloatArray
from learning.policy_search.common.pose_map import PoseMap


class PoseMapEnv(gymnasium.Env[Any, Any]):
    """Reward 1, and the end, when a live camera sees the tag; as in the simulation but for motion.

    Observation ``(n + c,)`` and action ``(n,)`` are those of ``Asterias/TargetFinding-v0`` by
    commands and increments.

    Args:
        copy: sampled poses, with the protocol.
        faults: setting of dead cameras; None takes the protocol's.
    """

    def __init__(self, copy: PoseMap, faults: str | None = None) -> None:
        self.copy, self.faults = copy, faults
        high = np.concatenate([copy.reach, np.ones(copy.cameras)]).astype(np.float32)
        low = np.concatenate([-copy.reach, np.zeros(copy.cameras)]).astype(np.float32)
        largest = copy.options.increment
        self.observation_space = gymnasium.spaces.Box(low, high)
        self.action_space = gymnasium.spaces.Box(-largest, largest, (copy.joints,), np.float32)
        self._command, self._live, self._steps = np.zeros(copy.joints), np.ones(0, bool), 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Draw what fails, and a pose from which no camera sees the tag.

        Returns:
            The first observation, and nothing else.
        """
        super().reset(seed=seed)
        starts, live = self.copy.draw_episodes(1, self.np_random, self.faults)
        self._command, self._live, self._steps = starts[0], live[0], 0
        return self._observation(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Move to the pose nearest to the command; actions are clipped, and what they lead to.

        Args:
            action: increments ``(n,)``.

        Returns:
            Observation, reward, whether the episode ended or was truncated, and nothing else.
        """
        about, reach = self.copy.options, self.copy.reach
        moved = self._command + np.clip(action, -about.increment, about.increment)
        self._command = np.clip(moved, -reach, reach)
        self._steps += 1
        seeing = self.copy.poses.seeing[self.copy.nearest(self._command[None])[0]]
        found = bool((seeing & self._live).any())
        ended_late = not found and 0 < about.cap <= self._steps
        return self._observation(), float(found), found, ended_late, {"found": found}

    def _observation(self) -> FloatArray:
        flags = self._live / max(self._live.sum(), 1)
        seen: FloatArray = np.concatenate([self._command, flags]).astype(np.float32)
        return seen
