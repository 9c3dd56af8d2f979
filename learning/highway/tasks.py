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
