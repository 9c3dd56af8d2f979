"""Recordings and data sets as clips: equally many moments of each, all cameras, small and grey.

Every episode becomes as many moments, evenly far apart from its first picture to its last, so that
its length says nothing of its outcome. A camera that has sent nothing for a while is black.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray, ImageArray
from asterias.errors import UserError
from asterias.files import read_json
from learning.recordings.episode_data import EpisodeData
from learning.recordings.pictures import PictureError, Pixels, decode_picture, to_rgb
from learning.recordings.reading import Decoder, Recording
from learning.recordings.sampling import camera_key

# A picture that is older than so many periods of its camera, and than this, is not shown.
_MOST_PERIODS, _LEAST_AGE_S = 3.0, 0.5
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ClipForm:
    """What all clips that a detector sees have in common.

    Attributes:
        frames: moments of each.
        side_px: width and height of the small pictures.
    """

    frames: int = 80
    side_px: int = 32


@dataclass(frozen=True)
class Clip:
    """An episode as a detector of critical states sees it.

    Attributes:
        name: for people, and for files.
        label: 1 for a success, 0 for a failure; None where nobody marked it.
        cameras: names, in the order of the channels.
        pictures: ``(T, H, W, C)`` uint8, the cameras in grey.
        times_s: ``(T,)`` since the beginning of the episode.
        start_ns: clock of the recording at time 0; 0 in data sets.
        picture: full pictures at single moments.
    """

    name: str
    label: int | None
    cameras: tuple[str, ...]
    pictures: ImageArray
    times_s: FloatArray
    start_ns: int
    picture: Callable[[Sequence[int]], dict[tuple[int, str], ImageArray]] = field(repr=False)

    @property
    def duration_s(self) -> float:
        """From the first moment to the last."""
        return float(self.times_s[-1])


def recording_clips(recordings: Sequence[Recording], form: ClipForm) -> Iterator[Clip]:
    """Yield the clips of recordings, one after the other."""
    for recording in recordings:
        yield _RecordingClip(recording, form).clip()


def dataset_clips(path: Path, episodes: Sequence[EpisodeData], form: ClipForm) -> Iterator[Clip]:
    """Yield the clips of a data set, one after the other.

    Args:
        path: of the data set.
        episodes: that were loaded from it.
        form: of the clips.

    Raises:
        UserError: there are no cameras.
    """
    labels = _dataset_labels(path, episodes)
    for number, (episode, label) in enumerate(zip(episodes, labels, strict=True)):
        if not episode.cameras:
            raise UserError(f"{path} holds no images, and so no key frames can be found in it.")
        count = len(episode.states)
        places = np.linspace(0, count - 1, form.frames).round().astype(np.int64)
        pictures = np.zeros((form.frames, form.side_px, form.side_px, len(episode.cameras)), "u1")
        for channel, camera in enumerate(episode.cameras):
            for place, at in _grouped(places):
                pictures[at, :, :, channel] = small(episode.picture(camera, place), form)

        def full(
            moments: Sequence[int], episode: EpisodeData = episode, places: Places = places
        ) -> dict[tuple[int, str], ImageArray]:
            return {
                (moment, camera): to_rgb(episode.picture(camera, int(places[moment])))
                for moment in moments
                for camera in episode.cameras
            }

        times_s = places / episode.fps
        name = f"episode_{number:06d}"
        yield Clip(name, label, episode.cameras, pictures, times_s, 0, full)


def small(pixels: Pixels, form: ClipForm) -> npt.NDArray[np.uint8]:
    """Return ``(side, side)`` grey of a picture; depth is brighter farther away."""
    size = (form.side_px, form.side_px)
    if pixels.ndim == 2:
        pixels = to_rgb(pixels)
    # Shrinking first: grey of few pixels is cheaper than a few pixels of grey.
    tiny = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(tiny, cv2.COLOR_RGB2GRAY), np.uint8)


def _grouped(places: Places) -> Iterator[tuple[int, Places]]:
    """Yield each place in order, with all moments that show it."""
    for place in np.unique(places):
        yield int(place), np.flatnonzero(places == place)


def _dataset_labels(path: Path, episodes: Sequence[EpisodeData]) -> list[int | None]:
    """Return success or failure; unmarked where the data set's own note says so.

    LeRobot's layout has no word for episodes that nobody marked.
    """
    labels: list[int | None] = [
        None if episode.success is None else int(episode.success) for episode in episodes
    ]
    note = path / "meta" / "asterias.json"
    told = read_json(note) if note.is_file() else {}
    rows = told.get("episodes") if isinstance(told, dict) else None
    if isinstance(rows, list) and len(rows) == len(labels):
        unmarked = [isinstance(row, dict) and row.get("success") is None for row in rows]
        labels = [None if skip else label for label, skip in zip(labels, unmarked, strict=True)]
    info = read_json(path / "meta" / "info.json") if (path / "meta" / "info.json").is_file() else {}
    features: Any = info.get("features", {"next.success": {}}) if isinstance(info, dict) else {}
    return labels if "next.success" in features else [None] * len(labels)


class _RecordingClip:
    """One recording on its way to a clip; it is read twice: for the times, and for the pictures."""

    def __init__(self, recording: Recording, form: ClipForm) -> None:
        self._recording, self._form = recording, form
        self._times = self._picture_times()
        self._topics = tuple(self._times)
        self._start_ns = min(int(times[0]) for times in self._times.values())
        end_ns = max(int(times[-1]) for times in self._times.values())
        self._moments_ns = np.linspace(self._start_ns, end_ns, form.frames).astype(np.int64)
        self._shown = {topic: self._shown_places(times) for topic, times in self._times.items()}

    def clip(self) -> Clip:
        form, card = self._form, self._recording.card
        pictures = np.zeros((form.frames, form.side_px, form.side_px, len(self._topics)), "u1")
        for topic, moments, pixels in self._decoded(range(form.frames)):
            pictures[moments, :, :, self._topics.index(topic)] = small(pixels, form)
        outcome = card.outcome if card is not None else "unknown"
        return Clip(
            name=self._recording.name,
            label={"success": 1, "failure": 0}.get(outcome),
            cameras=tuple(camera_key(topic) for topic in self._topics),
            pictures=pictures,
            times_s=(self._moments_ns - self._start_ns) / 1e9,
            start_ns=self._start_ns,
            picture=self._full,
        )

    def _full(self, moments: Sequence[int]) -> dict[tuple[int, str], ImageArray]:
        return {
            (int(moment), camera_key(topic)): to_rgb(pixels)
            for topic, at, pixels in self._decoded(moments)
            for moment in at
        }

    def _picture_times(self) -> dict[str, Places]:
        """Return the times in ns of each camera's pictures, in the order of the file.

        Raises:
            UserError: there are no pictures.
        """
        times: dict[str, list[int]] = {}
        for raw in self._recording.messages():
            if raw.topic.is_picture:
                times.setdefault(raw.topic.name, []).append(raw.time_ns)
        found: dict[str, Places] = {}
        for topic in sorted(times):
            if not any(camera_key(topic) == camera_key(other) for other in found):
                found[topic] = np.array(times[topic], np.int64)
        if not found:
            raise UserError(
                f"{self._recording.path} holds no images, and so no key frames can be found in it."
            )
        return found

    def _shown_places(self, times_ns: Places) -> Places:
        """Return ``(T,)`` the place of the picture that is shown at each moment; -1 for none."""
        order = np.argsort(times_ns, kind="stable")
        ordered = times_ns[order]
        last = np.searchsorted(ordered, self._moments_ns, side="right") - 1
        period_ns = float(np.median(np.diff(ordered))) if len(ordered) > 1 else 0.0
        most_ns = max(_MOST_PERIODS * period_ns, _LEAST_AGE_S * 1e9)
        fresh = (last >= 0) & (self._moments_ns - ordered[last] <= most_ns)
        shown: Places = np.where(fresh, order[last], -1)
        return shown

    def _decoded(self, moments: Sequence[int]) -> Iterator[tuple[str, Places, Pixels]]:
        """Yield topic, moments and pixels of the pictures that are shown at some moments."""
        chosen = np.zeros(self._form.frames, np.bool_)
        chosen[list(moments)] = True
        wanted = {
            topic: {
                int(place): np.flatnonzero(chosen & (shown == place))
                for place in np.unique(shown[chosen])
                if place >= 0
            }
            for topic, shown in self._shown.items()
        }
        left = sum(map(len, wanted.values()))
        seen = dict.fromkeys(self._topics, 0)
        decode = Decoder()
        for raw in self._recording.messages(self._topics):
            topic = raw.topic.name
            at = wanted[topic].get(seen[topic])
            seen[topic] += 1
            if at is None:
                continue
            left -= 1
            with suppress(PictureError):  # a damaged picture is a black one
                yield topic, at, decode_picture(raw, decode)
            if not left:
                return
