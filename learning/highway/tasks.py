"""Tasks for Gymnasium whose reward comes at the end of the episode alone."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from asterias.errors import UserError
from learning.highway.tabular.processes import (
    FiniteProcess,
    sparse_four_rooms,
    stumbling_corridor,
)

Seen = npt.NDArray[np.float32]


class ProcessEnv(gymnasium.Env[Seen, int]):
    """A finite process as an environment: states are seen as ``(S,)`` float32, one of them 1.

    Args:
        process: with a start and states that end an episode.
        cap: steps after which an episode is truncated.
    """

    def __init__(self, process: FiniteProcess, cap: int = 500) -> None:
        if not process.ends or cap < 1:
            raise UserError("An environment needs states that end an episode, and a cap above 0.")
        self.process, self.cap = process, cap
        states, actions = process.rewards.shape
        self.observation_space = spaces.Box(0.0, 1.0, (states,), np.float32)
        self.action_space = spaces.Discrete(actions)  # type: ignore[assignment]
        self._cumulative = process.transitions.cumsum(2)
        self._state, self._steps = process.start, 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Seen, dict[str, Any]]:
        """Stand at the start.

        Returns:
            The observation, and nothing else.
        """
        super().reset(seed=seed)
        self._state, self._steps = self.process.start, 0
        return self._seen(), {}

    def step(self, action: int) -> tuple[Seen, float, bool, bool, dict[str, Any]]:
        """Move.

        Returns:
            Observation, reward, whether the episode ended or was truncated, and nothing else.
        """
        row = self._cumulative[self._state, int(action)]
        reached = int(np.searchsorted(row, self.np_random.random(), side="right"))
        reached = min(reached, len(row) - 1)
        ended = reached in self.process.ends
        # The process has expectations; what is paid is paid for the end.
        likely = self.process.transitions[self._state, int(action), reached]
        reward = float(self.process.rewards[self._state, int(action)] / likely) if ended else 0.0
        self._state, self._steps = reached, self._steps + 1
        return self._seen(), reward, ended, not ended and self._steps >= self.cap, {}

    def _seen(self) -> Seen:
        seen = np.zeros(len(self._cumulative), np.float32)
        seen[self._state] = 1.0
        return seen


def corridor_env(slip: float = 0.0, length: int = 20, cap: int = 400) -> ProcessEnv:
    """Return the corridors of which the first action picks one, and in which one stumbles."""
    return ProcessEnv(stumbling_corridor(length, slip=slip), cap)


def four_rooms_env(slip: float = 0.0, cap: int = 500) -> ProcessEnv:
    """Return the four rooms: 1 for the exit, 20 steps away, and nothing else."""
    return ProcessEnv(sparse_four_rooms(slip), cap)


class DelayedReachEnv(gymnasium.Env[Seen, Seen]):
    """A planar arm of two links of 0.5 m, paid at the end alone: 1 less the hand's distance in m.

    Observation ``(9,)`` float32: cosine and sine of both joints, hand and target in m, and the
    share of the episode that is left. Action ``(2,)``: turns of the joints, 1 is 0.25 rad. Nothing
    is paid below 0.

    Args:
        steps: of an episode.
    """

    _TURN_RAD, _LINK_M = 0.25, 0.5

    def __init__(self, steps: int = 20) -> None:
        if steps < 1:
            raise UserError(f"An episode takes 1 step or more, not {steps}.")
        self.steps = steps
        self.observation_space = spaces.Box(-1.0, 1.0, (9,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self._joints, self._target, self._done = np.zeros(2), np.zeros(2), 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Seen, dict[str, Any]]:
        """Draw joints, and a target where the hand would be with others.

        Returns:
            The observation, and nothing else.
        """
        super().reset(seed=seed)
        self._joints = self.np_random.uniform(-np.pi, np.pi, 2)
        self._target = self._hand(self.np_random.uniform(-np.pi, np.pi, 2))
        self._done = 0
        return self._seen(), {}

    def step(self, action: Seen) -> tuple[Seen, float, bool, bool, dict[str, Any]]:
        """Turn the joints.

        Returns:
            Observation, reward, whether the episode ended, never truncated, and nothing else.
        """
        self._joints += self._TURN_RAD * np.clip(action, -1.0, 1.0)
        self._done += 1
        ended = self._done >= self.steps
        apart_m = float(np.linalg.norm(self._hand(self._joints) - self._target))
        return self._seen(), max(0.0, 1.0 - apart_m) if ended else 0.0, ended, False, {}

    def _hand(self, joints: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        angles = np.cumsum(joints)
        hand: npt.NDArray[np.float64] = self._LINK_M * np.array(
            [np.cos(angles).sum(), np.sin(angles).sum()]
        )
        return hand

    def _seen(self) -> Seen:
        left = 1.0 - self._done / self.steps
        turned = np.cos(self._joints), np.sin(self._joints)
        return np.concatenate([*turned, self._hand(self._joints), self._target, [left]]).astype(
            np.float32
        )
