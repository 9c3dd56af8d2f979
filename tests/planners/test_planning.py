"""Plans, exact and learned, and the scoring of policies against a walk in plain Python."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from planners.distances import distances, optimal_actions
from planners.evaluation import follow, parse_bins, score
from planners.mazes import MazeKind, MazeRule, generate
from planners.moves import MOORE, NEWS
from planners.network import PlanningNetwork
from planners.planning import ExactPlanner, LearnedPlanner, PlanConfig, Status, read_maze, run_plan

torch.set_num_threads(1)  # little tensors, and tests may share the machine


class Oracle(PlanningNetwork):
    """A network whose logits are prescribed."""

    def __init__(self, actions: np.ndarray) -> None:
        super().__init__(None)
        self.logits = torch.nn.functional.one_hot(torch.from_numpy(actions).long(), 4).float()

    def encode(self, mazes: torch.Tensor, goals: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (mazes,)

    def iterate(self, encoded: object, depth: int, keep: object) -> torch.Tensor:
        return self.logits.permute(2, 0, 1)[None, None]

    def decode(self, encoded: object, states: torch.Tensor) -> torch.Tensor:
        return states


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    size=st.integers(4, 17),
    kind=st.sampled_from(["depth_first", "obstacles", "rooms"]),
)
def test_both_searches_find_shortest_paths(seed: int, size: int, kind: MazeKind) -> None:
    one = generate(MazeRule(size, kind), 1, seed)
    maze, goal = one.mazes[0], (int(one.goals[0, 0]), int(one.goals[0, 1]))
    draw = np.random.default_rng(seed)
    start_row, start_column = draw.choice(np.argwhere(maze))
    start = (int(start_row), int(start_column))
    for moves in (NEWS, MOORE):
        length = int(distances(one.mazes, one.goals, moves)[0][start])
        for method in ("a_star", "bfs"):
            plan = ExactPlanner(method, moves).plan(maze, start, goal)
            if length < 0:
                assert plan.status is Status.NO_PATH
                continue
            assert plan.status is Status.OPTIMAL and len(plan.cells) == length + 1
            assert plan.cells[0] == start and plan.cells[-1] == goal
            steps = np.diff(np.array(plan.cells), axis=0)
            assert all(tuple(step) in moves.offsets for step in steps)
            assert all(maze[cell] for cell in plan.cells)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.integers(4, 12), noise=st.floats(0, 1))
def test_pointer_jumping_is_walking(seed: int, size: int, noise: float) -> None:
    maze_set = generate(MazeRule(size), 2, seed)
    draw = np.random.default_rng(seed)
    bits = optimal_actions(distances(maze_set.mazes, maze_set.goals))
    best = np.argmax(bits[:, None] >> np.arange(4, dtype=np.uint8).reshape(-1, 1, 1) & 1, axis=1)
    random = draw.integers(0, 4, best.shape)
    actions = np.where(draw.random(best.shape) < noise, random, best).astype(np.int8)
    steps = follow(actions, maze_set)
    for n, row, column in np.argwhere(maze_set.mazes):
        cell, walked = (int(row), int(column)), 0
        while cell != tuple(maze_set.goals[n]) and walked <= size**2:
            down, right = NEWS.offsets[actions[n][cell]]
            after = (cell[0] + down, cell[1] + right)
            inside = 0 <= after[0] < size and 0 <= after[1] < size
            cell = after if inside and maze_set.mazes[n][after] else cell
            walked += 1
        assert steps[n, row, column] == (walked if walked <= size**2 else -1)


def test_an_optimal_policy_scores_a_hundred_in_every_bin() -> None:
    maze_set = generate(MazeRule(15), 30, 5)
    bits = optimal_actions(distances(maze_set.mazes, maze_set.goals))
    actions = np.argmax(bits[:, None] >> np.arange(4, dtype=np.uint8).reshape(-1, 1, 1) & 1, axis=1)
    rows = score(actions.astype(np.int8), maze_set, [1, 15, 30, 60])
    assert [(row.lo, row.hi) for row in rows] == [(1, 15), (16, 30), (31, 60)]
    assert all(row.success == row.optimal == 100 for row in rows if row.starts)
    assert parse_bins("1,15") == [1, 15]
    with pytest.raises(ValueError, match="rising path lengths"):
        parse_bins("15,1")


MAZE = np.array([[1, 1, 1, 0, 1], [1, 0, 1, 0, 0], [1, 1, 1, 1, 1]], np.uint8)
EAST = np.ones(MAZE.shape, np.int64)


def test_each_way_to_fail_has_its_own_status() -> None:
    planner = LearnedPlanner(Oracle(EAST), depth=1)
    plan = planner.plan(MAZE, (2, 0), (2, 4))
    assert plan.status is Status.OPTIMAL and plan.reached and len(plan.cells) == 5
    assert planner.plan(MAZE, (0, 0), (2, 4)).status is Status.COLLISION
    assert planner.plan(MAZE, (0, 3), (2, 4)).status is Status.START_IN_WALL
    assert planner.plan(MAZE, (-1, 0), (2, 4)).status is Status.START_IN_WALL
    assert planner.plan(MAZE, (0, 0), (1, 1)).status is Status.GOAL_IN_WALL
    assert planner.plan(MAZE, (0, 0), (0, 4)).status is Status.NO_PATH
    circle = EAST.copy()
    circle[0, 1] = 3
    assert LearnedPlanner(Oracle(circle), 1).plan(MAZE, (0, 0), (2, 4)).status is Status.TIMEOUT
    detour = EAST.copy()
    detour[2, 0], detour[1, 0], detour[0, 2], detour[1, 2] = 0, 0, 2, 2
    plan = LearnedPlanner(Oracle(detour), 1).plan(MAZE, (2, 0), (2, 4))
    assert plan.status is Status.VALID and "would do" in plan.message


def test_a_picture_goes_in_and_a_picture_comes_out(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "maze.png"), MAZE * 255)
    np.testing.assert_array_equal(read_maze(tmp_path / "maze.png"), MAZE)
    config = PlanConfig(tmp_path / "maze.png", "0,0", "2,4", out=tmp_path / "plan.png")
    assert run_plan(config).status is Status.OPTIMAL
    picture = cv2.imread(str(tmp_path / "plan.png"))
    assert picture is not None and picture.shape[0] / 3 == picture.shape[1] / 5
    cv2.imwrite(str(tmp_path / "white.png"), np.full((5, 5), 255, np.uint8))
    with pytest.raises(ValueError, match="is no maze"):
        read_maze(tmp_path / "white.png")
    with pytest.raises(ValueError, match="no readable image"):
        read_maze(tmp_path / "none.png")
    with pytest.raises(ValueError, match="give row and column"):
        run_plan(PlanConfig(tmp_path / "maze.png", "here", "2,4"))
