"""Where a tag is, from its corners in one picture and its size."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray
from hardware.description.limb import CameraDescription


def tag_position(
    corners_px: npt.ArrayLike, size_m: float, camera: CameraDescription
) -> FloatArray | None:
    """Return ``(3,)`` where the middle of a tag is in the camera's frame; None: nowhere ahead.

    The pose of a square seen by a pinhole camera, by SQPnP (Terzakis and Lourakis 2020) as OpenCV
    has it; its plane-based method for squares misplaces one that faces the camera squarely.

    Args:
        corners_px: ``(4, 2)`` clockwise from the tag's own top left.
        size_m: edge of the black square.
        camera: that took the picture; its frame looks along +x with +z up.
    """
    corners = np.asarray(corners_px, dtype=np.float64).reshape(4, 2)
    if not np.isfinite(corners).all():
        return None
    half = 0.5 * size_m
    square = np.array([[-half, half, 0], [half, half, 0], [half, -half, 0], [-half, -half, 0.0]])
    focal, middle = camera.focal_px, 0.5 * np.array([camera.width_px - 1, camera.height_px - 1])
    matrix = np.array([[focal, 0, middle[0]], [0, focal, middle[1]], [0, 0, 1.0]])
    try:
        found, _, shift = cv2.solvePnP(
            square, corners, matrix, np.zeros(4), flags=cv2.SOLVEPNP_SQPNP
        )
    except cv2.error:  # corners on one line
        return None
    right, down, ahead = np.asarray(shift, dtype=np.float64).ravel()
    if not found or not np.isfinite([right, down, ahead]).all() or ahead <= 0.0:
        return None
    return np.array([ahead, -right, -down])
