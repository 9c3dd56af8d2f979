"""The files below ``meta/`` that say what a data set holds and where."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from asterias.files import write_json, write_text
from asterias.provenance import provenance
from learning.recordings.lerobot.card import dataset_card
from learning.recordings.lerobot.layout import (
    ACTION,
    DATA_FILE_MB,
    DATA_PATH,
    ENVIRONMENT,
    EPISODES_PATH,
    FILES_PER_CHUNK,
    IMAGES,
    NUMBERS,
    STATE,
    VERSION,
    VIDEO_FILE_MB,
    VIDEO_PATH,
)
from learning.recordings.lerobot.stats import ColumnStats
from learning.recordings.plots.video import CODEC_NAME, PIXEL_FORMAT
from learning.recordings.sampling import SampledEpisode, camera_key


class MetadataWriter:
    """Writes everything below ``meta/``, and the card.

    Args:
        folder: of the data set.
        episodes: that are in it.
        robot_type: name of the robot.
        camera_flags: whether there is a flag of each camera.
    """

    def __init__(
        self,
        folder: Path,
        episodes: Sequence[SampledEpisode],
        robot_type: str,
        camera_flags: bool = False,
    ) -> None:
        self._folder = folder
        self._episodes = episodes
        self._robot_type = robot_type
        self._camera_flags = camera_flags

    def write(
        self, rows: list[dict[str, Any]], tasks: dict[str, int], stats: dict[str, ColumnStats]
    ) -> None:
        """Write all files.

        Args:
            rows: of ``meta/episodes``.
            tasks: numbers of the tasks.
            stats: of the whole data set, by feature.
        """
        meta = self._folder / "meta"
        write_json(meta / "stats.json", stats)
        info = self._info(rows)
        write_json(meta / "info.json", info)
        write_text(self._folder / "README.md", dataset_card(info))
        write_json(meta / "asterias.json", self._origin())
        _write_parquet(rows, self._folder / EPISODES_PATH.format(chunk_index=0, file_index=0))
        _write_tasks(tasks, meta / "tasks.parquet")

    def _info(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        first = self._episodes[0]
        total = sum(row["length"] for row in rows)
        return {
            "codebase_version": VERSION,
            "robot_type": self._robot_type,
            "total_episodes": len(rows),
            "total_frames": total,
            "total_tasks": len({row["tasks"][0] for row in rows}),
            "chunks_size": FILES_PER_CHUNK,
            "data_files_size_in_mb": DATA_FILE_MB,
            "video_files_size_in_mb": VIDEO_FILE_MB,
            "fps": first.fps,
            "splits": {"train": f"0:{len(rows)}"},
            "data_path": DATA_PATH,
            "video_path": VIDEO_PATH if first.pictures else None,
            "features": self._features(),
        }

    def _features(self) -> dict[str, Any]:
        first = self._episodes[0]
        names = list(first.joint_names)
        vector = {"dtype": "float32", "shape": [len(names)], "names": names}
        features: dict[str, Any] = {STATE: vector, ACTION: dict(vector)}
        if self._camera_flags:
            cameras = [camera_key(topic) for topic in first.pictures]
            flags = {"dtype": "float32", "shape": [len(cameras)], "names": cameras}
            features[ENVIRONMENT] = flags
        for topic, shape in first.shapes.items():
            height, width = shape[:2]
            key, channels = IMAGES + camera_key(topic), 3
            features[key] = {
                "dtype": "video",
                "shape": [height + height % 2, width + width % 2, channels],
                "names": ["height", "width", "channels"],
                "info": {
                    "video.height": height + height % 2,
                    "video.width": width + width % 2,
                    "video.codec": CODEC_NAME,
                    "video.pix_fmt": PIXEL_FORMAT,
                    "video.is_depth_map": False,
                    "video.fps": first.fps,
                    "video.channels": channels,
                    "has_audio": False,
                },
            }
        for key, kind in NUMBERS.items():
            features[key] = {"dtype": kind, "shape": [1], "names": None}
        return features

    def _origin(self) -> dict[str, Any]:
        """Return what the layout has no place for."""
        return {
            **provenance(),
            "episodes": [
                {
                    "recording": episode.recording.name,
                    "success": episode.success,
                    "began_s": round(float(episode.times_s[0]), 6),
                }
                for episode in self._episodes
            ],
        }


def _write_parquet(rows: Iterable[dict[str, Any]], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), path)


def _write_tasks(tasks: dict[str, int], path: Path) -> None:
    """Write a table with the task as its index, as pandas writes it."""
    table = pa.table({"task_index": pa.array(list(tasks.values())), "task": pa.array(list(tasks))})
    column = {"metadata": None, "field_name": "task", "name": "task"}
    about = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": [
            {
                "metadata": None,
                "field_name": "task_index",
                "name": "task_index",
                "numpy_type": "int64",
                "pandas_type": "int64",
            },
            {**column, "numpy_type": "object", "pandas_type": "unicode"},
        ],
        "pandas_version": "2.0.0",
    }
    pq.write_table(table.replace_schema_metadata({"pandas": json.dumps(about)}), path)
