"""Eight moves and a differential drive: states as maps, walks along policies, trained weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from asterias.errors import UserError
from planners.mazes.action_sets import DIFF_DRIVE, MOORE
from planners.mazes.datasets import MazeRule, generate, generate_stratified
from planners.mazes.distances import distances, optimal_actions
from planners.networks.base import observation
from planners.networks.headings import PLACES, drive_steps, interleave, separate
from planners.networks.registry import build
from planners.networks.weights import load_weights
from planners.planning.factory import find_weights
from planners.planning.learned import LearnedPlanner
from planners.training.evaluation import follow, greedy_actions, score
from planners.training.train_config import TrainConfig
from planners.training.trainer import PlannerTrainer, expert_labels

torch.set_num_threads(1)  # little tensors, and tests may share the machine


def test_headings_come_back_from_the_map() -> None:
    states = np.arange(2 * 4 * 3 * 5).reshape(2, 4, 3, 5)
    maps = interleave(states)
    assert maps.shape == (2, 6, 10)
    np.testing.assert_array_equal(separate(maps), states)
    assert maps[0, 2, 5] == states[0, 1, 1, 2]  # east of the cell in row 1, column 2
    turned = np.rot90(states, -1, axes=(2, 3))[:, [3, 0, 1, 2]]  # north becomes east
    np.testing.assert_array_equal(np.rot90(maps, -1, axes=(1, 2)), interleave(turned))


def test_a_step_in_the_map_is_the_action_of_the_drive() -> None:
    maze_set = generate(MazeRule(9), 4, seed=2)
    lengths = distances(maze_set.mazes, maze_set.goals, DIFF_DRIVE)
    maps, bits = interleave(lengths), interleave(optimal_actions(lengths, DIFF_DRIVE))
    for heading, steps in enumerate(drive_steps()):
        down, right = PLACES[heading]
        for action, (rows, columns) in enumerate(steps):
            for n, i, j in np.argwhere(bits[:, down::2, right::2] >> action & 1):
                row, column = 2 * i + down, 2 * j + right
                assert maps[n, row + rows, column + columns] == maps[n, row, column] - 1


def test_a_drive_that_follows_optimal_actions_takes_the_shortest_way() -> None:
    maze_set = generate(MazeRule(15), 6, seed=5)
    lengths = distances(maze_set.mazes, maze_set.goals, DIFF_DRIVE)
    optimal = expert_labels(maze_set, DIFF_DRIVE).optimal.numpy()
    ties = np.random.default_rng(0).random(optimal.shape)
    actions = (optimal * ties).argmax(axis=1).astype(np.int8)
    steps = follow(actions, maze_set, DIFF_DRIVE)
    np.testing.assert_array_equal(steps[lengths >= 0], lengths[lengths >= 0])
    rows = score(np.zeros_like(actions), maze_set, [1, 20, 100], DIFF_DRIVE)
    assert 0 < rows[0].success < 50 and rows[1].success == 0  # forward into the first wall


@pytest.mark.parametrize("depth", [200, 201, 350])
def test_eight_moves_are_planned_rightly_at_every_depth(depth: int) -> None:
    network, card = load_weights(find_weights("sparse_dt_vin_moore", 15))
    assert card["moves"] == "moore" and network.config.actions == 8
    mazes = generate_stratified(MazeRule(35), (0, 60, 120), 2, 7, MOORE)
    rows = score(greedy_actions(network, mazes, depth), mazes, [1, 60, 120], MOORE)
    assert all(row.optimal == 100 for row in rows)


def test_eight_moves_in_closed_form_are_those_of_the_layers() -> None:
    network, _ = load_weights(find_weights("sparse_dt_vin_moore", 15))
    maze_set = generate(MazeRule(20), 2, seed=3)
    maze, goal = observation(maze_set.mazes, maze_set.goals)
    for depth in (1, 8, 61, 300):
        solved = network.solve(maze, goal, depth)
        assert solved is not None
        with torch.no_grad():
            logits = network(maze, goal, depth)
        chosen = logits.gather(1, torch.from_numpy(solved.actions).long().unsqueeze(1))[:, 0]
        torch.testing.assert_close(chosen, logits.amax(dim=1), rtol=0, atol=1e-3)


def test_a_drive_plans_on_larger_mazes_than_it_was_trained_on() -> None:
    network, card = load_weights(find_weights("drive_dt_vin", 15))
    assert card["moves"] == "diff_drive"
    mazes = generate_stratified(MazeRule(25), (0, 80, 200), 1, 3, DIFF_DRIVE)
    rows = score(greedy_actions(network, mazes, 300), mazes, [1, 80, 200], DIFF_DRIVE)
    assert all(row.optimal == 100 for row in rows)


def test_a_drive_arrives_in_any_heading() -> None:
    network, _ = load_weights(find_weights("drive_dt_vin", 15))
    maze_set = generate(MazeRule(11), 1, seed=6)
    maze, goal = observation(maze_set.mazes, maze_set.goals)
    goals = torch.zeros(1, 4, 11, 11)
    goals[:, 2] = goal  # south
    with torch.no_grad():
        actions = network(maze, goals, 120).argmax(dim=1).numpy()
    lengths = distances(maze_set.mazes, maze_set.goals, DIFF_DRIVE, 2)
    bits = interleave(optimal_actions(lengths, DIFF_DRIVE))
    right = bits >> actions & 1
    assert right[interleave(lengths) > 0].all()


def test_what_does_not_fit_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="drive_dt_vin is for diff_drive"):
        PlannerTrainer(TrainConfig(out=tmp_path, size=9, mazes=32, moves="diff_drive"))
    with pytest.raises(UserError, match="a cell and a heading"):
        LearnedPlanner.load(find_weights("drive_dt_vin", 15))
    for options in ({"actions": 4}, {"field": 3}, {"skip": 3}, {"policy_input": "patch"}):
        with pytest.raises(UserError, match="a drive"):
            build("drive_dt_vin", options)
