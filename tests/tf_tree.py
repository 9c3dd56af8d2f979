"""Transforms as a listener of tf2 keeps them: by frame and time, interpolated in between."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader

from asterias.arrays import FloatArray

# A launch ends all its nodes at once, so that the last pictures are recorded whose joints have not
# yet become transforms. In simulated seconds, of which several pass in one of the wall's.
END_S = 1.0


def to_ns(stamp: Any) -> int:
    """The time of a message's stamp."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def matrix_of(transform: Any) -> FloatArray:
    """(4, 4) of a geometry_msgs/Transform."""
    q, t = transform.rotation, transform.translation
    x, y, z, w = q.x, q.y, q.z, q.w
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = t.x, t.y, t.z
    return matrix


class TransformTree:
    """Transforms that have come; a frame between whose times a time lies is known then."""

    def __init__(self) -> None:
        self._fixed: dict[str, tuple[str, FloatArray]] = {}
        self._moving: dict[str, tuple[str, dict[int, FloatArray]]] = {}

    def add(self, message: Any, *, is_static: bool) -> None:
        """Take a tf2_msgs/TFMessage."""
        for one in message.transforms:
            parent, child = str(one.header.frame_id), str(one.child_frame_id)
            matrix = matrix_of(one.transform)
            if is_static:
                self._fixed[child] = (parent, matrix)
            else:
                here = self._moving.setdefault(child, (parent, {}))
                assert here[0] == parent, "a frame has one parent"
                here[1][to_ns(one.header.stamp)] = matrix

    @property
    def frames(self) -> set[str]:
        """All frames that have a parent."""
        return set(self._fixed) | set(self._moving)

    def times_ns(self) -> list[int]:
        """All times of moving frames, sorted."""
        return sorted({time for _, poses in self._moving.values() for time in poses})

    def pose(
        self, frame: str, base: str, time_ns: int, early_ns: int = 0, late_ns: int = 0
    ) -> FloatArray:
        """(4, 4) of a frame in the base; KeyError where tf2 would refuse, too."""
        pose = np.eye(4)
        while frame != base:
            if frame in self._fixed:
                frame, step = self._fixed[frame]
            else:
                frame, poses = self._moving[frame]
                step = _at(poses, time_ns, early_ns, late_ns)
            pose = step @ pose
        return pose


def _at(poses: dict[int, FloatArray], time_ns: int, early_ns: int, late_ns: int) -> FloatArray:
    """The pose nearest to a time that lies between two of the poses."""
    times = np.fromiter(poses, dtype=np.int64)
    if not times.min() - early_ns <= time_ns <= times.max() + late_ns:
        raise KeyError(f"{time_ns} is not within {times.min()} to {times.max()}")
    return poses[int(times[np.abs(times - time_ns).argmin()])]


def tree_of(messages: Iterable[tuple[str, Any]]) -> TransformTree:
    """All transforms among (topic, message)."""
    tree = TransformTree()
    for topic, message in messages:
        if topic in ("/tf", "/tf_static"):
            tree.add(message, is_static=topic == "/tf_static")
    return tree


def unknown_frames(recording: Path, base: str, early_s: float) -> tuple[list[str], set[str]]:
    """What in a recording names a frame that has no transform to the base at its stamp.

    Args:
        recording: folder.
        base: frame of the robot or of its world.
        early_s: how long before the first transform a message may be.

    Returns:
        One line for each such message, and all frames that are named.
    """
    with AnyReader([recording]) as reader:
        messages = [
            (about.topic, reader.deserialize(data, about.msgtype))
            for about, _, data in reader.messages()
        ]
    tree, unknown, named = tree_of(messages), [], set()
    early_ns, late_ns = round(1e9 * early_s), round(1e9 * END_S)
    for topic, message in messages:
        header = getattr(message, "header", None)
        if header is None or not header.frame_id:
            continue
        named.add(str(header.frame_id))
        try:
            tree.pose(header.frame_id, base, to_ns(header.stamp), early_ns, late_ns)
        except KeyError as error:
            unknown.append(f"{topic} {header.frame_id} {to_ns(header.stamp) * 1e-9:.3f}: {error}")
    return unknown, named
