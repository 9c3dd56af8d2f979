"""Drives that an estimator learns from, and such that are held out: babbled, or recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asterias.errors import UserError
from hardware.description.robot import RobotDescription
from learning.fast_weights.estimation.babbling import Babbling, babble
from learning.fast_weights.estimation.drives import total_duration_s
from learning.fast_weights.estimation.encoder import CameraEncoder
from learning.fast_weights.estimation.encoder_fit import described_table
from learning.fast_weights.estimation.frames import FrameTable, joined, table_of
from learning.fast_weights.estimation.recorded import recorded_drives
from learning.target_finding.algorithms.checkpoint import load_state, save_state

# Drives are cut into pieces of this length.
PIECE_S = 5.0
HELD_OUT_SHARE = 0.1
# Of babbling: smooth drives, and such with steps alone.
HELD_OUT_DRIVES, SUDDEN_DRIVES = 60, 20
# Moves that search policies send are steps; so is a share of what is learned from.
STEP_SHARE = 0.1
# Drives that are babbled with one seed; the next have the next.
SHARD = 100


@dataclass(frozen=True)
class DriveTables:
    """Drives in pieces of :data:`PIECE_S`.

    Attributes:
        learned: learned from.
        held: held out, to be judged on; smooth ones where the limb babbles.
        sudden: held out, with moves at the servos' limit; None of recordings.
    """

    learned: FrameTable
    held: FrameTable
    sudden: FrameTable | None = None

    def described(self, encoder: CameraEncoder) -> DriveTables:
        """Return the same with descriptions in place of tiles."""
        sudden = None if self.sudden is None else described_table(encoder, self.sudden)
        learned = described_table(encoder, self.learned)
        return DriveTables(learned, described_table(encoder, self.held), sudden)


def babbled(
    robot: str,
    limb: int,
    drives: int,
    seed: int,
    folder: Path,
    encoder: CameraEncoder,
    should_stop: Callable[[], bool] = lambda: False,
) -> DriveTables:
    """Return drives of babbling, :data:`SHARD` of each seed from ``1000 (seed + 1)`` on, described.

    Descriptions of each shard are kept in ``folder``, so that a training that was stopped does not
    babble again; tiles are not, as they would take gigabytes.
    """
    number = 1000 * (seed + 1)
    mixed = Babbling(robot, limb, step_share=STEP_SHARE)
    counts = [min(SHARD, drives - first) for first in range(0, drives, SHARD)]
    learned = [
        _shard(mixed, count, number + shard, folder, encoder, should_stop)
        for shard, count in enumerate(counts)
    ]
    share = max(1, round(HELD_OUT_SHARE * drives))
    held = [
        _shard(babbling, min(most, share), number + 900 + place, folder, encoder, should_stop)
        for place, (babbling, most) in enumerate(
            [
                (Babbling(robot, limb), HELD_OUT_DRIVES),
                (Babbling(robot, limb, step_share=1.0), SUDDEN_DRIVES),
            ]
        )
    ]
    return DriveTables(joined(learned), *held)


def _shard(
    babbling: Babbling,
    count: int,
    number: int,
    folder: Path,
    encoder: CameraEncoder,
    should_stop: Callable[[], bool],
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
    table = described_table(encoder, table_of(drives, PIECE_S))
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {key: getattr(table, key) for key in ("times_s", "content", "joints_rad")}
    save_state(path, arrays, settings, {})
    return table


def recorded(path: Path, robot: RobotDescription, limb: int) -> DriveTables:
    """Return what recordings hold, a tenth of it held out.

    Raises:
        UserError: recordings are too short.
    """
    drives = recorded_drives(path, robot, limb)
    table = table_of(drives, PIECE_S)
    if len(table) < 2:
        raise UserError(
            f"{path} holds {total_duration_s(drives):.0f} s of pictures with joints; at least "
            f"{2 * PIECE_S:.0f} s are needed, and minutes to learn anything."
        )
    # The same for every seed, so that no training is judged on what another has learned.
    order = np.random.default_rng(0).permutation(len(table))
    count = max(1, round(HELD_OUT_SHARE * len(table)))
    return DriveTables(_rows(table, order[count:]), _rows(table, order[:count]))


def _rows(table: FrameTable, rows: np.ndarray[Any, np.dtype[np.int64]]) -> FrameTable:
    return FrameTable(table.times_s[rows], table.content[rows], table.joints_rad[rows])
