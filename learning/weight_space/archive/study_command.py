"""``python -m learning archive-study``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from asterias.arrays import FloatArray
from asterias.cli import check_file, check_folder, check_seed
from asterias.errors import UserError
from asterias.files import write_json
from asterias.progress import OnProgress, Stages, progress_bars, stop_requests
from asterias.provenance import provenance
from learning.policy_search.common.pose_map import PoseMap
from learning.target_finding.env.options import TargetFindingOptions, with_command_range
from learning.weight_space.archive import study
from learning.weight_space.archive.copy_runs import SETTINGS
from learning.weight_space.archive.encoder_files import encoder_card, save_encoder
from learning.weight_space.archive.encoder_training import LimbEncoderOptions
from learning.weight_space.archive.pictures import draw_predictions
from learning.weight_space.archive.trainings import Trained, TrainingOptions, make_trainings

POSES, POLICIES = "poses.safetensors", "policies"
# Steps after which an episode ends: enough to tell slow policies from those that never find.
_CAP = 25


@dataclass(frozen=True)
class ArchiveStudy:
    """Train recurrent limb policies, and predict what they need from their answers alone."""

    out: Path
    """Folder for everything; what is finished there is not done again. Its subfolder policies is
    an archive, for the command of that name."""
    trainings: int = 40
    """Trainings of policies; each leaves five."""
    episodes: int = 8
    """Episodes of each policy and setting of dead cameras in the simulation."""
    poses: int = 6000
    """Poses of the nearest-pose copy of the task, in which policies are trained."""
    folds: int = 3
    """Encoders; each holds out another part of the trainings, all together each training once."""
    updates: int = 600
    """Steps in which an encoder learns."""
    questions: tuple[Literal["interactive", "constant"], ...] = ("interactive",)
    """Encoders: whose questions depend on the answers before, and whose questions are constants;
    the picture shows the first."""
    seed: int = 0
    """Seed of everything."""
    json: Path | None = None
    """Result file to write, for example results/learning/archive.json."""
    picture: Path | None = None
    """Predicted against measured steps, for example results/learning/archive.png."""
    encoder: Path | None = None
    """Copy of the first fold's encoder, for archive --encoder."""

    def run(self) -> int:
        """Train, measure, predict, print, write and draw.

        Returns:
            The exit code.

        Raises:
            KeyboardInterrupt: it was stopped; the same command goes on.
        """
        self._check()
        torch.set_num_threads(1)  # the nets are tiny
        with stop_requests() as should_stop, progress_bars(24) as progress:
            made = self._made(Stages(progress), should_stop)
        if made is None:
            raise KeyboardInterrupt
        told, trained, predicted, measured = made
        Console().print(_table(told))
        if self.json is not None:
            write_json(self.json, {**provenance(self.seed), **told})
        if self.picture is not None:
            draw_predictions(told, predicted, measured, trained.runs, self.picture)
        return 0

    def _check(self) -> None:
        """Refuse options that cannot be used.

        Raises:
            UserError: one of them.
        """
        check_seed(self.seed)
        check_folder("--out", self.out)
        for option in ("json", "picture", "encoder"):
            check_file(f"--{option}", getattr(self, option))
        if not self.questions or len(set(self.questions)) != len(self.questions):
            raise UserError("--questions takes interactive, constant or both.")
        least = {"folds": 2, "trainings": 2 * self.folds, "episodes": 2, "poses": 100, "updates": 1}
        for option, value in least.items():
            if getattr(self, option) < value:
                raise UserError(f"--{option} must be {value} or more.")

    def _made(
        self, stages: OnProgress, should_stop: Callable[[], bool]
    ) -> tuple[dict[str, Any], Trained, FloatArray, FloatArray] | None:
        """Return figures, policies, predicted and measured steps; None where it was stopped."""
        copy = self._copy(stages)
        options = TrainingOptions(trainings=self.trainings, seed=self.seed)
        trained = make_trainings(
            self.out / "trainings",
            copy,
            options,
            lambda done, total: stages("trainings", done, total),
            should_stop,
        )
        if trained is None:
            return None
        self._save_policies(trained, copy)
        measured = study.measure_all(
            self.out / "measured", trained, copy, self.episodes, stages, should_stop
        )
        if measured is None:
            return None
        predicted: dict[str, dict[str, FloatArray]] = {}
        for form in self.questions:
            folds = self._folds(trained, measured, copy, form, stages, should_stop)
            if folds is None:
                return None
            predicted[form] = folds
        told = self._told(trained, predicted, measured, options)
        return told, trained, predicted[self.questions[0]]["steps"], measured

    def _copy(self, stages: OnProgress) -> PoseMap:
        done = [0]

        def count() -> None:
            done[0] += 1
            if done[0] % 100 == 0 or done[0] == self.poses:
                stages("poses", done[0], self.poses)

        options = with_command_range(TargetFindingOptions(cap=_CAP))
        return PoseMap.kept(self.out / POSES, options, self.poses, count)

    def _save_policies(self, trained: Trained, copy: PoseMap) -> None:
        """Write all policies as ``/find_target`` runs them, and as ``archive`` reads them."""
        for number in range(len(trained.runs)):
            path = self.out / POLICIES / f"{study.policy_name(trained, number)}.safetensors"
            if not path.exists():
                trained.bank.policy(number, study.policy_card(trained, number, copy)).save(path)

    def _folds(
        self,
        trained: Trained,
        measured: FloatArray,
        copy: PoseMap,
        form: str,
        stages: OnProgress,
        should_stop: Callable[[], bool],
    ) -> dict[str, FloatArray] | None:
        """Return what is told of each policy by the encoder that does not know its training."""
        interactive = form == "interactive"
        found: dict[str, FloatArray] = {}
        for fold in range(self.folds):
            held = study.held_out_trainings(len(trained.about), self.folds, fold)
            options = LimbEncoderOptions(interactive, self.updates, seed=self.seed + fold)
            path = self.out / f"{form}_{fold}.safetensors"
            training = study.train_fold(
                path, trained, measured, copy, held, options, stages, should_stop
            )
            if training is None:
                return None
            told, own = study.predicted_by(training, trained), np.isin(trained.runs, held)
            for name, values in told.items():
                found.setdefault(name, np.zeros_like(values))[own] = values[own]
            if self.encoder is not None and interactive and fold == 0:
                figures = study.correlations(told["steps"][own], measured[own])
                about = {"held_out_trainings": held, "held_out": figures, **asdict(options)}
                card = {**provenance(self.seed), **encoder_card(training.encoder, copy), **about}
                save_encoder(self.encoder, training.encoder, card)
        return found

    def _told(
        self,
        trained: Trained,
        predicted: dict[str, dict[str, FloatArray]],
        measured: FloatArray,
        options: TrainingOptions,
    ) -> dict[str, Any]:
        held = [
            study.held_out_trainings(len(trained.about), self.folds, f) for f in range(self.folds)
        ]
        forms, first = {}, predicted[self.questions[0]]["steps"]
        for form, told in predicted.items():
            each = [
                study.correlations(told["steps"][own], measured[own])
                for own in (np.isin(trained.runs, runs) for runs in held)
            ]
            forms[form] = {
                "all": study.correlations(told["steps"], measured),
                "folds": each,
                "copy_alone": study.correlations(told["copy_steps"], measured),
            }
        return {
            "policies": len(trained.runs),
            "trainings": trained.about,
            "training_options": asdict(options),
            "episodes": self.episodes,
            "cap": _CAP,
            "settings": list(SETTINGS),
            "held_out": held,
            "encoders": forms,
            "rows": [
                {
                    "policy": study.policy_name(trained, number),
                    "predicted": np.round(first[number], 3).tolist(),
                    "measured": np.round(measured[number], 3).tolist(),
                }
                for number in range(len(trained.runs))
            ],
        }


def _table(told: dict[str, Any]) -> Table:
    table = Table(title=f"{told['policies']} policies, each predicted without its training")
    for heading in ("questions", *SETTINGS, "mean", "able", "tolerance", "error, steps"):
        table.add_column(heading)
    for form, figures in told["encoders"].items():
        own = figures["all"]
        keys = (*SETTINGS, "mean", "able", "tolerance", "mean_error_steps")
        table.add_row(form, *(f"{own[key]:.2f}" for key in keys))
    return table
