"""Target finding by learners of policy search, beside PPO at equal steps: trained, then tested."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from asterias.errors import UserError
from asterias.files import read_json, write_json
from learning.policy_search.limb_training import train_request
from learning.target_finding.algorithms.checkpoint import CHECKPOINT_FILE
from learning.target_finding.algorithms.registry import TrainingRequest, ignore_progress
from learning.target_finding.env.environment import TargetFindingEnv
from learning.target_finding.env.options import (
    Faults,
    TargetFindingOptions,
    options_from_card,
    with_command_range,
)
from learning.target_finding.experiments import evaluation
from learning.target_finding.policies.policy_files import POLICY_FILE, SUMMARY_FILE, load_policy

TESTED = "tested.json"
SETTINGS: tuple[Faults, ...] = get_args(Faults)
# Steps at which an episode is called short, and episodes that the mean is over.
_SHORT, _WINDOW = 4.0, 50


@dataclass(frozen=True)
class LimbRun:
    """One training on the limb."""

    learner: str
    faults: Faults
    seed: int
    folder: Path

    @property
    def is_done(self) -> bool:
        """Whether it is trained and tested."""
        return (self.folder / TESTED).exists()


def limb_runs(folder: Path, learners: Sequence[str], seeds: int) -> list[LimbRun]:
    """Return the runs, all settings of one seed before the next seed."""
    return [
        LimbRun(learner, faults, seed, folder / f"limb_{learner}_{faults}_{seed}")
        for seed in range(seeds)
        for learner in learners
        for faults in SETTINGS
    ]


def complete_limb_run(run: LimbRun, episodes: int, should_stop: Callable[[], bool]) -> None:
    """Train and test what is missing of a run.

    Args:
        run: the run.
        episodes: fresh ones that the policy is tested on.
        should_stop: asked now and then.
    """
    if run.is_done:
        return
    if not (run.folder / POLICY_FILE).exists():
        request = TrainingRequest(
            out=run.folder,
            options=with_command_range(TargetFindingOptions(faults=run.faults)),
            algorithm=run.learner,
            seed=run.seed,
            processes=1,
            resume=(run.folder / CHECKPOINT_FILE).exists(),
        )
        train_request(request, ignore_progress, should_stop)
    policy = load_policy(run.folder)
    with TargetFindingEnv(options_from_card(policy.card["options"])) as environment:
        found = evaluation.episodes(environment, policy, count=episodes, seed=1000 + run.seed)
        write_json(run.folder / TESTED, evaluation.summarise(list(found), run.faults))


def limb_rows(runs: Sequence[LimbRun]) -> list[dict[str, Any]]:
    """Return a row per learner and setting, over its finished runs."""
    made = []
    for learner in dict.fromkeys(run.learner for run in runs):
        for faults in SETTINGS:
            done = [r for r in runs if (r.learner, r.faults) == (learner, faults) and r.is_done]
            if done:
                made.append(_row(learner, faults, done))
    return made


def _row(learner: str, faults: Faults, runs: list[LimbRun]) -> dict[str, Any]:
    tested = [_read(run.folder / TESTED, "mean_steps") for run in runs]
    summaries = [_read(run.folder / SUMMARY_FILE, "history") for run in runs]
    steps = [test["mean_steps"] for test in tested]
    needed = [_episodes_until_short(summary["history"]["lengths"]) for summary in summaries]
    return {
        "learner": learner,
        "faults": faults,
        "seeds": [run.seed for run in runs],
        "parameters": summaries[0]["parameters"],
        "settings": summaries[0]["settings"],
        "steps": summaries[0]["steps"],
        "training_episodes": round(float(np.mean([s["episodes"] for s in summaries]))),
        "episodes_until_short": needed,
        "tested_episodes": tested[0]["episodes"],
        "each": steps,
        "mean_steps": round(float(np.mean(steps)), 3),
        "std_steps": round(float(np.std(steps)), 3),
        "found": round(float(np.mean([test["success_within_cap"] for test in tested])), 4),
        "steps_per_s": round(float(np.mean([s["steps_per_s"] for s in summaries])), 1),
    }


def _episodes_until_short(lengths: Sequence[int]) -> int | None:
    """Return after how many episodes of training the mean of 50 fell below 4 steps; None: never."""
    if len(lengths) < _WINDOW:
        return None
    means = np.convolve(lengths, np.full(_WINDOW, 1 / _WINDOW), mode="valid")
    short = np.flatnonzero(means < _SHORT)
    return int(short[0]) + _WINDOW if short.size else None


def _read(path: Path, key: str) -> dict[str, Any]:
    data = read_json(path)
    if not isinstance(data, dict) or key not in data:
        raise UserError(f"{path} has no {key}; remove its folder, and the run is made again.")
    return data
