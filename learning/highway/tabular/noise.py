"""The upward bias of gating single samples in noise, and averaging before the gate.

The operator takes the larger of two expectations. The larger of two samples is larger on average:
``E max(y1, yn) >= max(E y1, E yn)``, with equality where moves are certain. Averaging both over
repeats of a state and action before the gate closes the difference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray
from learning.highway.tabular.processes import FiniteProcess

# Of the discount 0.95: the error of a value is 2e-5 of what it was.
_SWEEPS = 220


@dataclass(frozen=True)
class SampledWays:
    """Sampled ways from each state and action.

    Attributes:
        returns: ``(S, A, M)`` discounted rewards on the way.
        reached: ``(S, A, M)`` states at their ends.
        discount: of what comes after.
    """

    returns: FloatArray
    reached: npt.NDArray[np.int64]
    discount: float

    def targets(self, values: FloatArray) -> FloatArray:
        """Return ``(S, A, M)`` targets that bootstrap from state values ``(S,)``."""
        made: FloatArray = self.returns + self.discount * values[self.reached]
        return made


def sample_ways(
    process: FiniteProcess,
    policy: FloatArray,
    depth: int,
    ways: int,
    rng: np.random.Generator,
) -> tuple[SampledWays, SampledWays]:
    """Sample ways of ``depth`` steps: the first action is given, the rest the policy's.

    Args:
        process: the task.
        policy: ``(S, A)`` behaviour.
        depth: steps.
        ways: M, from each state and action.
        rng: of the draws.

    Returns:
        The ways' first steps, and the whole ways.
    """
    states, actions = process.rewards.shape
    moves, acts = process.transitions.cumsum(2), policy.cumsum(1)
    shape = (states, actions, ways)
    state = np.broadcast_to(np.arange(states)[:, None, None], shape)
    action = np.broadcast_to(np.arange(actions)[:, None], shape)
    returns, discount, ways_so_far = np.zeros(shape), 1.0, []
    for step in range(depth):
        returns = returns + discount * process.rewards[state, action]
        state = _draw(moves[state, action], rng)
        action = _draw(acts[state], rng)
        discount *= process.gamma
        if step in (0, depth - 1):
            ways_so_far.append(SampledWays(returns, state, discount))
    return ways_so_far[0], ways_so_far[-1]


def _draw(cumulative: FloatArray, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    drawn = rng.random((*cumulative.shape[:-1], 1))
    # Sums of probabilities may end just below 1.
    chosen: npt.NDArray[np.int64] = np.minimum(
        (drawn > cumulative).sum(-1), cumulative.shape[-1] - 1
    )
    return chosen


def gate_bias(near: SampledWays, far: SampledWays, optimal: FloatArray, repeats: int) -> float:
    """Return the mean of ``Q - Q*`` where samples are gated after averaging over ``repeats``.

    Args:
        near: one step each.
        far: the ways that begin with them.
        optimal: ``Q*`` ``(S, A)``.
        repeats: a divisor of the number of ways.

    Returns:
        The mean over states and actions, at the fixed point.
    """
    q = optimal
    groups = (*optimal.shape, -1, repeats)
    for _ in range(_SWEEPS):
        values = q.max(1)
        y1 = near.targets(values).reshape(groups).mean(-1)
        yn = far.targets(values).reshape(groups).mean(-1)
        q = np.maximum(y1, yn).mean(-1)
    return float((q - optimal).mean())
