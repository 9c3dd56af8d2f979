"""Evaluation of a policy: episodes of the environment, summarised."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from learning.target_finding.env.environment import TargetFindingEnv
from learning.target_finding.policies.policy_files import Policy

# Steps per episode of the paper's learners, mean and deviation over runs (poster, table 1).
PAPER_STEPS: dict[tuple[str, str], tuple[float, float]] = {
    ("ppo", "kill0"): (1.06, 0.17),
    ("ppo", "kill1"): (2.32, 0.57),
    ("ppo", "kill12"): (2.83, 0.74),
    ("ac", "kill0"): (15.65, 3.37),
    ("ac", "kill1"): (18.06, 6.93),
    ("ac", "kill12"): (20.23, 17.47),
}


def episodes(
    environment: TargetFindingEnv,
    policy: Policy,
    *,
    count: int,
    seed: int,
    deterministic: bool = False,
) -> Iterator[tuple[int, bool]]:
    """Yield steps and whether the tag was found; episode ``i`` depends on ``(seed, i)`` alone."""
    for episode in range(count):
        start, draws = np.random.SeedSequence((seed, episode)).generate_state(2)
        rng = None if deterministic else np.random.default_rng(int(draws))
        policy.start()
        observation, _ = environment.reset(seed=int(start))
        found = truncated = False
        steps = 0
        while not (found or truncated):
            observation, _, found, truncated, _ = environment.step(policy.act(observation, rng))
            steps += 1
        yield steps, found


def summarise(
    results: list[tuple[int, bool]], faults: str, algorithm: str = "ppo"
) -> dict[str, Any]:
    """Return our figures, beside the paper's where it has some.

    An episode without a find counts with the cap's steps.
    """
    steps = np.array([length for length, _ in results])
    row = {
        "faults": faults,
        "episodes": len(results),
        "mean_steps": round(float(steps.mean()), 3),
        "std_steps": round(float(steps.std(ddof=1)), 3),
        "standard_error": round(float(steps.std(ddof=1)) / len(results) ** 0.5, 3),
        "success_within_cap": round(float(np.mean([found for _, found in results])), 4),
        "steps": steps.tolist(),
    }
    if (algorithm, faults) in PAPER_STEPS:
        row["paper_mean_steps"], row["paper_std_steps"] = PAPER_STEPS[algorithm, faults]
    return row
