"""Options of the mapper's training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from asterias.errors import UserError


@dataclass(frozen=True)
class MapperTrainConfig:
    """Train the mapper; the defaults made the weights in planners/weights."""

    out: Path = Path("runs/mapper")
    """Folder for checkpoint and weights."""
    size: int = 15
    """Rows and columns of the mazes."""
    mazes: int = 480
    """Training mazes."""
    validation: int = 32
    """Validation mazes."""
    textures: str = "varied"
    """Texture sets of the mazes: training, varied, any, held_out, or the name of one."""
    learning_rate: Annotated[float, tyro.conf.arg(aliases=["--rate"])] = 1e-3
    """Adam's, the paper's; falls to zero along half a cosine."""
    batch: int = 16
    """Mazes per update."""
    epochs: int = 21
    """Passes through the mazes."""
    seed: int = 0
    """Seed of everything."""
    augment: Literal["colours", "strong"] = "colours"
    """What is changed in the views: colours, light and contrast; or, too, gamma, negatives, grey,
    noise and dark corners, with the maze turned and mirrored, and all eight ways averaged after
    the training."""
    joint: str = ""
    """Planner to train jointly, such as dt_vin_15; empty trains the mapper alone."""
    map_loss: float = 1.0
    """Weight of the map's loss beside the actions' in joint training; 0: no map is ever shown."""
    actions_of: Literal["all", "seen"] = "all"
    """Cells whose actions count in joint training: all, or those alone whose views are given."""
    planner_frozen: float = 0.0
    """Share of the updates, from the first on, that leave the planner's weights as they are: until
    the map is clear, a planner in training learns to plan on a blurred one, and is lost later."""
    map_sharpness: float = 1.0
    """Factor of the map's logits in joint training, part of the last layer at its end: a larger one
    tells walls and free cells apart sooner, so that long ways add up less doubt."""
    init_weights: Annotated[str, tyro.conf.arg(aliases=["--begin-with"])] = ""
    """Mapper whose weights the training starts from: one of planners/weights/doom, or a
    .safetensors file."""
    threads: int = 0
    """Threads; 0 leaves the choice to PyTorch."""
    keep_views: bool = False
    """Keep the rendered views in --out (half a megabyte a maze of 9 x 9), so that a training that
    goes on need not render them again."""
    resume: bool = False
    """Go on from the checkpoint in --out."""


# Options of older cards by their names of today.
_RENAMED = {"rate": "learning_rate", "begin_with": "init_weights"}


def config_from_card(training: Mapping[str, Any]) -> MapperTrainConfig:
    """Return the options of the training that a mapper's card states, in old or new words.

    Raises:
        UserError: an option is unknown.
    """
    named = {_RENAMED.get(name, name): value for name, value in training.items()}
    unknown = sorted(set(named) - {field.name for field in fields(MapperTrainConfig)})
    if unknown:
        raise UserError(f"The mapper's card has an unknown option {unknown[0]!r}.")
    return MapperTrainConfig(**named)
