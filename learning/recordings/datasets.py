"""Data sets back in memory: as episodes in Gymnasium's manner, or for PyTorch.

All formats that are exported are read, and recordings themselves.
"""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from learning.recordings.episode_data import EpisodeData, Floats, episode_data
from learning.recordings.exporters.registry import EXPORTERS
from learning.recordings.lerobot.layout import IMAGES
from learning.recordings.pictures import Pixels
from learning.recordings.plots.criticality import recording_criticality
from learning.recordings.reading import find_recordings
from learning.recordings.sampling import (
    SampledEpisode,
    camera_key,
    sample_parts,
)
from learning.recordings.timing.sampling_options import SamplingOptions
from learning.recordings.trace import read_trace

__all__ = ["EpisodeData", "FramesDataset", "load_episodes"]

_LOG = logging.getLogger(__name__)


def load_episodes(path: Path, fps: int = 0) -> list[EpisodeData]:
    """Return the episodes of a data set, or of recordings sampled at ``fps``.

    What recordings lose on the way is logged as warnings.

    Args:
        path: data set, or recordings.
        fps: for recordings; 0 takes the cameras' rate.

    Passes on the UserError of what is no data set, or not complete.
    """
    for _, exporter in EXPORTERS.items():
        if exporter.recognises(path):
            return exporter.load(path)
    episodes = []
    for recording in find_recordings(path):
        sampled = sample_parts(recording, SamplingOptions(fps=fps))
        for loss in sampled.losses:
            _LOG.warning("%s", loss)
        episodes += [_from_recording(part) for part in sampled.episodes]
    return episodes


class FramesDataset(Dataset[dict[str, Any]]):
    """Frames of all episodes for PyTorch, with the keys of LeRobot's data sets.

    Items hold ``observation.state`` and ``action`` ``(n,)`` float32,
    ``observation.images.<camera>`` ``(3, H, W)`` float32 from 0 to 1, or ``(1, H, W)`` depth in m,
    ``timestamp``, ``frame_index``, ``episode_index``, ``index``, ``next.done`` and ``task``.

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
            item[IMAGES + camera] = _tensor(episode.picture(camera, frame))
        return item


def _tensor(pixels: Pixels) -> torch.Tensor:
    if pixels.ndim == 2:
        return torch.from_numpy(pixels.astype(np.float32))[None] / 1000
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).float() / 255


def _from_recording(episode: SampledEpisode) -> EpisodeData:
    @cache
    def pictures() -> dict[tuple[str, int], Pixels]:
        # Recordings are read from their beginning only, so that all stay in memory.
        return {(camera_key(topic), frame): image for topic, frame, image in episode.frames()}

    def criticality() -> Floats:
        start_ns = read_trace(episode.recording).start_ns
        values = recording_criticality(episode.recording, start_ns, episode.times_s)
        return values.astype(np.float32)

    return episode_data(
        states=episode.state,
        actions=episode.action,
        task=episode.task,
        success=episode.success,
        fps=episode.fps,
        cameras=tuple(camera_key(topic) for topic in episode.pictures),
        picture=lambda camera, frame: pictures()[camera, frame],
        criticality=criticality,
    )
