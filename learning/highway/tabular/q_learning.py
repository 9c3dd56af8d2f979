"""Q-learning on tables from a replay of trajectories, with one step, n steps or the highway gate.

Behaviour is greedy but for a share of random actions. After each episode a number of transitions
is drawn from all that were ever seen; the depth of each is the fixed ``n`` of n-step learning, or,
for the highway, drawn from 1 to ``n``, and ends with the episode.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from asterias.arrays import FloatArray
from asterias.errors import UserError
from asterias.registry import Registry
from learning.highway.tabular.processes import FiniteProcess, sparse_four_rooms

# Steps after which an episode is cut off, which is no end: the last state is bootstrapped from.
EPISODE_CAP = 500
# Of the shortest way through the four rooms.
SHORTEST = 20


@dataclass
class Tables:
    """The learner's values.

    Attributes:
        near: ``(S, A)`` values that one-step targets are averaged into, or all targets.
        far: ``(S, A)`` values of the lookahead, where the gate compares two tables.
        rate: step size.
        openings: how many lookaheads passed the gate.
        gains: by how much in sum.
    """

    near: FloatArray
    far: FloatArray
    rate: float
    openings: int = 0
    gains: float = 0.0

    @property
    def values(self) -> FloatArray:
        """``Q`` ``(S, A)``, which acts and is bootstrapped from."""
        return np.maximum(self.near, self.far)

    def count(self, gain: float) -> None:
        """Count a lookahead that is worth more than one step by ``gain``, or less."""
        if gain > 0:
            self.openings += 1
            self.gains += gain


# Learns from one-step and n-step target of a state and action.
TableUpdate = Callable[[Tables, int, int, float, float], None]


def _ungated(tables: Tables, state: int, action: int, y1: float, yn: float) -> None:
    tables.near[state, action] += tables.rate * (yn - tables.near[state, action])


def _gated_sample(tables: Tables, state: int, action: int, y1: float, yn: float) -> None:
    tables.count(yn - y1)
    tables.near[state, action] += tables.rate * (max(y1, yn) - tables.near[state, action])


def _gated_critics(tables: Tables, state: int, action: int, y1: float, yn: float) -> None:
    tables.near[state, action] += tables.rate * (y1 - tables.near[state, action])
    tables.far[state, action] += tables.rate * (yn - tables.far[state, action])
    tables.count(tables.far[state, action] - tables.near[state, action])


@dataclass(frozen=True)
class TableTarget:
    """How a drawn transition is learned from.

    Attributes:
        summary: one line for people.
        update: of the tables.
        draws_depth: the depth is drawn from 1 to n instead of being n.
    """

    summary: str
    update: TableUpdate
    draws_depth: bool


TARGETS: Registry[TableTarget] = Registry("target of Q-learning on tables")
TARGETS.register("n_step", TableTarget("n steps as they are", _ungated, False))
TARGETS.register("highway", TableTarget("the larger of two samples", _gated_sample, True))
TARGETS.register(
    "highway_critics",
    TableTarget("the larger of two averages, one table each", _gated_critics, True),
)


@dataclass(frozen=True)
class FourRoomsRun:
    """One training in the four rooms.

    Attributes:
        target: name in :data:`TARGETS`.
        depth: n.
        slip: of the moves.
        seed: of everything.
        episodes: at most.
        updates: after each episode.
        rate: step size.
        random_share: of actions.
    """

    target: str
    depth: int
    slip: float = 0.0
    seed: int = 0
    episodes: int = 120
    updates: int = 200
    rate: float = 0.5
    random_share: float = 0.3

    def __post_init__(self) -> None:
        TARGETS.get(self.target)
        if self.depth < 1 or self.episodes < 1:
            raise UserError("A training needs a depth and episodes of 1 or more.")


class _Replay:
    """All steps so far, one row each, and where their episodes end."""

    def __init__(self) -> None:
        self.states: list[int] = []
        self.actions: list[int] = []
        self.rewards: list[float] = []
        self.after: list[int] = []
        self.ends: list[int] = []  # row behind the episode's last one

    def close_episode(self) -> None:
        """Note where the episode ended whose steps were added last."""
        self.ends += [len(self.states)] * (len(self.states) - len(self.ends))


def train_in_four_rooms(run: FourRoomsRun) -> dict[str, Any]:
    """Learn until the greedy way is the shortest, and go on to the last episode.

    Returns:
        ``solved``: episodes until the greedy way took 20 steps, None if it never did; ``bias``:
        mean over the free cells of ``V - V*`` after the last episode; share of ``open_gates`` and
        ``mean_gain`` of those that were open.
    """
    process = sparse_four_rooms(run.slip)
    rng = np.random.default_rng(run.seed)
    shape = process.rewards.shape
    tables, replay = Tables(np.zeros(shape), np.zeros(shape), run.rate), _Replay()
    straight = process if not run.slip else sparse_four_rooms(0.0)
    solved = None
    for episode in range(1, run.episodes + 1):
        _act(process, tables.values, run.random_share, replay, rng)
        _learn(process, tables, replay, run, rng)
        if solved is None and _greedy_steps(straight, tables.values) == SHORTEST:
            solved = episode
    optimal = process.optimal_values().max(1)
    inside = np.arange(len(optimal)) != process.ends[0]
    updates = run.updates * run.episodes
    return {
        "solved": solved,
        "bias": float((tables.values.max(1) - optimal)[inside].mean()),
        "open_gates": tables.openings / updates,
        "mean_gain": tables.gains / max(tables.openings, 1),
    }


def _act(
    process: FiniteProcess,
    values: FloatArray,
    random_share: float,
    replay: _Replay,
    rng: np.random.Generator,
) -> None:
    """Run an episode; equal values are chosen from at random."""
    cumulative, end, state = process.transitions.cumsum(2), process.ends[0], process.start
    best = values >= values.max(1, keepdims=True)
    for _ in range(EPISODE_CAP):
        known = rng.random() >= random_share
        choices = np.flatnonzero(best[state]) if known else np.arange(4)
        action = int(choices[rng.integers(len(choices))])
        after = int(np.searchsorted(cumulative[state, action], rng.random(), side="right"))
        after = min(after, end)  # sums of probabilities may end just below 1
        replay.states.append(state)
        replay.actions.append(action)
        replay.rewards.append(float(after == end))
        replay.after.append(after)
        state = after
        if state == end:
            break
    replay.close_episode()


def _learn(
    process: FiniteProcess,
    tables: Tables,
    replay: _Replay,
    run: FourRoomsRun,
    rng: np.random.Generator,
) -> None:
    target, end = TARGETS.get(run.target), process.ends[0]
    for row in rng.integers(len(replay.states), size=run.updates).tolist():
        depth = int(rng.integers(1, run.depth + 1)) if target.draws_depth else run.depth
        last = min(row + depth, replay.ends[row])
        y1 = _target(tables, replay, row, row + 1, process.gamma, end)
        yn = _target(tables, replay, row, last, process.gamma, end)
        target.update(tables, replay.states[row], replay.actions[row], y1, yn)


def _target(tables: Tables, replay: _Replay, row: int, last: int, gamma: float, end: int) -> float:
    """Return the discounted rewards of rows from ``row`` to before ``last``, and what follows."""
    total, discount = 0.0, 1.0
    for at in range(row, last):
        total += discount * replay.rewards[at]
        discount *= gamma
    after = replay.after[last - 1]
    if after != end:
        total += discount * max(tables.near[after].max(), tables.far[after].max())
    return total


def _greedy_steps(process: FiniteProcess, values: FloatArray) -> int | None:
    state = process.start
    for step in range(1, SHORTEST + 1):
        state = int(process.transitions[state, values[state].argmax()].argmax())
        if state == process.ends[0]:
            return step
    return None
