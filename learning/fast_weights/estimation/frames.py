"""Drives as arrays: which pictures are at hand at any moment, when some are lost or late."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray
from learning.fast_weights.estimation.drives import Drive

# Joints are kept at this rate, that of the robot's control.
JOINT_PERIOD_S = 0.02
# A picture that is older counts as none.
OLDEST_S = 1.0

Float32Array = npt.NDArray[np.float32]
IndexArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FrameTable:
    """Drives of one length side by side; D drives, c cameras, at most K pictures of each.

    Attributes:
        times_s: ``(D, c, K)`` rising stamps of pictures since the drive's start; infinite: none.
        content: ``(D, c, K, ...)`` the tiles, or what is known of them.
        joints_rad: ``(D, M, n)`` positions every 20 ms.
    """

    times_s: FloatArray
    content: npt.NDArray[np.generic]
    joints_rad: FloatArray

    def __len__(self) -> int:
        """Return the number of drives."""
        return len(self.times_s)

    @property
    def cameras(self) -> int:
        """Number of cameras."""
        return int(self.times_s.shape[1])

    def joints_at(self, drives: IndexArray, times_s: FloatArray) -> FloatArray:
        """Return ``(B, ..., n)`` positions of drives ``(B,)`` at times ``(B, ...)``."""
        last = self.joints_rad.shape[1] - 1
        place = np.clip(times_s / JOINT_PERIOD_S, 0.0, last)
        before = np.minimum(place.astype(np.int64), last - 1)
        share = (place - before)[..., None]
        rows = drives.reshape(-1, *([1] * (times_s.ndim - 1)))
        left, right = self.joints_rad[rows, before], self.joints_rad[rows, before + 1]
        joints: FloatArray = left + (right - left) * share
        return joints


def table_of(drives: Sequence[Drive], length_s: float) -> FrameTable:
    """Return drives cut into pieces of ``length_s``; what is left over at an end is left out."""
    pieces = [piece for drive in drives for piece in _pieces(drive, length_s)]
    cameras = len(drives[0].tiles) if drives else 0
    most = max((len(t) for times, _, _ in pieces for t in times), default=0)
    shape = (len(pieces), cameras, most)
    times_s = np.full(shape, np.inf)
    tile = drives[0].tiles[0].shape[1:] if drives else ()
    content = np.zeros((*shape, *tile), np.uint8)
    for row, (times, tiles, _) in enumerate(pieces):
        for camera, (own, pictures) in enumerate(zip(times, tiles, strict=True)):
            times_s[row, camera, : len(own)] = own
            content[row, camera, : len(own)] = pictures
    return FrameTable(times_s, content, np.array([joints for _, _, joints in pieces]))


def joined(tables: Sequence[FrameTable]) -> FrameTable:
    """Return the drives of tables one after the other."""
    most = max(table.times_s.shape[2] for table in tables)

    def wide(array: npt.NDArray[Any], fill: float) -> npt.NDArray[Any]:
        missing = [(0, 0), (0, 0), (0, most - array.shape[2]), *[(0, 0)] * (array.ndim - 3)]
        return np.pad(array, missing, constant_values=fill)

    return FrameTable(
        np.concatenate([wide(table.times_s, np.inf) for table in tables]),
        np.concatenate([wide(table.content, 0) for table in tables]),
        np.concatenate([table.joints_rad for table in tables]),
    )


_Piece = tuple[list[FloatArray], list[npt.NDArray[np.uint8]], FloatArray]


def _pieces(drive: Drive, length_s: float) -> Iterator[_Piece]:
    grid = np.arange(round(length_s / JOINT_PERIOD_S) + 1) * JOINT_PERIOD_S
    count = int(drive.duration_s / length_s + 1e-6)
    for number in range(count):
        start = drive.joint_times_s[0] + number * length_s
        spans = [
            slice(*np.searchsorted(own, [start, start + length_s])) for own in drive.frame_times_s
        ]
        yield (
            [own[span] - start for own, span in zip(drive.frame_times_s, spans, strict=True)],
            [own[span] for own, span in zip(drive.tiles, spans, strict=True)],
            drive.joints_at(start + grid),
        )


@dataclass(frozen=True)
class Losses:
    """What happens to pictures on their way.

    Attributes:
        drop: range of the share that is lost; drawn for each drive, below 0 counts as 0.
        delay_s: range of how late a picture comes; drawn for each.
        cycle_s: range of the estimator's period, at whose ends it takes what has come.
    """

    drop: tuple[float, float] = (-0.3, 0.7)
    delay_s: tuple[float, float] = (0.0, 0.03)
    cycle_s: tuple[float, float] = (0.04, 0.06)


class Arrivals(NamedTuple):
    """The moments at which an estimator takes new pictures; B drives, N moments at most.

    Attributes:
        times_s: ``(B, N)`` moments; those after the last are repeated.
        counts: ``(B,)`` how many there are.
        frames: ``(B, N, c)`` number of the newest picture of each camera that has come; -1: none.
        fresh: ``(B, N, c)`` whether it has come at this moment.
    """

    times_s: FloatArray
    counts: IndexArray
    frames: IndexArray
    fresh: npt.NDArray[np.bool_]


def arrivals(
    table: FrameTable, drives: IndexArray, losses: Losses, rng: np.random.Generator
) -> Arrivals:
    """Return what an estimator gets of ``(B,)`` drives when pictures are lost and late."""
    size = len(drives)
    stamps = table.times_s[drives]
    drop = rng.uniform(*losses.drop, size)[:, None, None]
    arrive = stamps + rng.uniform(*losses.delay_s, stamps.shape)
    arrive[rng.random(stamps.shape) < drop] = np.inf
    cycle = rng.uniform(*losses.cycle_s, size)
    end_s = (table.joints_rad.shape[1] - 1) * JOINT_PERIOD_S
    cells = int(end_s / losses.cycle_s[0]) + 2
    places = np.ceil(np.where(np.isfinite(arrive), arrive, 0.0) / cycle[:, None, None])
    is_there = np.isfinite(arrive) & (places * cycle[:, None, None] <= end_s)
    newest = np.full((size, table.cameras, cells), -1)
    for number in range(stamps.shape[2]):
        row, camera = np.nonzero(is_there[:, :, number])
        newest[row, camera, places[row, camera, number].astype(np.int64)] = number
    fresh = newest >= 0
    held = np.maximum.accumulate(newest, axis=2)
    return _compressed(held, fresh, cycle)


def _compressed(held: IndexArray, fresh: npt.NDArray[np.bool_], cycle: FloatArray) -> Arrivals:
    """Return the cells in which something came, moved to the front."""
    is_event = fresh.any(1)
    count = is_event.sum(1)
    order = np.argsort(~is_event, axis=1, kind="stable")[:, : max(int(count.max()), 1)]
    last = np.take_along_axis(order, np.maximum(count - 1, 0)[:, None], 1)
    order = np.where(np.arange(order.shape[1]) < count[:, None], order, last)
    pick = order[:, None, :]
    return Arrivals(
        order * cycle[:, None],
        count,
        np.take_along_axis(held, pick, 2).swapaxes(1, 2),
        np.take_along_axis(fresh, pick, 2).swapaxes(1, 2),
    )


def some_of(found: Arrivals, moments: int, rng: np.random.Generator) -> Arrivals:
    """Return ``moments`` of each drive's, drawn with replacement."""
    rows = np.arange(len(found.counts))[:, None]
    drawn = (rng.random((len(found.counts), moments)) * found.counts[:, None]).astype(np.int64)
    return Arrivals(
        found.times_s[rows, drawn],
        np.full(len(found.counts), moments),
        found.frames[rows, drawn],
        found.fresh[rows, drawn],
    )


class Seen(NamedTuple):
    """What the encoder gets at moments: all ``(B, N, c)``, and the content ``(B, N, c, ...)``."""

    content: npt.NDArray[np.generic]
    ages_s: Float32Array
    seen: Float32Array
    fresh: Float32Array


def seen_at(table: FrameTable, drives: IndexArray, found: Arrivals) -> Seen:
    """Return the newest pictures at each moment, and how old they are."""
    rows = drives[:, None, None]
    cameras = np.arange(table.cameras)[None, None, :]
    frames = np.maximum(found.frames, 0)
    stamps = table.times_s[rows, cameras, frames]
    ages = found.times_s[..., None] - stamps
    seen = (found.frames >= 0) & (ages <= OLDEST_S)
    return Seen(
        table.content[rows, cameras, frames],
        np.where(seen, ages, 0.0).astype(np.float32),
        seen.astype(np.float32),
        (found.fresh & seen).astype(np.float32),
    )
