"""Data sets in the layout LeRobotDataset v3, read back: of this house and of others."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from asterias.errors import UserError
from asterias.files import read_bytes, read_json
from asterias.images.decode import ImageError, decode_image
from learning.recordings.episode_data import (
    CriticalitySource,
    EpisodeData,
    Floats,
    PictureSource,
    episode_data,
)
from learning.recordings.lerobot.criticality import CRITICALITY
from learning.recordings.lerobot.layout import ACTION, IMAGES, STATE, VERSION
from learning.recordings.pictures import Pixels
from learning.recordings.plots.video import FilmReader

INFO = ("fps", "features", "data_path")
EPISODE = ("episode_index", "data/chunk_index", "data/file_index")
PICTURE_LIMIT_BYTES = 256 * 1024 * 1024

# Columns by name.
Table = Mapping[str, list[Any]]


def load_lerobot(path: Path) -> list[EpisodeData]:
    """Return the episodes of a data set.

    Raises:
        UserError: it is of another version, not complete, or holds no joint states.
    """
    info = read_json(path / "meta" / "info.json")
    version = info.get("codebase_version") if isinstance(info, dict) else None
    if version != VERSION:
        raise UserError(
            f"{path} is a data set of version {version}, not {VERSION}; "
            "convert it with LeRobot's own tool."
        )
    _need(path / "meta" / "info.json", info, INFO)
    for key in (STATE, ACTION):
        if key not in info["features"]:
            raise UserError(f"{path} has no feature {key!r}, and so no joints to learn from.")
    episodes = path / "meta" / "episodes"
    rows = _read_table(episodes)
    _need(episodes, rows, EPISODE)
    return _Loader(path, info).episodes(rows)


class _Loader:
    """One data set."""

    def __init__(self, path: Path, info: dict[str, Any]) -> None:
        self._path = path
        self._info = info
        self._tables: dict[str, Table] = {}
        self._film = cache(self._open_film)
        kinds = {key: about.get("dtype") for key, about in info["features"].items()}
        self._videos = tuple(key for key, kind in kinds.items() if kind == "video")
        self._images = tuple(key for key, kind in kinds.items() if kind == "image")
        if self._videos and not info.get("video_path"):
            raise UserError(f"{path}/meta/info.json names videos, but no video_path.")

    def episodes(self, rows: Table) -> list[EpisodeData]:
        names = list(rows)
        entries = [
            dict(zip(names, values, strict=True)) for values in zip(*rows.values(), strict=True)
        ]
        return [self._episode(entry) for entry in entries]

    def _episode(self, row: dict[str, Any]) -> EpisodeData:
        place = {"chunk_index": row["data/chunk_index"], "file_index": row["data/file_index"]}
        name = self._info["data_path"].format(**place)
        if name not in self._tables:
            self._tables[name] = _read_table(self._path / name)
            _need(self._path / name, self._tables[name], (STATE, ACTION, "episode_index"))
        table = self._tables[name]
        index = row["episode_index"]
        found = np.flatnonzero(np.array(table["episode_index"]) == index)
        expected = row.get("length", len(found))
        if len(found) < 2 or len(found) != expected:
            raise UserError(
                f"{self._path / name} holds {len(found)} frames of episode {index} instead of "
                f"{expected}; the data set is not complete."
            )
        begin, end = int(found[0]), int(found[-1]) + 1
        states, actions = table[STATE][begin:end], table[ACTION][begin:end]
        if not (np.isfinite(_numbers(states)).all() and np.isfinite(_numbers(actions)).all()):
            raise UserError(
                f"{self._path / name} holds states or actions of episode {index} that are no "
                "finite number."
            )
        return episode_data(
            states=states,
            actions=actions,
            task=(row.get("tasks") or [""])[0],
            success=any(table.get("next.success", [False])[begin:end]),
            fps=self._info["fps"],
            cameras=tuple(key.removeprefix(IMAGES) for key in (*self._videos, *self._images)),
            picture=self._picture(row, table, begin),
            criticality=self._criticality(table, begin, end),
        )

    def _criticality(self, table: Table, begin: int, end: int) -> CriticalitySource:
        def criticality() -> Floats:
            if CRITICALITY not in table:
                raise UserError(
                    f"{self._path} has no feature {CRITICALITY}; `asterias learning recordings "
                    f"key-frames {self._path} --out {self._path}_key_frames` writes a copy that "
                    f"has it: {self._path}_key_frames/dataset."
                )
            return np.array(table[CRITICALITY][begin:end], np.float32).reshape(-1)

        return criticality

    def _picture(self, row: dict[str, Any], table: Table, begin: int) -> PictureSource:
        def picture(camera: str, frame: int) -> Pixels:
            key = IMAGES + camera if IMAGES + camera in self._info["features"] else camera
            if key in self._images:
                return self._image(key, table, begin + frame)
            return self._video_frame(key, row, frame)

        return picture

    def _image(self, key: str, table: Table, index: int) -> Pixels:
        """Return a picture that is in the table itself, or in a file that the table names.

        Raises:
            UserError: it cannot be decoded.
        """
        _need(self._path, table, (key,))
        entry = table[key][index]
        entry = entry if isinstance(entry, dict) else {}
        data, name = entry.get("bytes"), entry.get("path")
        try:
            if not data and name:
                data = read_bytes(self._path / name, PICTURE_LIMIT_BYTES)
            return decode_image(data or b"")
        except ImageError as error:
            raise UserError(f"{self._path}: picture {index} of {key} is {error}.") from error

    def _video_frame(self, key: str, row: dict[str, Any], frame: int) -> Pixels:
        prefix = f"videos/{key}"
        names = ("chunk_index", "file_index", "from_timestamp")
        _need(self._path / "meta" / "episodes", row, tuple(f"{prefix}/{name}" for name in names))
        name = self._info["video_path"].format(
            video_key=key,
            chunk_index=row[f"{prefix}/chunk_index"],
            file_index=row[f"{prefix}/file_index"],
        )
        time_s = row[f"{prefix}/from_timestamp"] + frame / self._info["fps"]
        try:
            return self._film(name).at(time_s)
        except IndexError as error:
            raise UserError(f"{self._path / name} is not complete: {error}") from error
        except av.FFmpegError as error:
            raise UserError(f"{self._path / name} cannot be decoded ({error.strerror}).") from error

    def _open_film(self, name: str) -> FilmReader:
        path = self._path / name
        if not path.is_file():
            raise UserError(f"{path} is missing; the data set is not complete.")
        return FilmReader(path)


def _numbers(rows: list[Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array(rows, np.float64)


def _read_table(path: Path) -> Table:
    if not path.exists():
        raise UserError(f"{path} is missing; the data set is not complete.")
    try:
        table: Table = pq.read_table(path).to_pydict()
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} is no Parquet file, or damaged ({reason}).") from error
    return table


def _need(path: Path, content: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    missing = [key for key in keys if key not in content]
    if missing:
        raise UserError(f"{path} has no {', '.join(missing)}; the data set is not complete.")
