"""Procedures at a limb: set ids one by one, calibrate by hand, go to rest, jog a joint.

Nothing here reads keys or prints: questions go through ``Ask``, so that a rehearsal can answer by
manual actions on an emulated limb.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Literal

import numpy as np

from asterias.arrays import FloatArray
from asterias.errors import DeviceError
from hardware.buses.bus import ServoBus
from hardware.buses.serial_bus import SerialBus
from hardware.description.limb import JointDescription
from hardware.limbs.bus_limb import BusLimb
from hardware.limbs.calibration import Calibration, JointCalibration
from hardware.limbs.trajectory import TrajectoryController

ManualAction = Literal["plug", "hold", "zero", "upper", "lower"]
# What a person shall do (the text), and what that means to an emulated limb.
Ask = Callable[[str, ManualAction, int], None]

LEAST_SHARE = 0.5  # of a joint's range that must be turned through by hand
RANGE_TOLERANCE_RAD = 0.35
REST_SPEED = 0.2
SETTLE_S = 3.0


def set_ids(bus: SerialBus, ask: Ask, most_id: int = 253) -> Iterator[str]:
    """Give each servo its id; they are plugged in one by one, and stay plugged in.

    Args:
        bus: open.
        ask: for the next servo.
        most_id: highest id that a new servo may have.

    Yields:
        A sentence per servo.

    Raises:
        DeviceError: none or several new servos answer, or one does not take its id.
    """
    done: set[int] = set()
    for number, servo in enumerate(bus.servos):
        ask(f"Plug in the servo of '{servo.name}', and no other new one.", "plug", number)
        fresh = [one for one in bus.scan(range(most_id + 1), thorough=True) if one.id not in done]
        if len(fresh) != 1:
            there = ", ".join(str(one.id) for one in fresh) or "none"
            raise DeviceError(
                f"{bus.place}: one new servo is expected, found ids: {there}; "
                "check power, baud rate and that only one is new."
            )
        if fresh[0].model != servo.model:
            raise DeviceError(
                f"{bus.place}: '{servo.name}' is described as {servo.model}, but this is a "
                f"{fresh[0].model}."
            )
        if fresh[0].id != servo.id:
            bus.set_id(fresh[0].id, servo.id)
        done.add(servo.id)
        yield f"'{servo.name}' has id {servo.id} (was {fresh[0].id})."


# -- calibration ----------------------------------------------------------------------------------


def calibrate(
    robot: str, limb: str, joints: tuple[JointDescription, ...], bus: ServoBus, ask: Ask
) -> Calibration:
    """Return zero, direction and range of each joint, measured while a person moves the limb.

    DeviceError is raised when a servo does not answer, or a joint was not moved as asked.
    """
    ask("Hold the limb: it is going to be limp.", "hold", -1)
    bus.disarm()
    ask("Bring all joints to zero: the straight pose.", "zero", -1)
    zero = _shafts(bus)
    calibrated = {}
    for number, (joint, servo) in enumerate(zip(joints, bus.servos, strict=True)):
        low, high = np.degrees(joint.limits_rad)
        ask(f"Turn '{joint.name}' to its upper end, {high:+.0f} degrees.", "upper", number)
        upper = _shafts(bus)[number]
        ask(f"Turn '{joint.name}' to its lower end, {low:+.0f} degrees.", "lower", number)
        lower = _shafts(bus)[number]
        _check_range(joint, upper - zero[number], lower - zero[number])
        calibrated[joint.name] = JointCalibration(
            model=servo.model,
            id=servo.id,
            zero_rad=float(zero[number]),
            direction=1 if upper > lower else -1,
            range_rad=(float(min(lower, upper)), float(max(lower, upper))),
        )
    return Calibration(robot=robot, limb=limb, date=date.today(), joints=calibrated)


def _shafts(bus: ServoBus) -> FloatArray:
    """Return ``(n,)`` shaft angles in rad; the median of a few readings.

    Raises:
        DeviceError: a servo does not answer.
    """
    position = np.median([bus.read().position_rad for _ in range(5)], axis=0)
    if np.isnan(position).any():
        name = bus.servos[int(np.argmax(np.isnan(position)))].name
        raise DeviceError(f"{bus.place}: the servo of '{name}' does not answer; check its cable.")
    return np.array(position)


def _check_range(joint: JointDescription, upper_rad: float, lower_rad: float) -> None:
    """Check that the range turned through is the described one, in either direction.

    Raises:
        DeviceError: it is too small, or lies elsewhere.
    """
    span = abs(upper_rad - lower_rad)
    described = joint.limits_rad[1] - joint.limits_rad[0]
    if span < LEAST_SHARE * described:
        raise DeviceError(
            f"'{joint.name}' was turned through {np.degrees(span):.0f} degrees of "
            f"{np.degrees(described):.0f}; turn it to both ends, then calibrate again."
        )
    direction = 1.0 if upper_rad > lower_rad else -1.0
    ends = direction * np.array([lower_rad, upper_rad])
    if (np.abs(ends - np.array(joint.limits_rad)) > RANGE_TOLERANCE_RAD + 0.2 * described).any():
        raise DeviceError(
            f"'{joint.name}' reaches {_degrees(ends)} from zero, but is described with "
            f"{_degrees(joint.limits_rad)}; the zero pose was not straight, or the servo's turn is "
            "used up: mount its horn anew."
        )


def _degrees(ends_rad: Sequence[float] | FloatArray) -> str:
    low, high = np.degrees(ends_rad)
    return f"{low:.0f} to {high:.0f} degrees"


# -- motion ---------------------------------------------------------------------------------------


def rest(limb: BusLimb, period_s: float) -> float:
    """Go home slowly, then switch the torque off.

    Returns:
        The largest distance from home that is left, in rad.
    """
    motion = TrajectoryController(limb, time.monotonic)
    with limb:
        motion.return_to_rest(REST_SPEED)
        deadline_s = time.monotonic() + SETTLE_S
        while motion.is_moving:
            motion.tick()
            time.sleep(period_s)
            deadline_s = time.monotonic() + SETTLE_S
        home = np.array([joint.home_rad for joint in limb.joints])
        left = np.inf
        while left > 0.02 and time.monotonic() < deadline_s:
            motion.tick()
            left = float(np.nanmax(np.abs(limb.read().position_rad - home)))
            time.sleep(period_s)
    return left


class Jog:
    """Moves one joint while a key is held; each key press counts for ``grant_s`` only.

    Args:
        limb: active.
        joint: number of the joint.
        speed_share: of its velocity limit.
        grant_s: how long a key press counts: released, the limb stops within this time.
    """

    def __init__(
        self, limb: BusLimb, joint: int, speed_share: float = 0.1, grant_s: float = 0.15
    ) -> None:
        self.limb = limb
        self.joint = joint
        self._step_rad_s = speed_share * limb.joints[joint].velocity_limit_rad_s
        self._grant_s = grant_s
        self._until_s = -np.inf
        self._sign = 0
        self._ticked_s = time.monotonic()

    def press(self, sign: int) -> None:
        """Move in one direction for ``grant_s``; call at each press of its key."""
        self._sign, self._until_s = sign, time.monotonic() + self._grant_s

    def tick(self) -> float:
        """Return the measured angle of the joint in rad, after one control period."""
        now = time.monotonic()
        dt_s, self._ticked_s = min(now - self._ticked_s, 0.1), now
        if now < self._until_s:
            goal = self.limb.last_sent_rad
            goal[self.joint] += self._sign * self._step_rad_s * dt_s
            self.limb.send(goal)
        elif self._sign:
            self._sign = 0
            self.limb.hold()
        self.limb.tick()
        return float(self.limb.read().position_rad[self.joint])
