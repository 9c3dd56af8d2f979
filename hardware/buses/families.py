"""Servo families by name: our own, and those of installed packages.

A package adds one with an entry point of the group ``asterias.servo_families`` that names a
:class:`~hardware.buses.registers.ServoFamily`. It can then be described, scanned and emulated.
"""

from __future__ import annotations

from asterias.registry import Registry
from hardware.buses import dynamixel, feetech
from hardware.buses.registers import ServoFamily, ServoModel

UDP = "udp"
# A board on the network moves its servo itself and is commanded in rad: one model for all.
UDP_MODEL = "node"


def _check(name: str, entry: object) -> None:
    """Refuse what is no family.

    Raises:
        TypeError: it is something else, or has another name.
    """
    if not isinstance(entry, ServoFamily) or entry.name != name or not entry.is_serial:
        raise TypeError(f"a ServoFamily with models and the name '{name}' is expected")


SERVO_FAMILIES: Registry[ServoFamily] = Registry("servo family", "asterias.servo_families", _check)
for _family in (dynamixel.FAMILY, feetech.FAMILY, ServoFamily(UDP, {}, UDP_MODEL)):
    SERVO_FAMILIES.register(_family.name, _family)


def serial_families() -> tuple[str, ...]:
    """Return the names of the families whose servos share a serial port."""
    return tuple(name for name, family in SERVO_FAMILIES.items() if family.is_serial)


def servo_models() -> dict[str, ServoModel]:
    """Return the models of all serial families by name."""
    return {
        name: model for _, family in SERVO_FAMILIES.items() for name, model in family.models.items()
    }
