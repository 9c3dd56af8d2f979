"""The client of one teleoperation source: measured joints, dead-man, and commands of one limb."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt
from rclpy.node import Node
from std_msgs.msg import Bool, Float64MultiArray

from asterias.arrays import FloatArray
from asterias_nodes.robot.limb_state_monitor import LimbStateMonitor
from asterias_nodes.runtime.owned_entities import OwnedEntities
from asterias_nodes.runtime.parameters import SettingsError
from asterias_nodes.runtime.qos import reliable_qos
from hardware.description.robot import RobotDescription, load_robot
from hardware.teleop.jogging import Jogger, JogLimits
from sim.physics.kinematics import SoftLimb


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
    """The input of a person's device: keys and sticks of a keyboard or a game pad."""

    @property
    def tip_mode(self) -> bool:
        """Whether :attr:`command` is about the tip; else about joints."""

    @property
    def speed(self) -> float:
        """The factor on the driving speed."""

    @property
    def is_homing(self) -> bool:
        """Whether the limb shall go home instead."""

    @property
    def command(self) -> FloatArray:
        """Fractions, -1 to 1: ``(3,)`` of the tip's speed, or ``(n,)`` of the joints'."""


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
        self.is_held = False
        self._driven_s = -np.inf
        self._monitor = LimbStateMonitor(node, robot, number)
        self._owned = OwnedEntities(node)
        topic = f"/limb_{number}/sources/{source}"
        self._commands = self._owned.publisher(Float64MultiArray, topic, reliable_qos())
        self._deadman = self._owned.publisher(Bool, f"{topic}/deadman", reliable_qos())

    # -- what is known --------------------------------------------------------------------------

    @property
    def measured_rad(self) -> FloatArray | None:
        """``(n,)`` joints in the order of the description; None: none came lately."""
        return self._monitor.position_rad

    @property
    def joint_state(self) -> dict[str, float]:
        """The newest joints by name, passive ones included."""
        return self._monitor.joint_state

    @property
    def active_source(self) -> str:
        """Who has the limb; empty: nobody."""
        return self._monitor.active_source

    @property
    def is_driving(self) -> bool:
        """Whether this source has the limb now."""
        return self.active_source == self.source

    # -- driving --------------------------------------------------------------------------------

    def drive(self, step: Callable[[FloatArray, float], npt.ArrayLike], period_s: float) -> bool:
        """Hold the dead-man and send what ``step(measured, dt_s)`` gives.

        Args:
            step: a method of :attr:`jogger`, with what the person wishes.
            period_s: time of a first step; later ones get the time since the last.

        Returns:
            Whether it was sent: False while no joints are measured.
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
        """Return as :meth:`drive` does, with the wishes of a person's device."""
        jogger = self.jogger
        jogger.speed = pilot.speed

        def step(measured: FloatArray, dt_s: float) -> FloatArray:
            if pilot.is_homing:
                return jogger.move_towards(jogger.home_rad, measured, dt_s)
            steer = jogger.jog_tip if pilot.tip_mode else jogger.jog_joints
            return steer(pilot.command, measured, dt_s)

        return self.drive(step, period_s)

    def hold(self) -> None:
        """Publish that the dead-man is held; to be repeated within the multiplexer's time-out.

        Also during an emergency stop: what is held through it has to be released before it counts
        again, and the multiplexer can enforce that only while it receives the dead-man.
        """
        self.is_held = True
        self._deadman.publish(Bool(data=True))

    def let_go(self) -> None:
        """Publish once that the dead-man is released; the limb stays at the last goal."""
        if self.is_held:
            self.is_held = False
            self._deadman.publish(Bool(data=False))

    def close(self) -> None:
        """Release the dead-man, and take the topics down."""
        self.let_go()
        self._owned.close()
        self._monitor.close()


def make_teleop_clients(
    node: Node, robot_name: str, first: int, source: str, limits: JogLimits
) -> list[TeleopClient]:
    """Return the clients of all limbs of a robot.

    Raises:
        SettingsError: there is no limb ``first``.
    """
    robot = load_robot(robot_name)
    if not 0 <= first < len(robot.limbs):
        raise SettingsError(
            f"Parameter 'limb' must be from 0 to {len(robot.limbs) - 1}, not {first}."
        )
    return [TeleopClient(node, robot, i, source, limits) for i in range(len(robot.limbs))]
