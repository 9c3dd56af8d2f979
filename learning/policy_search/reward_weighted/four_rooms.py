"""The four rooms on which reward-weighted regression was studied (arXiv 2107.09088)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asterias.arrays import Cell, FloatArray

_SIZE, _WALL = 11, 5
_DOORS = (2, 8)
START: Cell = (1, 1)
GOAL: Cell = (9, 9)
_MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))
# A reward must be positive, or reward-weighted regression has no meaning.
GOAL_REWARD, OTHER_REWARD, GAMMA = 1.0, 0.001, 0.9


@dataclass(frozen=True)
class TabularMdp:
    """A deterministic Markov decision process.

    Attributes:
        successors: ``(S, A)`` state that follows.
        rewards: ``(S, A)``.
        gamma: discount.
        start: number of the first state.
    """

    successors: npt.NDArray[np.int64]
    rewards: FloatArray
    gamma: float
    start: int

    def action_values(self, policy: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return ``V`` ``(S,)`` and ``Q`` ``(S, A)`` of a policy ``(S, A)``, solved exactly."""
        states = len(policy)
        moves = np.zeros((states, states))
        np.add.at(moves, (np.arange(states)[:, None], self.successors), policy)
        gained = (policy * self.rewards).sum(1)
        values: FloatArray = np.linalg.solve(np.eye(states) - self.gamma * moves, gained)
        return values, self.rewards + self.gamma * values[self.successors]

    def optimal_values(self) -> FloatArray:
        """Return ``V*`` ``(S,)`` by policy iteration."""
        states, actions = self.rewards.shape
        best = np.zeros(states, np.int64)
        while True:
            values, q = self.action_values(np.eye(actions)[best])
            improved = np.where(q.max(1) > q[np.arange(states), best] + 1e-12, q.argmax(1), best)
            if (improved == best).all():
                return values
            best = improved


def four_rooms() -> TabularMdp:
    """Return the four rooms: 68 cells, four moves, reward 1 for entering the goal, else 0.001.

    The goal is absorbing. Outer walls all round; an inner one in the middle row and column each,
    with two doors.
    """
    free = np.zeros((_SIZE, _SIZE), bool)
    free[1:-1, 1:-1] = True
    free[_WALL], free[:, _WALL] = False, False
    free[_WALL, _DOORS] = free[_DOORS, _WALL] = True
    cells = [(int(row), int(column)) for row, column in np.argwhere(free)]
    number = {cell: i for i, cell in enumerate(cells)}
    successors = np.zeros((len(cells), len(_MOVES)), np.int64)
    rewards = np.full(successors.shape, OTHER_REWARD)
    for cell, state in number.items():
        for action, (down, right) in enumerate(_MOVES):
            there = (cell[0] + down, cell[1] + right)
            after = state if cell == GOAL else number.get(there, state)
            successors[state, action] = after
            if cells[after] == GOAL and cell != GOAL:
                rewards[state, action] = GOAL_REWARD
    return TabularMdp(successors, rewards, GAMMA, number[START])
