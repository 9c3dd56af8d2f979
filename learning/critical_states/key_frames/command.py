"""``recordings key-frames``: which frames decided success or failure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro

from asterias.cli import check_file, check_folder, check_seed
from asterias.errors import UserError
from asterias.files import write_json
from asterias.progress import Stages, progress_bars, stop_requests
from asterias.provenance import Clock, provenance
from learning.critical_states.identifier import CriticalStates, IdentifierOptions
from learning.critical_states.key_frames.clips import (
    Clip,
    ClipForm,
    dataset_clips,
    recording_clips,
)
from learning.recordings.plots.criticality import ENDING, file_name

DETECTOR, CHECKPOINT, SUMMARY, DATASET = (
    "detector.safetensors",
    "detector.checkpoint",
    "key_frames.json",
    "dataset",
)
_LEAST_CLIPS = 4
# Batches of each half of a learning, unless the passes are given, and clips of each.
_BATCHES, _BATCH = 400, 8


@dataclass(frozen=True)
class KeyFrames:
    """Find the frames that decided, from marks of success and failure alone.

    Learns a detector from the episodes that are marked, unless one is given. Recordings and data
    sets stay as they are: of a recording a channel /critical_states is written beside it, of a data
    set a copy with the feature observation.criticality, of each episode a contact sheet.
    """

    path: tyro.conf.Positional[Path]
    """Folder of episodes or files *.mcap, or a LeRobot data set."""
    out: Path
    """Folder for what is found; a training that was broken off there is gone on with."""
    detector: Path | None = None
    """A detector that was trained before, *.safetensors; none is trained then."""
    frames: int = 80
    """Moments of each episode that are looked at, whatever its length."""
    side: int = 32
    """Width and height in px of the pictures that are looked at."""
    epochs: int | None = None
    """Passes over the episodes in which predictor and detector learn, after as many in which the
    predictor learns alone; leave it out for as many as make 400 batches."""
    threshold: float = 0.5
    """From which on a frame counts as one that decided."""
    sheets: int = 20
    """Contact sheets to draw, of the first episodes."""
    seed: int = 0
    """Seed of the training."""
    json: Path | None = None
    """File to write how long it took, for example results/learning/key_frames_speed.json."""

    def run(self) -> int:
        """Learn, mark, write.

        Returns:
            The exit code.
        """
        self._check()
        torch.set_num_threads(1)  # the nets are small
        clock = Clock()
        source = _Source.of(self.path)
        with ExitStack() as stack:
            stages = Stages(stack.enter_context(progress_bars()))
            cancelled = stack.enter_context(stop_requests())
            if self.detector is not None:
                model = CriticalStates.load(self.detector)
                clips: Iterable[Clip] = self._read(source, _form_of(model, self.detector), stages)
            else:
                clips = list(self._read(source, ClipForm(self.frames, self.side), stages))
                trained = self._train(clips, stages, cancelled)
                if trained is None:
                    print(f"Broken off; the same command goes on with {self.out / CHECKPOINT}.")
                    return 1
                model = trained
            rows = self._mark(model, clips, source, stages)
        write_json(self.out / SUMMARY, {**provenance(self.seed), "episodes": rows})
        if self.json is not None:
            write_json(self.json, {**provenance(self.seed), **_speed(rows, model, clock)})
        self._print(rows, source)
        return 0

    def _check(self) -> None:
        """Refuse options that cannot be used.

        Raises:
            UserError: one of them.
        """
        check_seed(self.seed)
        check_folder("--out", self.out)
        check_file("--json", self.json)
        least = {"frames": 8, "side": 16, "epochs": 1, "sheets": 0}
        for name, value in least.items():
            given = getattr(self, name)
            if given is not None and given < value:
                raise UserError(f"--{name} must be {value} or more.")
        if not 0 < self.threshold < 1:
            raise UserError("--threshold must lie between 0 and 1.")
        if (self.out / DATASET).exists():
            raise UserError(f"{self.out / DATASET} exists already; name a new folder.")

    def _read(self, source: _Source, form: ClipForm, stages: Stages) -> Iterator[Clip]:
        for number, clip in enumerate(source.clips(form)):
            stages("read", number + 1, source.count)
            yield clip

    # -- learning -------------------------------------------------------------------------------

    def _train(
        self, clips: list[Clip], stages: Stages, cancelled: Callable[[], bool]
    ) -> CriticalStates | None:
        """Learn from the clips that are marked.

        Returns:
            A detector; None where it was broken off.
        """
        marked = [clip for clip in clips if clip.label is not None]
        _check_marks(self.path, marked)
        epochs = self.epochs or math.ceil(_BATCHES * _BATCH / len(marked))
        options = IdentifierOptions(
            warm_up=epochs,
            epochs=epochs,
            batch_size=_BATCH,
            learning_rate=3e-3,
            falling=True,
            hidden=0.5,
            threshold=self.threshold,
            seed=self.seed,
        )
        card = {
            "cameras": list(marked[0].cameras),
            "frames": self.frames,
            "side_px": self.side,
            "trained_on": len(marked),
        }
        model = CriticalStates(len(marked[0].cameras), 2, options, card)
        total = options.warm_up + options.epochs
        model.learn(
            np.stack([clip.pictures for clip in marked]),
            np.array([clip.label for clip in marked], np.int64),
            on_epoch=lambda done, told: stages("learn", done, total),
            cancelled=cancelled,
            checkpoint=self.out / CHECKPOINT,
        )
        if model.epochs_done < total:
            return None
        model.save(self.out / DETECTOR)
        (self.out / CHECKPOINT).unlink()
        return model

    # -- marking --------------------------------------------------------------------------------

    def _mark(
        self, model: CriticalStates, clips: Iterable[Clip], source: _Source, stages: Stages
    ) -> list[dict[str, Any]]:
        from learning.critical_states.key_frames.sheet import draw_sheet, key_moments

        rows, masks = [], []
        for number, clip in enumerate(clips):
            _check_cameras(clip, model)
            mask = model.predict(clip.pictures[None])[0]
            masks.append(mask)
            moments = key_moments(mask, self.threshold)
            if mask.max() < self.threshold:
                moments = moments[:0]
            name = file_name(clip.name)
            source.write(self.out, name, clip, mask)
            if number < self.sheets:
                draw_sheet(clip, mask, self.threshold, self.out / f"{name}.png")
            rows.append(
                {
                    "episode": clip.name,
                    "success": None if clip.label is None else bool(clip.label),
                    "duration_s": round(clip.duration_s, 3),
                    "key_frames_s": [round(float(clip.times_s[m]), 3) for m in moments],
                    "highest": round(float(mask.max()), 3),
                }
            )
            stages("mark", number + 1, source.count)
        source.write_dataset(self.out / DATASET, masks)
        return rows

    def _print(self, rows: list[dict[str, Any]], source: _Source) -> None:
        for row in rows[:10]:
            word = {True: "success", False: "failure", None: "not marked"}[row["success"]]
            at = ", ".join(f"{time_s:.2f} s" for time_s in row["key_frames_s"]) or "nothing"
            print(f"{row['episode']}, {word}: decided by {at}")
        if len(rows) > 10:
            print(f"and {len(rows) - 10} episodes more: {self.out / SUMMARY}")
        print(source.told(self.out))


class _Source:
    """Where clips come from, and where their masks go: recordings."""

    def __init__(self, path: Path) -> None:
        from learning.recordings.reading import find_recordings

        self.path = path
        self._recordings = find_recordings(path)
        self.count = len(self._recordings)

    @staticmethod
    def of(path: Path) -> _Source:
        """Look what is at a path.

        Returns:
            A data set, or recordings.
        """
        return _Dataset(path) if (path / "meta" / "info.json").is_file() else _Source(path)

    def clips(self, form: ClipForm) -> Iterator[Clip]:
        """Read one after the other.

        Returns:
            All clips.
        """
        return recording_clips(self._recordings, form)

    def write(self, out: Path, name: str, clip: Clip, mask: Any) -> None:
        """Write what belongs to one episode."""
        from learning.recordings.plots.criticality import write_sidecar

        out.mkdir(parents=True, exist_ok=True)
        write_sidecar(out / f"{name}{ENDING}", clip.start_ns, clip.times_s, mask)

    def write_dataset(self, out: Path, masks: list[Any]) -> None:
        """Write what belongs to all."""

    def told(self, out: Path) -> str:
        """Return a sentence about what was written."""
        return f"{out}: a channel /critical_states for each of {self.count} recordings."


class _Dataset(_Source):
    """A LeRobot data set, which gets a feature."""

    def __init__(self, path: Path) -> None:
        from learning.recordings.lerobot.loader import load_lerobot

        self.path = path
        self._episodes = load_lerobot(path)
        self.count = len(self._episodes)

    def clips(self, form: ClipForm) -> Iterator[Clip]:
        return dataset_clips(self.path, self._episodes, form)

    def write(self, out: Path, name: str, clip: Clip, mask: Any) -> None:
        pass

    def write_dataset(self, out: Path, masks: list[Any]) -> None:
        from learning.recordings.lerobot.criticality import copy_with_criticality

        whole = []
        for episode, mask in zip(self._episodes, masks, strict=True):
            count = len(episode.states)
            moments = np.linspace(0, count - 1, len(mask)).round()
            whole.append(np.interp(np.arange(count), moments, mask).astype(np.float32))
        copy_with_criticality(self.path, out, whole)

    def told(self, out: Path) -> str:
        return f"{out / DATASET}: the data set with the feature observation.criticality."


def _speed(rows: list[dict[str, Any]], model: CriticalStates, clock: Clock) -> dict[str, Any]:
    """Return how long everything took, a training included, against what was recorded."""
    wall_s, cpu_s = clock.elapsed()
    recorded_s = sum(row["duration_s"] for row in rows)
    return {
        "episodes": len(rows),
        "cameras": len(model.card["cameras"]),
        "recorded_s": round(recorded_s, 1),
        "wall_s": round(wall_s, 1),
        "processor_s": round(cpu_s, 1),
        "times_real_time": round(recorded_s / wall_s, 1),
        "times_real_time_of_a_core": round(recorded_s / cpu_s, 1),
    }


def _check_marks(path: Path, marked: list[Clip]) -> None:
    """Refuse episodes that nothing can be learned from.

    Raises:
        UserError: they are not marked, of one outcome only, or of different robots.
    """
    if not marked:
        raise UserError(
            f"{path} holds no episode that is marked as success or failure; mark them while you "
            "record, or give a --detector that was trained before."
        )
    outcomes = {clip.label for clip in marked}
    if len(outcomes) < 2:
        only = "success" if outcomes == {1} else "failure"
        raise UserError(
            f"All {len(marked)} marked episodes of {path} are a {only}; what decided can only be "
            "told where both outcomes were recorded."
        )
    if len(marked) < _LEAST_CLIPS:
        raise UserError(f"{path} has {len(marked)} marked episodes; {_LEAST_CLIPS} are the least.")
    first = marked[0]
    for clip in marked:
        if clip.cameras != first.cameras:
            raise UserError(
                f"{clip.name} is of another robot than {first.name}: its cameras are "
                f"{', '.join(clip.cameras)}, not {', '.join(first.cameras)}."
            )


def _check_cameras(clip: Clip, model: CriticalStates) -> None:
    """Refuse an episode of other cameras.

    Raises:
        UserError: its cameras are not those that were learned from.
    """
    known = tuple(model.card.get("cameras", ()))
    if clip.cameras != known:
        raise UserError(
            f"{clip.name} is of another robot: its cameras are {', '.join(clip.cameras)}; the "
            f"detector knows {', '.join(known) or 'none'}."
        )


def _form_of(model: CriticalStates, path: Path) -> ClipForm:
    """Return the form of the clips that a detector was trained on.

    Raises:
        UserError: it is of another kind.
    """
    try:
        return ClipForm(int(model.card["frames"]), int(model.card["side_px"]))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is no detector for recordings; its card names none.") from error
