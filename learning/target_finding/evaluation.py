"""How well a policy finds the target: episodes of the environment, summed up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from learning.target_finding.environment import TargetFindingEnv
from learning.target_finding.linear_policy import LinearPolicy

# Steps per episode of the paper's PPO, mean and standard deviation over runs (poster, table 1).
PAPER_PPO_STEPS: dict[str, tuple[float, float]] = {
    "kill0": (1.06, 0.17),
    "kill1": (2.32, 0.57),
    "kill12": (2.83, 0.74),
}


def episodes(
    environment: TargetFindingEnv,
    policy: LinearPolicy,
    *,
    count: int,
    seed: int,
    deterministic: bool = False,
) -> Iterator[tuple[int, bool]]:
    """Yield steps and whether the tag was found; episode ``i`` depends on ``(seed, i)`` alone."""
    for episode in range(count):
        start, draws = np.random.SeedSequence((seed, episode)).generate_state(2)
        rng = None if deterministic else np.random.default_rng(int(draws))
        observation, _ = environment.reset(seed=int(start))
        found = truncated = False
        steps = 0
        while not (found or truncated):
            observation, _, found, truncated, _ = environment.step(policy.act(observation, rng))
            steps += 1
        yield steps, found


def summarise(results: list[tuple[int, bool]], faults: str) -> dict[str, Any]:
    """Our figures beside the paper's; an episode without a find counts with the cap's steps."""
    steps = np.array([length for length, _ in results])
    paper_mean, paper_std = PAPER_PPO_STEPS[faults]
    return {
        "faults": faults,
        "episodes": len(results),
        "mean_steps": round(float(steps.mean()), 3),
        "std_steps": round(float(steps.std(ddof=1)), 3),
        "standard_error": round(float(steps.std(ddof=1)) / len(results) ** 0.5, 3),
        "success_within_cap": round(float(np.mean([found for _, found in results])), 4),
        "paper_mean_steps": paper_mean,
        "paper_std_steps": paper_std,
        "steps": steps.tolist(),
    }
