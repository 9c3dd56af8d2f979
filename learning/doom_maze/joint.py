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
_SHARES = (1.0, 0.8)
_WITHHELD_SEED = 77
_TRAINING_OPTIONS = ("map_loss", "seed", "size", "mazes", "epochs", "planner_frozen", "actions_of")


def measure_joint(
    folder: Path, size: int, mazes: int, seed: int, textures: str = "training"
) -> list[dict[str, Any]]:
    """Return success from all cells of fresh mazes, with all views given and with 80 % of them.

    Args:
        folder: of ``python -m learning.doom_maze mapper --joint``; where it holds no such training
            a ``ValueError`` says so.
        size: rows and columns of the mazes.
        mazes: number of mazes.
        seed: of the mazes.
        textures: texture sets of the mazes.

    Returns:
        A row for each share of views.
    """
    network, _ = load_weights(folder / PLANNER_WEIGHTS)
    name = str(folder / WEIGHTS)
    whole, card = ViewPlanner(load_mapper(name), network), card_of(name)
    drawn = generate(MazeRule(size), mazes, seed)
    random = np.random.default_rng(_WITHHELD_SEED)
    actions: dict[float, list[NDArray[np.int8]]] = {share: [] for share in _SHARES}
    for number, seen in enumerate(survey_mazes(drawn.mazes, range(mazes), textures)):
        goal = (int(drawn.goals[number, 0]), int(drawn.goals[number, 1]))
        luck = random.random(seen.given.shape)
        for share in _SHARES:
            given = seen.given & (luck < share)
            actions[share].append(whole.actions(seen.views, given, goal, LAYERS_PER_ROW * size))
    training = card["training"]
    return [
        {
            "size": size,
            "mazes": mazes,
            "textures": textures,
            "views_given": share,
            "training": {key: training[key] for key in _TRAINING_OPTIONS},
            "trained_with": card["command"],
            "training_seconds": card["seconds"],
            "training_cpu_seconds": card["cpu_seconds"],
            "bins": [asdict(row) for row in score(np.stack(chosen), drawn, _BINS)],
        }
        for share, chosen in actions.items()
    ]
