"""The frames that decided: a contact sheet, with the mask over time above it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray, ImageArray
from hardware.perception.apriltag import detect_tags
from hardware.perception.images import Tile, save_png
from hardware.perception.images import sheet as tiles_sheet
from learning.critical_states.key_frames.clips import Clip
from learning.recordings.plots.criticality import INK, PAPER, draw_band

MOST_FRAMES, TILE_PX = 8, 128
_WORDS = {1: "success", 0: "failure", None: "not marked"}


def key_moments(mask: FloatArray, threshold: float) -> npt.NDArray[np.int64]:
    """Return the moments to show: the highest of each run above the threshold, in order.

    Where nothing reaches it, the highest of all.

    Args:
        mask: ``(T,)`` from 0 to 1.
        threshold: from which on a moment decided.
    """
    above = np.concatenate([[False], mask >= threshold, [False]]).astype(np.int8)
    begins, ends = np.flatnonzero(np.diff(above) == 1), np.flatnonzero(np.diff(above) == -1)
    peaks = [
        int(begin + np.argmax(mask[begin:end])) for begin, end in zip(begins, ends, strict=True)
    ]
    return np.array(peaks or [int(np.argmax(mask))], np.int64)


def draw_sheet(clip: Clip, mask: FloatArray, threshold: float, path: Path) -> None:
    """Draw all cameras at the moments that decided.

    Args:
        clip: the episode.
        mask: ``(T,)`` from 0 to 1.
        threshold: from which on a moment decided.
        path: of the picture.
    """
    moments = key_moments(mask, threshold)
    shown = np.sort(moments[np.argsort(-mask[moments], kind="stable")[:MOST_FRAMES]])
    pictures = clip.picture([int(moment) for moment in shown])
    rows, titles = [], []
    for moment in shown:
        rows.append([_tile(pictures, int(moment), camera) for camera in clip.cameras])
        titles.append(tile_title(clip.times_s[moment], mask[moment], threshold))
    tiles = tiles_sheet(rows, titles, TILE_PX)
    words = f"{clip.name}, {_WORDS[clip.label]}: the frames that decided"
    if mask.max() < threshold:
        words = f"{clip.name}, {_WORDS[clip.label]}: nothing reaches {threshold:.2f}; the highest"
    width = max(tiles.shape[1], 360)
    tiles = np.pad(tiles, ((0, 0), (0, width - tiles.shape[1]), (0, 0)), constant_values=PAPER)
    head = np.full((30, width, 3), PAPER, np.uint8)
    cv2.putText(head, words, (10, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, INK, 1, cv2.LINE_AA)
    picture = np.vstack([head, draw_band(clip.times_s, mask, width, clip.duration_s), tiles])
    path.parent.mkdir(parents=True, exist_ok=True)
    save_png(str(path), picture)


def tile_title(time_s: float, value: float, threshold: float) -> str:
    """Return what stands above a moment: that it decided, or only its mask where it did not."""
    word = "decided" if value >= threshold else "mask"
    return f"{time_s:.2f} s, {word} {value:.2f}"


def _tile(pictures: dict[tuple[int, str], ImageArray], moment: int, camera: str) -> Tile:
    image = pictures.get((moment, camera))
    if image is None:
        return Tile(np.zeros((96, 96, 3), np.uint8), f"{camera}: silent", dead=True)
    return Tile(image, camera, tuple(detect_tags(np.ascontiguousarray(image))))
