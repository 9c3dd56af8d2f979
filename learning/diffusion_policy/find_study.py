"""Target finding by diffusion from simulated demonstrations: from images, or from commands."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asterias.files import read_json, write_json
from asterias.progress import OnProgress, TrainingProgress
from learning.diffusion_policy.demonstrations import LimbEyes, ShownSteps, chunks_of
from learning.diffusion_policy.limb_policy import LimbDiffusionPolicy
from learning.diffusion_policy.limb_training import HORIZON, fit_limb_policy
from learning.diffusion_policy.two_ways.measures import TIMED
from learning.target_finding.algorithms.registry import TrainingRequest, never_stop
from learning.target_finding.algorithms.self_supervised import find_encoder
from learning.target_finding.env.environment import TargetFindingEnv
from learning.target_finding.env.options import (
    Observed,
    TargetFindingOptions,
    camera_count,
    with_command_range,
)
from learning.target_finding.experiments.evaluation import episodes, summarise
from learning.target_finding.policies.encoder import shrunk
from learning.target_finding.policies.policy_files import POLICY_FILE, find_policy, load_policy

DEMONSTRATOR = "ppo_kill0"
# Seeds of demonstrations are apart from those of trials.
_SHOWN = 50_000
TRIALS = 1


@dataclass(frozen=True)
class FindRun:
    """One training: what is observed, of how many demonstrations, with which seed, where."""

    observe: Observed
    demonstrations: int
    seed: int
    folder: Path

    @property
    def options(self) -> TargetFindingOptions:
        """The protocol."""
        return with_command_range(TargetFindingOptions(observe=self.observe))


def shown_by_policy(count: int, seed: int, on_progress: OnProgress) -> list[ShownSteps]:
    """Return successful searches of :data:`DEMONSTRATOR` in simulation, with what was seen.

    It acts by its mean, without the noise that it explored with.
    """
    policy = find_policy(DEMONSTRATOR)
    shown: list[ShownSteps] = []
    with TargetFindingEnv(TargetFindingOptions(observe="both")) as environment:
        number = 0
        while len(shown) < count:
            start = _SHOWN + 1000 * seed + number
            number += 1
            policy.start()
            seen, _ = environment.reset(seed=start)
            commands, tiles, over, found = [environment.command], [], False, False
            while not over:
                tiles.append(shrunk(seen["images"]))
                action = policy.act(seen["commands"], None)
                seen, _, found, truncated, _ = environment.step(action)
                commands.append(environment.command)
                over = found or truncated
            if found:
                live = tuple(range(tiles[0].shape[0]))
                rows = np.array(commands, np.float64)
                shown.append(ShownSteps(rows, live, np.stack(tiles)))
                on_progress("demonstrations", len(shown), count)
    return shown


def complete_find_run(run: FindRun, on_progress: OnProgress) -> dict[str, Any]:
    """Train and measure, where that is not done yet.

    Returns:
        How the policy finds.
    """
    path = run.folder / "found.json"
    if not (run.folder / POLICY_FILE).is_file():
        _train(run, on_progress)
    if not path.is_file():
        write_json(path, measure_find(run, on_progress))
    row: dict[str, Any] = read_json(path)
    return row


def _train(run: FindRun, on_progress: OnProgress) -> None:
    shown = shown_by_policy(run.demonstrations, run.seed, on_progress)
    options = run.options
    encoder = find_encoder("tiles") if run.observe == "images" else None
    eyes = LimbEyes(len(options.command_range), camera_count(options), encoder)
    request = TrainingRequest(run.folder, options, "diffusion", seed=run.seed)

    def tell(progress: TrainingProgress) -> None:
        on_progress(f"{run.observe}, seed {run.seed}", progress.done, progress.total)

    data = chunks_of(shown, eyes, HORIZON)
    fit_limb_policy(request, eyes, data, len(shown), tell, never_stop)


def measure_find(run: FindRun, on_progress: OnProgress, count: int = 200) -> dict[str, Any]:
    """Return steps and success of a trained policy, and the time of a decision."""
    policy = load_policy(run.folder)
    assert isinstance(policy, LimbDiffusionPolicy)
    results = []
    with TargetFindingEnv(run.options, increment=policy.increment) as environment:
        for result in episodes(environment, policy, count=count, seed=TRIALS):
            results.append(result)
            on_progress("trials", len(results), count)
        seen, _ = environment.reset(seed=0)
    spent = []
    for _ in range(TIMED):
        began = time.thread_time()
        policy.chunk(seen, None)
        spent.append(time.thread_time() - began)
    about = {k: v for k, v in asdict(run).items() if k != "folder"}
    return {
        **about,
        "steps_shown": policy.card["steps"],
        "decision_ms": round(1e3 * float(np.median(spent)), 3),
        **summarise(results, run.options.faults, "diffusion"),
    }
