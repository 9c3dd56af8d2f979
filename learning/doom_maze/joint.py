"""Measure what was trained jointly: from views to actions, without a threshold between."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from learning.doom_maze.end_to_end import LAYERS_PER_ROW, ViewPlanner
from learning.doom_maze.mapper_training import PLANNER_WEIGHTS, WEIGHTS
from planners.mapping.mapper import card_of, load_mapper
from planners.mazes.datasets import MazeRule, generate
from planners.networks.weights import load_weights
from planners.training.evaluation import score
from sim.doom.views import survey_mazes

_BINS = (1, 15, 30, 90)


def measure_joint(folder: Path, size: int, mazes: int, seed: int) -> dict[str, Any]:
    """Return success from all cells of fresh mazes, all views given.

    Args:
        folder: of ``python -m learning.doom_maze mapper --joint``; where it holds no such training
            a ``ValueError`` says so.
        size: rows and columns of the mazes.
        mazes: number of mazes.
        seed: of the mazes.
    """
    network, _ = load_weights(folder / PLANNER_WEIGHTS)
    name = str(folder / WEIGHTS)
    whole = ViewPlanner(load_mapper(name), network)
    drawn = generate(MazeRule(size), mazes, seed)
    actions = []
    for number, seen in enumerate(survey_mazes(drawn.mazes, range(mazes))):
        goal = (int(drawn.goals[number, 0]), int(drawn.goals[number, 1]))
        actions.append(whole.actions(seen.views, seen.given, goal, LAYERS_PER_ROW * size))
    card = card_of(name)
    bins = [asdict(row) for row in score(np.stack(actions), drawn, _BINS)]
    return {
        "size": size,
        "mazes": mazes,
        "map_loss": card["training"]["map_loss"],
        "trained_with": card["command"],
        "training_seconds": card["seconds"],
        "bins": bins,
    }
