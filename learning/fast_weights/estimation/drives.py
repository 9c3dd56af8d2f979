"""What an estimator of joint states learns from: pictures and joints with stamps of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray, ImageArray

# Edge of the colour tiles that the encoder gets: half of the robot's pictures.
TILE_PX = 48

TileArray = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Drive:
    """A limb that moved for a while, seen by ``c`` cameras.

    Attributes:
        joint_times_s: ``(M,)`` rising stamps of the measured joints.
        joints_rad: ``(M, n)`` servo positions.
        frame_times_s: of each camera ``(K_j,)`` rising stamps of its pictures.
        tiles: of each camera ``(K_j, 48, 48, 3)`` its pictures, shrunk.
    """

    joint_times_s: FloatArray
    joints_rad: FloatArray
    frame_times_s: tuple[FloatArray, ...]
    tiles: tuple[TileArray, ...]

    @property
    def duration_s(self) -> float:
        """Time between the first joints and the last."""
        return float(self.joint_times_s[-1] - self.joint_times_s[0])

    def joints_at(self, times_s: FloatArray) -> FloatArray:
        """Return ``(..., n)`` positions at ``(...)`` times, linear between the stamps."""
        columns = [
            np.interp(times_s, self.joint_times_s, self.joints_rad[:, i])
            for i in range(self.joints_rad.shape[1])
        ]
        return np.stack(columns, axis=-1)


def shrunk(picture: ImageArray) -> TileArray:
    """Return a colour picture ``(H, W, 3)`` or a grey one ``(H, W)`` as a tile ``(48, 48, 3)``."""
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, axis=2)
    if picture.shape[:2] == (TILE_PX, TILE_PX):
        return np.ascontiguousarray(picture, dtype=np.uint8)
    small = cv2.resize(picture, (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA)
    return small.astype(np.uint8)


def total_duration_s(drives: Sequence[Drive]) -> float:
    """Return how long all drives are together."""
    return sum(drive.duration_s for drive in drives)
