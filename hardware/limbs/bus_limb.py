"""A limb of servos on a bus, behind the contract of :class:`hardware.limbs.driver.LimbDriver`."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from asterias.arrays import FloatArray
from asterias.errors import DeviceError
from hardware.buses.bus import ServoBus, ServoHealth
from hardware.description.robot import JointDescription
from hardware.limbs.calibration import Calibration
from hardware.limbs.driver import Clock, LimbDriver, LimbState
from hardware.limbs.outlier_filter import OutlierFilter


class BusLimb(LimbDriver):
    """Drives the servos of one bus.

    Torque and the servos' own watchdog go on with the first command after :meth:`activate`, which
    is always the measured position; they go off when the limb is disconnected or released.

    Args:
        name: the limb's name.
        joints: one per servo of the bus, in the same order.
        bus: the closed bus.
        calibration: where the joints' zeros are.
    """

    def __init__(
        self,
        name: str,
        joints: Sequence[JointDescription],
        bus: ServoBus,
        calibration: Calibration,
        *,
        command_timeout_s: float = 0.5,
        clock: Clock = time.monotonic,
    ) -> None:
        super().__init__(name, joints, command_timeout_s=command_timeout_s, clock=clock)
        self.bus = bus
        self.calibration = calibration
        self._zero = calibration.zeros_rad(self.joint_names)
        self._direction = calibration.directions(self.joint_names)
        self._is_armed = False
        self.outlier_filter = OutlierFilter(self._speed)

    def read_health(self, number: int) -> ServoHealth | None:
        """Health of the servo of joint ``number``; None when it does not answer."""
        self._require_connected()
        return self.bus.read_health(number)

    def request(self) -> None:
        """Ask for the state that the next :meth:`read` returns: several buses work at once."""
        self._require_connected()
        self.bus.request()

    def _open(self) -> None:
        self.bus.open()
        try:
            self.bus.handshake()
        except BaseException:
            self.bus.close()
            raise
        self._is_armed = False
        self.outlier_filter.restart()

    def _close(self) -> None:
        try:
            self.bus.disarm()
        finally:
            self._is_armed = False
            self.bus.close()

    def _clear_faults(self) -> None:
        self._is_armed = False

    def _disable_torque(self) -> None:
        self._is_armed = False
        self.bus.disarm()

    def _read(self) -> LimbState:
        state = self.bus.read()
        position = (state.position_rad - self._zero) * self._direction
        if np.isnan(position).all():
            raise DeviceError(
                f"Limb '{self.name}': no servo on {self.bus.place} answers; "
                "check power and cable, then run `python -m hardware doctor`."
            )
        now = self._clock()
        return LimbState(
            now,
            self.outlier_filter.filtered(position, now),
            state.velocity_rad_s * self._direction,
            state.effort_nm * self._direction,
        )

    def _write(self, position_rad: FloatArray) -> None:
        shaft = position_rad * self._direction + self._zero
        if self._is_armed:
            self.bus.write(shaft)
        else:
            self.bus.arm(shaft)
            self._is_armed = True
