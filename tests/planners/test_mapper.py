"""From views to walls, what is believed of a maze, and walks that learn it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from learning.doom_maze.end_to_end import ViewPlanner
from learning.doom_maze.mapper_config import config_from_card
from learning.doom_maze.mapper_training import (
    MapperTrainConfig,
    MapperTrainer,
    draw_given,
    emphasis,
    train_mapper,
)
from planners.mapping.exploration import (
    ExplorationEnd,
    SurveyedWorld,
    explore,
    random_walk,
)
from planners.mapping.frontiers import next_stop
from planners.mapping.map_belief import FREE, UNKNOWN, WALL, MapBelief
from planners.mapping.mapper import Mapper, load_mapper, save_mapper, wall_probabilities
from planners.mazes.datasets import MazeRule, generate
from planners.mazes.distances import distances
from planners.networks.base import observation
from planners.networks.registry import build
from planners.planning.exact import ExactPlanner
from planners.training.trainer import expert_labels
from sim.doom.views import survey_mazes

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def mapper() -> Mapper:
    return load_mapper()


def test_the_layers_are_those_of_the_paper() -> None:
    mapper = Mapper()
    shapes = {name: tuple(p.shape) for name, p in mapper.named_parameters() if "weight" in name}
    assert shapes == {
        "first.weight": (32, 3, 8, 8),
        "second.weight": (64, 32, 4, 4),
        "per_view.weight": (256, 384),
        "around.weight": (64, 1024, 3, 3),
        "wall.weight": (1, 64, 3, 3),
    }
    views = torch.zeros(2, 5, 6, 4, 24, 32, 3, dtype=torch.uint8)
    assert mapper(views, torch.ones(2, 5, 6, dtype=torch.bool)).shape == (2, 5, 6)


def test_the_weights_that_come_with_it_read_unseen_mazes(mapper: Mapper) -> None:
    mazes = generate(MazeRule(11), 6, 4321)
    wrong = 0
    for maze, seen in zip(mazes.mazes, survey_mazes(mazes.mazes, range(6)), strict=True):
        walls = wall_probabilities(mapper, seen.views, seen.given)
        wrong += int(((walls > 0.5) == (maze > 0)).sum())
    assert wrong <= 12  # of 726 cells


def test_a_growing_belief_is_what_all_views_at_once_say(mapper: Mapper) -> None:
    maze = generate(MazeRule(9), 1, 5).mazes[0]
    seen = survey_mazes(maze[None], [5])[0]
    belief = MapBelief(mapper, 9, 9)
    assert (belief.occupancy()[1:-1, 1:-1] != WALL).any()
    cells = [(int(r), int(c)) for r, c in np.argwhere(seen.given)]
    for number, cell in enumerate(cells):
        belief.see([cell], seen.views[cell][None])
        if number % 3:  # the map changes around a look, or several
            belief.walls()
    walls = wall_probabilities(mapper, seen.views, seen.given)
    inner = np.zeros((9, 9), bool)
    inner[1:-1, 1:-1] = maze[1:-1, 1:-1] == 0
    np.testing.assert_allclose(belief.walls()[inner], walls[inner], atol=1e-4)
    assert (belief.occupancy()[maze > 0] == FREE).all()


def test_what_was_felt_counts_more_than_what_was_seen(mapper: Mapper) -> None:
    belief = MapBelief(mapper, 7, 7)
    assert (belief.occupancy()[[0, -1], :] == WALL).all()
    belief.bump((3, 3))
    assert belief.occupancy()[3, 3] == WALL and not belief.optimistic()[3, 3]
    belief.see([(2, 3)], np.zeros((1, 4, 24, 32, 3), np.uint8))
    assert belief.occupancy()[2, 3] == FREE and belief.seen[2, 3]
    belief.doubt()
    inner = belief.occupancy()[1:-1, 1:-1]
    assert (inner == WALL).sum() == 1 and inner[2, 2] == WALL
    with pytest.raises(ValueError, match="outside the map"):
        belief.see([(7, 0)], np.zeros((1, 4, 24, 32, 3), np.uint8))
    with pytest.raises(ValueError, match=r"sure is 0\.3"):
        MapBelief(mapper, 7, 7, sure=0.3)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10_000), weights=st.integers(0, 5))
def test_even_with_an_untrained_mapper_every_walk_arrives(seed: int, weights: int) -> None:
    torch.manual_seed(weights)
    drawn = generate(MazeRule(6), 1, seed)
    maze, goal = drawn.mazes[0], (int(drawn.goals[0, 0]), int(drawn.goals[0, 1]))
    lengths = distances(drawn.mazes, drawn.goals)[0]
    start = np.unravel_index(int(lengths.argmax()), lengths.shape)
    views = np.random.default_rng(seed).integers(0, 255, (6, 6, 4, 24, 32, 3), np.uint8)
    world = SurveyedWorld(maze, views, (int(start[0]), int(start[1])))
    walk = explore(world, MapBelief(Mapper(), 6, 6), ExactPlanner(), goal, 500)
    assert walk.end is ExplorationEnd.REACHED and walk.cells[-1] == goal
    assert all(maze[cell] for cell in walk.cells)
    steps = np.abs(np.diff(np.array(walk.cells), axis=0)).sum(axis=1)
    assert (steps == 1).all() and walk.steps >= lengths[start]


def test_stops_are_where_something_new_can_be_seen() -> None:
    plan = [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5)]
    seen = np.zeros((3, 7), bool)
    known = np.full((3, 7), FREE, np.int8)
    assert next_stop(plan, seen, known) == 4
    known[1, 4:] = UNKNOWN
    assert next_stop(plan, seen, known) == 2
    seen[1, 3] = True
    assert next_stop(plan, seen, known) == 3
    assert next_stop(plan[:1], seen, known) == 0


def test_a_random_walk_stays_in_the_maze_and_ends_in_time() -> None:
    maze = generate(MazeRule(8), 1, 3).mazes[0]
    row, column = np.argwhere(maze)[0].tolist()
    world = SurveyedWorld(maze, np.zeros((8, 8, 4, 24, 32, 3), np.uint8), (row, column))
    walk = random_walk(world, (-1, -1), 50, np.random.default_rng(0))
    assert walk.steps == 50 and not walk.reached and all(maze[cell] for cell in walk.cells)


def test_drawn_views_are_of_free_cells_and_weights_follow_them() -> None:
    maze = generate(MazeRule(11), 1, 9).mazes[0]
    random = np.random.default_rng(0)
    shares = []
    for _ in range(60):
        given = draw_given(maze, random)
        assert not (given & (maze == 0)).any()
        shares.append(given.sum() / maze.sum())
    assert min(shares) < 0.2 and max(shares) == 1
    known = torch.zeros(1, 7, 7, dtype=torch.bool)
    known[0, 3, 3] = True
    weight = emphasis(known)[0]
    assert weight[3, 3] == weight[2, 3] == weight[3, 4] == 1
    assert weight[2, 2] == pytest.approx(0.2) and weight[0, 0] == pytest.approx(0.05)


def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    config = {"size": 5, "mazes": 2, "validation": 1, "batch": 1, "epochs": 2, "threads": 1}
    whole = train_mapper(MapperTrainConfig(tmp_path / "whole", **config))  # type: ignore[arg-type]
    broken = MapperTrainer(MapperTrainConfig(tmp_path / "broken", **config))  # type: ignore[arg-type]
    run = broken.run()
    while next(run)[0] != "train":
        pass
    run.close()  # as Ctrl-C does
    again = MapperTrainConfig(tmp_path / "broken", resume=True, **config)  # type: ignore[arg-type]
    resumed = train_mapper(again)
    assert resumed.progress.update == whole.progress.update == 4
    for name, tensor in whole.mapper.state_dict().items():
        torch.testing.assert_close(resumed.mapper.state_dict()[name], tensor)
    loaded = load_mapper(str(tmp_path / "broken" / "mapper.safetensors"))
    torch.testing.assert_close(loaded.wall.weight, resumed.mapper.wall.weight)


def test_files_that_do_not_fit_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no mapper 'nobody': choose mapper"):
        load_mapper("nobody")
    path = tmp_path / "m.safetensors"
    save_mapper(Mapper(), path, {})
    card = path.with_suffix(".json")
    card.write_text(card.read_text().replace('"first": 32', '"first": 16'))
    with pytest.raises(ValueError, match="do not fit together"):
        load_mapper(str(path))
    with pytest.raises(ValueError, match=r"batch 16 is larger than the 4 mazes"):
        MapperTrainer(MapperTrainConfig(mazes=4))
    with pytest.raises(ValueError, match="nothing to resume"):
        MapperTrainer(MapperTrainConfig(out=tmp_path, resume=True))


def test_the_loss_of_actions_reaches_the_views_through_the_map() -> None:
    whole = ViewPlanner(Mapper(), build("dt_vin"))
    mazes = generate(MazeRule(6), 2, 3)
    views = torch.randint(0, 255, (2, 6, 6, 4, 24, 32, 3), dtype=torch.uint8)
    given = torch.from_numpy(mazes.mazes > 0)
    _, goals = observation(mazes.mazes, mazes.goals)
    walls = whole.mapper(views, given)
    loss = whole.backward_actions(walls, goals, expert_labels(mazes), 12, (4, 8, 12))
    assert loss > 0
    for name, parameter in whole.named_parameters():
        assert parameter.grad is not None, name
    assert float(whole.mapper.first.weight.grad.abs().sum()) > 0  # type: ignore[union-attr]
    logits = whole(views, given, goals, 12)
    goal = (int(mazes.goals[0, 0]), int(mazes.goals[0, 1]))
    actions = whole.actions(views[0].numpy(), given[0].numpy(), goal, 12)
    np.testing.assert_array_equal(actions, logits[0].argmax(dim=0).numpy())


def test_options_of_older_cards_are_read_in_todays_words() -> None:
    config = config_from_card({"size": 9, "rate": 0.5, "begin_with": "mapper"})
    assert (config.size, config.learning_rate, config.init_weights) == (9, 0.5, "mapper")
    with pytest.raises(ValueError, match="unknown option 'colour'"):
        config_from_card({"colour": 1})
