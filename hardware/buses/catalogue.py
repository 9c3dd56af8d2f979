"""All servo models by family, as robot descriptions name them."""

from __future__ import annotations

from collections.abc import Mapping

from hardware.buses import dynamixel, feetech
from hardware.buses.registers import ServoModel

# A board on the network moves its servo itself and speaks in rad: one model for all.
UDP_MODEL = "node"
SERIAL_MODELS: Mapping[str, Mapping[str, ServoModel]] = {
    "dynamixel": dynamixel.MODELS,
    "feetech": feetech.MODELS,
}
FAMILIES: Mapping[str, frozenset[str]] = {
    **{family: frozenset(models) for family, models in SERIAL_MODELS.items()},
    "udp": frozenset({UDP_MODEL}),
}
