"""Dynamixel X series: control table and models.

Source: ROBOTIS e-Manual, section "Control Table" of the XL430-W250, XM430-W350, XM430-W210,
XM540-W270, XL330-M288 and XL330-M077 (emanual.robotis.com/docs/en/dxl/x). Torque per unit of
current or of PWM is the stall torque over the stall current or over full PWM: enough for a limit.
Ratings hold at 12 V (XL430: 11.1 V; 330 size: 5 V), from the sections "Specifications".
"""

from __future__ import annotations

import math

from hardware.buses.dynamixel_protocol import DynamixelProtocol
from hardware.buses.ratings import ServoRating, rpm
from hardware.buses.registers import ControlTable, Register, ServoFamily, ServoModel, Sign

SIGNED = Sign.TWOS_COMPLEMENT

TABLE = ControlTable(
    protocol=DynamixelProtocol(),
    model_number=Register(0, 2),
    firmware=Register(6, 1),
    id=Register(7, 1),
    baud_rate=Register(8, 1),
    bauds={57_600: 1, 115_200: 2, 1_000_000: 3, 2_000_000: 4, 3_000_000: 5, 4_000_000: 6},
    return_delay=Register(9, 1),
    operating_mode=Register(11, 1),
    lock=None,  # its EEPROM opens when the torque is off
    torque_enable=Register(64, 1),
    goal_position=Register(116, 4, SIGNED),
    speed_limit=Register(112, 4),  # profile velocity
    position=Register(132, 4, SIGNED),
    velocity=Register(128, 4, SIGNED),
    effort=Register(126, 2, SIGNED),  # present current, on the XL430 present load
    voltage=Register(144, 2),
    temperature=Register(146, 1),
    error_status=Register(70, 1),
    error_bits={
        0: "its supply voltage is out of range",
        2: "it is too hot",
        3: "its encoder fails",
        4: "its electronics had a shock or too little power",
        5: "it is overloaded",
    },
    watchdog=Register(98, 1, SIGNED),
    drive_mode=Register(10, 1),
    # Bit 2, time-based profile: the profile velocity, our speed limit, would be milliseconds.
    drive_mode_unwanted=0b100,
    answer_level=Register(68, 1),
)

MIN_POSITION_LIMIT = Register(52, 4)
MAX_POSITION_LIMIT = Register(48, 4)
GOAL_PWM = Register(100, 2, SIGNED)
GOAL_CURRENT = Register(102, 2, SIGNED)
POSITION_MODE = 3
CURRENT_BASED_POSITION_MODE = 5
VELOCITY_UNIT_RAD_S = 0.229 * 2.0 * math.pi / 60.0


def _model(
    name: str,
    number: int,
    effort_unit_nm: float,
    limit: Register,
    limit_unit_nm: float,
    limit_max: int,
    rating: ServoRating,
    watchdog_stops: bool = True,
) -> ServoModel:
    has_current = limit is GOAL_CURRENT
    return ServoModel(
        name=name,
        number=number,
        table=TABLE,
        ticks_per_turn=4096,
        middle_tick=2048,
        velocity_unit_rad_s=VELOCITY_UNIT_RAD_S,
        effort_unit_nm=effort_unit_nm,
        torque_limit=limit,
        torque_limit_unit_nm=limit_unit_nm,
        torque_limit_max=limit_max,
        operating_mode=CURRENT_BASED_POSITION_MODE if has_current else POSITION_MODE,
        watchdog_stops=watchdog_stops,
        # The limits count in position mode only.
        angle_limits=None if has_current else (MIN_POSITION_LIMIT, MAX_POSITION_LIMIT),
        rating=rating,
    )


def _by_current(
    name: str,
    number: int,
    unit_a: float,
    stall_a: float,
    limit_max: int,
    rating: ServoRating,
    watchdog_stops: bool = True,
) -> ServoModel:
    unit_nm = unit_a * rating.stall_torque_nm / stall_a
    return _model(name, number, unit_nm, GOAL_CURRENT, unit_nm, limit_max, rating, watchdog_stops)


_XL430 = ServoRating(1.4, rpm(57), 0.0572)

MODELS = {
    model.name: model
    for model in (
        # 1.4 N m at full PWM (885 units); its load register counts tenths of a percent.
        _model("xl430_w250", 1060, 1.4 / 1000, GOAL_PWM, 1.4 / 885, 885, _XL430),
        _by_current("xm430_w350", 1020, 2.69e-3, 2.3, 1193, ServoRating(4.1, rpm(46), 0.082)),
        _by_current("xm430_w210", 1030, 2.69e-3, 2.3, 1193, ServoRating(3.0, rpm(77), 0.082)),
        _by_current("xm540_w270", 1120, 2.69e-3, 4.4, 2047, ServoRating(10.6, rpm(30), 0.165)),
        # The watchdog of the 330 size trips but does not stop the motor, a fault of its firmware:
        # forum.robotis.com, "Watchdog of XC330-T288-T does not stop motor" (topic 4814).
        _by_current(
            "xl330_m288", 1200, 1e-3, 1.47, 1750, ServoRating(0.52, rpm(103), 0.018), False
        ),
        _by_current(
            "xl330_m077", 1190, 1e-3, 1.47, 1750, ServoRating(0.215, rpm(383), 0.018), False
        ),
    )
}

# Factory settings first; a scan of all rates would take minutes.
FAMILY = ServoFamily("dynamixel", MODELS, "xl430_w250", (1_000_000, 57_600))
