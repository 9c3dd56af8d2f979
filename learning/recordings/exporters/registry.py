"""The formats of data sets: how each is written, recognised and read back.

An installed package adds one by an entry point of the group ``asterias.exporters`` that names an
``Exporter``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from asterias.errors import UserError
from asterias.registry import Registry
from learning.recordings.episode_data import EpisodeData
from learning.recordings.sampling import OnFrames, SampledEpisode


@dataclass(frozen=True)
class ExportOptions:
    """What an exporter gets beside the episodes.

    Attributes:
        robot: name of the robot.
        camera_flags: LeRobot's: also write which cameras there are as the environment's state.
        on_frames: gets how many pictures are done.
    """

    robot: str = "asterias"
    camera_flags: bool = False
    on_frames: OnFrames = lambda done: None


Write = Callable[[Sequence[SampledEpisode], Path, ExportOptions], None]


@dataclass(frozen=True)
class Exporter:
    """A format of data sets.

    Attributes:
        summary: what it is, in a few words.
        write: writes episodes into a new folder, whole or not at all.
        recognises: whether a folder is a data set of this format.
        load: reads one back; UserError where it is not complete.
        takes_depth: whether depth pictures ``(H, W)`` uint16 can be written, too.
    """

    summary: str
    write: Write
    recognises: Callable[[Path], bool]
    load: Callable[[Path], list[EpisodeData]]
    takes_depth: bool = False


def _check(name: str, entry: object) -> None:
    if not isinstance(entry, Exporter):
        raise UserError(f"{name} is no Exporter of learning.recordings.exporters.registry")


EXPORTERS: Registry[Exporter] = Registry("data set format", "asterias.exporters", _check)


def _write_lerobot(episodes: Sequence[SampledEpisode], out: Path, options: ExportOptions) -> None:
    from learning.recordings.lerobot.writer import export_lerobot  # Parquet and video: half a s

    export_lerobot(
        episodes,
        out,
        robot_type=options.robot,
        camera_flags=options.camera_flags,
        on_frames=options.on_frames,
    )


def _load_lerobot(path: Path) -> list[EpisodeData]:
    from learning.recordings.lerobot.loader import load_lerobot

    return load_lerobot(path)


def _write_folder(episodes: Sequence[SampledEpisode], out: Path, options: ExportOptions) -> None:
    from learning.recordings.exporters.folder import export_folder

    export_folder(episodes, out, on_frames=options.on_frames)


def _load_folder(path: Path) -> list[EpisodeData]:
    from learning.recordings.exporters.folder import load_folder

    return load_folder(path)


EXPORTERS.register(
    "lerobot",
    Exporter(
        summary="LeRobotDataset v3 (Parquet, MP4)",
        write=_write_lerobot,
        recognises=lambda path: (path / "meta" / "info.json").is_file(),
        load=_load_lerobot,
    ),
)
EXPORTERS.register(
    "folder",
    Exporter(
        summary="a plain folder (CSV, PNG)",
        write=_write_folder,
        recognises=lambda path: (path / "dataset.json").is_file(),
        load=_load_folder,
        takes_depth=True,
    ),
)
