"""Data sets in the layout LeRobotDataset v3, which LeRobot and its tools open.

``meta/info.json`` says what there is; numbers lie in Parquet files of many episodes, pictures in
MP4 files per camera, and ``meta/episodes`` tells where in them each episode begins. Written from
the layout's description, without LeRobot.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from asterias.errors import UserError
from asterias.files import write_folder, write_json
from asterias.provenance import provenance
from learning.recordings.plots.video import CODEC_NAME, PIXEL_FORMAT, FilmWriter
from learning.recordings.sampling import OnFrames, SampledEpisode, camera_key

VERSION = "v3.0"
FILE = "chunk-{chunk_index:03d}/file-{file_index:03d}"
DATA_PATH = f"data/{FILE}.parquet"
VIDEO_PATH = f"videos/{{video_key}}/{FILE}.mp4"
EPISODES_PATH = f"meta/episodes/{FILE}.parquet"
FILES_PER_CHUNK = 1000
DATA_FILE_MB = 100
VIDEO_FILE_MB = 200
QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
LEVELS = 256

Stats = dict[str, Any]
NUMBERS = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
    "next.done": "bool",
    "next.success": "bool",
}


def export_lerobot(
    episodes: Sequence[SampledEpisode],
    out: Path,
    *,
    robot_type: str = "asterias",
    on_frames: OnFrames = lambda done: None,
) -> None:
    """Writes a data set; the folder appears when it is complete.

    Args:
        episodes: at one rate, with the same joints and cameras.
        out: folder, which must not exist.
        robot_type: name of the robot.
        on_frames: told how many frames are done.

    Raises:
        UserError: the folder exists, or the episodes do not fit together.
    """
    check_alike(episodes)
    with write_folder(out) as folder:
        _Exporter(folder, episodes, robot_type, on_frames).run()


def check_alike(episodes: Sequence[SampledEpisode]) -> None:
    """Whether episodes can be one data set.

    Raises:
        UserError: there are none, or they do not fit together.
    """
    if not episodes:
        raise UserError("There is no episode to export.")
    first = episodes[0]
    for episode in episodes[1:]:
        for name, mine, other in (
            ("joints", first.joint_names, episode.joint_names),
            ("cameras", sorted(first.pictures), sorted(episode.pictures)),
            ("frames per second", first.fps, episode.fps),
        ):
            if mine != other:
                raise UserError(
                    f"{episode.recording.path} has other {name} than {first.recording.path}: "
                    f"{other} instead of {mine}; export them apart."
                )


class _Films:
    """The video files of one camera, a new one when the last is full."""

    def __init__(self, folder: Path, key: str, fps: int) -> None:
        self._folder, self._key, self._fps = folder, key, fps
        self._writer: FilmWriter | None = None
        self.place = (0, 0)
        self.shape: tuple[int, ...] = ()

    def begin(self) -> dict[str, Any]:
        """Where the next episode's pictures go."""
        if self._writer is not None and self._writer.size_bytes >= VIDEO_FILE_MB * 1e6:
            self.close()
            self.place = _following(self.place)
        if self._writer is None:
            path = VIDEO_PATH.format(
                video_key=self._key, chunk_index=self.place[0], file_index=self.place[1]
            )
            self._writer = FilmWriter(self._folder / path, self._fps)
        prefix = f"videos/{self._key}"
        return {
            f"{prefix}/chunk_index": self.place[0],
            f"{prefix}/file_index": self.place[1],
            f"{prefix}/from_timestamp": self._writer.frames / self._fps,
        }

    def write(self, image: npt.NDArray[np.uint8]) -> None:
        """The next frame."""
        assert self._writer is not None
        self.shape = image.shape
        self._writer.write(image)

    def end(self) -> dict[str, Any]:
        """Where the episode's pictures ended."""
        assert self._writer is not None
        return {f"videos/{self._key}/to_timestamp": self._writer.frames / self._fps}

    def close(self) -> None:
        """Completes the last file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _following(place: tuple[int, int]) -> tuple[int, int]:
    chunk, file = place
    return (chunk, file + 1) if file + 1 < FILES_PER_CHUNK else (chunk + 1, 0)


class _Exporter:
    """One export."""

    def __init__(
        self,
        folder: Path,
        episodes: Sequence[SampledEpisode],
        robot_type: str,
        on_frames: OnFrames,
    ) -> None:
        self._folder = folder
        self._episodes = episodes
        self._robot_type = robot_type
        self._on_frames = on_frames
        self._fps = episodes[0].fps
        self._keys = {t: f"observation.images.{camera_key(t)}" for t in episodes[0].pictures}
        self._films = {t: _Films(folder, key, self._fps) for t, key in self._keys.items()}
        self._tasks: dict[str, int] = {}
        # How often each channel of each camera had each level, in this episode and in all.
        self._levels = {topic: np.zeros((3, LEVELS), np.int64) for topic in self._keys}
        self._all_levels = {topic: np.zeros((3, LEVELS), np.int64) for topic in self._keys}
        self._columns: dict[str, list[npt.NDArray[Any]]] = defaultdict(list)
        self._rows: list[dict[str, Any]] = []
        self._done = 0

    def run(self) -> None:
        """All files."""
        data = _DataFiles(self._folder)
        try:
            for number, episode in enumerate(self._episodes):
                self._rows.append(self._export(number, episode, data))
        finally:
            for film in self._films.values():
                film.close()
        data.close()
        self._write_meta()

    def _export(self, number: int, episode: SampledEpisode, data: _DataFiles) -> dict[str, Any]:
        """One episode; returns its row of ``meta/episodes``."""
        length = len(episode.times_s)
        task = self._tasks.setdefault(episode.task, len(self._tasks))
        numbers = self._numbers(number, episode, task)
        row: dict[str, Any] = {
            "episode_index": number,
            "tasks": [episode.task],
            "length": length,
            "dataset_from_index": int(numbers["index"][0]),
            "dataset_to_index": int(numbers["index"][-1]) + 1,
        }
        chunk, file = data.write(numbers)
        row |= {"data/chunk_index": chunk, "data/file_index": file}
        row |= self._export_pictures(episode)
        stats = {key: number_stats(column) for key, column in numbers.items()}
        for topic, key in self._keys.items():
            stats[key] = picture_stats(self._levels[topic])
        row |= {
            f"stats/{key}/{name}": value
            for key, values in stats.items()
            for name, value in values.items()
        }
        for key, column in numbers.items():
            self._columns[key].append(column)
        return row | {"meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0}

    def _numbers(
        self, number: int, episode: SampledEpisode, task: int
    ) -> dict[str, npt.NDArray[Any]]:
        length = len(episode.times_s)
        frames = np.arange(length)
        first = sum(row["length"] for row in self._rows)
        last = frames == length - 1
        return {
            "observation.state": episode.state.astype(np.float32),
            "action": episode.action.astype(np.float32),
            "timestamp": (frames / self._fps).astype(np.float32),
            "frame_index": frames,
            "episode_index": np.full(length, number),
            "index": first + frames,
            "task_index": np.full(length, task),
            "next.done": last,
            "next.success": last & bool(episode.success),
        }

    def _export_pictures(self, episode: SampledEpisode) -> dict[str, Any]:
        row: dict[str, Any] = {}
        for film in self._films.values():
            row |= film.begin()
        for levels in self._levels.values():
            levels[:] = 0
        for topic, _, image in episode.frames():
            self._films[topic].write(image)
            for channel in range(3):
                counts = np.bincount(image[..., channel].ravel(), minlength=LEVELS)
                self._levels[topic][channel] += counts
            self._done += 1
            self._on_frames(self._done)
        for topic, film in self._films.items():
            row |= film.end()
            self._all_levels[topic] += self._levels[topic]
        return row

    # -- meta -----------------------------------------------------------------------------------

    def _write_meta(self) -> None:
        stats = {key: number_stats(np.concatenate(rows)) for key, rows in self._columns.items()}
        for topic, key in self._keys.items():
            stats[key] = picture_stats(self._all_levels[topic])
        meta = self._folder / "meta"
        write_json(meta / "stats.json", stats)
        write_json(meta / "info.json", self._info())
        write_json(meta / "asterias.json", self._origin())
        _write_parquet(self._rows, self._folder / EPISODES_PATH.format(chunk_index=0, file_index=0))
        _write_tasks(self._tasks, meta / "tasks.parquet")

    def _info(self) -> dict[str, Any]:
        total = sum(row["length"] for row in self._rows)
        return {
            "codebase_version": VERSION,
            "robot_type": self._robot_type,
            "total_episodes": len(self._rows),
            "total_frames": total,
            "total_tasks": len(self._tasks),
            "chunks_size": FILES_PER_CHUNK,
            "data_files_size_in_mb": DATA_FILE_MB,
            "video_files_size_in_mb": VIDEO_FILE_MB,
            "fps": self._fps,
            "splits": {"train": f"0:{len(self._rows)}"},
            "data_path": DATA_PATH,
            "video_path": VIDEO_PATH if self._keys else None,
            "features": self._features(),
        }

    def _features(self) -> dict[str, Any]:
        names = list(self._episodes[0].joint_names)
        vector = {"dtype": "float32", "shape": [len(names)], "names": names}
        features: dict[str, Any] = {"observation.state": vector, "action": dict(vector)}
        for topic, key in self._keys.items():
            height, width, channels = self._films[topic].shape
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
                    "video.fps": self._fps,
                    "video.channels": channels,
                    "has_audio": False,
                },
            }
        for key, kind in NUMBERS.items():
            features[key] = {"dtype": kind, "shape": [1], "names": None}
        return features

    def _origin(self) -> dict[str, Any]:
        """What the layout has no place for."""
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


class _DataFiles:
    """The Parquet files of numbers; a row group per episode, a new file when one is full."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._place = (0, 0)
        self._bytes = 0
        self._writer: pq.ParquetWriter | None = None

    def write(self, numbers: dict[str, npt.NDArray[Any]]) -> tuple[int, int]:
        """Adds an episode; returns chunk and file that it is in."""
        table = pa.table({key: _column(values) for key, values in numbers.items()})
        if self._bytes and self._bytes + table.nbytes > DATA_FILE_MB * 1e6:
            self.close()
            self._place, self._bytes = _following(self._place), 0
        if self._writer is None:
            path = self._folder / DATA_PATH.format(
                chunk_index=self._place[0], file_index=self._place[1]
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(path, table.schema)
        self._bytes += table.nbytes
        self._writer.write_table(table)
        return self._place

    def close(self) -> None:
        """Completes the last file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _column(values: npt.NDArray[Any]) -> pa.Array:
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


def _write_parquet(rows: Iterable[dict[str, Any]], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), path)


def _write_tasks(tasks: dict[str, int], path: Path) -> None:
    """A table with the task as its index, as pandas writes it."""
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


# -- statistics ----------------------------------------------------------------------------------


def number_stats(column: npt.NDArray[Any]) -> Stats:
    """Minimum, maximum, mean, standard deviation, quantiles and count of ``(T,)`` or ``(T, n)``."""
    rows = np.asarray(column, np.float64).reshape(len(column), -1)
    stats: Stats = {
        "min": rows.min(axis=0).tolist(),
        "max": rows.max(axis=0).tolist(),
        "mean": rows.mean(axis=0).tolist(),
        "std": rows.std(axis=0).tolist(),
        "count": [len(rows)],
    }
    for name, share in QUANTILES.items():
        stats[name] = np.quantile(rows, share, axis=0).tolist()
    return stats


def picture_stats(levels: npt.NDArray[np.int64]) -> Stats:
    """As :func:`number_stats` of pixels from 0 to 1, shaped ``(3, 1, 1)``, from a histogram.

    Args:
        levels: ``(3, 256)`` how often each channel had each level.
    """
    scale = np.arange(LEVELS) / (LEVELS - 1)
    total = levels.sum(axis=1)
    mean = (levels * scale).sum(axis=1) / total
    spread = np.sqrt(np.maximum((levels * scale**2).sum(axis=1) / total - mean**2, 0.0))
    below = levels.cumsum(axis=1) / total[:, None]

    def shaped(values: Any) -> Any:
        return np.asarray(values, np.float64).reshape(3, 1, 1).tolist()

    stats: Stats = {
        "min": shaped([scale[np.flatnonzero(row)[0]] for row in levels]),
        "max": shaped([scale[np.flatnonzero(row)[-1]] for row in levels]),
        "mean": shaped(mean),
        "std": shaped(spread),
        "count": [int(total[0])],
    }
    for name, share in QUANTILES.items():
        stats[name] = shaped([scale[min(int((row < share).sum()), LEVELS - 1)] for row in below])
    return stats
