"""Packets of serial servos: the manufacturers' examples, their own library, and random bytes."""

from __future__ import annotations

from typing import Any

import dynamixel_sdk
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware.buses.dynamixel import TABLE as X_TABLE
from hardware.buses.feetech import SCS_TABLE, STS_TABLE
from hardware.buses.protocol import BusPacket, PacketReader, Protocol

X, STS, SCS = X_TABLE.protocol, STS_TABLE.protocol, SCS_TABLE.protocol
PROTOCOLS = pytest.mark.parametrize("protocol", [X, STS], ids=["dynamixel", "feetech"])
REPEATABLE = settings(derandomize=True, deadline=None, max_examples=200)

FRAMES = st.builds(
    BusPacket,
    id=st.integers(0, 252),
    code=st.sampled_from([0x02, 0x03, 0x55, 0x82]),
    body=st.binary(min_size=1, max_size=60),
)


def hexed(text: str) -> bytes:
    return bytes.fromhex(text)


# Bytes as printed in the manuals.
EXAMPLES = [
    # ROBOTIS e-Manual, protocol 2.0: ping, read and write of position, sync read and write
    (X.encode(BusPacket(1, 0x01, b"")), "FF FF FD 00 01 03 00 01 19 4E"),
    (X.read(1, 132, 4), "FF FF FD 00 01 07 00 02 84 00 04 00 1D 15"),
    (X.write(1, 116, hexed("00 02 00 00")), "FF FF FD 00 01 09 00 03 74 00 00 02 00 00 CA 89"),
    (X.sync_read([1, 2], 132, 4), "FF FF FD 00 FE 09 00 82 84 00 04 00 01 02 CE FA"),
    (
        X.sync_write(116, {1: hexed("96 00 00 00"), 2: hexed("AA 00 00 00")}),
        "FF FF FD 00 FE 11 00 83 74 00 04 00 01 96 00 00 00 02 AA 00 00 00 82 87",
    ),
    (
        X.encode(X.answer(1, 0, hexed("A6 00 00 00"))),
        "FF FF FD 00 01 08 00 55 00 A6 00 00 00 8C C0",
    ),
    # Feetech: ping and its answer, read of position and its answer, write of position and speed
    (STS.encode(BusPacket(1, 0x01, b"")), "FF FF 01 02 01 FB"),
    (STS.encode(STS.answer(1, 0, b"")), "FF FF 01 02 00 FC"),
    (STS.read(1, 56, 2), "FF FF 01 04 02 38 02 BE"),
    (STS.encode(STS.answer(1, 0, hexed("18 05"))), "FF FF 01 04 00 18 05 DD"),
    (STS.write(1, 42, hexed("00 08 00 00 E8 03")), "FF FF 01 09 03 2A 00 08 00 00 E8 03 D5"),
]


@pytest.mark.parametrize(("made", "printed"), EXAMPLES, ids=[text for _, text in EXAMPLES])
def test_packets_are_those_of_the_manuals(made: bytes, printed: str) -> None:
    assert made == hexed(printed)


@pytest.mark.parametrize(
    ("register", "protocol", "value", "printed"),
    [
        (X_TABLE.position, X, -1, "FF FF FF FF"),
        (X_TABLE.watchdog, X, -1, "FF"),
        (STS_TABLE.position, STS, 2048, "00 08"),
        (STS_TABLE.velocity, STS, -100, "64 80"),
        (STS_TABLE.effort, STS, -500, "F4 05"),
        (SCS_TABLE.position, SCS, 512, "02 00"),
    ],
)
def test_registers_hold_negative_numbers_as_the_tables_say(
    register: Any, protocol: Protocol, value: int, printed: str
) -> None:
    assert register.encode(value, protocol) == hexed(printed)
    assert register.decode(hexed(printed), register.address, protocol) == value


# -- the manufacturer's own library ---------------------------------------------------------------


class Port:
    """Takes what the library sends, and gives it what we send."""

    is_using = False

    def __init__(self, coming: bytes = b"") -> None:
        self.sent = b""
        self._coming = coming

    def clearPort(self) -> None:  # noqa: N802 - names of the library
        """Nothing is waiting."""

    def writePort(self, packet: list[int]) -> int:  # noqa: N802
        self.sent += bytes(packet)
        return len(packet)

    def readPort(self, length: int) -> list[int]:  # noqa: N802
        data, self._coming = self._coming[:length], self._coming[length:]
        return list(data)

    def isPacketTimeout(self) -> bool:  # noqa: N802
        return not self._coming


BODIES = st.one_of(
    st.binary(max_size=60), st.lists(st.sampled_from(b"\xff\xfd\x00\x01")).map(bytes)
)


# The Python library makes the stuffed packet and then sends the other one (its txPacket drops what
# addStuffing returns), so stuffing is compared in the direction in which it works.
PLAIN = BODIES.filter(lambda body: b"\xff\xff\xfd" not in body)


@REPEATABLE
@given(id=st.integers(0, 252), body=PLAIN)
def test_requests_are_those_of_the_dynamixel_library(id: int, body: bytes) -> None:
    length = len(body) + 3
    packet = [0] * 4 + [id, length & 0xFF, length >> 8, 0x03, *body, 0, 0]
    port = Port()
    result = dynamixel_sdk.PacketHandler(2.0).txPacket(port, packet)
    assert result == dynamixel_sdk.COMM_SUCCESS
    assert X.encode(BusPacket(id, 0x03, body)) == port.sent


@REPEATABLE
@given(id=st.integers(0, 252), data=BODIES)
def test_the_dynamixel_library_reads_our_answers(id: int, data: bytes) -> None:
    port = Port(X.encode(X.answer(id, 0, data)))
    packet, result = dynamixel_sdk.PacketHandler(2.0).rxPacket(port, False)
    assert result == dynamixel_sdk.COMM_SUCCESS
    size = packet[5] + (packet[6] << 8) - 4
    assert bytes(packet[9 : 9 + size]) == data


# -- random bytes ---------------------------------------------------------------------------------


@PROTOCOLS
@REPEATABLE
@given(frame=FRAMES, cut=st.integers(0, 80))
def test_a_packet_in_two_pieces_is_read_as_it_was_written(
    protocol: Protocol, frame: BusPacket, cut: int
) -> None:
    packet, reader = protocol.encode(frame), PacketReader(protocol)
    assert reader.feed(packet[:cut]) + reader.feed(packet[cut:]) == [frame]
    assert (reader.noise_bytes, reader.broken_packets) == (0, 0)
    assert not reader.is_within_packet


@PROTOCOLS
@REPEATABLE
@given(pieces=st.lists(st.binary(max_size=40), max_size=10))
def test_no_bytes_at_all_make_the_reader_fail(protocol: Protocol, pieces: list[bytes]) -> None:
    reader = PacketReader(protocol)
    for piece in pieces:
        for frame in reader.feed(piece):
            assert protocol.encode(frame) in b"".join(pieces)


@PROTOCOLS
@REPEATABLE
@given(frame=FRAMES, noise=st.binary(max_size=20).filter(lambda data: 0xFF not in data))
def test_a_packet_behind_noise_is_found(protocol: Protocol, frame: BusPacket, noise: bytes) -> None:
    reader = PacketReader(protocol)
    assert reader.feed(noise + protocol.encode(frame)) == [frame]
    assert reader.noise_bytes == len(noise)


@PROTOCOLS
@REPEATABLE
@given(frame=FRAMES, bit=st.integers(0, 10_000))
def test_a_flipped_bit_is_never_accepted(protocol: Protocol, frame: BusPacket, bit: int) -> None:
    packet = bytearray(protocol.encode(frame))
    packet[bit // 8 % len(packet)] ^= 1 << bit % 8
    assert frame not in PacketReader(protocol).feed(bytes(packet))
    assert all(
        len(other.body) < len(frame.body) for other in PacketReader(protocol).feed(bytes(packet))
    )
