"""Learned masks beside as many frames chosen otherwise, on clips whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from asterias.arrays import ImageArray
from asterias.provenance import Clock
from asterias.registry import Registry
from learning.critical_states.baselines import CHOOSERS
from learning.critical_states.identifier import CriticalStates, IdentifierOptions
from learning.critical_states.key_door import (
    HELD_OUT_POLICIES,
    TRAINING_POLICIES,
    VALIDATION_POLICIES,
    KeyDoorClips,
    key_door_clips,
)
from learning.critical_states.limb_episodes import EVENTS, LimbEpisodes, limb_episodes
from learning.critical_states.scores import THRESHOLDS, Marks, score

TOLERANCES = (1, 2, 3)
# Ablations by name: what is changed in the options.
ABLATIONS: Mapping[str, Mapping[str, Any]] = {
    "": {},
    "no necessity": {"necessity": 0.0},
    "no sufficiency": {"sufficiency": 0.0},
    "no sparsity": {"sparsity": 0.0},
}
OnStage = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Examination:
    """Clips to learn from, and others with what decided them.

    Attributes:
        clips, labels: to learn from; nothing else of them is known to the learner.
        test_clips, test_labels: of other policies or seeds.
        decided: ``(N, T)`` the truth of the test clips.
        groups: names of kinds of test clips, with a row ``(N,)`` that says which are of it.
        tuning_clips, tuning_decided: others again, of other policies or seeds, to choose the
            threshold with.
    """

    clips: ImageArray
    labels: npt.NDArray[np.int64]
    test_clips: ImageArray
    test_labels: npt.NDArray[np.int64]
    decided: Marks
    groups: Mapping[str, npt.NDArray[np.bool_]]
    tuning_clips: ImageArray
    tuning_decided: Marks


@dataclass(frozen=True)
class MaskTask:
    """A task of the study.

    Attributes:
        make: clips of a seed, with a function that is told how far they are.
        options: how is learned.
        channels: of the pictures.
    """

    make: Callable[[int, Callable[[int, int], None]], Examination]
    options: IdentifierOptions
    channels: int


TASKS: Registry[MaskTask] = Registry("task of critical states")


def _examination(
    learned: KeyDoorClips | LimbEpisodes,
    tuning: KeyDoorClips | LimbEpisodes,
    test: KeyDoorClips | LimbEpisodes,
    groups: Mapping[str, npt.NDArray[np.bool_]],
) -> Examination:
    return Examination(
        learned.pictures,
        learned.labels,
        test.pictures,
        test.labels,
        test.decided,
        groups,
        tuning.pictures,
        tuning.decided,
    )


def key_door_training_clips(seed: int) -> KeyDoorClips:
    """Return the clips that the detector of a seed learns from."""
    return key_door_clips(2000, TRAINING_POLICIES, seed=100 + seed)


def _key_door(seed: int, on_clips: Callable[[int, int], None]) -> Examination:
    learned = key_door_training_clips(seed)
    tuning = key_door_clips(400, VALIDATION_POLICIES, seed=700 + seed)
    test = key_door_clips(500, HELD_OUT_POLICIES, seed=900 + seed)
    on_clips(1, 1)
    groups = {"successes": test.labels == 1, "failures": test.labels == 0}
    return _examination(learned, tuning, test, groups)


def side_by_side(pictures: ImageArray) -> ImageArray:
    """Return clips ``(N, T, 2 H, 2 W, 1)`` of four cameras' ``(N, T, H, W, 4)``, two by two.

    What a tag looks like is then learned once, not for each camera.
    """
    count, frames, height, width, _ = pictures.shape
    parts = pictures.reshape(count, frames, height, width, 2, 2).transpose(0, 1, 4, 2, 5, 3)
    return np.ascontiguousarray(parts.reshape(count, frames, 2 * height, 2 * width, 1))


def _limb(seed: int, on_clips: Callable[[int, int], None]) -> Examination:
    counts, made = (500, 100, 200), []
    for number, (first, poses) in enumerate(((100, 40), (700, 20), (900, 30))):
        before = sum(counts[:number])

        def told(done: int, before: int = before) -> None:
            on_clips(before + done, sum(counts))

        made.append(limb_episodes(counts[number], first + seed, told, poses))
    learned, tuning, test = (replace(one, pictures=side_by_side(one.pictures)) for one in made)
    groups = {name: test.events == number for number, name in enumerate(EVENTS)}
    return _examination(learned, tuning, test, groups)


_KEY_DOOR = IdentifierOptions(
    warm_up=6,
    epochs=12,
    learning_rate=3e-3,
    detector_rate=1e-3,
    falling=True,
    explained=(1,),
    hidden=0.5,
    flips=True,
)
TASKS.register("key-door", MaskTask(_key_door, _KEY_DOOR, channels=3))
TASKS.register(
    "limb",
    MaskTask(
        _limb,
        IdentifierOptions(
            warm_up=22,
            epochs=12,
            batch_size=8,
            learning_rate=3e-3,
            detector_rate=1e-3,
            falling=True,
            hidden=0.5,
            flips=True,
            width=4,
        ),
        channels=1,
    ),
)


@dataclass(frozen=True)
class MaskRun:
    """One training.

    Attributes:
        task: by name.
        seed: of clips and learning.
        out: folder of the study.
        ablation: by name; empty for none.
    """

    task: str
    seed: int
    out: Path
    ablation: str = ""

    @property
    def name(self) -> str:
        """Of its files."""
        return "_".join([self.task, str(self.seed), *self.ablation.split()])

    @property
    def weights(self) -> Path:
        """File of the detector, which is there when the training is complete."""
        return self.out / f"{self.name}.safetensors"


def complete_run(run: MaskRun, choosers: Sequence[str], on_stage: OnStage) -> dict[str, Any]:
    """Train what is not trained, and examine it.

    Args:
        run: what is trained.
        choosers: names of the other ways to choose frames.
        on_stage: gets stage, done, total.

    Returns:
        A row for the result file.
    """
    task = TASKS.get(run.task)
    exam = task.make(run.seed, lambda done, total: on_stage(f"{run.name} clips", done, total))
    model = trained_detector(run, exam.clips, exam.labels, on_stage)
    row = {"task": run.task, "seed": run.seed, "ablation": run.ablation}
    return row | model.card | examine(model, exam, choosers, run.seed)


def trained_detector(
    run: MaskRun, clips: ImageArray, labels: npt.NDArray[np.int64], on_stage: OnStage
) -> CriticalStates:
    """Return the detector of a run; train it where there is none yet, or go on.

    Args:
        run: what is trained.
        clips: to learn from.
        labels: of them, ``(N,)``.
        on_stage: gets stage, done, total.
    """
    if not run.weights.exists():
        _train(run, clips, labels, on_stage)
    return CriticalStates.load(run.weights)


def _train(
    run: MaskRun, clips: ImageArray, labels: npt.NDArray[np.int64], on_stage: OnStage
) -> None:
    task = TASKS.get(run.task)
    options = replace(task.options, seed=run.seed, **ABLATIONS[run.ablation])
    model = CriticalStates(task.channels, 2, options)
    total, clock = options.warm_up + options.epochs, Clock()
    checkpoint = run.weights.with_suffix(".checkpoint")
    model.learn(
        clips,
        labels,
        on_epoch=lambda done, told: on_stage(run.name, done, total),
        checkpoint=checkpoint,
    )
    model.card["train_cpu_s"] = round(clock.elapsed()[1], 1)
    model.save(run.weights)
    checkpoint.unlink()


def examine(
    model: CriticalStates, exam: Examination, choosers: Sequence[str], seed: int
) -> dict[str, Any]:
    """Return what a detector and other ways to choose as many frames are worth.

    Args:
        model: that was trained.
        exam: clips, and what decided them.
        choosers: names.
        seed: of random choices.
    """
    threshold = best_threshold(model.predict(exam.tuning_clips), exam.tuning_decided)
    masks = model.predict(exam.test_clips)
    marked = masks >= threshold
    told = model.predict_return(exam.test_clips)
    methods = {"detector": _scores(marked, exam)}
    counts = marked.sum(1)
    for name in choosers:
        chosen = CHOOSERS.get(name)(model, exam.test_clips, counts, seed)
        methods[name] = _scores(chosen, exam)
    best = {
        str(tolerance): max(
            round(100 * score(masks >= level, exam.decided, tolerance).f1, 2)
            for level in THRESHOLDS
        )
        for tolerance in TOLERANCES
    }
    return {
        "clips": len(exam.clips),
        "test_clips": len(exam.test_clips),
        "tuning_clips": len(exam.tuning_clips),
        "frames": exam.clips.shape[1],
        "threshold": threshold,
        "accuracy": round(100 * float((told.argmax(1) == exam.test_labels).mean()), 2),
        "marked_per_clip": round(float(counts.mean()), 2),
        "true_per_clip": round(float(exam.decided.sum(1).mean()), 2),
        "methods": methods,
        "best_threshold_f1": best,
        "groups": {
            name: _group(marked[rows], exam.decided[rows]) for name, rows in exam.groups.items()
        },
    }


def best_threshold(masks: npt.NDArray[np.float32], decided: Marks) -> float:
    """Return the threshold of the eleven with the best F1 at the narrowest tolerance."""
    tolerance = min(TOLERANCES)
    return max(THRESHOLDS, key=lambda level: score(masks >= level, decided, tolerance).f1)


def onsets(marked: Marks) -> Marks:
    """Return ``(N, T)`` True for the first frame of each run of marked frames."""
    before = np.pad(marked, ((0, 0), (1, 0)))[:, :-1]
    first: Marks = marked & ~before
    return first


def _scores(marked: Marks, exam: Examination) -> dict[str, float]:
    """Return F1 in percent by tolerance, of the marked frames, and of the first of each run."""
    found = {}
    for tolerance in TOLERANCES:
        found[f"f1_{tolerance}"] = score(marked, exam.decided, tolerance).f1
        found[f"onset_f1_{tolerance}"] = score(onsets(marked), exam.decided, tolerance).f1
    return {name: round(100 * value, 2) for name, value in found.items()}


def _group(marked: Marks, decided: Marks) -> dict[str, float]:
    found = score(marked, decided, 2)
    return {
        "clips": len(marked),
        "marked_per_clip": round(float(marked.sum(1).mean()), 2) if len(marked) else 0.0,
        "precision_2": round(100 * found.precision, 2),
        "recall_2": round(100 * found.recall, 2),
    }
