"""Data sets as plain folders: a CSV file of numbers and PNG pictures per episode."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2

from asterias.errors import UserError
from asterias.files import read_bytes, read_json, write_folder, write_json
from asterias.images.decode import RGB, ImageError, decode_image
from asterias.provenance import provenance
from hardware.perception.images import save_png
from learning.recordings.alike import check_alike
from learning.recordings.episode_data import EpisodeData, PictureSource, episode_data
from learning.recordings.episodes import episode_folder
from learning.recordings.pictures import Pixels
from learning.recordings.sampling import OnFrames, SampledEpisode, camera_key

ABOUT = "dataset.json"
NUMBERS = "frames.csv"
PICTURE = "{frame:06d}.png"
STATE, ACTION = "state.", "action."
PICTURE_LIMIT_BYTES = 256 * 1024 * 1024


def export_folder(
    episodes: Sequence[SampledEpisode], out: Path, *, on_frames: OnFrames = lambda done: None
) -> None:
    """Write ``episode_<n>/frames.csv`` and ``episode_<n>/<camera>/<frame>.png``.

    The columns of the CSV file are ``frame``, ``time_s``, then ``state.<joint>`` and
    ``action.<joint>`` in rad. Depth pictures are PNG of 16 bits, in mm, 0 where nothing was
    measured. The folder appears when it is complete.

    Args:
        episodes: with the same joints, cameras and rate.
        out: folder, which must not exist.
        on_frames: gets how many pictures are done.

    Passes on the UserError of an existing folder, or of episodes that do not fit together.
    """
    check_alike(episodes)
    done = 0
    with write_folder(out) as folder:
        for number, episode in enumerate(episodes):
            place = episode_folder(folder, number)
            for topic in episode.pictures:
                (place / camera_key(topic)).mkdir(parents=True)
            _write_numbers(episode, place)
            for topic, frame, image in episode.frames():
                path = place / camera_key(topic) / PICTURE.format(frame=frame)
                if image.ndim == 2:
                    cv2.imwrite(str(path), image)
                else:
                    save_png(str(path), image)
                done += 1
                on_frames(done)
        write_json(folder / ABOUT, _about(episodes))


def _write_numbers(episode: SampledEpisode, place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True)
    with (place / NUMBERS).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        names = episode.joint_names
        heads = [*(STATE + name for name in names), *(ACTION + name for name in names)]
        writer.writerow(["frame", "time_s", *heads])
        rows = zip(episode.state.tolist(), episode.action.tolist(), strict=True)
        for frame, (state, action) in enumerate(rows):
            numbers = [f"{value:.6f}" for value in [*state, *action]]
            writer.writerow([frame, f"{frame / episode.fps:.6f}", *numbers])


def _about(episodes: Sequence[SampledEpisode]) -> dict[str, Any]:
    first = episodes[0]
    return {
        **provenance(),
        "fps": first.fps,
        "joints": list(first.joint_names),
        "cameras": {camera_key(topic): topic for topic in first.pictures},
        "depth_cameras": [camera_key(t) for t, shape in first.shapes.items() if len(shape) == 2],
        "episodes": [
            {
                "task": episode.task,
                "success": episode.success,
                "frames": len(episode.times_s),
                "recording": episode.recording.name,
            }
            for episode in episodes
        ],
    }


def load_folder(path: Path) -> list[EpisodeData]:
    """Return the episodes of such a folder.

    Raises:
        UserError: it is not complete, or not of this form.
    """
    about = read_json(path / ABOUT)
    keys = ("joints", "cameras", "fps", "episodes")
    missing = [key for key in keys if not isinstance(about, dict) or key not in about]
    entries = [] if missing else about["episodes"]
    wanted = {"frames", "task", "success"}
    if missing or not all(isinstance(entry, dict) and wanted <= set(entry) for entry in entries):
        raise UserError(f"{path / ABOUT} is not complete; export the data set anew.")
    return [
        _load_episode(episode_folder(path, number), about, entry)
        for number, entry in enumerate(entries)
    ]


def _load_episode(place: Path, about: Any, entry: Any) -> EpisodeData:
    try:
        with (place / NUMBERS).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        columns = {
            prefix: [[float(row[prefix + name]) for name in about["joints"]] for row in rows]
            for prefix in (STATE, ACTION)
        }
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise UserError(
            f"{place / NUMBERS} is missing or not complete ({error}); export the data set anew."
        ) from error
    if len(rows) < 2 or len(rows) != entry["frames"]:
        raise UserError(
            f"{place / NUMBERS} has {len(rows)} rows instead of {entry['frames']}; export the data "
            "set anew."
        )
    return episode_data(
        states=columns[STATE],
        actions=columns[ACTION],
        task=entry["task"],
        success=entry["success"],
        fps=about["fps"],
        cameras=tuple(about["cameras"]),
        picture=_png_picture(place, about.get("depth_cameras", [])),
    )


def _png_picture(place: Path, depth_cameras: Sequence[str]) -> PictureSource:
    def picture(camera: str, frame: int) -> Pixels:
        path = place / camera / PICTURE.format(frame=frame)
        flags = cv2.IMREAD_UNCHANGED if camera in depth_cameras else RGB
        try:
            return decode_image(read_bytes(path, PICTURE_LIMIT_BYTES), flags=flags)
        except ImageError as error:
            raise UserError(f"{path} cannot be used: {error}.") from error

    return picture
