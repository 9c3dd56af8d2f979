"""What a servo can do by its maker's data sheet, and what a joint gets where none is described."""

from __future__ import annotations

import math
from dataclasses import dataclass

# Servos are driven at less than they can: a stalled one draws its full current and burns, and no
# servo reaches its no-load speed with a load.
TORQUE_SHARE, SPEED_SHARE = 0.5, 0.8
# A joint stays this far from the ends of its servo's turn, where an encoder of a full turn wraps.
MARGIN_RAD = math.radians(10.0)
MOST_RAD = math.radians(150.0)
# Position error at which the loop of an X-series Dynamixel gives full torque: PWM of 885 units,
# gain 800 / 128 units per step of 1/4096 turn (ROBOTIS e-Manual, "Position PID Gain" and "PWM
# Limit"). Feetech publishes no such figure; the same is taken.
FULL_TORQUE_RAD = 885.0 / (800.0 / 128.0) * 2.0 * math.pi / 4096.0
# Damping of the loop over its stiffness: near critical for the limbs of this project.
DAMPING_S = 0.03


@dataclass(frozen=True)
class JointDefaults:
    """Fields of a joint, by the names and units that a robot description has."""

    limits_rad: tuple[float, float]
    velocity_limit_rad_s: float
    torque_limit_nm: float
    stiffness_nm_rad: float
    damping_nms_rad: float


@dataclass(frozen=True)
class ServoRating:
    """Figures of a data sheet, at the servo's usual voltage.

    Attributes:
        stall_torque_nm: greatest torque, standing still.
        no_load_rad_s: greatest speed, without load.
        mass_kg: of the servo alone.
        range_rad: angle that it can turn through in position control.
    """

    stall_torque_nm: float
    no_load_rad_s: float
    mass_kg: float
    range_rad: float = 2.0 * math.pi

    def joint_defaults(self) -> JointDefaults:
        """Return what a joint with this servo gets for all that its description leaves out."""
        half = min(0.5 * self.range_rad - MARGIN_RAD, MOST_RAD)
        stiffness = self.stall_torque_nm / FULL_TORQUE_RAD
        return JointDefaults(
            limits_rad=(-round(half, 4), round(half, 4)),
            velocity_limit_rad_s=round(SPEED_SHARE * self.no_load_rad_s, 3),
            torque_limit_nm=round(TORQUE_SHARE * self.stall_torque_nm, 4),
            stiffness_nm_rad=round(stiffness, 3),
            damping_nms_rad=round(DAMPING_S * stiffness, 4),
        )


def rpm(revolutions_per_min: float) -> float:
    """Return a speed in rad/s."""
    return revolutions_per_min * 2.0 * math.pi / 60.0
