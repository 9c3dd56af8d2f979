"""Data sets in the layout LeRobotDataset v3, which LeRobot and its tools open.

``meta/info.json`` says what there is; numbers are in Parquet files of many episodes, pictures in
MP4 files per camera, and ``meta/episodes`` says where in them each episode begins. Written from
the layout's description, without LeRobot.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from asterias.files import write_folder
from learning.recordings.alike import check_alike
from learning.recordings.lerobot.layout import (
    ACTION,
    DATA_FILE_MB,
    DATA_PATH,
    ENVIRONMENT,
    IMAGES,
    STATE,
    next_place,
)
from learning.recordings.lerobot.metadata import MetadataWriter
from learning.recordings.lerobot.stats import LEVELS, number_stats, picture_stats
from learning.recordings.lerobot.video import CameraVideos
from learning.recordings.pictures import to_rgb
from learning.recordings.sampling import OnFrames, SampledEpisode, camera_key


def export_lerobot(
    episodes: Sequence[SampledEpisode],
    out: Path,
    *,
    robot_type: str = "asterias",
    camera_flags: bool = False,
    on_frames: OnFrames = lambda done: None,
) -> None:
    """Write a data set; the folder appears when it is complete.

    Args:
        episodes: at one rate, with the same joints and cameras.
        out: folder, which must not exist.
        robot_type: name of the robot.
        camera_flags: also write a flag of each camera as ``observation.environment_state``.
        on_frames: gets how many frames are done.

    Passes on the UserError of an existing folder, or of episodes that do not fit together.
    """
    check_alike(episodes)
    with write_folder(out) as folder:
        _Exporter(folder, episodes, robot_type, camera_flags, on_frames).run()


class _Exporter:
    """One export."""

    def __init__(
        self,
        folder: Path,
        episodes: Sequence[SampledEpisode],
        robot_type: str,
        camera_flags: bool,
        on_frames: OnFrames,
    ) -> None:
        self._folder = folder
        self._episodes = episodes
        self._robot_type = robot_type
        self._camera_flags = camera_flags
        self._on_frames = on_frames
        self._fps = episodes[0].fps
        self._keys = {t: IMAGES + camera_key(t) for t in episodes[0].pictures}
        self._films = {t: CameraVideos(folder, key, self._fps) for t, key in self._keys.items()}
        self._tasks: dict[str, int] = {}
        # How often each channel of each camera had each level, in this episode and in all.
        self._levels = {topic: np.zeros((3, LEVELS), np.int64) for topic in self._keys}
        self._all_levels = {topic: np.zeros((3, LEVELS), np.int64) for topic in self._keys}
        self._columns: dict[str, list[npt.NDArray[Any]]] = defaultdict(list)
        self._rows: list[dict[str, Any]] = []
        self._done = 0

    def run(self) -> None:
        """Write all files."""
        data = _DataFiles(self._folder)
        try:
            for number, episode in enumerate(self._episodes):
                self._rows.append(self._export(number, episode, data))
        finally:
            for film in self._films.values():
                film.close()
        data.close()
        stats = {key: number_stats(np.concatenate(rows)) for key, rows in self._columns.items()}
        for topic, key in self._keys.items():
            stats[key] = picture_stats(self._all_levels[topic])
        about = MetadataWriter(self._folder, self._episodes, self._robot_type, self._camera_flags)
        about.write(self._rows, self._tasks, stats)

    def _export(self, number: int, episode: SampledEpisode, data: _DataFiles) -> dict[str, Any]:
        """Write one episode; return its row of ``meta/episodes``.

        Returns:
            The columns of the row.
        """
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
        cameras = len(episode.pictures)
        # As a policy observes them: 0 for a dead camera, which has no pictures; all sum to 1.
        flags = {ENVIRONMENT: np.full((length, cameras), 1 / max(cameras, 1), np.float32)}
        return {
            **(flags if self._camera_flags else {}),
            STATE: episode.state.astype(np.float32),
            ACTION: episode.action.astype(np.float32),
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
            row |= film.start_episode()
        for levels in self._levels.values():
            levels[:] = 0
        for topic, _, pixels in episode.frames():
            image = to_rgb(pixels)
            self._films[topic].write(image)
            for channel in range(3):
                counts = np.bincount(image[..., channel].ravel(), minlength=LEVELS)
                self._levels[topic][channel] += counts
            self._done += 1
            self._on_frames(self._done)
        for topic, film in self._films.items():
            row |= film.end_episode()
            self._all_levels[topic] += self._levels[topic]
        return row


class _DataFiles:
    """The Parquet files of numbers; a row group per episode, a new file when one is full."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._place = (0, 0)
        self._bytes = 0
        self._writer: pq.ParquetWriter | None = None

    def write(self, numbers: dict[str, npt.NDArray[Any]]) -> tuple[int, int]:
        """Add an episode; return chunk and file that it is in.

        Returns:
            Chunk and file.
        """
        table = pa.table({key: _column(values) for key, values in numbers.items()})
        if self._bytes and self._bytes + table.nbytes > DATA_FILE_MB * 1e6:
            self.close()
            self._place, self._bytes = next_place(self._place), 0
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
        """Complete the last file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _column(values: npt.NDArray[Any]) -> pa.Array:
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
