"""Measure navigation in ViZDoom: with the views of a whole maze, and exploring it.

**All views given** (the paper's setting): the mapper turns the views of all free cells into a map,
the planner plans on it, and from every cell from which there is a way its actions are followed in
the true maze. Scored with views of a part of the cells only, too. **Exploring**: the agent knows
what it has looked at from where it has been. Mazes are drawn evenly over path lengths, none of
which the mapper or the planner has seen.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from asterias.errors import UserError
from asterias.files import write_json
from asterias.progress import OnProgress
from asterias.provenance import provenance
from learning.doom_maze.mapper_config import config_from_card
from learning.doom_maze.mapper_training import MapperTrainer
from planners.mapping.exploration import Exploration, SurveyedWorld, explore, random_walk
from planners.mapping.frontiers import FRONTIERS
from planners.mapping.map_belief import MapBelief
from planners.mapping.mapper import Mapper, card_of, load_mapper, wall_probabilities
from planners.mazes.datasets import MazeRule, MazeSet, generate_stratified
from planners.mazes.distances import distances, farthest_cell, optimal_actions
from planners.networks.base import PlanningNetwork
from planners.networks.weights import load_weights
from planners.planning.factory import find_weights, make_planner
from planners.training.evaluation import greedy_actions, score
from planners.training.train_config import config_of_card
from planners.training.trainer import draw_mazes
from sim.doom.textures import UNSEEN, choose_look
from sim.doom.views import CellViews, survey_mazes

Part = Literal["surveyed", "explored"]
PARTS: tuple[Part, ...] = get_args(Part)
TEST_SEED = 5_000_000
BINS = {15: (1, 30, 60, 90), 35: (1, 100, 200, 300)}
PAPER_35 = ((99.67, 0.22), (97.92, 0.11), (96.41, 0.37))
"""Success in per cent by bin, mean and standard deviation: Table 14, row l."""
END_TO_END = "end_to_end"
"""The planner on the mapper's probabilities themselves, from views to actions without a threshold.
"""
RANDOM_WALK = "random_walk"
SHARES = (1.0, 0.8, 0.5)
_WITHHELD_SEED = 77
_SIZE_OF_DOUBLES = 15


@dataclass(frozen=True)
class DoomTest:
    """What is measured."""

    size: int
    per_bin: int
    """Mazes whose longest path lies in each bin."""
    textures: str = "training"
    seed: int = TEST_SEED

    def mazes(self, mapper_card: dict[str, Any], planner_card: dict[str, Any]) -> MazeSet:
        """Draw the mazes, none of which is among those of the two trainings.

        Larger mazes are kept apart by their seeds alone: two of 35 x 35 are never alike.

        Args:
            mapper_card: of the mapper.
            planner_card: of the planner.

        Returns:
            The mazes.
        """
        edges = [0, *self.bins[1:]]
        seen: list[MazeSet] = []
        if self.size <= _SIZE_OF_DOUBLES:
            seen = [*_seen_by_mapper(mapper_card, self.size), *_seen_by_planner(planner_card)]
        return generate_stratified(
            MazeRule(self.size), edges, self.per_bin, self.seed, exclude=seen
        )

    @property
    def bins(self) -> tuple[int, ...]:
        """Edges of the bins of path lengths, in steps.

        Raises:
            UserError: there are none for this size.
        """
        if self.size not in BINS:
            raise UserError(f"size is {self.size}: choose {' or '.join(map(str, BINS))}.")
        return BINS[self.size]


def _seen_by_mapper(card: dict[str, Any], size: int) -> list[MazeSet]:
    config = config_from_card(card["training"])
    seen = list(MapperTrainer(config).mazes()) if config.size == size else []
    # Older cards have the earlier word.
    before = card.get("init_weights", card.get("began_with"))
    return seen + _seen_by_mapper(before, size) if before else seen


def _seen_by_planner(card: dict[str, Any]) -> list[MazeSet]:
    return list(draw_mazes(config_of_card(card["training"])))


class Surveys:
    """The test mazes and their views, rendered block by block; nothing is kept."""

    def __init__(self, mazes: MazeSet, textures: str, seed: int, block: int = 20) -> None:
        self.mazes, self.textures, self.seed, self.block = mazes, textures, seed, block

    def __iter__(self) -> Iterator[tuple[int, CellViews]]:
        for first in range(0, len(self.mazes), self.block):
            part = self.mazes.mazes[first : first + self.block]
            seeds = [self.seed + first + k for k in range(len(part))]
            for offset, seen in enumerate(survey_mazes(part, seeds, self.textures)):
                yield first + offset, seen


def predicted_maps(
    mapper: Mapper, surveys: Surveys, shares: Sequence[float], on_progress: OnProgress
) -> dict[float, NDArray[np.float32]]:
    """Return the mapper's maps ``(n, M, M)`` by fraction of views given: probabilities of free.

    The goal's cell is free: the agent knows where to go.
    """
    maps = {share: np.zeros(surveys.mazes.mazes.shape, np.float32) for share in shares}
    random = np.random.default_rng(_WITHHELD_SEED)
    for index, seen in surveys:
        luck = random.random(seen.given.shape)
        for share in shares:
            given = seen.given & (luck < share)
            walls = wall_probabilities(mapper, seen.views, given)
            maps[share][index] = 1 - walls
        on_progress(f"see {surveys.textures}", index + 1, len(surveys.mazes))
    for predicted in maps.values():
        goals = surveys.mazes.goals
        predicted[np.arange(len(goals)), goals[:, 0], goals[:, 1]] = 1
    return maps


def map_errors(predicted: NDArray[np.uint8], truth: NDArray[np.uint8]) -> dict[str, float]:
    """Return the share of wrong cells and of maps without any, in per cent."""
    wrong = predicted != truth
    return {
        "wrong_cells": 100 * float(wrong.mean()),
        "perfect_maps": 100 * float((~wrong.any(axis=(1, 2))).mean()),
    }


def errors_by_set(
    predicted: NDArray[np.uint8], truth: NDArray[np.uint8], textures: str, seed: int
) -> dict[str, float]:
    """Return the share of wrong cells, in per cent, by the texture set that a maze shows.

    Args:
        predicted: maps ``(n, M, M)``.
        truth: mazes ``(n, M, M)``.
        textures: group of texture sets that looks were drawn from.
        seed: of the first maze's look; each further one has the next.
    """
    wrong: dict[str, list[float]] = {}
    for index, cells in enumerate(predicted != truth):
        look = choose_look(textures, seed + index)
        wrong.setdefault(look.textures, []).append(100 * float(cells.mean()))
    return {name: _rounded(statistics.mean(shares)) for name, shares in sorted(wrong.items())}


def surveyed_rows(
    test: DoomTest, planner: str, mapper_name: str, on_progress: OnProgress
) -> list[dict[str, Any]]:
    """Return the rows of a table: planner and A* on the mapper's maps, by share of views."""
    mapper, mapper_card = load_mapper(mapper_name), card_of(mapper_name)
    network, card = load_weights(find_weights(planner, test.size))
    mazes = test.mazes(mapper_card, card)
    surveys = Surveys(mazes, test.textures, test.seed)
    rows = []
    for share, soft in predicted_maps(mapper, surveys, SHARES, on_progress).items():
        predicted = (soft > 0.5).astype(np.uint8)
        on = MazeSet(predicted, mazes.goals)
        errors: dict[str, Any] = {**map_errors(predicted, mazes.mazes)}
        by_set = errors_by_set(predicted, mazes.mazes, test.textures, test.seed)
        errors["wrong_cells_by_set"] = by_set
        for name, actions in (
            (planner, greedy_actions(network, on, int(card["depth"]), batch=16)),
            (END_TO_END, _end_to_end(network, soft, mazes.goals, int(card["depth"]))),
            ("a_star", _exact_actions(on)),
        ):
            on_progress(f"plan {name} {share:g}", 1, 1)
            bins = [asdict(row) for row in score(actions, mazes, test.bins)]
            rows.append(
                {
                    "planner": name,
                    "textures": test.textures,
                    "views_given": share,
                    "mazes": len(mazes),
                    **errors,
                    "bins": bins,
                }
            )
    return rows


def _end_to_end(
    network: PlanningNetwork, soft: NDArray[np.float32], goals: NDArray[np.int64], depth: int
) -> NDArray[np.int8]:
    """Return the actions on soft maps, as :class:`~learning.doom_maze.end_to_end.ViewPlanner`."""
    maps: Any = soft  # a network takes probabilities as it takes zeros and ones
    return greedy_actions(network, MazeSet(maps, goals), depth, batch=16)


def _exact_actions(mazes: MazeSet) -> NDArray[np.int8]:
    """Return an action of a shortest path for each cell."""
    bits = optimal_actions(distances(mazes.mazes, mazes.goals))
    lowest = np.zeros(bits.shape, np.int8)
    for action in (3, 2, 1, 0):
        lowest[bits >> action & 1 == 1] = action
    return lowest


# -- exploring --------------------------------------------------------------------------------


def explored_rows(
    test: DoomTest,
    planner: str,
    mapper_name: str,
    on_progress: OnProgress,
    frontiers: Sequence[str] = FRONTIERS.names(),
) -> list[dict[str, Any]]:
    """Return a row each for the planner and A* with each choice of frontiers, and the random walk.

    Each maze is explored from the cell that is farthest from the goal.
    """
    mapper, card = load_mapper(mapper_name), card_of(mapper_name)
    _, planner_card = load_weights(find_weights(planner, test.size))
    mazes = test.mazes(card, planner_card)
    agents = {name: make_planner(name, test.size, device="cpu") for name in (planner, "a_star")}
    choices = {name: FRONTIERS.get(name)() for name in frontiers}
    walks: dict[tuple[str, str], list[Exploration]] = {
        ways: [] for ways in (*product(agents, choices), (RANDOM_WALK, ""))
    }
    shortest = []
    limit = 4 * test.size**2
    for index, seen in Surveys(mazes, test.textures, test.seed):
        maze, goal = mazes.mazes[index], (int(mazes.goals[index, 0]), int(mazes.goals[index, 1]))
        lengths = distances(maze[None], mazes.goals[index : index + 1])[0]
        start = farthest_cell(lengths)
        shortest.append(int(lengths[start]))
        for name, choice in product(agents, choices):
            world = SurveyedWorld(maze, seen.views, start)
            belief = MapBelief(mapper, test.size, test.size)
            agent, where = agents[name], choices[choice]
            walk = explore(world, belief, agent, goal, limit, frontiers=where)
            walks[name, choice].append(walk)
        world = SurveyedWorld(maze, seen.views, start)
        random = np.random.default_rng([test.seed, index])
        walks[RANDOM_WALK, ""].append(random_walk(world, goal, limit, random))
        on_progress(f"explore {test.textures}", index + 1, len(mazes))
    return [
        {"agent": name, "frontiers": choice or None, **_walked(test, found, shortest)}
        for (name, choice), found in walks.items()
    ]


def _walked(
    test: DoomTest, walks: Sequence[Exploration], shortest: Sequence[int]
) -> dict[str, Any]:
    reached = [number for number, walk in enumerate(walks) if walk.reached]
    ratios = [walks[number].steps / shortest[number] for number in reached]
    plans = sum(walk.plans for walk in walks)
    return {
        "textures": test.textures,
        "mazes": len(walks),
        "step_limit": 4 * test.size**2,
        "reached": 100 * len(reached) / len(walks),
        "path_over_optimum": _rounded(statistics.mean(ratios)) if ratios else None,
        "path_over_optimum_median": _rounded(statistics.median(ratios)) if ratios else None,
        "paths_over_optimum": [_rounded(ratio) for ratio in ratios],
        "looks": _mean([walk.looks for walk in walks]),
        "plans": _mean([walk.plans for walk in walks]),
        "fallbacks": sum(walk.fallbacks for walk in walks),
        "doubts": sum(walk.doubts for walk in walks),
        "bumps": _mean([walk.bumps for walk in walks]),
        "planning_ms": _rounded(1e3 * sum(walk.planning_s for walk in walks) / max(1, plans)),
        "shortest_steps": _mean(shortest),
    }


def _mean(values: Sequence[int]) -> float:
    return _rounded(statistics.mean(values))


def _rounded(value: float) -> float:
    return round(float(value), 3)


# -- result files -----------------------------------------------------------------------------


def measure(
    size: int,
    *,
    planner: str,
    mapper: str,
    per_bin: int,
    explored_per_bin: int,
    seed: int,
    parts: Sequence[Part],
    frontiers: Sequence[str],
    on_progress: OnProgress,
) -> dict[str, Any]:
    """Return everything that a result file of a size says."""
    result: dict[str, Any] = {"size": size, "planner": planner, "mapper": mapper}
    if size == 35:
        result["paper_success"] = [{"mean": mean, "std": std} for mean, std in PAPER_35]
    for textures in ("training", "held_out", UNSEEN):
        if "surveyed" in parts:
            test = DoomTest(size, per_bin, textures, seed)
            rows = surveyed_rows(test, planner, mapper, on_progress)
            result.setdefault("surveyed", []).extend(rows)
        if "explored" in parts and textures != UNSEEN:
            test = DoomTest(size, explored_per_bin, textures, seed)
            rows = explored_rows(test, planner, mapper, on_progress, frontiers)
            result.setdefault("explored", []).extend(rows)
    return result


def write_result(path: Path, seed: int, result: dict[str, Any]) -> None:
    """Write a result file; what an earlier run measured of other parts stays, with its command."""
    earlier: dict[str, Any] = {}
    if path.is_file():
        earlier = json.loads(path.read_text(encoding="utf-8"))
    now = provenance(seed)
    commands = {
        part: now["command"] if part in result else _command_of(earlier, part)
        for part in PARTS
        if part in result or part in earlier
    }
    kept: dict[str, Any] = {part: earlier[part] for part in PARTS if part in earlier}
    write_json(path, {**now, "commands": commands, **kept, **result})


def _command_of(earlier: dict[str, Any], part: str) -> str:
    """Return the command that measured a part; older files have one for all."""
    return str(earlier.get("commands", {}).get(part, earlier["command"]))
