"""A copy of a LeRobot data set with one more feature, ``observation.criticality``."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from asterias.errors import UserError
from asterias.files import read_json, write_folder, write_json, write_text
from learning.recordings.episode_data import Floats
from learning.recordings.lerobot.card import dataset_card
from learning.recordings.lerobot.stats import number_stats

CRITICALITY = "observation.criticality"


def copy_with_criticality(source: Path, out: Path, masks: Sequence[Floats]) -> None:
    """Write the copy; the folder appears when it is complete, and the original stays as it is.

    Args:
        source: data set.
        out: folder, which must not exist.
        masks: per episode ``(T,)``, a number from 0 to 1 for each of its frames.

    Raises:
        UserError: the data set has that feature already, or another number of frames.
    """
    info = read_json(source / "meta" / "info.json")
    if CRITICALITY in info["features"]:
        raise UserError(f"{source} has a feature {CRITICALITY} already; use the original data set.")
    with write_folder(out) as folder:
        shutil.copytree(source, folder, dirs_exist_ok=True)
        for path in sorted((folder / "data").rglob("*.parquet")):
            _add_column(path, masks)
        for path in sorted((folder / "meta" / "episodes").rglob("*.parquet")):
            _add_statistics(path, masks)
        info["features"][CRITICALITY] = {"dtype": "float32", "shape": [1], "names": None}
        write_json(folder / "meta" / "info.json", info)
        stats = folder / "meta" / "stats.json"
        if stats.is_file():
            told = read_json(stats)
            write_json(stats, {**told, CRITICALITY: number_stats(np.concatenate(list(masks)))})
        write_text(folder / "README.md", dataset_card(info))


def _add_column(path: Path, masks: Sequence[Floats]) -> None:
    """Add the feature to a file of frames, a row group for each episode as before.

    Raises:
        UserError: an episode has another number of frames.
    """
    table = pq.read_table(path)
    episodes = table["episode_index"].to_numpy()
    frames = table["frame_index"].to_numpy()
    values = np.zeros(len(episodes), np.float32)
    for number in np.unique(episodes):
        rows = episodes == number
        if number >= len(masks) or frames[rows].max() >= len(masks[number]):
            raise UserError(f"{path.name}: episode {number} has more frames than were looked at.")
        values[rows] = masks[number][frames[rows]]
    made = table.append_column(CRITICALITY, pa.array(values))
    with pq.ParquetWriter(path, made.schema) as writer:
        for number in np.unique(episodes):
            first, last = np.flatnonzero(episodes == number)[[0, -1]]
            writer.write_table(made.slice(first, last - first + 1))


def _add_statistics(path: Path, masks: Sequence[Floats]) -> None:
    table = pq.read_table(path)
    columns: dict[str, list[Any]] = {}
    for number in table["episode_index"].to_pylist():
        for name, value in number_stats(masks[number]).items():
            columns.setdefault(f"stats/{CRITICALITY}/{name}", []).append(value)
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values))
    pq.write_table(table, path)
