"""Mazes: connected, reproducible, never shared between splits; distances by another search."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from planners.mazes.action_sets import DIFF_DRIVE, MOORE, MOVES, NEWS, MoveName, Moves
from planners.mazes.datasets import (
    MazeKind,
    MazeRule,
    MazeSet,
    generate,
    generate_splits,
    generate_stratified,
)
from planners.mazes.distances import distances, optimal_actions

State = tuple[int, int, int]


def successors(maze: NDArray[np.uint8], state: State, moves: Moves) -> list[State]:
    """One step of each action in the words of the move sets.

    Blocked moves stay, a drive into a wall sticks.
    """
    facing, row, column = state
    if moves.is_drive:
        down, right = moves.offsets[facing]
        ahead = (facing, row + down, column + right) if maze[row, column] else state
        inside = 0 <= ahead[1] < maze.shape[0] and 0 <= ahead[2] < maze.shape[1]
        return [
            ahead if inside else state,
            ((facing + 1) % 4, row, column),
            ((facing - 1) % 4, row, column),
        ]
    result = []
    for down, right in moves.offsets:
        r, c = row + down, column + right
        free = 0 <= r < maze.shape[0] and 0 <= c < maze.shape[1] and maze[r, c]
        result.append((0, r, c) if free else state)
    return result


def brute_force(
    maze: NDArray[np.uint8], goal: NDArray[np.int64], moves: Moves
) -> NDArray[np.int64]:
    """Bellman-Ford: relax every state until nothing changes."""
    far, costs = 10**9, moves.cost_array()
    dist = np.full((moves.orientations, *maze.shape), far)
    dist[0, goal[0], goal[1]] = 0
    states = [(o, r, c) for o in range(moves.orientations) for r, c in np.argwhere(maze).tolist()]
    changed = True
    while changed:
        changed = False
        for state in states:
            after = successors(maze, state, moves)
            best = min(dist[one] + cost for one, cost in zip(after, costs, strict=True))
            if best < dist[state]:
                dist[state], changed = best, True
    dist[dist >= far] = -1
    return dist if moves.is_drive else dist[0]


@settings(max_examples=15, deadline=None)
@given(
    size=st.integers(4, 10),
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(["depth_first", "kruskal", "wilson", "obstacles"]),
    name=st.sampled_from(list(MOVES)),
)
def test_distances_and_actions_agree_with_brute_force(
    size: int, seed: int, kind: MazeKind, name: MoveName
) -> None:
    moves = MOVES[name]
    one = generate(MazeRule(size, kind), 1, seed)
    lengths = distances(one.mazes, one.goals, moves)
    expected = brute_force(one.mazes[0], one.goals[0], moves)
    np.testing.assert_array_equal(lengths[0], expected)
    bits = optimal_actions(lengths, moves)[0].reshape(moves.orientations, size, size)
    table = expected.reshape(moves.orientations, size, size)
    for state in np.ndindex(table.shape):
        wanted = {
            action
            for action, after in enumerate(successors(one.mazes[0], state, moves))
            if table[state] > 0 and table[after] == table[state] - moves.cost_array()[action] >= 0
        }
        assert {a for a in range(len(moves.actions)) if bits[state] >> a & 1} == wanted


@pytest.mark.parametrize("kind", ["depth_first", "kruskal", "wilson", "rooms"])
@pytest.mark.parametrize("size", [15, 16, 31])
def test_every_carved_cell_is_reachable_but_for_an_isolated_goal(kind: MazeKind, size: int) -> None:
    mazes = generate(MazeRule(size, kind, decimation=(0, 0)), 20, seed=size).mazes
    corner = np.ones((len(mazes), 2), np.int64)
    reached = distances(mazes, corner) >= 0
    free_on_the_lattice = mazes.astype(bool)
    assert (free_on_the_lattice & ~reached).sum() <= len(mazes)


@pytest.mark.parametrize("kind", ["depth_first", "kruskal", "wilson"])
def test_undecimated_mazes_are_trees(kind: MazeKind) -> None:
    for maze in generate(MazeRule(21, kind, decimation=(0, 0)), 10, seed=3).mazes:
        cells = int(maze.sum())
        edges = int((maze[1:] & maze[:-1]).sum() + (maze[:, 1:] & maze[:, :-1]).sum())
        assert (
            -2 <= cells - edges <= 2
        )  # 1 for a tree; a goal freed in a wall joins up to four parts


def test_a_seed_means_the_same_maze_for_ever() -> None:
    first, again = generate(MazeRule(15), 40, 7), generate(MazeRule(15), 40, 7)
    np.testing.assert_array_equal(first.mazes, again.mazes)
    np.testing.assert_array_equal(first.goals, again.goals)
    longer = generate(MazeRule(15), 300, 7)
    np.testing.assert_array_equal(longer.mazes[:40], first.mazes)
    assert int(first.mazes.sum()) == FROZEN_FREE_CELLS


FROZEN_FREE_CELLS = 5423


def test_splits_share_no_maze_and_goals_are_free() -> None:
    splits = generate_splits(MazeRule(6), (150, 60, 60), seed=1)
    keys = [set(part.fingerprints()) for part in splits]
    assert [len(part) for part in splits] == [150, 60, 60] == [len(key) for key in keys]
    assert not (keys[0] & keys[1] or keys[0] & keys[2] or keys[1] & keys[2])
    for part in splits:
        assert part.mazes[np.arange(len(part)), part.goals[:, 0], part.goals[:, 1]].all()
        assert not (part.goals == 1).all(axis=1).any()


def test_excluded_mazes_do_not_come_back() -> None:
    train = generate(MazeRule(7), 200, seed=1)
    test = generate(MazeRule(7), 200, seed=1, exclude=[train])
    assert not set(train.fingerprints()) & set(test.fingerprints())


def test_the_benchmark_statistics_hold() -> None:
    maze_set = generate(MazeRule(15), 5000, seed=2)
    lengths = distances(maze_set.mazes, maze_set.goals)
    assert 130 < (lengths >= 0).sum() / 5000 < 135
    assert 10.2 < lengths[lengths > 0].mean() < 11.4


def test_stratified_sampling_fills_the_rare_bins() -> None:
    edges = (0, 20, 40, 60)
    maze_set = generate_stratified(MazeRule(15), edges, 25, seed=5)
    longest = distances(maze_set.mazes, maze_set.goals).reshape(len(maze_set), -1).max(axis=1)
    np.testing.assert_array_equal(np.histogram(longest - 1, edges)[0], [25, 25, 25])
    with pytest.raises(ValueError, match="fill the bins"):
        generate_stratified(MazeRule(5), (0, 500, 600), 2, seed=5, limit=1000)


def test_saving_and_loading_gives_the_same_set(tmp_path: Path) -> None:
    maze_set = generate(MazeRule(9), 10, seed=4)
    maze_set.save(tmp_path / "set.npz")
    loaded = MazeSet.load(tmp_path / "set.npz")
    np.testing.assert_array_equal(loaded.mazes, maze_set.mazes)
    np.testing.assert_array_equal(loaded.goals, maze_set.goals)
    assert [path.name for path in tmp_path.iterdir()] == ["set.npz"]


def test_bad_input_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="smallest maze"):
        MazeRule(3)
    with pytest.raises(ValueError, match="decimation"):
        MazeRule(9, decimation=(0.5, 0.2))
    with pytest.raises(ValueError, match="different mazes found"):
        generate(MazeRule(4, decimation=(0, 0)), 10**4, seed=0)
    (tmp_path / "no.npz").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="no maze file"):
        MazeSet.load(tmp_path / "no.npz")
    with pytest.raises(ValueError, match="outside its maze"):
        distances(np.ones((1, 5, 5), np.uint8), np.array([[5, 0]]))


def test_known_shortest_paths() -> None:
    maze = np.ones((1, 3, 3), np.uint8)
    goal = np.array([[0, 0]])
    np.testing.assert_array_equal(distances(maze, goal)[0], [[0, 1, 2], [1, 2, 3], [2, 3, 4]])
    np.testing.assert_array_equal(
        distances(maze, goal, MOORE)[0], [[0, 1, 2], [1, 1, 2], [2, 2, 2]]
    )
    drive = distances(maze, goal, DIFF_DRIVE)[0]
    assert drive[0, 2, 0] == 2 and drive[1, 2, 0] == 3 and drive[2, 2, 0] == 4
    assert optimal_actions(distances(maze, goal, NEWS))[0, 1, 1] == 0b1001  # north or west
