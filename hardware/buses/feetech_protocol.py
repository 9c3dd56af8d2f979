"""Feetech's SCS protocol, spoken by the STS, SMS and SCS series.

Source: Feetech, "SCS/STS communication protocol manual" (as served with the FD software)::

    request  FF FF | id | length | instruction | parameters | checksum
    answer   FF FF | id | length | status bits | parameters | checksum

The length counts everything behind it; the checksum is the inverted sum of all bytes between header
and checksum. STS and SMS store numbers little-endian, SCS big-endian. The status bits of an answer
tell of the servo's health; a request that cannot be done is not answered at all.
"""

from __future__ import annotations

from typing import Literal

from hardware.buses.protocol import BusPacket, PacketMatch, Protocol

HEADER = b"\xff\xff"
SHORTEST = 2  # instruction and checksum


def checksum(content: bytes | bytearray) -> int:
    """Return the inverted sum of the bytes from the id on, modulo 256."""
    return ~sum(content) & 0xFF


class FeetechProtocol(Protocol):
    """The protocol of one series.

    Args:
        byte_order: ``little`` for STS and SMS, ``big`` for SCS.
        has_sync_read: the SCS series has none.
    """

    max_id = 253
    # One packet with a lost byte in 256 passes for whole, with the next packet's first byte.
    has_strong_checksum = False

    def __init__(self, byte_order: Literal["little", "big"], has_sync_read: bool) -> None:
        self.byte_order = byte_order
        self.has_sync_read = has_sync_read

    def encode(self, packet: BusPacket) -> bytes:
        """Return the bytes of a packet, header and checksum included."""
        content = bytes([packet.id, len(packet.body) + 2, packet.code]) + packet.body
        return HEADER + content + bytes([checksum(content)])

    def find(self, buffer: bytes | bytearray) -> PacketMatch:
        """Return the packet at the start of a buffer, or how many bytes to drop before it."""
        start = buffer.find(HEADER)
        if start != 0:
            kept = 1 if buffer[-1] == HEADER[0] else 0
            return PacketMatch(None, start if start > 0 else len(buffer) - kept)
        if len(buffer) < 4:
            return PacketMatch(None, 0)
        if buffer[2] == 0xFF:  # the header has begun one byte later
            return PacketMatch(None, 1)
        end = 4 + buffer[3]
        if buffer[3] < SHORTEST:
            return PacketMatch(None, 1, is_broken=True)
        if len(buffer) < end:
            return PacketMatch(None, 0)
        if checksum(buffer[2 : end - 1]) != buffer[end - 1]:
            return PacketMatch(None, 1, is_broken=True)
        return PacketMatch(BusPacket(buffer[2], buffer[4], bytes(buffer[5 : end - 1])), end)

    def answer(self, id: int, error: int, data: bytes) -> BusPacket:
        """Return the packet by which a servo answers a request."""
        return BusPacket(id, error, data)

    def is_answer(self, packet: BusPacket) -> bool:
        """Return True: requests look the same, but the line carries none while servos answer."""
        return True

    def error_of(self, packet: BusPacket) -> int:
        """Return the status bits of an answer."""
        return packet.code

    def data_of(self, packet: BusPacket) -> bytes:
        """Return the register bytes in an answer."""
        return packet.body

    def refusal(self, error: int) -> str:
        """Return an empty string: the status bits report the servo's health, not a refusal."""
        return ""

    def _span(self, address: int, size: int) -> bytes:
        return bytes([address, size])

    def _address(self, address: int) -> bytes:
        return bytes([address])

    def parse_read(self, body: bytes) -> tuple[int, int]:
        """Return address and size that a read request asks for."""
        return body[0], body[1]

    def parse_write(self, body: bytes) -> tuple[int, bytes]:
        """Return address and data of a write request."""
        return body[0], body[1:]

    def parse_sync_read(self, body: bytes) -> tuple[int, int, bytes]:
        """Return address, size and ids of a sync read request."""
        return body[0], body[1], body[2:]

    def parse_sync_write(self, body: bytes) -> tuple[int, dict[int, bytes]]:
        """Return address and data by id of a sync write request."""
        address, size, rest = body[0], body[1], body[2:]
        entries = range(0, len(rest) - size, size + 1)
        return address, {rest[i]: rest[i + 1 : i + 1 + size] for i in entries}
