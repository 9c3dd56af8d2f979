"""AprilTags of family tag16h5: draw and detect them (OpenCV's ArUco module)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from asterias.arrays import ImageArray

# A tag16h5 is 6 cells wide with its black border, and stands on one white cell all round.
CELLS = 6
QUIET_CELLS = 1
SHEET_CELLS = CELLS + 2 * QUIET_CELLS


@dataclass(frozen=True)
class Detection:
    """A tag seen in an image.

    Attributes:
        id: the tag's number.
        corners_px: ``(4, 2)`` float32 x, y of the black square, clockwise from the tag's top left.
    """

    id: int
    corners_px: npt.NDArray[np.float32]

    @property
    def center_px(self) -> npt.NDArray[np.float32]:
        """``(2,)`` mean of the corners."""
        center: npt.NDArray[np.float32] = self.corners_px.mean(axis=0)
        return center

    @property
    def side_px(self) -> float:
        """Mean length of the four sides."""
        sides = self.corners_px - np.roll(self.corners_px, 1, axis=0)
        return float(np.linalg.norm(sides, axis=1).mean())


@lru_cache(maxsize=1)
def _detector() -> cv2.aruco.ArucoDetector:
    parameters = cv2.aruco.DetectorParameters()
    # Tiles are 96 px wide and the tag some 15 px: small windows, and no minimum near 15 px.
    parameters.adaptiveThreshWinSizeMin = 3
    parameters.adaptiveThreshWinSizeMax = 23
    parameters.minMarkerPerimeterRate = 0.1
    # A tag that fills the tile lies close to the edge of its own sheet: two squares, not one.
    parameters.minMarkerDistanceRate = 0.02
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_CONTOUR
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_16h5)
    return cv2.aruco.ArucoDetector(dictionary, parameters)


def tag_image(tag_id: int, cell_px: int = 16) -> ImageArray:
    """Return the grey image ``(8 c, 8 c)`` of a tag, one white cell around it, ``c = cell_px``."""
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_16h5)
    inner = cv2.aruco.generateImageMarker(dictionary, tag_id, CELLS * cell_px, borderBits=1)
    return np.pad(inner, QUIET_CELLS * cell_px, constant_values=255).astype(np.uint8)


def detect_tags(image: ImageArray, ids: Collection[int] | None = None) -> list[Detection]:
    """Return the tags in an ``(H, W, 3)`` RGB or ``(H, W)`` grey image; only ``ids`` when given."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
    corners, found, _ = _detector().detectMarkers(grey)
    if not corners:
        # Nothing seen: OpenCV then gives None for the numbers.
        return []
    return [
        Detection(int(number), quad.reshape(4, 2).astype(np.float32))
        for number, quad in zip(found.ravel(), corners, strict=True)
        if ids is None or int(number) in ids
    ]
