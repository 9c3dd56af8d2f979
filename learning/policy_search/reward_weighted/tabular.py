"""The exact operator of reward-weighted regression, and how it converges (arXiv 2107.09088).

``pi_{n+1}(a|s) = pi_n(a|s) Q_n(s,a) / V_n(s)``: fitting the policy to return-weighted actions, with
no error of sampling and none of approximation. Rewards must be positive. It converges to an optimal
policy, R-linearly for finite sets; near the optimum an action that is not optimal loses a factor of
``Q*(s,a) / V*(s)`` an iteration, so the largest such factor is the rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from asterias.arrays import FloatArray
from asterias.errors import UserError
from learning.policy_search.reward_weighted.four_rooms import TabularMdp


def reweight(policy: FloatArray, action_values: FloatArray) -> FloatArray:
    """Return the next policy ``(S, A)``.

    Args:
        policy: ``(S, A)``.
        action_values: ``(S, A)``, all above 0.

    Returns:
        Probabilities that add up to 1 in each state.

    Raises:
        UserError: a value is not above 0, for which the operator is not defined.
    """
    if not (action_values > 0).all():
        raise UserError("Reward-weighted regression needs rewards above 0; shift them.")
    weighted = policy * action_values
    next_policy: FloatArray = weighted / weighted.sum(1, keepdims=True)
    return next_policy


def random_policy(mdp: TabularMdp, rng: np.random.Generator) -> FloatArray:
    """Return a policy ``(S, A)`` of uniform weights, normalised."""
    weights = rng.random(mdp.rewards.shape)
    policy: FloatArray = weights / weights.sum(1, keepdims=True)
    return policy


@dataclass(frozen=True)
class Convergence:
    """One run of the operator.

    Attributes:
        rmsve: ``(iterations + 1,)`` root mean square over states of ``V* - V_n``.
        start_values: ``(iterations + 1,)`` value of the first state.
    """

    rmsve: FloatArray
    start_values: FloatArray


def iterate(mdp: TabularMdp, policy: FloatArray, iterations: int) -> Convergence:
    """Apply the operator again and again.

    Args:
        mdp: the task.
        policy: ``(S, A)`` to begin with.
        iterations: how often.

    Returns:
        How it converged.
    """
    optimal = mdp.optimal_values()
    errors, starts = [], []
    for _ in range(iterations + 1):
        values, q = mdp.action_values(policy)
        errors.append(float(np.sqrt(((optimal - values) ** 2).mean())))
        starts.append(float(values[mdp.start]))
        policy = reweight(policy, q)
    return Convergence(np.array(errors), np.array(starts))


def limit_rate(mdp: TabularMdp) -> float:
    """Return the largest ``Q*(s,a) / V*(s)`` of an action that is not optimal."""
    optimal = mdp.optimal_values()
    ratios = (mdp.rewards + mdp.gamma * optimal[mdp.successors]) / optimal[:, None]
    return float(ratios[ratios < 1 - 1e-9].max())


def convergence_table(
    mdp: TabularMdp, seeds: int, rows: Sequence[int] = (0, 1, 5, 10, 20, 40)
) -> list[dict[str, Any]]:
    """Return a row for some iterations, over runs from random policies.

    Args:
        mdp: the task.
        seeds: runs.
        rows: iterations.

    Returns:
        Means and standard deviations over the runs.
    """
    runs = [
        iterate(mdp, random_policy(mdp, np.random.default_rng(seed)), max(rows))
        for seed in range(seeds)
    ]
    table = []
    for row in rows:
        errors = np.array([run.rmsve[row] for run in runs])
        starts = np.array([run.start_values[row] for run in runs])
        table.append(
            {
                "iteration": row,
                "rmsve": round(float(errors.mean()), 4),
                "rmsve_std": round(float(errors.std()), 4),
                "start_value": round(float(starts.mean()), 4),
                "start_value_std": round(float(starts.std()), 4),
            }
        )
    return table
