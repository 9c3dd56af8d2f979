"""Data sets as plain folders: a CSV file of numbers and PNG pictures per episode."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asterias.files import write_folder, write_json
from asterias.provenance import provenance
from hardware.perception.images import save_png
from learning.recordings.episodes import episode_folder
from learning.recordings.lerobot.export import check_alike
from learning.recordings.sampling import OnFrames, SampledEpisode, camera_key

ABOUT = "dataset.json"
NUMBERS = "frames.csv"
PICTURE = "{frame:06d}.png"
STATE, ACTION = "state.", "action."


def export_folder(
    episodes: Sequence[SampledEpisode], out: Path, *, on_frames: OnFrames = lambda done: None
) -> None:
    """Writes ``episode_<n>/frames.csv`` and ``episode_<n>/<camera>/<frame>.png``.

    The columns of the CSV file are ``frame``, ``time_s``, then ``state.<joint>`` and
    ``action.<joint>`` in rad. The folder appears when it is complete.

    Args:
        episodes: with the same joints, cameras and rate.
        out: folder, which must not exist.
        on_frames: told how many pictures are done.

    Raises:
        UserError: the folder exists, or the episodes do not fit together.
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
                save_png(str(place / camera_key(topic) / PICTURE.format(frame=frame)), image)
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
