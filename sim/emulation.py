"""A simulated robot that can only be reached as a real one is.

Its servos are emulated ones on ptys (or boards on the loopback network) that turn the joints of the
simulation, its cameras are MJPEG streams of what the simulation sees. The driver code for real
robots runs against it, unchanged, in wall time. A description with all ports and addresses is
written once everything answers.
"""

from __future__ import annotations

import math
import threading
import time
from typing import NamedTuple

import numpy as np

from asterias.pacing import Pacer
from hardware.description.limb import JointDescription
from hardware.description.robot import RobotDescription
from hardware.emulated.motor import ShaftState
from hardware.emulated.pictures import encode_jpeg
from hardware.emulated.robot import EmulatedRobot
from hardware.limbs.driver import Clock
from sim.limb import SimLimb
from sim.world import SimWorld


class Order(NamedTuple):
    """Last order of a servo: a goal, or None for no torque, and a speed."""

    goal_rad: float | None
    speed_rad_s: float


class SimMotor:
    """A joint of the simulation, as a servo turns it.

    The servo's own thread leaves an order and takes the last motion; the simulation's thread acts
    on the one and writes the other. Each is one object that is replaced whole.
    """

    def __init__(self, position_rad: float) -> None:
        self.order = Order(None, 0.0)
        self.last = ShaftState(position_rad, 0.0, 0.0)

    def drive(self, goal_rad: float | None, speed_limit_rad_s: float) -> None:
        """Head for a shaft angle; None takes the torque off."""
        self.order = Order(goal_rad, speed_limit_rad_s)

    def motion(self) -> ShaftState:
        """Return how the shaft moved at the end of the last period."""
        return self.last


class SimulatedDevices:
    """The devices of a simulated robot, and the thread that moves it in wall time.

    Args:
        robot: what is simulated and emulated; its backend gives the simulation's settings.
        family: of the servos.
        seed: of camera noise.
        renderer: overrides the description's.
    """

    def __init__(
        self,
        robot: RobotDescription,
        family: str = "dynamixel",
        *,
        seed: int = 0,
        renderer: str | None = None,
    ) -> None:
        self.world = SimWorld(robot, seed=seed, renderer=renderer)
        self._motors: list[list[SimMotor]] = [[] for _ in robot.limbs]
        self.robot = EmulatedRobot(robot, family, motor=self._motor, pattern=False)
        self._period_s = 1.0 / robot.control_rate_hz
        self._cameras = [
            (camera, source)
            for row, limb in zip(self.world.cameras, self.robot.limbs, strict=True)
            for camera, source in zip(row, limb.sources, strict=True)
        ]
        self._turn = 0
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="simulation", daemon=True)

    @property
    def description(self) -> RobotDescription:
        """The robot as the drivers see it."""
        return self.robot.description

    def start(self) -> None:
        """Let time pass, and answer."""
        for limb in self.world.limbs:
            limb.connect()
        for camera, _ in self._cameras:
            camera.connect()
        self._thread.start()
        self.robot.start()

    def close(self) -> None:
        """Take the devices away and end the simulation."""
        self.robot.close()
        self._is_closing.set()
        if self._thread.is_alive():
            self._thread.join()
        self.world.close()

    def __enter__(self) -> SimulatedDevices:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _motor(self, limb: int, joint: JointDescription, clock: Clock) -> SimMotor:
        motor = SimMotor(joint.home_rad)
        self._motors[limb].append(motor)
        return motor

    def _run(self) -> None:
        pacer = Pacer(self._period_s, 1.0)
        while not self._is_closing.is_set():
            for _ in range(pacer.due()):
                self._step()
            self._is_closing.wait(0.2 * self._period_s)

    def _step(self) -> None:
        for limb, motors in zip(self.world.limbs, self._motors, strict=True):
            _obey(limb, motors, self._period_s)
        self.world.advance(self._period_s)
        for limb, motors in zip(self.world.limbs, self._motors, strict=True):
            state = limb.read()
            for motor, *values in zip(
                motors, state.position_rad, state.velocity_rad_s, state.effort_nm, strict=True
            ):
                motor.last = ShaftState(*map(float, values))
        self._show_some()

    def _show_some(self) -> None:
        """Draw as many pictures as are due on average, so that the servos answer in between."""
        rate_hz = sum(camera.description.rate_hz for camera, _ in self._cameras)
        for _ in range(math.ceil(rate_hz * self._period_s)):
            camera, source = self._cameras[self._turn % len(self._cameras)]
            self._turn += 1
            frame = camera.poll()
            if frame is not None:
                source.show(encode_jpeg(frame.image, quality=90), time.monotonic())


def _obey(limb: SimLimb, motors: list[SimMotor], period_s: float) -> None:
    """Lead the joints towards the orders, each at the speed that its servo was given."""
    orders = [motor.order for motor in motors]
    if all(order.goal_rad is None for order in orders):
        limb.body.power(False)
        return
    limb.body.power(True)
    goals = limb.body.state.goal.copy()
    for i, (order, motor) in enumerate(zip(orders, motors, strict=True)):
        if order.goal_rad is None:
            goals[i] = motor.last.position_rad  # one joint without torque yields
        else:
            step = order.speed_rad_s * period_s
            goals[i] = float(np.clip(order.goal_rad, goals[i] - step, goals[i] + step))
    limb.body.set_goal(goals)
