"""Data sets back in memory: as episodes in Gymnasium's manner, or for PyTorch.

Both exports are read, and recordings themselves.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import torch
from torch.utils.data import Dataset

from asterias.arrays import ImageArray
from asterias.errors import UserError
from learning.recordings.episodes import episode_folder
from learning.recordings.exporters.folder import ABOUT, ACTION, NUMBERS, PICTURE, STATE
from learning.recordings.lerobot.export import VERSION
from learning.recordings.plots.video import FilmReader
from learning.recordings.reading import find_recordings
from learning.recordings.sampling import SampledEpisode, camera_key, sample

Floats = npt.NDArray[np.float32]
# A picture by camera and frame.
Picture = Callable[[str, int], ImageArray]
IMAGES = "observation.images."


@dataclass(frozen=True)
class EpisodeData:
    """One episode; step t leads from ``states[t]`` by ``actions[t]`` to ``states[t + 1]``.

    Attributes:
        task, success: as recorded; ``success`` is None where nobody marked it.
        fps: steps per second.
        states: ``(T + 1, n)`` measured joint positions, rad.
        actions: ``(T, n)`` commanded joint positions, rad.
        rewards: ``(T,)``: 1 at the end of a success, else 0.
        terminations, truncations: ``(T,)``; a success terminates, everything else is truncated.
        cameras: names of the cameras.
        picture: ``picture(camera, t)`` is ``(H, W, 3)`` RGB, as seen with ``states[t]``.
    """

    task: str
    success: bool | None
    fps: int
    states: Floats
    actions: Floats
    cameras: tuple[str, ...]
    picture: Picture

    @property
    def rewards(self) -> Floats:
        """See the class."""
        return self.terminations.astype(np.float32)

    @property
    def terminations(self) -> npt.NDArray[np.bool_]:
        """See the class."""
        return self._at_the_end(bool(self.success))

    @property
    def truncations(self) -> npt.NDArray[np.bool_]:
        """See the class."""
        return self._at_the_end(not self.success)

    def _at_the_end(self, value: bool) -> npt.NDArray[np.bool_]:
        flags = np.zeros(len(self.actions), dtype=np.bool_)
        flags[-1] = value
        return flags


def load_episodes(path: Path, fps: int = 0) -> list[EpisodeData]:
    """Episodes of a data set, or of recordings sampled at ``fps`` (0: the cameras' rate).

    Raises:
        UserError: there is nothing of the kind.
    """
    if (path / "meta" / "info.json").is_file():
        return _load_lerobot(path)
    if (path / ABOUT).is_file():
        return _load_folder(path)
    return [_from_recording(sample(recording, fps)) for recording in find_recordings(path)]


class FramesDataset(Dataset[dict[str, Any]]):
    """Frames of all episodes for PyTorch, with the keys of LeRobot's data sets.

    Items hold ``observation.state`` and ``action`` ``(n,)`` float32,
    ``observation.images.<camera>`` ``(3, H, W)`` float32 from 0 to 1, ``timestamp``,
    ``frame_index``, ``episode_index``, ``index``, ``next.done`` and ``task``.

    Args:
        path: data set or recordings, as for :func:`load_episodes`.
        fps: for recordings.
        pictures: False leaves them out.
    """

    def __init__(self, path: Path, *, fps: int = 0, pictures: bool = True) -> None:
        self.episodes = load_episodes(path, fps)
        self._pictures = pictures
        self._ends = np.cumsum([len(episode.states) for episode in self.episodes])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> dict[str, Any]:
        index = range(len(self))[index]
        number = int(np.searchsorted(self._ends, index, side="right"))
        episode = self.episodes[number]
        frame = index - int(self._ends[number]) + len(episode.states)
        last = len(episode.actions) - 1
        item: dict[str, Any] = {
            "observation.state": torch.from_numpy(episode.states[frame]),
            "action": torch.from_numpy(episode.actions[min(frame, last)]),
            "timestamp": torch.tensor(frame / episode.fps, dtype=torch.float32),
            "frame_index": torch.tensor(frame),
            "episode_index": torch.tensor(number),
            "index": torch.tensor(index),
            "next.done": torch.tensor(frame >= last + 1),
            "task": episode.task,
        }
        for camera in episode.cameras if self._pictures else ():
            pixels = np.ascontiguousarray(episode.picture(camera, frame).transpose(2, 0, 1))
            item[IMAGES + camera] = torch.from_numpy(pixels).float() / 255
        return item


# -- the three sources ----------------------------------------------------------------------------


def _load_lerobot(path: Path) -> list[EpisodeData]:
    info = json.loads((path / "meta" / "info.json").read_text(encoding="utf-8"))
    if info.get("codebase_version") != VERSION:
        raise UserError(
            f"{path} is a data set of version {info.get('codebase_version')}, not {VERSION}; "
            "convert it with LeRobot's own tool."
        )
    films = cache(lambda name: FilmReader(path / name))
    cameras = tuple(key for key, about in info["features"].items() if about["dtype"] == "video")
    table = {}
    episodes = []
    for row in pq.read_table(path / "meta" / "episodes").to_pylist():
        place = {"chunk_index": row["data/chunk_index"], "file_index": row["data/file_index"]}
        name = info["data_path"].format(**place)
        if name not in table:
            table[name] = pq.read_table(path / name).to_pydict()
        rows = np.flatnonzero(np.array(table[name]["episode_index"]) == row["episode_index"])
        begin, end = int(rows[0]), int(rows[-1]) + 1
        episodes.append(
            _episode(
                states=table[name]["observation.state"][begin:end],
                actions=table[name]["action"][begin:end],
                task=row["tasks"][0],
                success=any(table[name].get("next.success", [False])[begin:end]),
                fps=info["fps"],
                cameras=tuple(key.removeprefix(IMAGES) for key in cameras),
                picture=_film_picture(films, info, row),
            )
        )
    return episodes


def _film_picture(films: Callable[[str], FilmReader], info: Any, row: Any) -> Picture:
    def picture(camera: str, frame: int) -> ImageArray:
        key = IMAGES + camera
        name = info["video_path"].format(
            video_key=key,
            chunk_index=row[f"videos/{key}/chunk_index"],
            file_index=row[f"videos/{key}/file_index"],
        )
        return films(name).at(row[f"videos/{key}/from_timestamp"] + frame / info["fps"])

    return picture


def _load_folder(path: Path) -> list[EpisodeData]:
    about = json.loads((path / ABOUT).read_text(encoding="utf-8"))
    episodes = []
    for number, entry in enumerate(about["episodes"]):
        place = episode_folder(path, number)
        with (place / NUMBERS).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        columns = {
            prefix: [[float(row[prefix + name]) for name in about["joints"]] for row in rows]
            for prefix in (STATE, ACTION)
        }
        episodes.append(
            _episode(
                states=columns[STATE],
                actions=columns[ACTION],
                task=entry["task"],
                success=entry["success"],
                fps=about["fps"],
                cameras=tuple(about["cameras"]),
                picture=_png_picture(place),
            )
        )
    return episodes


def _png_picture(place: Path) -> Picture:
    def picture(camera: str, frame: int) -> ImageArray:
        path = place / camera / PICTURE.format(frame=frame)
        pixels = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
        if pixels is None:
            raise UserError(f"{path} is not there, or no picture.")
        return np.asarray(pixels, np.uint8)

    return picture


def _from_recording(episode: SampledEpisode) -> EpisodeData:
    @cache
    def pictures() -> dict[tuple[str, int], ImageArray]:
        # Recordings are read from their beginning only, so that all are kept.
        return {(camera_key(topic), frame): image for topic, frame, image in episode.frames()}

    return _episode(
        states=episode.state,
        actions=episode.action,
        task=episode.task,
        success=episode.success,
        fps=episode.fps,
        cameras=tuple(camera_key(topic) for topic in episode.pictures),
        picture=lambda camera, frame: pictures()[camera, frame],
    )


def _episode(*, states: Any, actions: Any, **about: Any) -> EpisodeData:
    """The last frame's action leads nowhere that was recorded."""
    return EpisodeData(
        states=np.array(states, np.float32), actions=np.array(actions, np.float32)[:-1], **about
    )
