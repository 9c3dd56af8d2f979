"""``python -m learning train --algo state_estimator``: an estimator of joint states from cameras.

It learns from recordings of the robot (``--recordings``), or from babbling in simulation. First the
encoder of the pictures is fitted, then, on its descriptions, the fast weights over time.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asterias.errors import UserError
from asterias.files import write_json
from asterias.progress import TrainingProgress
from asterias.provenance import provenance
from hardware.description.robot import RobotDescription, load_robot
from learning.fast_weights.estimation.babbling import Babbling, babble
from learning.fast_weights.estimation.drives import total_duration_s
from learning.fast_weights.estimation.encoder import CameraEncoder
from learning.fast_weights.estimation.encoder_fit import (
    JointRanges,
    described_table,
    encoder_loss,
)
from learning.fast_weights.estimation.estimator import ESTIMATOR_FILE, TrainedEstimator
from learning.fast_weights.estimation.fitting import FitPlan, fit
from learning.fast_weights.estimation.frames import FrameTable, Losses, joined, table_of
from learning.fast_weights.estimation.models import SEQUENCE_MODELS
from learning.fast_weights.estimation.recorded import recorded_drives
from learning.fast_weights.estimation.sequence_fit import Track, sequence_loss, tracked
from learning.target_finding.algorithms.checkpoint import load_state, save_state
from learning.target_finding.algorithms.registry import (
    OnTrainingProgress,
    ShouldStop,
    TrainingRequest,
)

MODEL = "delta_ode"
UPDATES = 8000
ENCODER_SHARE = 0.75
# The encoder's, and that of the network over time.
ENCODER_RATE, SEQUENCE_RATE = 2e-3, 3e-3
# Drives are cut into pieces of this length.
PIECE_S = 5.0
HELD_OUT_SHARE = 0.1
HELD_OUT_DRIVES = 20
# Moves that search policies send are steps; so is a share of what is learned from.
STEP_SHARE = 0.1
# Drives that are babbled with one seed; the next have the next.
SHARD = 100
ENCODER_CHECKPOINT = "checkpoint.safetensors"
SEQUENCE_CHECKPOINT = "checkpoint_sequence.safetensors"
# What was babbled, until the training is done.
DRIVES_FOLDER = "drives"
# Shares of lost pictures at which a training is judged.
DROPS = (0.0, 0.2, 0.4, 0.6)


@dataclass(frozen=True)
class EstimatorConfig:
    """One training.

    Attributes:
        out: folder for checkpoints and estimator.
        robot, limb: what is estimated.
        recordings: what is learned from; None: babbling in simulation.
        drives: of 5 s each, where the limb babbles.
        updates: batches, three quarters of them for the encoder.
        seed: of everything.
        model: name of the network over time.
        resume: go on from the checkpoints in ``out``.
    """

    out: Path
    robot: str = "limb_p1"
    limb: int = 0
    recordings: Path | None = None
    drives: int = 250
    updates: int = UPDATES
    seed: int = 0
    model: str = MODEL
    resume: bool = False

    def __post_init__(self) -> None:
        if self.updates < 4 or self.drives < 1:
            raise UserError("--steps must be 4 or more, and --episodes 1 or more.")

    @property
    def settings(self) -> dict[str, Any]:
        """What a checkpoint must have in common with a training that goes on from it."""
        own = {k: v for k, v in asdict(self).items() if k not in ("out", "resume")}
        return own | {"recordings": None if self.recordings is None else str(self.recordings)}


@dataclass
class _Reporter:
    """Tells how far a training is, over both fits."""

    total: int
    tell: OnTrainingProgress
    done_before: int = 0
    started_s: float = field(default_factory=time.monotonic)
    first: int | None = None

    def __call__(self, done: int, total: int) -> None:
        at = self.done_before + done
        self.first = at - 1 if self.first is None else self.first
        pace = (at - self.first) / max(time.monotonic() - self.started_s, 1e-6)
        left_s = (self.total - at) / pace
        self.tell(TrainingProgress(at, self.total, "updates", 0.0, 0.0, 0.0, pace, left_s))


def train_request(
    request: TrainingRequest, on_progress: OnTrainingProgress, should_stop: ShouldStop
) -> dict[str, Any]:
    """Train as a person asked: ``steps`` are updates, ``episodes`` drives of babbling.

    Returns:
        The summary.
    """
    config = EstimatorConfig(
        request.out,
        request.options.robot,
        request.options.limb,
        recordings=request.recordings,
        drives=request.episodes,
        updates=UPDATES if request.steps is None else request.steps,
        seed=request.seed,
        resume=request.resume,
    )
    return train_estimator(config, on_progress, should_stop)


def train_estimator(
    config: EstimatorConfig,
    on_progress: OnTrainingProgress = lambda at: None,
    should_stop: ShouldStop = lambda: False,
) -> dict[str, Any]:
    """Gather, fit both networks, judge them, write estimator and card.

    Passes on ``UserError``: there is nothing to learn from or to resume, or something would be
    overwritten.

    Returns:
        The summary: the card.
    """
    _check_folder(config)
    torch.set_num_threads(1)
    robot = load_robot(config.robot)
    learned, held = _gather(config, robot, should_stop)
    ranges = ranges_of(robot, config.limb)
    report = _Reporter(config.updates, on_progress)
    encoder = _fit_encoder(config, learned, ranges, report, should_stop)
    learned, held = described_table(encoder, learned), described_table(encoder, held)
    model = SEQUENCE_MODELS.get(config.model)(encoder.joints, encoder.cameras)
    plan = FitPlan(config.updates - report.done_before, SEQUENCE_RATE, config.seed)
    fit(
        model,
        sequence_loss(model, encoder, learned, ranges, Losses()),
        plan,
        checkpoint=config.out / SEQUENCE_CHECKPOINT,
        settings=config.settings,
        on_steps=report,
        should_stop=should_stop,
    )
    joints = robot.limbs[config.limb].joints
    card = {
        **provenance(config.seed, _command(config)),
        "algorithm": "state_estimator",
        **config.settings,
        "file": ESTIMATOR_FILE,
        "joints": [joint.name for joint in joints],
        "lower_rad": [joint.limits_rad[0] for joint in joints],
        "upper_rad": [joint.limits_rad[1] for joint in joints],
        "cameras": encoder.cameras,
        "learned_s": round(len(learned) * PIECE_S, 1),
        "held_out_s": round(len(held) * PIECE_S, 1),
        "rmse_deg": {
            f"{drop:g}": round(
                rmse_deg(tracked(model, encoder, held, ranges, Losses(drop=(drop, drop)))), 3
            )
            for drop in DROPS
        },
    }
    trained = TrainedEstimator(
        encoder.eval(), model.eval(), tuple(card["joints"]), ranges, {**card}
    )
    trained.save(config.out / ESTIMATOR_FILE)
    write_json(config.out / "summary.json", card)
    shutil.rmtree(config.out / DRIVES_FOLDER, ignore_errors=True)
    return card


def rmse_deg(track: Track) -> float:
    """Return the root of the mean squared error over drives, times and joints, in degrees."""
    wrong = track.mean_rad - track.truth_rad
    return float(np.rad2deg(np.sqrt(np.mean(wrong**2))))


def ranges_of(robot: RobotDescription, limb: int) -> JointRanges:
    """Return the ranges of a limb's joints."""
    low, high = np.array([joint.limits_rad for joint in robot.limbs[limb].joints]).T
    return JointRanges(low, high)


def _command(config: EstimatorConfig) -> str:
    words = f"python -m learning train --algo state_estimator --out {config.out.name}"
    if config.recordings is None:
        words += f" --episodes {config.drives}"
    else:
        words += f" --recordings {config.recordings.name}"
    return f"{words} --steps {config.updates} --seed {config.seed}"


def _check_folder(config: EstimatorConfig) -> None:
    """Do not overwrite, and do not resume nothing.

    Raises:
        UserError: the folder does not fit.
    """
    if (config.out / ESTIMATOR_FILE).exists():
        raise UserError(f"{config.out} holds a state estimator; choose another --out.")
    has_checkpoint = (config.out / ENCODER_CHECKPOINT).is_file()
    has_drives = (config.out / DRIVES_FOLDER).is_dir()
    if (has_checkpoint or has_drives) and not config.resume:
        raise UserError(f"{config.out} holds a training; add --resume, or choose another --out.")
    if config.resume and not (has_checkpoint or has_drives):
        path = config.out / ENCODER_CHECKPOINT
        raise UserError(f"{path} is not there: nothing to resume; leave out --resume.")


# -- what is learned from -------------------------------------------------------------------------


def babbled(
    babbling: Babbling,
    drives: int,
    seed: int,
    folder: Path,
    should_stop: ShouldStop = lambda: False,
) -> FrameTable:
    """Return drives of babbling, :data:`SHARD` of each seed from ``1000 (seed + 1)`` on.

    Each shard is kept in ``folder``, so that a training that was stopped does not babble again.
    """
    counts = [min(SHARD, drives - first) for first in range(0, drives, SHARD)]
    number = 1000 * (seed + 1)
    return joined(
        [
            _shard(babbling, count, number + shard, folder, should_stop)
            for shard, count in enumerate(counts)
        ]
    )


def _shard(
    babbling: Babbling, count: int, number: int, folder: Path, should_stop: ShouldStop
) -> FrameTable:
    """Return one shard, babbled or read.

    Raises:
        KeyboardInterrupt: ``should_stop`` said so.
    """
    path = folder / f"{number}_{count}.safetensors"
    settings = {**asdict(babbling), "count": count, "number": number}
    if path.is_file():
        return FrameTable(**load_state(path, settings)[0])
    drives = []
    for drive in babble(babbling, count, number):
        drives.append(drive)
        if should_stop():
            raise KeyboardInterrupt
    table = table_of(drives, PIECE_S)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {key: getattr(table, key) for key in ("times_s", "content", "joints_rad")}
    save_state(path, arrays, settings, {})
    return table


def _gather(
    config: EstimatorConfig, robot: RobotDescription, should_stop: ShouldStop
) -> tuple[FrameTable, FrameTable]:
    """Return what is learned from, and what is held out.

    Raises:
        UserError: recordings are too short.
    """
    if config.recordings is None:
        babbling = Babbling(config.robot, config.limb, step_share=STEP_SHARE)
        folder = config.out / DRIVES_FOLDER
        learned = babbled(babbling, config.drives, config.seed, folder, should_stop)
        count = min(HELD_OUT_DRIVES, max(1, round(HELD_OUT_SHARE * config.drives)))
        number = 1000 * (config.seed + 1) + SHARD * 9
        return learned, _shard(babbling, count, number, folder, should_stop)
    drives = recorded_drives(config.recordings, robot, config.limb)
    table = table_of(drives, PIECE_S)
    if len(table) < 2:
        raise UserError(
            f"{config.recordings} holds {total_duration_s(drives):.0f} s of pictures with joints; "
            f"at least {2 * PIECE_S:.0f} s are needed, and minutes to learn anything."
        )
    order = np.random.default_rng(config.seed).permutation(len(table))
    count = max(1, round(HELD_OUT_SHARE * len(table)))
    return _rows(table, order[count:]), _rows(table, order[:count])


def _rows(table: FrameTable, rows: np.ndarray[Any, np.dtype[np.int64]]) -> FrameTable:
    return FrameTable(table.times_s[rows], table.content[rows], table.joints_rad[rows])


def _fit_encoder(
    config: EstimatorConfig,
    table: FrameTable,
    ranges: JointRanges,
    report: _Reporter,
    should_stop: ShouldStop,
) -> CameraEncoder:
    torch.manual_seed(config.seed)
    encoder = CameraEncoder(table.cameras, table.joints_rad.shape[2])
    encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    plan = FitPlan(round(ENCODER_SHARE * config.updates), ENCODER_RATE, config.seed)
    fit(
        encoder,
        encoder_loss(encoder, table, ranges, Losses()),
        plan,
        checkpoint=config.out / ENCODER_CHECKPOINT,
        settings=config.settings,
        on_steps=report,
        should_stop=should_stop,
    )
    report.done_before = plan.steps
    return encoder.eval()
