"""Options of a training, presets for each size of maze, and their check."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from asterias.cli import check_folder
from asterias.errors import UserError
from planners.mazes.action_sets import MoveName
from planners.networks.base import choose_device
from planners.networks.registry import NETWORKS
from planners.training.evaluation import parse_bins
from planners.training.losses import LossKind, Target

if TYPE_CHECKING:
    ModelName = str
else:  # the command line lists what the registry knows
    ModelName = Literal[NETWORKS.names()]


@dataclass(frozen=True)
class TrainConfig:
    """Train a planner; start from a preset: 15, 35 or 100."""

    out: Path = Path("runs/planner")
    """Folder for checkpoint, weights and curves."""
    model: ModelName = "dt_vin"
    """Network."""
    options: str = "{}"
    """Options of the network as JSON, for example '{"init": "random"}'."""
    size: int = 15
    """Rows and columns of the mazes."""
    mazes: int = 8000
    """Training mazes."""
    validation: int = 400
    """Validation mazes."""
    stratify: str = "0,20,40,60,90"
    """Edges of longest-path bins to fill evenly; empty for plain sampling."""
    moves: MoveName = "news"
    """Move set: four moves, eight, or those of a differential drive (drive_dt_vin)."""
    noise: float = 0.0
    """Variance of Gaussian noise on what the network sees, clipped to 0 to 1; drawn anew at each
    update."""
    depth: int = 200
    """Layers N."""
    stride: int = 10
    """Every how many layers loss is taken (J)."""
    loss: LossKind = "adaptive"
    """Which layers carry loss."""
    target: Target = "any_optimal"
    """What an action is held against."""
    optimiser: Literal["adam", "rmsprop"] = "adam"
    """Optimiser."""
    learning_rate: Annotated[float, tyro.conf.arg(aliases=["--rate"])] = 2e-2
    """Learning rate, falling to zero along half a cosine unless --no-decay."""
    decay: bool = True
    """Let the learning rate fall to zero."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    batch: int = 32
    """Mazes per update."""
    epochs: int = 8
    """Passes through the training mazes."""
    time_limit_s: float = 0.0
    """Seconds after which training ends, whatever updates are left, with the rate at its end too; 0
    for none."""
    seed: int = 0
    """Seed of data, initial weights and order."""
    init_weights: Annotated[Path | None, tyro.conf.arg(aliases=["--begin-with"])] = None
    """Initial weights, of a smaller size for instance (curriculum)."""
    resume: bool = False
    """Go on from the checkpoint in --out."""
    save_every_s: float = 60.0
    """Seconds between checkpoints."""
    validate_every: int = 125
    """Updates between validations; the best on validation is kept."""
    bins: str = "1,15,30,60,90"
    """Path-length bins of the validation, in steps."""
    threads: int = 0
    """Threads; 0 leaves the choice to PyTorch."""
    device: str = "auto"
    """cpu, cuda, or auto."""
    tensorboard: bool = True
    """Write curves for tensorboard."""


# Each size begins, by --init-weights, where the one before it ended.
PRESETS: dict[str, tuple[str, TrainConfig]] = {
    "15": ("15 x 15 mazes, 200 layers", TrainConfig(out=Path("runs/15"))),
    "25": (
        "25 x 25 mazes, 300 layers: the regime of Highway VIN's paper",
        TrainConfig(
            out=Path("runs/25"),
            size=25,
            mazes=8000,
            stratify="0,50,100,150,200",
            depth=300,
            learning_rate=1e-2,
            bins="1,50,100,150,200",
            validation=200,
            validate_every=250,
        ),
    ),
    "35": (
        "35 x 35 mazes, 600 layers",
        TrainConfig(
            out=Path("runs/35"),
            size=35,
            mazes=2400,
            stratify="0,100,150,220,400",
            depth=600,
            stride=20,
            learning_rate=2e-2,
            epochs=6,
            batch=16,
            bins="1,100,200,300",
            validation=160,
            validate_every=75,
        ),
    ),
    "61": (
        "61 x 61 mazes, 1800 layers: the step from 35 to 100",
        TrainConfig(
            out=Path("runs/61"),
            size=61,
            mazes=2400,
            stratify="0,150,350,650,1000",
            depth=1800,
            stride=60,
            learning_rate=2e-2,
            epochs=1,
            batch=8,
            bins="1,350,650,1000",
            validation=60,
            validate_every=50,
        ),
    ),
    "100": (
        "100 x 100 mazes, 5000 layers",
        TrainConfig(
            out=Path("runs/100"),
            size=100,
            mazes=1200,
            stratify="0,300,600,1200,1800",
            depth=5000,
            stride=100,
            learning_rate=1e-2,
            epochs=1,
            batch=4,
            bins="1,600,1200,1800",
            validation=36,
            validate_every=50,
        ),
    ),
}


_RENAMED = {"rate": "learning_rate"}  # options of older cards by their names of today


def config_of_card(training: Mapping[str, Any]) -> TrainConfig:
    """Return the options of the training that a card states, in old or new words.

    Raises:
        UserError: an option is unknown.
    """
    named = {_RENAMED.get(name, name): value for name, value in training.items()}
    unknown = sorted(set(named) - {field.name for field in fields(TrainConfig)})
    if unknown:
        raise UserError(f"the card's training has an unknown option {unknown[0]!r}.")
    return TrainConfig(**named)


def check_config(config: TrainConfig) -> None:
    """Check the options of a training before any work.

    Raises:
        UserError: a value makes no sense.
    """
    least = {"size": 4, "mazes": 1, "validation": 1, "depth": 1, "stride": 1, "batch": 1}
    least |= {"epochs": 1, "seed": 0, "validate_every": 1, "threads": 0, "save_every_s": 0}
    least |= {"time_limit_s": 0, "noise": 0}
    for name, smallest in least.items():
        value = getattr(config, name)
        if not (value >= smallest and math.isfinite(value)):
            option = name.replace("_", "-")
            raise UserError(f"--{option} is {value}: give a number from {smallest} on.")
    for name in ("learning_rate", "clip"):
        value = getattr(config, name)
        if not (value > 0 and math.isfinite(value)):
            option = name.replace("_", "-")
            raise UserError(f"--{option} is {value}: give a number above 0.")
    NETWORKS.get(config.model)
    choose_device(config.device)
    parse_bins(config.bins)
    check_folder("--out", config.out)
