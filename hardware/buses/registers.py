"""Register tables and servo models: addresses of a servo's registers, and their units."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from hardware.buses.protocol import Protocol
from hardware.buses.ratings import ServoRating


class Sign(Enum):
    """How a register holds negative numbers."""

    NONE = "none"
    TWOS_COMPLEMENT = "two's complement"
    BIT_10 = "bit 10"
    BIT_15 = "bit 15"


_SIGN_BITS = {Sign.BIT_10: 1 << 10, Sign.BIT_15: 1 << 15}


@dataclass(frozen=True)
class Register:
    """One number in a servo's memory; ``size`` in bytes."""

    address: int
    size: int
    sign: Sign = Sign.NONE

    @property
    def end(self) -> int:
        """First address behind the register."""
        return self.address + self.size

    def encode(self, value: int, protocol: Protocol) -> bytes:
        """Return the bytes of a number as the register stores it."""
        bit = _SIGN_BITS.get(self.sign)
        if bit is not None:
            value = min(abs(value), bit - 1) | (bit if value < 0 else 0)
        mask = (1 << (8 * self.size)) - 1
        return (value & mask).to_bytes(self.size, protocol.byte_order)

    def decode(self, block: bytes, start: int, protocol: Protocol) -> int:
        """Return the number in a block of registers that begins at address ``start``."""
        first = self.address - start
        data = block[first : first + self.size]
        bit = _SIGN_BITS.get(self.sign)
        if bit is None:
            signed = self.sign is Sign.TWOS_COMPLEMENT
            return int.from_bytes(data, protocol.byte_order, signed=signed)
        value = int.from_bytes(data, protocol.byte_order)
        return -(value & ~bit) if value & bit else value


@dataclass(frozen=True)
class ControlTable:
    """The registers that the driver uses; None where a series has no such register.

    Attributes:
        protocol: what the series speaks.
        bauds: values of the register ``baud_rate``, by bits/s.
        error_bits: what the bits of ``error_status`` mean.
        drive_mode_unwanted: bits of ``drive_mode`` that give other registers another meaning.
        answer_level: which requests are answered; ``answer_level_all``: all of them.
        watchdog_unit_s: unit of the register ``watchdog``.
        watchdog_tripped: its value after the servo has stopped by itself.
    """

    protocol: Protocol
    model_number: Register
    firmware: Register
    id: Register
    baud_rate: Register
    bauds: Mapping[int, int]
    return_delay: Register | None
    operating_mode: Register | None
    lock: Register | None
    torque_enable: Register
    goal_position: Register
    speed_limit: Register
    position: Register
    velocity: Register
    effort: Register
    voltage: Register
    temperature: Register
    error_status: Register
    error_bits: Mapping[int, str]
    watchdog: Register | None = None
    drive_mode: Register | None = None
    drive_mode_unwanted: int = 0
    answer_level: Register | None = None
    answer_level_all: int = 2
    watchdog_unit_s: float = 0.02
    watchdog_tripped: int = -1

    @property
    def state_span(self) -> tuple[int, int]:
        """Address and size of the block with effort, velocity and position."""
        return _span(self.effort, self.velocity, self.position)

    @property
    def health_span(self) -> tuple[int, int]:
        """Address and size of the block with error status, watchdog, voltage and temperature."""
        return _span(
            self.error_status, self.voltage, self.temperature, self.watchdog or self.voltage
        )

    def errors(self, status: int) -> tuple[str, ...]:
        """Return the meanings of the bits set in an error status, in words."""
        return tuple(text for bit, text in self.error_bits.items() if status & 1 << bit)


def _span(*registers: Register) -> tuple[int, int]:
    start = min(register.address for register in registers)
    return start, max(register.end for register in registers) - start


@dataclass(frozen=True)
class ServoModel:
    """A product: its registers and its units.

    Attributes:
        name: as in robot descriptions.
        number: in its register ``model_number``.
        ticks_per_turn, middle_tick: of its encoder.
        velocity_unit_rad_s: unit of its speed registers.
        effort_unit_nm: torque at the shaft per unit of the register ``effort``; a coarse figure.
        torque_limit: register that bounds its torque.
        torque_limit_unit_nm, torque_limit_max: unit and highest value of that register.
        operating_mode: value for position control.
        watchdog_stops: whether its watchdog really stops it.
        angle_limits: lower and upper end of its range in ticks, kept without power; None where
            its mode has none. Equal ends: it has no limits.
        rating: torque, speed and mass, from which a joint gets what its description leaves out;
            None: it must say all.
    """

    name: str
    number: int
    table: ControlTable
    ticks_per_turn: float
    middle_tick: int
    velocity_unit_rad_s: float
    effort_unit_nm: float
    torque_limit: Register
    torque_limit_unit_nm: float
    torque_limit_max: int
    operating_mode: int = 0
    watchdog_stops: bool = True
    angle_limits: tuple[Register, Register] | None = None
    rating: ServoRating | None = None

    @property
    def tick_rad(self) -> float:
        """Angle of one encoder step."""
        return 2.0 * math.pi / self.ticks_per_turn


@dataclass(frozen=True)
class ServoFamily:
    """Servos of one maker and protocol, as robot descriptions and command lines name them.

    Attributes:
        name: such as ``dynamixel``.
        models: by name; empty for boards that move their servos themselves.
        default_model: that is emulated.
        baud_rates: that a scan tries, the usual one first.
    """

    name: str
    models: Mapping[str, ServoModel]
    default_model: str
    baud_rates: tuple[int, ...] = ()

    @property
    def is_serial(self) -> bool:
        """Whether its servos share a serial port."""
        return bool(self.models)

    @property
    def model_names(self) -> frozenset[str]:
        """Names of the models."""
        return frozenset(self.models or {self.default_model})
