"""Feetech STS and SCS series: memory tables and models.

Source: Feetech, "Magnetic encoder STS servo, memory table analysis" and the memory table of the
SCS0009. No table of theirs has a register that watches the bus: these servos go on to their last
goal when the cable is out, which is why the driver keeps that goal within one step.
Ratings are those of the data sheets: STS3215 at 7.4 V, STS3250 at 12 V, SCS0009 at 6 V.
"""

from __future__ import annotations

import math
from dataclasses import replace

from hardware.buses.feetech_protocol import FeetechProtocol
from hardware.buses.ratings import ServoRating, rpm
from hardware.buses.registers import ControlTable, Register, ServoFamily, ServoModel, Sign

BAUDS = {
    1_000_000: 0,
    500_000: 1,
    250_000: 2,
    128_000: 3,
    115_200: 4,
    76_800: 5,
    57_600: 6,
    38_400: 7,
}

STS_TABLE = ControlTable(
    protocol=FeetechProtocol("little", has_sync_read=True),
    model_number=Register(3, 2),
    firmware=Register(0, 1),
    id=Register(5, 1),
    baud_rate=Register(6, 1),
    bauds=BAUDS,
    return_delay=Register(7, 1),
    operating_mode=Register(33, 1),
    lock=Register(55, 1),
    torque_enable=Register(40, 1),
    goal_position=Register(42, 2, Sign.BIT_15),
    speed_limit=Register(46, 2, Sign.BIT_15),
    position=Register(56, 2, Sign.BIT_15),
    velocity=Register(58, 2, Sign.BIT_15),
    effort=Register(60, 2, Sign.BIT_10),
    voltage=Register(62, 1),
    temperature=Register(63, 1),
    error_status=Register(65, 1),
    error_bits={
        0: "its supply voltage is out of range",
        1: "its encoder fails",
        2: "it is too hot",
        3: "it draws too much current",
        5: "it is overloaded",
    },
)

SCS_TABLE = replace(
    STS_TABLE,
    protocol=FeetechProtocol("big", has_sync_read=False),
    operating_mode=None,
    lock=Register(48, 1),
    goal_position=Register(42, 2),
    position=Register(56, 2),
)

# Both count load and its limit in thousandths of the stall torque.
STS_TORQUE_LIMIT = Register(48, 2)
SCS_TORQUE_LIMIT = Register(16, 2)
ANGLE_LIMITS = (Register(9, 2), Register(11, 2))


def _sts(name: str, number: int, rating: ServoRating) -> ServoModel:
    stall_nm = rating.stall_torque_nm
    return ServoModel(
        name=name,
        number=number,
        table=STS_TABLE,
        ticks_per_turn=4096,
        middle_tick=2048,
        velocity_unit_rad_s=2.0 * math.pi / 4096,
        effort_unit_nm=stall_nm / 1000,
        torque_limit=STS_TORQUE_LIMIT,
        torque_limit_unit_nm=stall_nm / 1000,
        torque_limit_max=1000,
        watchdog_stops=False,
        angle_limits=ANGLE_LIMITS,
        rating=rating,
    )


MODELS = {
    model.name: model
    for model in (
        _sts("sts3215", 777, ServoRating(1.9, rpm(45), 0.055)),
        _sts("sts3250", 2825, ServoRating(4.9, rpm(75), 0.075)),
        ServoModel(
            name="scs0009",
            number=1284,
            table=SCS_TABLE,
            ticks_per_turn=1024 * 360 / 300,  # 1024 steps over 300 degrees
            middle_tick=512,
            velocity_unit_rad_s=math.radians(300) / 1024,
            effort_unit_nm=0.226 / 1000,
            torque_limit=SCS_TORQUE_LIMIT,
            torque_limit_unit_nm=0.226 / 1000,
            torque_limit_max=1000,
            watchdog_stops=False,
            angle_limits=ANGLE_LIMITS,
            rating=ServoRating(0.226, rpm(100), 0.0132, math.radians(300)),
        ),
    )
}

# Factory settings first; a scan of all rates would take minutes.
FAMILY = ServoFamily("feetech", MODELS, "sts3215", (1_000_000, 115_200))
