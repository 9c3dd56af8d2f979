"""Settings of the servo buses in a robot description."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from hardware.description.fields import ADDRESS, OPTIONAL_ADDRESS, StrictModel


class BusSettings(StrictModel):
    """What all buses have in common.

    Attributes:
        answer_timeout_s: how long servos may take to answer, beyond the time on the wire.
        retries: further attempts when an answer is missing or broken.
        watchdog_s: silence on the bus after which the servos themselves stop.
    """

    answer_timeout_s: Annotated[float, Field(ge=1e-4, le=5.0, allow_inf_nan=False)] = 0.02
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    watchdog_s: Annotated[float, Field(ge=0.02, le=2.54)] = 0.2


class SerialBusSettings(BusSettings):
    """A bus on a serial port.

    Attributes:
        type: name of the servo family.
        port: device file; ``/dev/serial/by-id/...`` survives replugging.
        baud_rate: bits/s, as set in the servos.
    """

    type: str
    port: Annotated[str, Field(min_length=1)]
    baud_rate: Annotated[int, Field(ge=9600, le=4_500_000)] = 1_000_000


class UdpSettings(BusSettings):
    """Boards with one servo and one camera each, on a network (:mod:`hardware.buses.udp_packets`).

    Attributes:
        interface: own address of the network that the boards are on; nothing else is listened to.
        broadcast: address that reaches the boards; empty: the interface's own, ``x.y.z.255``.
        port: UDP port on which the boards listen for the call to announce themselves.
        key: secret shared with the boards, 16 characters or more; packets without it are dropped.
    """

    type: Literal["udp"] = "udp"
    interface: Annotated[str, Field(pattern=ADDRESS)] = "127.0.0.1"
    broadcast: Annotated[str, Field(pattern=OPTIONAL_ADDRESS)] = ""
    port: Annotated[int, Field(gt=0, le=65535)] = 1200
    key: str = ""
    # A wireless network stalls for longer than a cable.
    answer_timeout_s: Annotated[float, Field(ge=1e-4, le=5.0, allow_inf_nan=False)] = 0.05

    @field_validator("key")
    @classmethod
    def _long_enough(cls, key: str) -> str:
        if 0 < len(key) < 16:
            raise ValueError("a key needs 16 characters or more; leave it empty for none")
        return key
