"""Measure what was trained jointly: from views to actions, without a threshold between."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.doom_maze.end_to_end import LAYERS_PER_ROW, ViewPlanner
from learning.doom_maze.mapper_training import PLANNER_WEIGHTS, WEIGHTS
from planners.mapping.mapper import card_of, load_mapper
from planners.mazes.datasets import MazeRule, generate
from planners.networks.weights import load_weights
from planners.training.evaluation import score
from sim.doom.views import survey_mazes

_BINS = (1, 15, 30, 90)
_CASES = ((1.0, False), (0.8, False), (1.0, True))
"""Share of the views given, and whether they are blank: what is reached then comes from the hint
alone that a missing view gives of a wall."""
_BLANK = 128
_WITHHELD_SEED = 77
_TRAINING_OPTIONS = (
    *("map_loss", "seed", "size", "mazes", "epochs", "textures"),
    *("planner_frozen", "actions_of", "map_sharpness"),
)


def measure_joint(
    folder: Path, size: int, mazes: int, seed: int, textures: str = "training"
) -> list[dict[str, Any]]:
    """Return success from all cells of fresh mazes, all views given, 80 % of them, and all blank.

    Args:
        folder: of ``python -m learning.doom_maze mapper --joint``; where it holds no such training
            a ``ValueError`` says so.
        size: rows and columns of the mazes.
        mazes: number of mazes.
        seed: of the mazes.
        textures: texture sets of the mazes.

    Returns:
        A row for each of these three.
    """
    network, _ = load_weights(folder / PLANNER_WEIGHTS)
    name = str(folder / WEIGHTS)
    whole, card = ViewPlanner(load_mapper(name), network), card_of(name)
    drawn = generate(MazeRule(size), mazes, seed)
    random = np.random.default_rng(_WITHHELD_SEED)
    actions: dict[tuple[float, bool], list[NDArray[np.int8]]] = {case: [] for case in _CASES}
    for number, seen in enumerate(survey_mazes(drawn.mazes, range(mazes), textures)):
        goal = (int(drawn.goals[number, 0]), int(drawn.goals[number, 1]))
        luck = random.random(seen.given.shape)
        for share, blank in _CASES:
            given = seen.given & (luck < share)
            views = np.full_like(seen.views, _BLANK) if blank else seen.views
            found = whole.actions(views, given, goal, LAYERS_PER_ROW * size)
            actions[share, blank].append(found)
    training = card["training"]
    return [
        {
            "size": size,
            "mazes": mazes,
            "textures": textures,
            "views_given": share,
            "blank": blank,
            "training": {key: training[key] for key in _TRAINING_OPTIONS if key in training},
            "trained_with": card["command"],
            "training_seconds": card["seconds"],
            "training_cpu_seconds": card["cpu_seconds"],
            "bins": [asdict(row) for row in score(np.stack(chosen), drawn, _BINS)],
        }
        for (share, blank), chosen in actions.items()
    ]
