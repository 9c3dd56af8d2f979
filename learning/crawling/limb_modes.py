"""Two numbers a limb instead of its eight joints: how far it presses down and sweeps sideways."""

from __future__ import annotations

import math

import numpy as np

from asterias.arrays import FloatArray
from asterias.errors import UserError
from hardware.description.robot import RobotDescription

CONTROL_HZ = 12.5
MODES = 2  # of a limb: press its end down, sweep it to the left


def mirroring(limbs: int) -> FloatArray:
    """Return ``(2 limbs, limbs)``: modes of all limbs from those of one side of the x axis.

    One side is press of limb 0, press and sweep of each limb to the left, press of the limb
    opposite limb 0.

    Raises:
        UserError: the number of limbs is odd.
    """
    if limbs % 2:
        raise UserError(f"mirrored needs an even number of limbs; this robot has {limbs}.")
    spread = np.zeros((MODES * limbs, limbs))
    spread[0, 0] = spread[MODES * (limbs // 2), limbs - 1] = 1.0
    for left in range(1, limbs // 2):
        right, column = limbs - left, 2 * left - 1
        spread[MODES * left, column] = spread[MODES * right, column] = 1.0
        spread[MODES * left + 1, column + 1] = 1.0
        spread[MODES * right + 1, column + 1] = -1.0
    return spread


def mode_commands(robot: RobotDescription) -> tuple[FloatArray, FloatArray]:
    """Return ``(limbs, s)`` what pressing and sweeping each limb commands of all servos, rad."""
    limits = np.array([j.limits_rad[1] for limb in robot.limbs for j in limb.joints])
    press, sweep = (np.zeros((len(robot.limbs), limits.size)) for _ in range(MODES))
    s = 0
    for number, limb in enumerate(robot.limbs):
        axes = {hinge.name: hinge.axis for hinge in limb.body.hinges}
        for joint in limb.joints:
            # About +y an end goes down, about +z to the left.
            _, y, z = axes.get(joint.hinge or "", (0.0, 0.0, 0.0))
            press[number, s], sweep[number, s] = y * limits[s], z * limits[s]
            s += 1
    return press, sweep


def limb_towards(bearing_rad: float, limbs: int) -> int:
    """Return the number of the limb that points best to a bearing from x, in the robot's frame."""
    return round(bearing_rad / (2.0 * math.pi / limbs)) % limbs
