"""The paper's baseline table (its section on Brownian motion), measured in simulation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from learning.target_finding.env.task import TargetFindingTask, draw_dead_cameras
from learning.target_finding.policies.registry import Searcher, make_searcher
from sim.world import SimWorld

POLICIES = ("bmss", "bmms")
FAULTS = ("kill0", "kill1", "kill12")

# Steps per episode, mean and standard deviation: arXiv 2404.08093, poster table 1.
PAPER_STEPS: dict[tuple[str, str], tuple[float, float]] = {
    ("bmss", "kill0"): (44.64, 47.44),
    ("bmss", "kill1"): (59.34, 71.98),
    ("bmss", "kill12"): (65.13, 76.57),
    ("bmms", "kill0"): (16.43, 15.35),
    ("bmms", "kill1"): (20.89, 21.54),
    ("bmms", "kill12"): (26.47, 28.41),
}


@dataclass(frozen=True)
class EpisodeResult:
    """One finished episode; ``camera`` is the first that saw the tag."""

    steps: int
    found: bool
    camera: int | None
    dead_cameras: tuple[int, ...]


def run_episode(
    task: TargetFindingTask,
    make: Callable[[np.random.Generator], Searcher],
    *,
    seed: tuple[int, ...],
    faults: str = "kill0",
    cap: int | None = None,
) -> EpisodeResult:
    """Run one episode from a random pose; the same seed gives the same episode.

    Args:
        task: the task, whose world is reset.
        make: the searcher for this episode's source of randomness.
        seed: of start pose, dead cameras and searcher.
        faults: ``kill0``, ``kill1`` or ``kill12``.
        cap: steps after which the episode ends without a find; None for no end but the find.

    Returns:
        How it ended.
    """
    rng = np.random.default_rng(seed)
    count = len(task.cameras)
    dead = draw_dead_cameras(rng, count, faults)
    live = [j for j in range(count) if j not in dead]
    task.world.reset(seed=int(rng.integers(2**31)))
    position = task.reset(rng)
    searcher = make(rng)
    steps = 0
    while cap is None or steps < cap:
        position = searcher.act(position, live)
        steps += 1
        seeing = task.step(position, live)
        if seeing:
            return EpisodeResult(steps, True, seeing[0], tuple(dead))
    return EpisodeResult(steps, False, None, tuple(dead))


def measure(
    world: SimWorld, policy: str, faults: str, *, episodes: int, seed: int, limb: int = 0
) -> Iterator[EpisodeResult]:
    """Yield ``episodes`` results of a baseline, without a cap as in the paper."""
    task = TargetFindingTask(world, limb)
    for episode in range(episodes):
        yield run_episode(
            task,
            lambda rng: make_searcher(
                policy,
                task.lower,
                task.upper,
                rng,
                cameras=len(task.cameras),
                robot=world.robot,
                limb=limb,
            ),
            seed=(seed, POLICIES.index(policy), FAULTS.index(faults), episode),
            faults=faults,
        )


def summarise(policy: str, faults: str, results: list[EpisodeResult]) -> dict[str, Any]:
    """Return a row of the table: our steps beside the paper's."""
    steps = np.array([result.steps for result in results])
    mean, std = float(steps.mean()), float(steps.std(ddof=1))
    paper_mean, paper_std = PAPER_STEPS[policy, faults]
    return {
        "policy": policy,
        "faults": faults,
        "episodes": len(results),
        "mean_steps": round(mean, 2),
        "std_steps": round(std, 2),
        "standard_error": round(std / np.sqrt(len(results)), 2),
        "paper_mean_steps": paper_mean,
        "paper_std_steps": paper_std,
        "ratio_to_paper": round(mean / paper_mean, 3),
        "found_by_camera": np.bincount([r.camera or 0 for r in results], minlength=4).tolist(),
        "steps": steps.tolist(),
    }
