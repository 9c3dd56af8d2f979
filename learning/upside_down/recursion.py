"""The recursion of episodic upside-down RL (arXiv 2205.06595, 2502.05672).

A command is a horizon and a goal. The policy of the next iteration is the posterior of the action,
given that the goal was reached after exactly that many steps, whatever was commanded::

    pi'(a|s,h,g) ~ sum over h' >= h, g' of  Pr(g after h steps | s, a, command (h',g'))
                                            pi(a|s,h',g') rho(s,h',g')

with ``rho`` how often the behaviour is in ``s`` under that command. With horizon 1 this is also
goal-conditioned supervised learning (GCSL).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray
from asterias.errors import UserError


@dataclass(frozen=True)
class CommandedProcess:
    """A process without rewards: its states are the goals.

    Attributes:
        transitions: ``(S, A, S)`` probabilities.
        horizon: steps of an episode.
        starts: ``(S,)`` probabilities of the first state.
        goals: ``(S,)`` probabilities of the commanded state.
    """

    transitions: FloatArray
    horizon: int
    starts: FloatArray
    goals: FloatArray

    def __post_init__(self) -> None:
        sums = [self.transitions.sum(-1), self.starts.sum(), self.goals.sum()]
        if self.horizon < 1 or not all(np.allclose(total, 1) for total in sums):
            raise UserError("A commanded process needs a horizon, and probabilities that add to 1.")

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape ``(H, G, S, A)`` of its policies; index 0 of H is one step to go."""
        states, actions, _ = self.transitions.shape
        return self.horizon, states, states, actions

    def uniform_policy(self) -> FloatArray:
        """Return the policy ``(H, G, S, A)`` that ignores its command."""
        return np.full(self.shape, 1 / self.shape[-1])

    def reached(self, policy: FloatArray) -> float:
        """Return J: the probability that the goal is reached at the horizon."""
        total = 0.0
        for goal, likely in enumerate(self.goals):
            at = self.starts
            for left in range(self.horizon, 0, -1):
                at = at @ step_matrix(self, policy[left - 1, goal])
            total += float(likely * at[goal])
        return total

    def optimum(self) -> float:
        """Return the largest J, by dynamic programming for each goal."""
        total = 0.0
        for goal, likely in enumerate(self.goals):
            values = np.eye(len(self.starts))[goal]
            for _ in range(self.horizon):
                values = (self.transitions @ values).max(1)
            total += float(likely * self.starts @ values)
        return total

    def optimal_policy(self) -> FloatArray:
        """Return a deterministic policy ``(H, G, S, A)`` that reaches the optimum."""
        policy = np.zeros(self.shape)
        states = np.arange(len(self.starts))
        for goal in range(len(self.goals)):
            values = np.eye(len(self.starts))[goal]
            for left in range(self.horizon):
                backed = self.transitions @ values
                policy[left, goal, states, backed.argmax(1)] = 1.0
                values = backed.max(1)
        return policy


def step_matrix(process: CommandedProcess, policy: FloatArray) -> FloatArray:
    """Return ``(S, S)`` probabilities of one step under a policy ``(S, A)``."""
    matrix: FloatArray = (policy[..., None] * process.transitions).sum(1)
    return matrix


def counter_example(alpha: float) -> CommandedProcess:
    """Return the task on which upside-down RL fails: one decision, two actions, two goals.

    State 0 is the start, states 1 and 2 are the goals; action ``a`` leads to goal ``a`` with
    probability ``alpha``.

    Args:
        alpha: 0 to 1.

    Raises:
        UserError: it is none of these.
    """
    if not 0 <= alpha <= 1:
        raise UserError(f"alpha is a probability, not {alpha:g}.")
    transitions = np.zeros((3, 2, 3))
    transitions[0] = [[0, alpha, 1 - alpha], [0, 1 - alpha, alpha]]
    transitions[1:, :, 1:] = np.eye(2)[:, None]
    return CommandedProcess(transitions, 1, np.array([1.0, 0, 0]), np.array([0, 0.5, 0.5]))


def udrl_step(process: CommandedProcess, policy: FloatArray) -> FloatArray:
    """Return the next policy ``(H, G, S, A)``, without any error of sampling.

    Where no way reaches a goal in time, nothing is learned: the policy is uniform there.

    Args:
        process: the task.
        policy: ``(H, G, S, A)`` that behaves.
    """
    horizon, goals, _, _ = process.shape
    weights = np.zeros(process.shape)
    for goal in range(goals):
        visited = process.starts * process.goals[goal]
        for left in range(horizon, 0, -1):
            acting = policy[left - 1, goal]
            reach = process.transitions  # (S, A, S): where one is after h steps
            for steps in range(1, left + 1):
                taken = visited[:, None] * acting
                weights[steps - 1] += np.moveaxis(taken[..., None] * reach, 2, 0)
                if steps < left:
                    reach = reach @ step_matrix(process, policy[left - 1 - steps, goal])
            visited = visited @ step_matrix(process, acting)
    return _normalised(weights)


def udrl_sampled_step(
    process: CommandedProcess, policy: FloatArray, episodes: int, rng: np.random.Generator
) -> FloatArray:
    """Return the next policy ``(H, G, S, A)`` by counting, in episodes that are run.

    Args:
        process: the task.
        policy: ``(H, G, S, A)`` that behaves.
        episodes: to run.
        rng: of the draws.
    """
    state = _draw(np.broadcast_to(process.starts, (episodes, len(process.starts))), rng)
    goal = _draw(np.broadcast_to(process.goals, (episodes, len(process.goals))), rng)
    states, actions = [state], []
    for left in range(process.horizon, 0, -1):
        actions.append(_draw(policy[left - 1, goal, state], rng))
        state = _draw(process.transitions[state, actions[-1]], rng)
        states.append(state)
    counts = np.zeros(process.shape)
    for at, action in enumerate(actions):
        for after in range(at + 1, len(states)):
            reached = counts[after - at - 1]
            np.add.at(reached, (states[after], states[at], action), 1)
    return _normalised(counts)


def udrl_recursion(
    process: CommandedProcess,
    policy: FloatArray | None = None,
    iterations: int = 10,
    epsilon: float = 0.0,
    *,
    episodes: int | None = None,
    rng: np.random.Generator | None = None,
) -> list[float]:
    """Iterate upside-down RL.

    Args:
        process: the task.
        policy: ``(H, G, S, A)`` to begin with; uniform if not given.
        iterations: how often.
        epsilon: share of the uniform policy that each new one is mixed with.
        episodes: to count in each iteration; None iterates exactly.
        rng: of the draws, where episodes are counted.

    Returns:
        J of each policy, the first one's included.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    now = process.uniform_policy() if policy is None else policy
    reached = [process.reached(now)]
    for _ in range(iterations):
        learned = (
            udrl_step(process, now)
            if episodes is None
            else udrl_sampled_step(process, now, episodes, rng)
        )
        now = (1 - epsilon) * learned + epsilon * process.uniform_policy()
        reached.append(process.reached(now))
    return reached


def _normalised(weights: FloatArray) -> FloatArray:
    total = weights.sum(-1, keepdims=True)
    share = weights / np.where(total > 0, total, 1)
    policy: FloatArray = np.where(total > 0, share, 1 / weights.shape[-1])
    return policy


def _draw(probabilities: FloatArray, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return an index for each row of ``(N, K)`` probabilities."""
    drawn = rng.random((len(probabilities), 1))
    passed = (drawn > probabilities.cumsum(1)).sum(1)
    # Sums of probabilities may end just below 1.
    index: npt.NDArray[np.int64] = np.minimum(passed, probabilities.shape[1] - 1)
    return index
