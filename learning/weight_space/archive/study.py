"""The study of the archive: trainings, what their policies need in the simulation, predictions.

Each fold holds out a part of the trainings, whole; every policy is predicted once by an encoder
that has seen no policy of its training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from asterias.arrays import FloatArray
from asterias.errors import UserError
from asterias.files import read_json, write_json
from asterias.progress import OnProgress
from learning.policy_search.common.pose_map import PoseMap
from learning.policy_search.common.ranks import rank_correlation
from learning.target_finding.env.environment import TargetFindingEnv
from learning.target_finding.experiments import evaluation
from learning.weight_space.archive.copy_runs import SETTINGS
from learning.weight_space.archive.encoder_training import (
    LimbEncoderOptions,
    LimbEncoderTraining,
    ask_bank,
    make_population,
)
from learning.weight_space.archive.trainings import Trained

# The first episode's seed; all policies get the same.
_EPISODES = 5000


def policy_card(trained: Trained, number: int, copy: PoseMap) -> dict[str, Any]:
    """Return the card of a policy: its training and the protocol."""
    run = int(trained.runs[number])
    about = trained.about[run]
    options = {**asdict(copy.options), "faults": about["faults"]}
    return {
        "algorithm": "pgpe in the nearest-pose copy",
        "training": run,
        "iterations": int(trained.snapshots[number]),
        **about,
        "cameras": copy.cameras,
        "options": options,
    }


def policy_name(trained: Trained, number: int) -> str:
    """Return a policy's name: ``training_003_0016`` for iteration 16 of training 3."""
    return f"training_{trained.runs[number]:03d}_{trained.snapshots[number]:04d}"


def measure_all(
    folder: Path,
    trained: Trained,
    copy: PoseMap,
    episodes: int,
    on_progress: OnProgress,
    should_stop: Callable[[], bool],
) -> FloatArray | None:
    """Return mean steps ``(P, 3)`` of all policies in the simulation, without draws.

    What is measured is kept for each training; a command that was stopped goes on.

    Args:
        folder: where it is kept.
        trained: the policies.
        copy: of the task, for its protocol.
        episodes: of each policy and setting of dead cameras.
        on_progress: told stage, done and total.
        should_stop: asked after each policy.

    Raises:
        UserError: what is kept has another number of episodes.
    """
    found = np.zeros((len(trained.runs), len(SETTINGS)))
    for done, run in enumerate(range(len(trained.about))):
        own = np.flatnonzero(trained.runs == run)
        path = folder / f"measured_{run:03d}.json"
        if not path.exists():
            rows = _measure(trained, own, copy, episodes, should_stop)
            if rows is None:
                return None
            write_json(path, {"episodes": episodes, "mean_steps": rows})
        told = read_json(path)
        if told["episodes"] != episodes or np.shape(told["mean_steps"]) != found[own].shape:
            raise UserError(f"{path} was measured otherwise; choose another folder.")
        found[own] = told["mean_steps"]
        on_progress("measured trainings", done + 1, len(trained.about))
    return found


def _measure(
    trained: Trained,
    own: Any,
    copy: PoseMap,
    episodes: int,
    should_stop: Callable[[], bool],
) -> list[list[float]] | None:
    rows = [[0.0] * len(SETTINGS) for _ in own]
    for column, faults in enumerate(SETTINGS):
        with TargetFindingEnv(copy.options, faults=faults) as environment:
            for row, number in enumerate(own):
                policy = trained.bank.policy(int(number), policy_card(trained, int(number), copy))
                lengths = [
                    steps
                    for steps, _ in evaluation.episodes(
                        environment, policy, count=episodes, seed=_EPISODES, deterministic=True
                    )
                ]
                rows[row][column] = round(float(np.mean(lengths)), 4)
                if should_stop():
                    return None
    return rows


def held_out_trainings(count: int, folds: int, fold: int) -> list[int]:
    """Return the trainings that a fold holds out; together, folds hold each out once."""
    order = np.random.default_rng(0).permutation(count)
    return sorted(int(run) for run in order[fold::folds])


def train_fold(
    path: Path,
    trained: Trained,
    measured: FloatArray,
    copy: PoseMap,
    held: Sequence[int],
    options: LimbEncoderOptions,
    on_progress: OnProgress,
    should_stop: Callable[[], bool],
) -> LimbEncoderTraining | None:
    """Return an encoder that learned without some trainings; None where it was stopped.

    Args:
        path: of its file.
        trained: all policies.
        measured: ``(P, 3)`` their steps in the simulation.
        copy: of the task.
        held: trainings that are held out.
        options: of the training.
        on_progress: told stage, done and total.
        should_stop: asked after each update.
    """
    taught = np.setdiff1d(np.arange(len(trained.about)), held)
    population = make_population(
        trained,
        measured,
        taught,
        copy,
        options,
        lambda done, total: on_progress(f"relatives, {path.stem}", done, total),
    )
    training = LimbEncoderTraining(copy, population, options, path)
    learned = training.learn(
        lambda done, total: on_progress(f"updates, {path.stem}", done, total), should_stop
    )
    return training if learned else None


def correlations(predicted: FloatArray, measured: FloatArray) -> dict[str, float]:
    """Return how predicted steps ``(P, 3)`` stand against measured ones.

    Returns:
        Rank correlations: for each setting of dead cameras; over all three; and of the tolerance,
        the steps that one or two dead cameras cost, for policies that need less than half of the
        most that was measured without any.
    """
    found = {
        faults: rank_correlation(predicted[:, i], measured[:, i])
        for i, faults in enumerate(SETTINGS)
    }
    found["mean"] = rank_correlation(predicted.mean(1), measured.mean(1))
    able = measured[:, 0] < measured[:, 0].max() / 2
    found["able"] = rank_correlation(predicted[able].mean(1), measured[able].mean(1))
    cost = [steps[able, -1] - steps[able, 0] for steps in (predicted, measured)]
    found["tolerance"] = rank_correlation(*cost)
    found["mean_error_steps"] = float(np.abs(predicted - measured).mean())
    found["error_of_the_mean_steps"] = float(np.abs(measured - measured.mean(0)).mean())
    return {name: round(value, 3) for name, value in found.items()}


def predicted_by(training: LimbEncoderTraining, trained: Trained) -> dict[str, FloatArray]:
    """Return what an encoder tells of all policies."""
    return ask_bank(training.encoder, trained.bank)
