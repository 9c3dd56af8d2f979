"""``python -m learning train --algo state_estimator``: an estimator of joint states from cameras.

It learns from recordings of the robot (``--recordings``), or from the simulation: stills of poses
all over the range, and babbling. First the encoder of the pictures is fitted; then, on its
descriptions of the drives' pictures, what puts them together, and last the fast weights over time.
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
from learning.fast_weights.estimation.encoder import CameraEncoder
from learning.fast_weights.estimation.encoder_fit import (
    PLAIN,
    JointRanges,
    described_once,
    encoder_loss,
    stills_loss,
)
from learning.fast_weights.estimation.estimator import (
    ESTIMATOR_FILE,
    TrainedEstimator,
    check_limb,
    load_estimator,
    update_ms,
)
from learning.fast_weights.estimation.fitting import FitPlan, fit
from learning.fast_weights.estimation.frames import FrameTable, Losses
from learning.fast_weights.estimation.gathering import PIECE_S, DriveTables, babbled, recorded
from learning.fast_weights.estimation.models import SEQUENCE_MODELS, SequenceModel
from learning.fast_weights.estimation.sequence_fit import judged, rmse_deg, sequence_loss, track_at
from learning.fast_weights.estimation.stills import StillsPlan, taken
from learning.target_finding.algorithms.registry import (
    OnTrainingProgress,
    ShouldStop,
    TrainingRequest,
)

MODEL = "delta_ode"
# The name of encoders that stands in requests where nobody asked for one.
DRAWN = "tiles"
UPDATES = 8000
# Of the updates: for the encoder, and for what puts descriptions together; the rest for memory.
ENCODER_SHARE, FUSE_SHARE = 0.6, 0.2
# The encoder's matrices (Muon), its other weights, what puts together, the network over time.
MUON_RATE, ENCODER_RATE, FUSE_RATE, SEQUENCE_RATE = 0.02, 2e-3, 5e-4, 3e-3
# What counts as an episode: stills (27 KB each on the disk until the training is done), and drives
# of babbling, 5 s each. 360 drives in all were too few: what was learned from them did not hold on
# others.
STILLS_OF_AN_EPISODE, DRIVES_OF_AN_EPISODE = 550, 5
# Of the stills of seed 0.
STILLS_SEED = 77
ENCODER_CHECKPOINT = "checkpoint.safetensors"
FUSE_CHECKPOINT = "checkpoint_fuse.safetensors"
SEQUENCE_CHECKPOINT = "checkpoint_sequence.safetensors"
# What was babbled and taken, until the training is done.
DRIVES_FOLDER, STILLS_FOLDER = "drives", "stills"


@dataclass(frozen=True)
class EstimatorConfig:
    """One training.

    Attributes:
        out: folder for checkpoints and estimator.
        robot, limb: what is estimated.
        recordings: what is learned from; None: babbling in simulation.
        episodes: where the limb babbles: 550 stills and five drives of 5 s in each.
        updates: batches, three fifths of them for the encoder, one for what puts descriptions
            together.
        seed: of everything.
        model: name of the network over time.
        start: name or path of an estimator whose encoder this one's begins as; empty: with drawn
            weights.
        resume: go on from the checkpoints in ``out``.
    """

    out: Path
    robot: str = "limb_p1"
    limb: int = 0
    recordings: Path | None = None
    episodes: int = 250
    updates: int = UPDATES
    seed: int = 0
    model: str = MODEL
    start: str = ""
    resume: bool = False

    def __post_init__(self) -> None:
        if self.updates < 4 or self.episodes < 1:
            raise UserError("--steps must be 4 or more, and --episodes 1 or more.")

    @property
    def settings(self) -> dict[str, Any]:
        """What a checkpoint must have in common with a training that goes on from it."""
        left_out = {"out", "resume"} if self.start else {"out", "resume", "start"}
        own = {k: v for k, v in asdict(self).items() if k not in left_out}
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
        self._tell(at, self.total, "updates", at - self.first)

    def stills(self, done: int, total: int) -> None:
        """Tell how many stills are taken."""
        self._tell(done, total, "stills", done)
        if done == total:
            self.started_s = time.monotonic()

    def _tell(self, done: int, total: int, unit: str, since: int) -> None:
        pace = since / max(time.monotonic() - self.started_s, 1e-6)
        left_s = (total - done) / pace
        self.tell(TrainingProgress(done, total, unit, 0.0, 0.0, 0.0, pace, left_s))


def train_request(
    request: TrainingRequest, on_progress: OnTrainingProgress, should_stop: ShouldStop
) -> dict[str, Any]:
    """Train as a person asked: ``steps`` are updates, ``episodes`` of babbling.

    Returns:
        The summary.
    """
    config = EstimatorConfig(
        request.out,
        request.options.robot,
        request.options.limb,
        recordings=request.recordings,
        episodes=request.episodes,
        updates=UPDATES if request.steps is None else request.steps,
        seed=request.seed,
        start="" if request.encoder == DRAWN else request.encoder,
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
    report = _Reporter(config.updates, on_progress)
    ranges = ranges_of(robot, config.limb)
    # Recordings are read first: they may be no good. Drives are babbled when their turn comes.
    tables = None if config.recordings is None else recorded(config.recordings, robot, config.limb)
    encoder = _fit_encoder(config, robot, tables, report, should_stop)
    if tables is None:
        folder = config.out / DRIVES_FOLDER
        tables = babbled(
            config.robot,
            config.limb,
            DRIVES_OF_AN_EPISODE * config.episodes,
            config.seed,
            folder,
            encoder,
            should_stop,
        )
    else:
        tables = tables.described(encoder)
    _fit_fuse(config, encoder, tables.learned, ranges, report, should_stop)
    model = SEQUENCE_MODELS.get(config.model)(encoder.joints, encoder.cameras)
    plan = FitPlan(config.updates - report.done_before, SEQUENCE_RATE, config.seed)
    fit(
        model,
        sequence_loss(model, encoder, tables.learned, ranges, Losses()),
        plan,
        checkpoint=config.out / SEQUENCE_CHECKPOINT,
        settings=config.settings,
        on_steps=report,
        should_stop=should_stop,
    )
    card = _card(config, robot, encoder.eval(), model.eval(), tables)
    trained = TrainedEstimator(encoder, model, tuple(card["joints"]), ranges, card)
    card["update_ms"] = round(update_ms(trained), 2)
    trained.save(config.out / ESTIMATOR_FILE)
    write_json(config.out / "summary.json", card)
    for name in (DRIVES_FOLDER, STILLS_FOLDER):
        shutil.rmtree(config.out / name, ignore_errors=True)
    return card


def _card(
    config: EstimatorConfig,
    robot: RobotDescription,
    encoder: CameraEncoder,
    model: SequenceModel,
    tables: DriveTables,
) -> dict[str, Any]:
    """Return what stands beside an estimator: how it was trained, and how far it is off."""
    joints, ranges = robot.limbs[config.limb].joints, ranges_of(robot, config.limb)
    nearest = SEQUENCE_MODELS.get("nearest_frame")(encoder.joints, encoder.cameras)
    card = {
        **provenance(config.seed, _command(config)),
        "algorithm": "state_estimator",
        **config.settings,
        "file": ESTIMATOR_FILE,
        "joints": [joint.name for joint in joints],
        "lower_rad": [joint.limits_rad[0] for joint in joints],
        "upper_rad": [joint.limits_rad[1] for joint in joints],
        "cameras": encoder.cameras,
        "learned_s": round(len(tables.learned) * PIECE_S, 1),
        "held_out_s": round(len(tables.held) * PIECE_S, 1),
        **judged(model, encoder, tables.held, ranges),
        "nearest_frame_rmse_deg": judged(nearest, encoder, tables.held, ranges)["rmse_deg"],
    }
    if tables.sudden is not None:
        track = track_at(model, encoder, tables.sudden, ranges, 0.0)
        card["sudden_rmse_deg"] = round(rmse_deg(track), 3)
    return card


def ranges_of(robot: RobotDescription, limb: int) -> JointRanges:
    """Return the ranges of a limb's joints."""
    low, high = np.array([joint.limits_rad for joint in robot.limbs[limb].joints]).T
    return JointRanges(low, high)


def _command(config: EstimatorConfig) -> str:
    words = f"python -m learning train --algo state_estimator --out {config.out.name}"
    if config.recordings is None:
        words += f" --episodes {config.episodes}"
    else:
        words += f" --recordings {config.recordings.name}"
    if config.start:
        words += f" --encoder {Path(config.start).name}"
    return f"{words} --steps {config.updates} --seed {config.seed}"


def _check_folder(config: EstimatorConfig) -> None:
    """Do not overwrite, and do not resume nothing.

    Raises:
        UserError: the folder does not fit.
    """
    if (config.out / ESTIMATOR_FILE).exists():
        raise UserError(f"{config.out} holds a state estimator; choose another --out.")
    has_checkpoint = (config.out / ENCODER_CHECKPOINT).is_file()
    has_drives = any((config.out / name).is_dir() for name in (DRIVES_FOLDER, STILLS_FOLDER))
    if (has_checkpoint or has_drives) and not config.resume:
        raise UserError(f"{config.out} holds a training; add --resume, or choose another --out.")
    if config.resume and not (has_checkpoint or has_drives):
        path = config.out / ENCODER_CHECKPOINT
        raise UserError(f"{path} is not there: nothing to resume; leave out --resume.")


# -- the fits -----------------------------------------------------------------------------------


def _fit_encoder(
    config: EstimatorConfig,
    robot: RobotDescription,
    tables: DriveTables | None,
    report: _Reporter,
    should_stop: ShouldStop,
) -> CameraEncoder:
    """Fit an encoder: on stills, or on the tiles of recordings.

    Returns:
        The encoder.
    """
    torch.manual_seed(config.seed)
    limb, ranges = robot.limbs[config.limb], ranges_of(robot, config.limb)
    encoder = CameraEncoder(len(limb.live_cameras), len(limb.joints))
    if config.start:
        begun = load_estimator(config.start)
        check_limb(begun, [joint.name for joint in limb.joints], len(limb.live_cameras))
        encoder.load_state_dict(begun.encoder.state_dict())
    encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if tables is None:
        count, seed = STILLS_OF_AN_EPISODE * config.episodes, STILLS_SEED + config.seed
        poses = StillsPlan(config.robot, config.limb, count, seed)
        stills = taken(poses, config.out / STILLS_FOLDER, report.stills, should_stop)
        loss_of = stills_loss(encoder, stills, ranges)
    else:
        loss_of = encoder_loss(encoder, tables.learned, ranges, Losses())
    plan = FitPlan(
        max(1, round(ENCODER_SHARE * config.updates)),
        ENCODER_RATE,
        config.seed,
        weight_decay=1e-4,
        muon_rate=MUON_RATE,
        plain=PLAIN,
    )
    fit(
        encoder,
        loss_of,
        plan,
        checkpoint=config.out / ENCODER_CHECKPOINT,
        settings=config.settings,
        on_steps=report,
        should_stop=should_stop,
    )
    report.done_before = plan.steps
    return encoder.eval()


def _fit_fuse(
    config: EstimatorConfig,
    encoder: CameraEncoder,
    described: FrameTable,
    ranges: JointRanges,
    report: _Reporter,
    should_stop: ShouldStop,
) -> None:
    """Go on with what puts descriptions together, on moments of drives."""
    plan = FitPlan(max(1, round(FUSE_SHARE * config.updates)), FUSE_RATE, config.seed)
    with described_once(encoder):
        fit(
            encoder,
            encoder_loss(encoder, described, ranges, Losses()),
            plan,
            checkpoint=config.out / FUSE_CHECKPOINT,
            settings=config.settings,
            on_steps=report,
            should_stop=should_stop,
        )
    report.done_before += plan.steps
    encoder.eval()
