"""Dynamixel protocol 2.0: packets, byte stuffing and CRC.

Source: ROBOTIS e-Manual, "DYNAMIXEL Protocol 2.0" (emanual.robotis.com/docs/en/dxl/protocol2)::

    request  FF FF FD 00 | id | length (2) | instruction | parameters      | CRC (2)
    answer   FF FF FD 00 | id | length (2) | 0x55 | error | parameters     | CRC (2)

Numbers are little-endian; the length counts everything behind it. A byte FD is stuffed behind each
FF FF FD within instruction and parameters. CRC-16 with polynomial 0x8005 over all bytes before it.
"""

from __future__ import annotations

from hardware.buses.protocol import BusPacket, PacketMatch, Protocol

HEADER = b"\xff\xff\xfd\x00"
STATUS = 0x55
ALERT_BIT = 0x80  # the servo's hardware error status is not zero
SHORTEST = 3  # instruction and CRC
LONGEST = 1024

ERRORS = {
    1: "it could not process the packet",
    2: "it does not know the instruction",
    3: "the checksum was wrong",
    4: "the value is out of range",
    5: "the data is too short",
    6: "the value is beyond the limits set in the servo",
    7: "the register cannot be written now",
}


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x8005) if crc & 0x8000 else crc << 1
        table.append(crc & 0xFFFF)
    return tuple(table)


_CRC_TABLE = _crc_table()


def crc16(data: bytes | bytearray) -> int:
    """Return the CRC-16/UMTS: polynomial 0x8005, initial value 0, no reflection."""
    crc, table = 0, _CRC_TABLE
    for byte in data:
        crc = ((crc << 8) & 0xFF00) ^ table[(crc >> 8) ^ byte]
    return crc


class DynamixelProtocol(Protocol):
    """Protocol 2.0."""

    byte_order = "little"
    max_id = 252
    has_sync_read = True
    has_strong_checksum = True

    def encode(self, packet: BusPacket) -> bytes:
        """Return the bytes of a packet, header and checksum included."""
        content = bytes([packet.code]) + packet.body
        content = content.replace(b"\xff\xff\xfd", b"\xff\xff\xfd\xfd")
        head = HEADER + bytes([packet.id]) + (len(content) + 2).to_bytes(2, "little")
        data = head + content
        return data + crc16(data).to_bytes(2, "little")

    def find(self, buffer: bytes | bytearray) -> PacketMatch:
        """Return the packet at the start of a buffer, or how many bytes to drop before it."""
        start = buffer.find(HEADER)
        if start != 0:
            # Keep what may be the beginning of a header.
            kept = next(n for n in (3, 2, 1, 0) if buffer.endswith(HEADER[:n]))
            return PacketMatch(None, start if start > 0 else len(buffer) - kept)
        if len(buffer) < 7:
            return PacketMatch(None, 0)
        length = buffer[5] | buffer[6] << 8
        if not SHORTEST <= length <= LONGEST:
            return PacketMatch(None, 1, is_broken=True)
        end = 7 + length
        if len(buffer) < end:
            return PacketMatch(None, 0)
        if crc16(buffer[: end - 2]) != buffer[end - 2] | buffer[end - 1] << 8:
            return PacketMatch(None, 1, is_broken=True)
        content = bytes(buffer[7 : end - 2]).replace(b"\xff\xff\xfd\xfd", b"\xff\xff\xfd")
        return PacketMatch(BusPacket(buffer[4], content[0], content[1:]), end)

    def answer(self, id: int, error: int, data: bytes) -> BusPacket:
        """Return the packet by which a servo answers a request."""
        return BusPacket(id, STATUS, bytes([error]) + data)

    def is_answer(self, packet: BusPacket) -> bool:
        """Return whether a packet comes from a servo."""
        return packet.code == STATUS and len(packet.body) > 0

    def error_of(self, packet: BusPacket) -> int:
        """Return the error byte of an answer."""
        return packet.body[0]

    def data_of(self, packet: BusPacket) -> bytes:
        """Return the register bytes in an answer."""
        return packet.body[1:]

    def refusal(self, error: int) -> str:
        """Return why a servo did not carry out a request; empty when it did."""
        number = error & ~ALERT_BIT
        return ERRORS.get(number, f"error {number}") if number else ""

    def _span(self, address: int, size: int) -> bytes:
        return address.to_bytes(2, "little") + size.to_bytes(2, "little")

    def _address(self, address: int) -> bytes:
        return address.to_bytes(2, "little")

    def parse_read(self, body: bytes) -> tuple[int, int]:
        """Return address and size that a read request asks for."""
        return body[0] | body[1] << 8, body[2] | body[3] << 8

    def parse_write(self, body: bytes) -> tuple[int, bytes]:
        """Return address and data of a write request."""
        return body[0] | body[1] << 8, body[2:]

    def parse_sync_read(self, body: bytes) -> tuple[int, int, bytes]:
        """Return address, size and ids of a sync read request."""
        return *self.parse_read(body), body[4:]

    def parse_sync_write(self, body: bytes) -> tuple[int, dict[int, bytes]]:
        """Return address and data by id of a sync write request."""
        (address, size), rest = self.parse_read(body), body[4:]
        entries = range(0, len(rest) - size, size + 1)
        return address, {rest[i]: rest[i + 1 : i + 1 + size] for i in entries}
