"""Messages of transforms: fixed frames once, turning frames again and again at little cost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped
from tf2_msgs.msg import TFMessage

from asterias.arrays import FloatArray
from hardware.description.frames import FixedFrame, TurningFrame
from hardware.description.limb import Pose
from sim.physics.rotations import quaternion_from_rotation, rotation_from_rpy

# A burst of transforms waits in the middleware while a reader is busy, as with tf2.
TF_DEPTH = 100


def to_transform_msg(parent: str, child: str, pose: Pose, stamp: Time) -> TransformStamped:
    """Return where ``child`` is in ``parent``."""
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id, message.header.stamp = parent, stamp
    shift, turn = message.transform.translation, message.transform.rotation
    shift.x, shift.y, shift.z = pose.xyz
    quaternion = quaternion_from_rotation(rotation_from_rpy(pose.rpy))
    turn.x, turn.y, turn.z, turn.w = quaternion.tolist()
    return message


def to_static_msg(frames: Sequence[FixedFrame]) -> TFMessage:
    """Return the message of ``/tf_static``; its stamp is 0, so that it counts at all times."""
    return TFMessage(
        transforms=[to_transform_msg(f.parent, f.child, f.pose, Time()) for f in frames]
    )


class TurningTransforms:
    """One message for frames that turn about fixed axes, filled in anew at each stamp.

    Args:
        frames: the frames, in the order of the angles.
    """

    def __init__(self, frames: Sequence[TurningFrame]) -> None:
        self._axes = np.array([frame.axis for frame in frames]).reshape(-1, 3)
        still = [Pose(xyz=frame.origin_m) for frame in frames]
        self._message = TFMessage(
            transforms=[
                to_transform_msg(frame.parent, frame.child, pose, Time())
                for frame, pose in zip(frames, still, strict=True)
            ]
        )

    def at(self, stamp: Time, angles_rad: FloatArray) -> TFMessage:
        """Return the message for ``(n,)`` angles; it is the same object each time."""
        half = 0.5 * angles_rad
        quaternions = np.column_stack([np.sin(half)[:, None] * self._axes, np.cos(half)])
        for message, (x, y, z, w) in zip(
            self._message.transforms, quaternions.tolist(), strict=True
        ):
            message.header.stamp = stamp
            turn = message.transform.rotation
            turn.x, turn.y, turn.z, turn.w = x, y, z, w
        return self._message
