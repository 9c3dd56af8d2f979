"""What is known exactly: fixed points, iterations, and the bias of gating samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from asterias.arrays import FloatArray
from learning.highway.tabular.noise import gate_bias, sample_ways
from learning.highway.tabular.operator import AGGREGATES, HighwayOperator, iterate_operator
from learning.highway.tabular.processes import FiniteProcess, corridor, random_process

DEPTHS = (2, 5, 20, 100)
CORRIDOR_DEPTHS = (1, 5, 25, 60)
NOISE_DEPTHS = (2, 5, 20)
REPEATS = (1, 4, 16, 64, 256)
# The error at which an iteration counts as having arrived in the corridor.
_ARRIVED = 1e-6


# A process and its behaviour policies.
_Case = tuple[FiniteProcess, list[FloatArray]]


def fixed_points(draws: int, depths: Sequence[int] = DEPTHS) -> list[dict[str, Any]]:
    """Return a row per depth: errors of the highway's fixed points, bias of those of n steps.

    Args:
        draws: random processes of 20 states, with seeds from 0 on.
        depths: n.
    """
    cases = [random_process(seed) for seed in range(draws)]
    rows = []
    for depth in depths:
        errors = {form: _largest_error(cases, [depth], form) for form in AGGREGATES.names()}
        # Several depths at once, as Highway DQN draws them.
        several = sorted({1, (depth + 1) // 2, depth})
        errors["max_over_depths"] = _largest_error(cases, several, "max")
        rows.append(
            {
                "depth": depth,
                "highway_errors": errors,
                "n_step_bias": _summary([_bias(case, depth, "mean") for case in cases]),
                "softmax_without_gate_bias": _summary(
                    [_bias(case, depth, "softmax") for case in cases]
                ),
            }
        )
    return rows


def _largest_error(cases: Sequence[_Case], depths: Sequence[int], aggregate: str) -> float:
    """Return the largest ``|Q - Q*|`` at the highway's fixed points."""
    return max(
        float(iterate_operator(HighwayOperator(*case, depths, aggregate)).errors[-1])
        for case in cases
    )


def _bias(case: _Case, depth: int, aggregate: str) -> float:
    """Return the mean of ``Q - Q*`` at the fixed point without a gate."""
    operator = HighwayOperator(*case, [depth], aggregate, gate=False)
    return float((iterate_operator(operator).values - case[0].optimal_values()).mean())


def _summary(numbers: Sequence[float]) -> dict[str, float]:
    return {
        "mean": round(float(np.mean(numbers)), 4),
        "least": round(float(min(numbers)), 4),
        "most": round(float(max(numbers)), 4),
    }


def corridor_iterations(length: int = 50) -> list[dict[str, Any]]:
    """Return a row per depth: applications until the error is below 1e-6, behaviour uniform."""
    process = corridor(length)
    uniform = np.full(process.rewards.shape, 1 / process.rewards.shape[1])
    return [
        {
            "depth": depth,
            "iterations": iterate_operator(HighwayOperator(process, [uniform], [depth])).until(
                _ARRIVED
            ),
        }
        for depth in CORRIDOR_DEPTHS
    ]


def noise_rows(draws: int, depths: Sequence[int] = NOISE_DEPTHS) -> list[dict[str, Any]]:
    """Return a row per depth: by how much gating averages of so many repeats raises the values.

    That is the mean of ``Q`` less that of one-step targets from the same samples, at both fixed
    points. Exactly, it would be 0.

    Args:
        draws: random processes, with seeds from 0 on; the first policy of each behaves.
        depths: n.
    """
    rows = []
    for depth in depths:
        raised: dict[int, list[float]] = {repeats: [] for repeats in REPEATS}
        for seed in range(draws):
            process, policies = random_process(seed)
            rng, ways = np.random.default_rng((seed, depth)), max(REPEATS)
            near, far = sample_ways(process, policies[0], depth, ways, rng)
            optimal = process.optimal_values()
            plain = gate_bias(near, near, optimal, ways)
            for repeats in REPEATS:
                raised[repeats].append(gate_bias(near, far, optimal, repeats) - plain)
        bias = {str(k): round(float(np.mean(v)), 4) for k, v in raised.items()}
        rows.append({"depth": depth, "bias": bias})
    return rows
