"""Managed node ``robot_state_publisher``: the robot as RViz, Foxglove, Rerun and MoveIt see it.

Publishes ``/robot_description`` (std_msgs/String: the URDF, latched), ``/tf_static``
(tf2_msgs/TFMessage, latched: the limbs' roots and the cameras), and for each
``/limb_<i>/joint_states`` that comes the joints' frames on ``/tf`` with the same stamp, and the
joints by their names in the URDF on ``/joint_states``.

Where ``/odom`` (nav_msgs/Odometry) says where the robot is, as on the ground, ``base_link`` is on
``/tf`` as well.

Joints of flexible links, which only a simulation measures, are where the limb rests at its measured
servos: flexures, tendons and gravity in balance.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import numpy as np
from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import Odometry
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from asterias.arrays import FloatArray
from asterias_nodes.runtime.lifecycle_node import ManagedNode
from asterias_nodes.runtime.parameters import SettingsError, declare_settings
from asterias_nodes.runtime.qos import latched_qos, reliable_qos
from asterias_nodes.runtime.run_node import run_node
from asterias_nodes.transforms.transform_messages import TF_DEPTH, TurningTransforms, to_static_msg
from hardware.description.frames import BASE_FRAME, TurningFrame, frames_of
from hardware.description.robot import RobotDescription, load_robot
from hardware.description.urdf import urdf_of

Rest = Callable[[FloatArray], FloatArray]

# Of flexible links at rest: a tenth of a degree would be seen, this is a hundredth of that.
SETTLED_RAD = 2e-5


@dataclass(frozen=True)
class RobotStatePublisherSettings:
    """Parameters of the node."""

    robot: Annotated[str, "name or path of a robot description"] = "limb_p1"
    rate_hz: Annotated[float, "transforms per limb and second of its stamps, at most"] = 50.0

    def __post_init__(self) -> None:
        if not 0.0 < self.rate_hz < math.inf:
            raise SettingsError("Parameter 'rate_hz' must be above 0.")


class LimbAngles:
    """The angles of a limb's joints, flexible ones included, from what its joint states hold.

    Args:
        robot: the description.
        number: of the limb.
        frames: the joints that are asked for.
    """

    def __init__(
        self, robot: RobotDescription, number: int, frames: tuple[TurningFrame, ...]
    ) -> None:
        self._names = [frame.state_name for frame in frames]
        self._angles = np.zeros(len(frames))
        self._hinges = [i for i, frame in enumerate(frames) if frame.hinge is not None]
        self._servos = [self._names.index(joint.name) for joint in robot.limbs[number].joints]
        self._passive = {i for i, frame in enumerate(frames) if frame.servo is None}
        self._make_rest = partial(_rest_of, robot, number)
        self._rest: Rest | None = None
        self._order: tuple[list[str], list[int], list[int]] = ([], [], [])

    def take(self, message: JointState) -> FloatArray:
        """Return ``(n,)`` angles; a joint without a finite value stays where it was."""
        known, columns = self._places(list(message.name)[: len(message.position)])
        values = np.array(message.position)[known]
        is_finite = np.isfinite(values)
        self._angles[np.array(columns, dtype=np.int64)[is_finite]] = values[is_finite]
        if not self._passive <= set(columns):
            if self._rest is None:
                self._rest = self._make_rest()
            self._angles[self._hinges] = self._rest(self._angles[self._servos])
        return self._angles

    def _places(self, names: list[str]) -> tuple[list[int], list[int]]:
        """Return positions in the message and in the angles; looked up when names change."""
        if names != self._order[0]:
            known = [i for i, name in enumerate(names) if name in self._names]
            self._order = (names, known, [self._names.index(names[i]) for i in known])
        return self._order[1], self._order[2]


def _rest_of(robot: RobotDescription, number: int) -> Rest:
    """Return hinge angles at rest of servo positions, for a limb whose hinges nobody measures."""
    # Takes seconds to import, and a simulated robot measures all its hinges.
    from sim.physics.kinematics import SoftLimb

    limb = SoftLimb.of(robot, number)
    return lambda servo_rad: limb.hinges(servo_rad, SETTLED_RAD)


class LimbFrames:
    """Publishes the frames of one limb.

    Args:
        node: the hosting node.
        robot: the description.
        number: of the limb.
    """

    def __init__(self, node: RobotStatePublisher, robot: RobotDescription, number: int) -> None:
        frames = tuple(f for f in frames_of(robot).turning if f.limb == number)
        self._node = node
        self._transforms = TurningTransforms(frames)
        self._angles = LimbAngles(robot, number, frames)
        self._joints = JointState(name=[frame.joint for frame in frames])
        self._period_ns = round(1e9 / node.settings.rate_hz)
        self._last_ns = -self._period_ns
        node.owned.subscription(
            JointState, f"/limb_{number}/joint_states", self._take, reliable_qos()
        )

    def _take(self, message: JointState) -> None:
        if not self._node.is_active:
            return
        stamp = message.header.stamp
        now_ns = stamp.sec * 1_000_000_000 + stamp.nanosec
        # A tenth of a period early counts as due; a clock that was set back begins anew.
        if 0 <= now_ns - self._last_ns < 0.9 * self._period_ns:
            return
        self._last_ns = now_ns
        angles = self._angles.take(message)
        self._node.transforms.publish(self._transforms.at(stamp, angles))
        self._joints.header.stamp = stamp
        self._joints.position = angles.tolist()
        self._node.joints.publish(self._joints)


class RobotStatePublisher(ManagedNode):
    """URDF, transforms and joints of one robot; stamps are those of the joints."""

    def __init__(self) -> None:
        super().__init__("robot_state_publisher")
        self.settings = declare_settings(self, RobotStatePublisherSettings)
        self.is_active = False

    def configure(self) -> None:
        """Open the topics; what does not change is published at once."""
        robot = load_robot(self.settings.robot)
        description = self.owned.publisher(String, "/robot_description", latched_qos())
        static = self.owned.publisher(TFMessage, "/tf_static", latched_qos())
        self.transforms = self.owned.publisher(TFMessage, "/tf", reliable_qos(TF_DEPTH))
        self.joints = self.owned.publisher(JointState, "/joint_states", reliable_qos())
        description.publish(String(data=urdf_of(robot)))
        static.publish(to_static_msg(frames_of(robot).fixed))
        make = partial(LimbFrames, self, robot)
        self.owned.subscription(Odometry, "/odom", self._on_odometry, reliable_qos())
        self._limbs = [make(number) for number in range(len(robot.limbs))]

    def _on_odometry(self, message: Odometry) -> None:
        if not self.is_active or message.child_frame_id != BASE_FRAME:
            return
        where, pose = TransformStamped(header=message.header), message.pose.pose
        where.child_frame_id = BASE_FRAME
        shift = where.transform.translation
        shift.x, shift.y, shift.z = pose.position.x, pose.position.y, pose.position.z
        where.transform.rotation = pose.orientation
        self.transforms.publish(TFMessage(transforms=[where]))

    def activate(self) -> None:
        """Publish transforms from now on."""
        self.is_active = True

    def deactivate(self) -> None:
        """Publish no more."""
        self.is_active = False


def main() -> int:
    """Return the exit code of ``ros2 run asterias_nodes robot_state_publisher``."""
    return run_node(RobotStatePublisher)
