"""Rotations as ``(3, 3)`` matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from asterias.arrays import FloatArray


def rotation_from_rpy(rpy: Sequence[float]) -> FloatArray:
    """Return roll, pitch, yaw in rad about the fixed axes x, y, z (URDF convention)."""
    (sr, sp, sy), (cr, cp, cy) = np.sin(rpy), np.cos(rpy)
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )


def rpy_from_rotation(rotation: FloatArray) -> tuple[float, float, float]:
    """Return roll, pitch, yaw in rad about fixed axes of a rotation; at pitch pi/2 roll is 0."""
    pitch = math.asin(max(-1.0, min(1.0, -float(rotation[2, 0]))))
    if abs(rotation[2, 0]) > 1.0 - 1e-12:
        return 0.0, pitch, math.atan2(-rotation[0, 1], rotation[1, 1])
    roll = math.atan2(rotation[2, 1], rotation[2, 2])
    return roll, pitch, math.atan2(rotation[1, 0], rotation[0, 0])


def quaternion_from_rotation(rotation: FloatArray) -> FloatArray:
    """Return ``(4,)`` unit quaternion x, y, z, w of a rotation matrix (Shepperd's method)."""
    m = rotation
    choices = np.array([m[0, 0], m[1, 1], m[2, 2], np.trace(m)])
    largest = int(np.argmax(choices))
    q = np.empty(4)
    if largest == 3:
        q[:] = m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], 1.0 + choices[3]
    else:
        i, j, k = largest, (largest + 1) % 3, (largest + 2) % 3
        q[i] = 1.0 + m[i, i] - m[j, j] - m[k, k]
        q[j] = m[j, i] + m[i, j]
        q[k] = m[k, i] + m[i, k]
        q[3] = m[k, j] - m[j, k]
    unit: FloatArray = q / np.linalg.norm(q)
    return unit
