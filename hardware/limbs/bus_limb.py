"""A limb of servos on a bus, behind the contract of :class:`hardware.limbs.driver.LimbDriver`."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from asterias.arrays import FloatArray
from asterias.errors import DeviceError
from hardware.buses.bus import ServoBus, ServoHealth
from hardware.description.limb import JointDescription
from hardware.limbs.calibration import Calibration
from hardware.limbs.driver import Clock, LimbDriver, LimbHealth, LimbState
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

    def health(self) -> LimbHealth:
        """Return counts of the bus, and which readings were rejected."""
        counters = self.bus.counters
        return LimbHealth(
            rejected=self.outlier_filter.rejected.copy(),
            doubted=self.outlier_filter.doubted.copy(),
            counts=asdict(counters),
            lost=counters.retries + counters.missing,
            watchdog_s=self.bus.watchdog_s if self.bus.has_watchdog else math.inf,
        )

    def read_health(self, number: int) -> ServoHealth | None:
        """Return the health of the servo of joint ``number``; None when it does not answer."""
        self._require_connected()
        return self.bus.read_health(number)

    def request(self) -> None:
        """Ask all servos; the next :meth:`read` receives the answers."""
        super().request()
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

    def _check_angle_limits(self) -> None:
        """Check that the servos turn as far as their joints are described.

        Raises:
            DeviceError: one does not; the message names the joint, both ranges and the cure.
        """
        for number, joint in enumerate(self.joints):
            limits = self.joint_limits_in_servo(number)
            if limits is not None and not within(joint.limits_rad, limits):
                raise DeviceError(f"Limb '{self.name}': {limits_text(joint, limits)}.")

    def joint_limits_in_servo(self, number: int) -> tuple[float, float] | None:
        """Return the ends in rad of joint ``number`` set in its servo; None: no limits are set."""
        limits = self.bus.read_angle_limits(number)
        if limits is None:
            return None
        ends = (np.array(limits) - self._zero[number]) * self._direction[number]
        return float(ends.min()), float(ends.max())

    def _write(self, position_rad: FloatArray) -> None:
        shaft = position_rad * self._direction + self._zero
        if self._is_armed:
            self.bus.write(shaft)
        else:
            self._check_angle_limits()
            self.bus.arm(shaft)
            self._is_armed = True


# A servo's range of 4095 ticks ends a tick before half a turn; calibration is no more exact.
LIMIT_TOLERANCE_RAD = 0.02


def within(described: tuple[float, float], limits: tuple[float, float]) -> bool:
    """Return whether a servo's own limits leave a joint its described range."""
    low, high = limits[0] - LIMIT_TOLERANCE_RAD, limits[1] + LIMIT_TOLERANCE_RAD
    return low <= described[0] and described[1] <= high


def limits_text(joint: JointDescription, limits: tuple[float, float]) -> str:
    """Return what is wrong with a servo's own limits, and the cure."""
    low, high = joint.limits_rad
    return (
        f"the servo of '{joint.name}' turns only from {limits[0]:.3f} to {limits[1]:.3f} rad by "
        f"the angle limits in its own memory, less than limits_rad [{low:g}, {high:g}]; widen "
        "those in the servo, or narrow limits_rad"
    )
