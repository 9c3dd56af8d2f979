"""The client of one teleoperation source: measured joints, dead-man, and commands of one limb."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Float64MultiArray, String

from asterias.arrays import FloatArray
from asterias_nodes.runtime.parameters import SettingsError
from asterias_nodes.runtime.qos import latched_qos, reliable_qos
from hardware.description.robot import RobotDescription, load_robot
from hardware.teleop.jogging import Jogger, JogLimits
from sim.physics.kinematics import SoftLimb

# Joints that have not been heard for so long are not driven.
STALE_S = 0.5
NOBODY = ""


def check_speeds(joint_speed: float, tip_speed_m_s: float, rate_hz: float) -> None:
    """Refuse parameters of a teleoperation node that make no sense.

    Raises:
        SettingsError: naming the parameter.
    """
    ranges = {
        "joint_speed": (joint_speed, 0.01, 1.0),
        "tip_speed_m_s": (tip_speed_m_s, 0.001, 2.0),
        "rate_hz": (rate_hz, 5.0, 200.0),
    }
    for name, (value, low, high) in ranges.items():
        if not low <= value <= high:
            raise SettingsError(
                f"Parameter '{name}' must be from {low:g} to {high:g}, not {value:g}."
            )


class Pilot(Protocol):
    """What a person's device says: a keyboard's or a game pad's keys and sticks as wishes."""

    @property
    def tip_mode(self) -> bool:
        """Whether :attr:`command` is about the tip; else about joints."""

    @property
    def speed(self) -> float:
        """Factor on the driving speed."""

    @property
    def is_homing(self) -> bool:
        """Whether the limb shall go home instead."""

    @property
    def command(self) -> FloatArray:
        """Shares from -1 to 1: ``(3,)`` of the tip's speed, or ``(n,)`` of the joints'."""


class TeleopClient:
    """Commands one limb through the command multiplexer.

    Args:
        node: the hosting node.
        robot: the description.
        number: which limb.
        source: name of the source, as the multiplexer knows it.
        limits: how fast a person drives.
    """

    def __init__(
        self,
        node: Node,
        robot: RobotDescription,
        number: int,
        source: str,
        limits: JogLimits | None = None,
    ) -> None:
        self.number, self.source = number, source
        self.limb = robot.limbs[number]
        self.names = [joint.name for joint in self.limb.joints]
        self.kinematics = SoftLimb.of(robot, number)
        self.jogger = Jogger(self.limb, self.kinematics, limits)
        self.active_source = NOBODY
        self.joint_state: dict[str, float] = {}
        self.is_held = False
        self._node = node
        self._measured: FloatArray | None = None
        self._heard_s = self._driven_s = -np.inf
        prefix, topic = f"/limb_{number}", f"/limb_{number}/sources/{source}"
        self._commands = node.create_publisher(Float64MultiArray, topic, reliable_qos())
        self._deadman = node.create_publisher(Bool, f"{topic}/deadman", reliable_qos())
        self._inputs = [
            node.create_subscription(
                JointState, f"{prefix}/joint_states", self._on_joints, reliable_qos()
            ),
            node.create_subscription(
                String, f"{prefix}/active_source", self._on_active, latched_qos()
            ),
        ]

    # -- what is known --------------------------------------------------------------------------

    @property
    def measured_rad(self) -> FloatArray | None:
        """``(n,)`` joints in the order of the description; None when they are not heard (any more).

        A joint that cannot be measured stands where it was sent.
        """
        is_stale = time.monotonic() - self._heard_s > STALE_S
        return None if self._measured is None or is_stale else self._measured.copy()

    @property
    def is_driving(self) -> bool:
        """Whether this source has the limb now."""
        return self.active_source == self.source

    # -- driving --------------------------------------------------------------------------------

    def drive(self, step: Callable[[FloatArray, float], npt.ArrayLike], period_s: float) -> bool:
        """Hold the dead-man and send what ``step(measured, dt_s)`` gives; False: not heard.

        Args:
            step: a method of :attr:`jogger`, with what the person wishes.
            period_s: span of a first step; later ones get the time since the last.
        """
        measured = self.measured_rad
        if measured is None:
            self.let_go()
            return False
        now = time.monotonic()
        dt_s = min(now - self._driven_s, 2.5 * period_s) if self.is_held else period_s
        if not self.is_held:
            self.jogger.start(measured)
        self.hold()
        self._driven_s = now
        goal = np.asarray(step(measured, dt_s))
        self._commands.publish(Float64MultiArray(data=goal.tolist()))
        return True

    def follow(self, pilot: Pilot, period_s: float) -> bool:
        """Drive as a person's device says; as :meth:`drive` otherwise."""
        jogger = self.jogger
        jogger.speed = pilot.speed

        def step(measured: FloatArray, dt_s: float) -> FloatArray:
            if pilot.is_homing:
                return jogger.move_towards(jogger.home_rad, measured, dt_s)
            steer = jogger.jog_tip if pilot.tip_mode else jogger.jog_joints
            return steer(pilot.command, measured, dt_s)

        return self.drive(step, period_s)

    def hold(self) -> None:
        """Say that the dead-man is held; to be repeated within the multiplexer's time-out.

        Also during an emergency stop: what is held through it has to be let go before it counts
        again, and the multiplexer can see to that only when it is told.
        """
        self.is_held = True
        self._deadman.publish(Bool(data=True))

    def let_go(self) -> None:
        """Say once that the dead-man is released; the limb stays at the last goal."""
        if self.is_held:
            self.is_held = False
            self._deadman.publish(Bool(data=False))

    def close(self) -> None:
        """Let go, and take the topics down."""
        self.let_go()
        for subscription in self._inputs:
            self._node.destroy_subscription(subscription)
        for publisher in (self._commands, self._deadman):
            self._node.destroy_publisher(publisher)

    # -- inputs ---------------------------------------------------------------------------------

    def _on_joints(self, message: JointState) -> None:
        self.joint_state = dict(zip(message.name, message.position, strict=False))
        values = np.array([self.joint_state.get(name, np.nan) for name in self.names])
        unknown = ~np.isfinite(values)
        if unknown.any():
            known = self.jogger.goal_rad if self._measured is None else self._measured
            if known is None:
                return
            values[unknown] = known[unknown]
        self._measured, self._heard_s = values, time.monotonic()

    def _on_active(self, message: String) -> None:
        self.active_source = message.data


def make_teleop_clients(
    node: Node, robot_name: str, first: int, source: str, limits: JogLimits
) -> list[TeleopClient]:
    """Clients of all limbs of a robot.

    Raises:
        SettingsError: there is no limb ``first``.
    """
    robot = load_robot(robot_name)
    if not 0 <= first < len(robot.limbs):
        raise SettingsError(
            f"Parameter 'limb' must be from 0 to {len(robot.limbs) - 1}, not {first}."
        )
    return [TeleopClient(node, robot, i, source, limits) for i in range(len(robot.limbs))]
