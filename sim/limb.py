"""A simulated limb behind the contract of :class:`hardware.limbs.driver.LimbDriver`."""

from __future__ import annotations

from collections.abc import Callable

from asterias.arrays import FloatArray
from hardware.description.robot import RobotDescription
from hardware.limbs.driver import LimbDriver, LimbState
from sim.physics.limb_body import LimbBody


class SimLimb(LimbDriver):
    """Drives limb ``number`` of a simulated robot; made by :class:`sim.world.SimWorld`.

    Closing it leaves the servos powered at the position they hold, as a powered servo would.
    """

    def __init__(
        self, robot: RobotDescription, number: int, body: LimbBody, clock: Callable[[], float]
    ) -> None:
        limb = robot.limbs[number]
        super().__init__(
            limb.name, limb.joints, command_timeout_s=robot.command_timeout_s, clock=clock
        )
        self.body = body

    def _open(self) -> None:
        self.body.power(True)

    def _close(self) -> None:
        pass

    def _clear_faults(self) -> None:
        self.body.power(True)

    def _disable_torque(self) -> None:
        self.body.power(False)

    def _read(self) -> LimbState:
        body = self.body
        return LimbState(self._clock(), body.servo_rad, body.servo_rad_s, body.servo_nm)

    def _write(self, position_rad: FloatArray) -> None:
        self.body.set_goal(position_rad)
