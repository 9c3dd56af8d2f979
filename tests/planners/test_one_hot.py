"""Value iteration with one-hot kernels in closed form, against sweeps over the layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from planners.mazes.datasets import MazeKind, MazeRule, generate, generate_stratified
from planners.mazes.distances import distances
from planners.networks.base import observation
from planners.networks.registry import build
from planners.networks.weights import load_weights
from planners.operator.one_hot_kernels.solver import OneHotMap, scale_of, solve, tap_offsets
from planners.planning.factory import find_weights
from planners.training.evaluation import score, stable_actions

torch.set_num_threads(1)  # little tensors, and tests may share the machine

MOVES = np.array([1, 5, 7, 3], np.uint8)  # north, east, south, west of the middle, tap 4


def swept(one_hot: OneHotMap, depth: int) -> NDArray[np.float64]:
    """Run the layers, in the integers of the solver."""
    scale = scale_of(one_hot.reward, depth)
    reward = np.rint(one_hot.reward * scale).astype(np.int64)
    cells = np.arange(len(reward))[:, None]
    successors = cells + tap_offsets(one_hot.shape[1])[one_hot.taps]
    value = np.zeros(len(reward), np.int64)
    for _ in range(depth):
        value = (reward + value)[successors].max(axis=1)
    return np.asarray((value - value.max()) / scale)


def kept_inside(taps: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Let taps that lead outside stay."""
    rows, columns = np.divmod(np.arange(shape[0] * shape[1]), shape[1])
    row = rows[:, None] + taps // 3 - 1
    column = columns[:, None] + taps % 3 - 1
    is_inside = (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
    return np.where(is_inside, taps, 4).astype(np.uint8)


@pytest.mark.parametrize("seed", range(60))
def test_any_graph_at_any_depth_is_solved_exactly(seed: int) -> None:
    draw = np.random.default_rng(seed)
    shape = (int(draw.integers(2, 8)), int(draw.integers(2, 8)))
    cells = shape[0] * shape[1]
    taps = draw.integers(0, 9, (cells, int(draw.integers(1, 5))))
    if seed % 2:  # a maze: free cells move, walls stay or point anywhere
        taps = np.where(draw.random((cells, 1)) < 0.6, MOVES, draw.integers(0, 9, (cells, 4)))
    reward = draw.normal(size=cells).astype(np.float32).astype(np.float64)
    if seed % 3:
        reward = draw.choice([-0.5, 0.25, 0.5], cells)
        reward[draw.integers(cells)] = 4
    one_hot = OneHotMap(kept_inside(taps.astype(np.uint8), shape), reward, shape)
    for depth in (1, 2, 3, 8, 33, 150):
        value = solve(one_hot, depth)
        assert value is not None
        np.testing.assert_array_equal(value, swept(one_hot, depth))


def corridor(cells: int) -> OneHotMap:
    """A corridor with the goal at its west end; moves into its walls stay."""
    taps = np.full((cells, 2), 4, np.uint8)
    taps[1:, 0], taps[:-1, 1] = 3, 5
    reward = np.full(cells, 0.5)
    reward[0] = 4
    return OneHotMap(taps, reward, (1, cells))


def test_cells_beyond_the_depth_keep_the_value_of_where_they_are() -> None:
    value = solve(corridor(200), 50)
    assert value is not None
    np.testing.assert_array_equal(value, swept(corridor(200), 50))
    assert value[199] == value[60] == 50 * (0.5 - 4) and value[40] > value[60]


def test_ten_million_layers_take_no_longer_and_lose_nothing() -> None:
    value = solve(corridor(1000), 10_000_000)
    assert value is not None
    np.testing.assert_allclose(np.diff(value[1:]), -3.5, rtol=0, atol=1e-5)


def test_one_way_circles_are_given_up_or_right() -> None:
    # Three cells in a ring, which only longer cycles than there and back lead along.
    taps = np.array([[5], [6], [1], [4]], np.uint8)
    one_hot = OneHotMap(taps, np.array([1.0, 0, 0, -1]), (2, 2))
    value = solve(one_hot, 40)
    assert value is not None
    np.testing.assert_array_equal(value, swept(one_hot, 40))
    assert solve(one_hot, 100_000) is None


@pytest.mark.parametrize("kind", ["depth_first", "kruskal", "obstacles", "rooms", "streets"])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_the_network_in_closed_form_is_the_network_layer_by_layer(
    kind: MazeKind, noise: float
) -> None:
    networks = [load_weights(find_weights("sparse_dt_vin", 15))[0]]
    torch.manual_seed(1)
    networks += [build("sparse_dt_vin", {"init": init}).eval() for init in ("lean", "random")]
    maze_set = generate(MazeRule(20, kind), 2, seed=3)  # even: corridors at the far border
    maze, goal = observation(maze_set.mazes, maze_set.goals)
    maze = (maze + noise * torch.randn(maze.shape)).clamp(0, 1)
    for network in networks:
        for depth in (1, 7, 60, 300):
            solved = network.solve(maze, goal, depth)
            assert solved is not None
            with torch.no_grad():
                encoded = network.encode(maze, goal)
                states = network.iterate(encoded, depth, (depth,))
                logits = network.decode(encoded, states)[0]
                values = network.values(encoded, states)[0]
            # Equal logits may be ordered by rounding: the chosen one is as good as the best.
            chosen = logits.gather(1, torch.from_numpy(solved.actions).long().unsqueeze(1))[:, 0]
            torch.testing.assert_close(chosen, logits.amax(dim=1), rtol=0, atol=1e-3)
            found = torch.from_numpy(solved.values)
            shift = (values - found).mean(dim=(1, 2), keepdim=True)
            torch.testing.assert_close(found + shift, values, rtol=1e-4, atol=2e-3)


def test_networks_without_one_hot_kernels_run_their_layers() -> None:
    maze_set = generate(MazeRule(9), 1, seed=3)
    maps = observation(maze_set.mazes, maze_set.goals)
    for options in ({"one_hot": False}, {"border": "zeros"}, {"transition_sees_goal": True}):
        assert build("sparse_dt_vin", options).eval().solve(*maps, 10) is None
    assert build("sparse_dt_vin").train().solve(*maps, 10) is None
    assert build("gppn").eval().solve(*maps, 10) is None


def test_weights_of_15_by_15_solve_what_is_far_larger() -> None:
    network, _ = load_weights(find_weights("sparse_dt_vin", 15))
    mazes = generate_stratified(MazeRule(101, decimation=(0, 0.05)), (800, 1200, 1800), 1, seed=8)
    actions, depth = stable_actions(network, mazes, 200, mazes.size**2)
    longest = int(distances(mazes.mazes, mazes.goals).max())
    assert longest <= depth < 8 * longest
    assert all(row.optimal == 100 for row in score(actions, mazes, [1, 600, 1800]))


def test_tables_follow_the_weights(tmp_path: Path) -> None:
    network = build("sparse_dt_vin").eval()
    maze_set = generate(MazeRule(9), 1, seed=3)
    maps = observation(maze_set.mazes, maze_set.goals)
    before = network.solve(*maps, 20)
    with torch.no_grad():
        network.policy.weight.neg_()
    after = network.solve(*maps, 20)
    assert before is not None and after is not None and (before.actions != after.actions).any()
