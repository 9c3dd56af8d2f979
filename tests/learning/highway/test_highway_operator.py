"""The exact highway operator: its anchors, and what the equations promise."""

from __future__ import annotations

import numpy as np
import pytest

from asterias.errors import UserError
from learning.highway.studies import exact
from learning.highway.tabular.noise import gate_bias, sample_ways
from learning.highway.tabular.operator import AGGREGATES, HighwayOperator, iterate_operator
from learning.highway.tabular.processes import corridor, random_process, sparse_four_rooms

PROCESS, POLICIES = random_process(0)
OPTIMAL = PROCESS.optimal_values()


@pytest.mark.parametrize("depth", exact.DEPTHS)
@pytest.mark.parametrize("aggregate", AGGREGATES.names())
def test_the_optimum_is_the_fixed_point_for_every_depth(aggregate: str, depth: int) -> None:
    operator = HighwayOperator(PROCESS, POLICIES, [1, depth], aggregate)
    assert np.abs(operator(OPTIMAL) - OPTIMAL).max() < 1e-12
    assert np.abs(iterate_operator(operator).values - OPTIMAL).max() < 1e-12


def test_without_the_gate_values_are_the_lower_the_deeper_the_lookahead() -> None:
    biases = []
    for depth in exact.DEPTHS:
        operator = HighwayOperator(PROCESS, POLICIES, [depth], gate=False)
        biases.append((iterate_operator(operator).values - OPTIMAL).mean())
    assert all(np.diff(biases) < 0) and biases[0] < -0.5
    rows = exact.fixed_points(4, (5,))
    # The anchor, of a draw that is not known, lies within the spread of ours.
    bias = rows[0]["n_step_bias"]
    assert bias["least"] < -2.39 < bias["most"]
    assert max(rows[0]["highway_errors"].values()) < 1e-12


def test_a_push_through_a_policy_is_what_backups_one_by_one_come_to() -> None:
    q = np.random.default_rng(1).normal(size=OPTIMAL.shape)
    for depth in (1, 2, 7):
        slow = PROCESS.backup(q)
        for _ in range(depth - 1):
            slow = PROCESS.policy_backup(slow, POLICIES[1])
        fast = HighwayOperator(PROCESS, [POLICIES[1]], [depth], gate=False)(q)
        assert np.allclose(fast, slow, atol=1e-12)


def test_the_corridor_takes_one_iteration_for_each_lookahead() -> None:
    counts = [row["iterations"] for row in exact.corridor_iterations()]
    assert counts == [51, 11, 3, 1]


@pytest.mark.parametrize("depth", [5, 20])
def test_from_below_it_is_never_behind_value_iteration(depth: int) -> None:
    plain = iterate_operator(HighwayOperator(PROCESS, POLICIES, [1]), most=60)
    gated = iterate_operator(HighwayOperator(PROCESS, POLICIES, [depth]), most=60)
    assert (gated.errors <= plain.errors + 1e-12).all()


def test_gating_single_samples_is_biased_upward_and_averaging_cures_it() -> None:
    near, far = sample_ways(PROCESS, POLICIES[0], 2, 64, np.random.default_rng(0))
    plain = gate_bias(near, near, OPTIMAL, 64)
    raised = [gate_bias(near, far, OPTIMAL, repeats) - plain for repeats in (1, 4, 64)]
    assert raised[0] > 0.3 > raised[1] > raised[2] and raised[2] < 0.05
    # Where moves are certain there is nothing to cure.
    rooms = sparse_four_rooms()
    uniform = np.full(rooms.rewards.shape, 0.25)
    near, far = sample_ways(rooms, uniform, 5, 4, np.random.default_rng(0))
    assert abs(gate_bias(near, far, rooms.optimal_values(), 1)) < 1e-9


def test_the_rooms_and_the_corridor_are_as_described() -> None:
    rooms = sparse_four_rooms(slip=0.2)
    assert rooms.rewards.shape == (104, 4) and np.allclose(rooms.transitions.sum(2), 1)
    best = sparse_four_rooms().optimal_values()[0].max()
    assert best == pytest.approx(0.99**19)  # the 20th step pays
    assert corridor().optimal_values()[0] == pytest.approx([0.99**50, 0])


def test_an_operator_without_policy_or_depth_is_refused() -> None:
    with pytest.raises(UserError, match="depths of 1 or more"):
        HighwayOperator(PROCESS, POLICIES, [0])
    with pytest.raises(UserError, match="aggregate of the highway operator"):
        HighwayOperator(PROCESS, POLICIES, [2], "median")
