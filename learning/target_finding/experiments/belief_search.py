"""Steps to find by searchers that hold a belief, beside the paper's searchers and trained PPO.

All start from the same poses with the same dead cameras. Two settings: the target where the robot's
description has it, as in the paper; and anywhere that the cameras alive can see from some pose, the
tag facing the limb, a place per episode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asterias.arrays import FloatArray
from asterias.files import read_json, write_json
from hardware.description.limb import Pose
from learning.target_finding.belief.target_belief import ViewTable, view_table
from learning.target_finding.env.options import DEAD
from learning.target_finding.env.task import TargetFindingTask, draw_dead_cameras
from learning.target_finding.experiments.baselines import EpisodeResult, run_episode
from learning.target_finding.policies.registry import BEST, make_searcher

FAULTS = tuple(DEAD)
PLACES = ("described", "anywhere")
ALPHAS = (0.05, 0.5, 2.0, 30.0)
TRAINED = "ppo"  # for each setting of dead cameras the policy that was trained with it
SEARCHERS = ("bmms", TRAINED, "grid_filter", *(f"renyi:{alpha:g}" for alpha in ALPHAS))
# The longest search: ten times the mean of the paper's best searcher at random.
CAP = 200


@dataclass(frozen=True)
class Cell:
    """One searcher in one setting."""

    searcher: str
    faults: str
    place: str

    @property
    def policy(self) -> str:
        """Name of the policy that searches."""
        return BEST[FAULTS.index(self.faults)] if self.searcher == TRAINED else self.searcher

    def path(self, out: Path) -> Path:
        """Return the file of its finished episodes in a study's folder."""
        return out / f"{self.searcher.replace(':', '_')}-{self.faults}-{self.place}.json"


def cells(searchers: tuple[str, ...], places: tuple[str, ...]) -> list[Cell]:
    """Return all cells of the table, by place, setting of dead cameras, and searcher."""
    return [Cell(s, faults, place) for place in places for faults in FAULTS for s in searchers]


def episodes_of(cell: Cell, episodes: int) -> int:
    """Return how many episodes a cell gets: PPO, trained for one place, a tenth at others.

    It seldom finds the target there, and each of its episodes is as long as a cap allows.
    """
    is_elsewhere = cell.searcher == TRAINED and cell.place == "anywhere"
    return max(episodes // 10, 2) if is_elsewhere else episodes


def run_cell(
    cell: Cell, task: TargetFindingTask, episodes: int, seed: int
) -> Iterator[EpisodeResult]:
    """Yield the results of a cell; episode ``i`` depends on ``(seed, i)`` and the setting alone.

    Args:
        cell: searcher and setting.
        task: whose world is used.
        episodes: how many.
        seed: of start poses, places, dead cameras and the searcher.

    Yields:
        A result per episode.
    """
    world, limb = task.world, task.limb
    described, table = world.robot.target.pose, view_table(world.robot, limb)

    def make(rng: np.random.Generator) -> Any:
        return make_searcher(
            cell.policy,
            task.lower,
            task.upper,
            rng,
            cameras=len(task.cameras),
            robot=world.robot,
            limb=limb,
        )

    for episode in range(episodes):
        own = (seed, FAULTS.index(cell.faults), episode)
        if cell.place == "anywhere":
            world.move_target(_place(table, own, cell.faults))
        else:
            world.move_target(described)
        yield run_episode(task, make, seed=own, faults=cell.faults, cap=CAP)


def _place(table: ViewTable, seed: tuple[int, ...], faults: str) -> Pose:
    """Return a place that the cameras alive in this episode can see, facing the limb."""
    cameras = table.seen.shape[1]
    # As run_episode draws them, from the same seed.
    dead = draw_dead_cameras(np.random.default_rng(seed), cameras, faults)
    can = table.plausible & table.views([j for j in range(cameras) if j not in dead]).any(axis=0)
    chosen = np.random.default_rng((*seed, 1)).choice(np.flatnonzero(can))
    return facing(table.sight.places_m[chosen], table.center_m)


def facing(place_m: FloatArray, towards_m: FloatArray) -> Pose:
    """Return the pose of a tag at a place whose printed side looks towards another."""
    x, y, z = (towards_m - place_m).tolist()
    rpy = (0.0, -float(np.arctan2(z, np.hypot(x, y))), float(np.arctan2(y, x)))
    return Pose(xyz=tuple(place_m.tolist()), rpy=rpy)


def complete_cell(
    cell: Cell,
    out: Path,
    task: TargetFindingTask,
    episodes: int,
    seed: int,
    tell: Callable[[int], None],
) -> list[int]:
    """Return the steps of each episode of a cell; finished ones are read, new ones stored.

    Args:
        cell: searcher and setting.
        out: folder of the study.
        task: whose world is used.
        episodes: how many.
        seed: of all of them.
        tell: called with the number of finished episodes.

    Returns:
        Steps; those without a find count :data:`CAP`.
    """
    path = cell.path(out)
    done = read_json(path) if path.is_file() else {}
    steps = [int(n) for n in done["steps"]] if done.get("seed") == seed else []
    if len(steps) < episodes:
        steps = []
        for result in run_cell(cell, task, episodes, seed):
            steps.append(result.steps)
            tell(len(steps))
        write_json(path, {"seed": seed, "steps": steps})
    tell(episodes)
    return steps[:episodes]


def row(cell: Cell, steps: list[int]) -> dict[str, Any]:
    """Return a row of the result file."""
    array = np.array(steps)
    return {
        "searcher": cell.searcher,
        "policy": cell.policy,
        "faults": cell.faults,
        "place": cell.place,
        "episodes": len(steps),
        "mean_steps": round(float(array.mean()), 2),
        "std_steps": round(float(array.std(ddof=1)), 2),
        "standard_error": round(float(array.std(ddof=1)) / len(steps) ** 0.5, 3),
        "median_steps": float(np.median(array)),
        "found": round(float((array < CAP).mean()), 4),
    }
