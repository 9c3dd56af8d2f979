"""Mapper and planner trained jointly: what counts, what stays, and what is reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from asterias.errors import UserError
from learning.doom_maze.joint import measure_joint
from learning.doom_maze.mapper_config import MapperTrainConfig
from learning.doom_maze.mapper_training import (
    WEIGHTS,
    MapperTrainer,
    Surveyed,
    join,
    surveyed,
    train_mapper,
)
from planners.mapping.mapper import load_mapper
from planners.mazes.distances import distances
from planners.networks.weights import load_weights
from planners.planning.factory import find_weights

JOINT: dict[str, Any] = {
    "joint": "dt_vin_15",
    "map_loss": 0.0,
    "size": 7,
    "mazes": 4,
    "validation": 2,
    "batch": 2,
    "epochs": 1,
    "threads": 1,
}

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def seen() -> Surveyed:
    """Return the training mazes of ``JOINT`` with their views."""
    mazes, _ = MapperTrainer(MapperTrainConfig(**JOINT)).mazes()
    return join(list(surveyed(mazes, 0, "training")))


def planner_change(trainer: MapperTrainer) -> float:
    """Return the greatest change of a weight of the planner since it was loaded."""
    before = load_weights(find_weights("dt_vin_15", 0))[0].state_dict()
    assert trainer.whole is not None
    after = trainer.whole.planner.state_dict()
    return max(float((after[name] - tensor).abs().max()) for name, tensor in before.items())


def test_a_frozen_planner_stays_and_the_mapper_learns(tmp_path: Path) -> None:
    options = JOINT | {"planner_frozen": 0.5, "actions_of": "seen", "keep_views": True}
    stopped = MapperTrainer(MapperTrainConfig(tmp_path, **options))
    before = {name: tensor.clone() for name, tensor in stopped.mapper.state_dict().items()}
    run = stopped.run()
    while next(run)[0] != "train":
        pass
    run.close()  # in the first half
    assert stopped.progress.update == 1 and planner_change(stopped) == 0
    trainer = train_mapper(MapperTrainConfig(tmp_path, resume=True, **options))
    assert trainer.progress.update == 2 and planner_change(trainer) > 0
    moved = [bool((trainer.mapper.state_dict()[k] != v).any()) for k, v in before.items()]
    assert all(moved)
    [row] = trainer.progress.history
    assert 0 <= row["success"] <= 100
    rows = measure_joint(tmp_path, 7, 2, 5)
    cases = [(one["views_given"], one["blank"]) for one in rows]
    assert cases == [(1.0, False), (0.8, False), (1.0, True)]
    assert {one["training"]["planner_frozen"] for one in rows} == {0.5}
    assert rows[0]["bins"][0]["starts"] == rows[1]["bins"][0]["starts"] > 0


def test_success_is_that_of_the_actions(tmp_path: Path) -> None:
    trained = MapperTrainConfig(tmp_path, init_weights="mapper", learning_rate=0.0, **JOINT)
    trainer = train_mapper(trained)
    assert trainer.progress.history[-1]["success"] == 100
    # It averages over eight ways, but not while it is trained.
    assert load_mapper(str(tmp_path / WEIGHTS)).config.symmetric
    assert not trainer.mapper.config.symmetric
    alone = JOINT | {"joint": "", "map_loss": 1.0}
    trainer = train_mapper(MapperTrainConfig(tmp_path / "alone", **alone))
    assert "success" not in trainer.progress.history[-1]


def test_goals_turn_with_their_mazes(seen: Surveyed) -> None:
    trainer = MapperTrainer(MapperTrainConfig(augment="strong", **JOINT))
    plain = np.sort(distances(seen.mazes, seen.goals).reshape(len(seen.mazes), -1))
    turned = 0
    for update in range(4):
        trainer.progress.update = update
        views, known, mazes = trainer._draw(seen)
        assert len(views) == int(known.sum()) and not (known.numpy() & (mazes.mazes == 0)).any()
        lengths = np.sort(distances(mazes.mazes, mazes.goals).reshape(len(mazes), -1))
        for row in lengths:
            assert (plain == row).all(axis=1).any()
        turned += sum(not (seen.mazes == maze).all(axis=(1, 2)).any() for maze in mazes.mazes)
    assert turned > 0


@pytest.mark.parametrize(("actions_of", "reached"), [("all", True), ("seen", False)])
def test_actions_count_where_there_are_views(
    seen: Surveyed, actions_of: Any, reached: bool
) -> None:
    trainer = MapperTrainer(MapperTrainConfig(actions_of=actions_of, **JOINT))
    _, known, mazes = trainer._draw(seen)
    walls = torch.zeros(known.shape, requires_grad=True)
    assert trainer.whole is not None
    trainer._actions_loss(trainer.whole, walls, mazes, torch.zeros_like(known))
    assert walls.grad is not None
    assert bool(walls.grad.abs().sum() > 0) == reached


def test_a_sharper_map_is_part_of_the_published_weights(tmp_path: Path) -> None:
    trainer = train_mapper(MapperTrainConfig(tmp_path, map_sharpness=4.0, **JOINT))
    features = torch.rand(1, trainer.mapper.width, 7, 7)
    published = load_mapper(str(tmp_path / WEIGHTS))
    with torch.no_grad():
        logits, sharp = trainer.mapper.walls(features), published.walls(features)
    torch.testing.assert_close(sharp, 4 * logits)
    assert trainer.whole is not None
    soft = trainer.whole.soft_map(logits, torch.zeros_like(logits))
    torch.testing.assert_close(soft, 1 - torch.sigmoid(sharp))
    with pytest.raises(UserError, match="--map-sharpness takes a number above 0"):
        MapperTrainer(MapperTrainConfig(tmp_path, map_sharpness=0.0, **JOINT))
