"""The mapper over the eight symmetries of a maze, and what a training changes in its views."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from asterias.errors import UserError
from learning.doom_maze.augmentation import strong_jitter, turn_maze
from learning.doom_maze.evaluation import DoomTest, errors_by_set
from planners.mapping.map_belief import MapBelief
from planners.mapping.mapper import Mapper, MapperConfig, symmetric, wall_probabilities
from planners.mapping.symmetries import mirror_views, turn_directions, turn_map
from planners.mazes.datasets import MazeRule, MazeSet, generate
from planners.networks.weights import load_weights
from planners.planning.factory import find_weights
from planners.training.train_config import TrainConfig, config_of_card
from sim.doom.textures import choose_look

SMALL = MapperConfig(first=4, second=4, per_view=8, cell=4)


def world(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a map of 5 x 5 cells, which of them have views, and views that are mere noise."""
    random = np.random.default_rng(seed)
    maze = random.integers(0, 2, (5, 5)).astype(np.uint8)
    given = maze > 0
    views = random.integers(0, 256, (5, 5, 4, 24, 32, 3)).astype(np.uint8)
    views[~given] = 0
    return maze, given, views


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("quarters", range(4))
def test_a_turned_maze_gets_the_turned_map(quarters: int, mirrored: bool) -> None:
    torch.manual_seed(0)
    mapper = symmetric(Mapper(SMALL))
    _, given, views = world(1)
    expected = torch.from_numpy(wall_probabilities(mapper, views, given))
    seen, known = torch.from_numpy(views), torch.from_numpy(given)
    if mirrored:
        seen, known, expected = mirror_views(seen.flip(1)), known.flip(1), expected.flip(1)
    seen = torch.rot90(turn_directions(seen, quarters, 2), -quarters, (0, 1))
    turned = wall_probabilities(mapper, seen.numpy(), turn_map(known, quarters).numpy())
    torch.testing.assert_close(torch.from_numpy(turned), turn_map(expected, quarters))
    plain = wall_probabilities(Mapper(SMALL), views, given)
    assert plain.shape == turned.shape and not np.allclose(plain, turned)


def test_a_belief_grows_with_a_symmetric_mapper_too() -> None:
    mapper = symmetric(Mapper(SMALL))
    _, given, views = world(2)
    belief = MapBelief(mapper, 5, 5)
    cells = [(int(row), int(column)) for row, column in np.argwhere(given)]
    belief.see(cells, views[given])
    whole = wall_probabilities(mapper, views, given)
    inner = ~given[1:-1, 1:-1]
    found, expected = belief.walls()[1:-1, 1:-1], whole[1:-1, 1:-1]
    np.testing.assert_allclose(found[inner], expected[inner], atol=1e-5)


def test_views_go_with_their_cells_when_a_maze_is_turned() -> None:
    maze, given, views = world(3)
    ways = set()
    for seed in range(40):
        of_given = torch.from_numpy(views[given])
        turned, known, seen = turn_maze(maze, given, of_given, np.random.default_rng(seed))
        assert np.array_equal(turned > 0, known) and len(seen) == given.sum()
        sums = np.sort(seen.flatten(1).long().sum(dim=1).numpy())
        assert np.array_equal(sums, np.sort(views[given].reshape(len(seen), -1).sum(axis=1)))
        ways.add(turned.tobytes())
    assert len(ways) == 8


def test_strong_changes_keep_what_is_a_picture() -> None:
    views = torch.randint(0, 256, (3, 4, 24, 32, 3), dtype=torch.uint8)
    random = np.random.default_rng(0)
    changed = [strong_jitter(views, random) for _ in range(20)]
    assert all(one.shape == views.shape for one in changed)
    assert all(float(one.min()) >= 0 and float(one.max()) <= 255 for one in changed)
    assert len({round(float(one.mean()), 3) for one in changed}) == 20


def test_mazes_of_trainings_with_older_cards_are_kept_out_of_the_tests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, card = load_weights(find_weights("dt_vin", 15))
    assert config_of_card(card["training"]).learning_rate == 0.02  # "rate" in that card
    with pytest.raises(UserError, match="unknown option 'speed'"):
        config_of_card({"speed": 1})
    asked: list[TrainConfig] = []

    def few(config: TrainConfig) -> tuple[MazeSet, MazeSet]:
        asked.append(config)
        rule = MazeRule(15)
        return generate(rule, 2, config.seed), generate(rule, 1, config.seed + 1)

    monkeypatch.setattr("learning.doom_maze.evaluation.draw_mazes", few)
    monkeypatch.setattr("learning.doom_maze.evaluation._seen_by_mapper", lambda *_: [])
    assert len(DoomTest(15, 1, "held_out").mazes({}, card)) == 3
    assert asked[0].size == 15 and asked[0].learning_rate == 0.02


def test_wrong_cells_are_told_by_texture_set() -> None:
    truth = np.zeros((30, 5, 5), np.uint8)
    predicted = truth.copy()
    looks = [choose_look("held_out", 7 + index).textures for index in range(30)]
    assert len(set(looks)) > 2
    for index, name in enumerate(looks):
        predicted[index, 0, 0] = name == "tek"
    by_set = errors_by_set(predicted, truth, "held_out", 7)
    assert by_set == {name: 4.0 if name == "tek" else 0.0 for name in set(looks)}
