"""Finite Markov decision processes that the highway operator is measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asterias.arrays import Cell, FloatArray

# The four rooms of Sutton, Precup and Singh (1999): 11 x 11 cells inside the outer wall.
_ROOMS = (
    ".....#.....",
    ".....#.....",
    "...........",
    ".....#.....",
    ".....#.....",
    "#.####.....",
    ".....###.##",
    ".....#.....",
    ".....#.....",
    "...........",
    ".....#.....",
)
_MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))
# How sparse the successors of the random processes are: some five of twenty states carry the mass.
_CONCENTRATION = 0.1


@dataclass(frozen=True)
class FiniteProcess:
    """A Markov decision process with a known model.

    Attributes:
        transitions: ``(S, A, S)`` probabilities; a state that ends an episode returns to itself.
        rewards: ``(S, A)`` expected rewards, 0 in states that end an episode.
        gamma: discount.
        start: number of the first state.
        ends: ``(E,)`` numbers of the states that end an episode.
    """

    transitions: FloatArray
    rewards: FloatArray
    gamma: float
    start: int = 0
    ends: tuple[int, ...] = ()

    def backup(self, q: FloatArray) -> FloatArray:
        """Return Bellman's optimality backup ``B Q`` ``(S, A)``."""
        backed: FloatArray = self.rewards + self.gamma * self.transitions @ q.max(1)
        return backed

    def policy_backup(self, q: FloatArray, policy: FloatArray) -> FloatArray:
        """Return ``B^pi Q`` ``(S, A)`` for a policy ``(S, A)``."""
        backed: FloatArray = self.rewards + self.gamma * self.transitions @ (policy * q).sum(1)
        return backed

    def optimal_values(self) -> FloatArray:
        """Return ``Q*`` ``(S, A)`` by policy iteration, solved exactly."""
        states = len(self.rewards)
        best = np.zeros(states, np.int64)
        every = np.arange(states)
        while True:
            system = np.eye(states) - self.gamma * self.transitions[every, best]
            values = np.linalg.solve(system, self.rewards[every, best])
            q: FloatArray = self.rewards + self.gamma * self.transitions @ values
            improved = np.where(q.max(1) > q[every, best] + 1e-12, q.argmax(1), best)
            if (improved == best).all():
                return q
            best = improved


def random_process(
    seed: int, states: int = 20, actions: int = 3, policies: int = 3, gamma: float = 0.95
) -> tuple[FiniteProcess, list[FloatArray]]:
    """Return a random process and random behaviour policies ``(S, A)``.

    Successors are drawn from a Dirichlet distribution of concentration 0.1, the reward of a state,
    which all its actions pay, uniformly from 0 to 1, policies from a flat Dirichlet distribution.

    Args:
        seed: of the draw.
        states: number of states.
        actions: number of actions.
        policies: number of behaviour policies.
        gamma: discount.
    """
    rng = np.random.default_rng(seed)
    transitions = rng.dirichlet(np.full(states, _CONCENTRATION), (states, actions))
    rewards = np.repeat(rng.random((states, 1)), actions, axis=1)
    behaviours = [rng.dirichlet(np.ones(actions), states) for _ in range(policies)]
    return FiniteProcess(transitions, rewards, gamma), behaviours


def corridor(length: int = 50, gamma: float = 0.99) -> FiniteProcess:
    """Return two corridors: the first of two actions picks one, and one pays 1 on its last step.

    Args:
        length: steps in a corridor, after the first action.
        gamma: discount.
    """
    end = 2 * length + 1
    transitions, rewards = np.zeros((end + 1, 2, end + 1)), np.zeros((end + 1, 2))
    transitions[0, 0, 1] = transitions[0, 1, 1 + length] = 1.0
    for first in (1, 1 + length):
        for state in range(first, first + length - 1):
            transitions[state, :, state + 1] = 1.0
        transitions[first + length - 1, :, end] = 1.0
    transitions[end, :, end] = 1.0
    rewards[length] = 1.0
    return FiniteProcess(transitions, rewards, gamma, ends=(end,))


def sparse_four_rooms(slip: float = 0.0, gamma: float = 0.99) -> FiniteProcess:
    """Return four rooms that pay 1 for the exit and nothing else.

    11 x 11 cells, 104 of them free, four moves; from the upper left corner to the exit in the lower
    right one it is 20 steps.

    Args:
        slip: probability that a move goes in a direction drawn from all four.
        gamma: discount.
    """
    cells = four_rooms_cells()
    number = {cell: state for state, cell in enumerate(cells)}
    end = len(cells) - 1
    transitions, rewards = np.zeros((len(cells), 4, len(cells))), np.zeros((len(cells), 4))
    for cell, state in number.items():
        after = [number.get((cell[0] + down, cell[1] + right), state) for down, right in _MOVES]
        for action in range(4):
            if state == end:
                transitions[state, action, state] = 1.0
                continue
            transitions[state, action, after[action]] += 1 - slip
            np.add.at(transitions[state, action], after, slip / 4)
            rewards[state, action] = transitions[state, action, end]
    return FiniteProcess(transitions, rewards, gamma, start=0, ends=(end,))


def four_rooms_cells() -> Sequence[Cell]:
    """Return row and column of each state of the four rooms."""
    return [(r, c) for r, row in enumerate(_ROOMS) for c, mark in enumerate(row) if mark == "."]


def stumbling_corridor(
    length: int = 30, actions: int = 4, consolation: float = 0.3, seed: int = 0, slip: float = 0.0
) -> FiniteProcess:
    """Return two corridors in which one action leads on and the others stay.

    The first action decides which corridor, one of ``actions`` the one that pays 1 at its end, all
    others the one that pays less there. Which action leads on is drawn for each state. Behaviour
    that does not know the way still arrives, late, so that rewards are seen from the first episode
    on, and lookaheads of many steps are biased low by the staying.

    Args:
        length: steps in a corridor, after the first action.
        actions: number of actions.
        consolation: reward of the other corridor.
        seed: of the draw of the actions.
        slip: probability that an action is replaced by one drawn from all.
    """
    rng = np.random.default_rng(seed)
    end = 2 * length + 1
    sure, rewards = np.zeros((end + 1, actions, end + 1)), np.zeros((end + 1, actions))
    right = rng.integers(actions)
    sure[0, :, 1 + length], sure[0, right, 1 + length], sure[0, right, 1] = 1.0, 0.0, 1.0
    paid = {length: 1.0, 2 * length: consolation}
    for state in range(1, end):
        onward = rng.integers(actions)
        after = end if state in paid else state + 1
        sure[state, :, state], sure[state, onward, state], sure[state, onward, after] = 1.0, 0, 1.0
    sure[end, :, end] = 1.0
    transitions = (1 - slip) * sure + slip * sure.mean(1, keepdims=True)
    for state, reward in paid.items():
        rewards[state] = reward * transitions[state, :, end]
    return FiniteProcess(transitions, rewards, 0.95, ends=(end,))
