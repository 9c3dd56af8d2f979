"""Options of the mapper's training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


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
    """Texture sets of the mazes: training, varied, held_out, or the name of one."""
    learning_rate: Annotated[float, tyro.conf.arg(aliases=["--rate"])] = 1e-3
    """Adam's, the paper's; falls to zero along half a cosine."""
    batch: int = 16
    """Mazes per update."""
    epochs: int = 21
    """Passes through the mazes."""
    seed: int = 0
    """Seed of everything."""
    joint: str = ""
    """Planner to train jointly, such as dt_vin_15; empty trains the mapper alone."""
    map_loss: float = 1.0
    """Weight of the map's loss beside the actions' in joint training; 0: no map is ever shown."""
    init_weights: Annotated[str, tyro.conf.arg(aliases=["--begin-with"])] = ""
    """Mapper whose weights the training starts from: one of planners/weights/doom, or a
    .safetensors file."""
    threads: int = 0
    """Threads; 0 leaves the choice to PyTorch."""
    resume: bool = False
    """Go on from the checkpoint in --out."""
