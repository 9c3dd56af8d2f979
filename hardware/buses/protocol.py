"""What the protocols of serial servos have in common: frames with an id, a code and a checksum."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

BROADCAST_ID = 0xFE


@dataclass(frozen=True)
class BusPacket:
    """One packet, in either direction.

    Attributes:
        id: of the servo that is addressed or answers.
        code: instruction of a request; of an answer what :meth:`Protocol.error_of` reads.
        body: what follows, without checksum.
    """

    id: int
    code: int
    body: bytes


class PacketMatch(NamedTuple):
    """Result of a search at the start of a buffer.

    Attributes:
        packet: a whole packet with a correct checksum, or None.
        used: bytes to drop; 0 means that more bytes must come first.
        is_broken: a packet whose checksum or length cannot be right.
    """

    packet: BusPacket | None
    used: int
    is_broken: bool = False


class Protocol(ABC):
    """Bytes of requests and answers, independent of registers, units and ports."""

    byte_order: Literal["little", "big"]
    max_id: int
    has_sync_read: bool
    # Whether an answer may be believed although others beside it were damaged.
    has_strong_checksum: bool

    # Instruction codes, the same in both families but for the sync ones.
    READ = 0x02
    WRITE = 0x03
    SYNC_READ = 0x82
    SYNC_WRITE = 0x83

    @abstractmethod
    def encode(self, packet: BusPacket) -> bytes:
        """Return the bytes of a packet, header and checksum included."""

    @abstractmethod
    def find(self, buffer: bytes | bytearray) -> PacketMatch:
        """Return the packet at the start of a buffer, or how many bytes to drop before it."""

    @abstractmethod
    def answer(self, id: int, error: int, data: bytes) -> BusPacket:
        """Return the packet by which a servo answers a request."""

    @abstractmethod
    def is_answer(self, packet: BusPacket) -> bool:
        """Return whether a packet comes from a servo."""

    @abstractmethod
    def error_of(self, packet: BusPacket) -> int:
        """Return the error byte of an answer."""

    @abstractmethod
    def data_of(self, packet: BusPacket) -> bytes:
        """Return the register bytes in an answer."""

    @abstractmethod
    def refusal(self, error: int) -> str:
        """Return why a servo did not carry out a request; empty when it did."""

    @abstractmethod
    def _span(self, address: int, size: int) -> bytes:
        """Return the bytes for address and size of a read request."""

    @abstractmethod
    def _address(self, address: int) -> bytes:
        """Return the bytes for the address of a write request."""

    @abstractmethod
    def parse_read(self, body: bytes) -> tuple[int, int]:
        """Return address and size that a read request asks for."""

    @abstractmethod
    def parse_write(self, body: bytes) -> tuple[int, bytes]:
        """Return address and data of a write request."""

    @abstractmethod
    def parse_sync_read(self, body: bytes) -> tuple[int, int, bytes]:
        """Return address, size and ids of a sync read request."""

    @abstractmethod
    def parse_sync_write(self, body: bytes) -> tuple[int, dict[int, bytes]]:
        """Return address and data by id of a sync write request."""

    def read(self, id: int, address: int, size: int) -> bytes:
        """Return the request to read registers of one servo."""
        return self.encode(BusPacket(id, self.READ, self._span(address, size)))

    def write(self, id: int, address: int, data: bytes) -> bytes:
        """Return the request to write registers of one servo, or of all without an answer."""
        return self.encode(BusPacket(id, self.WRITE, self._address(address) + data))

    def sync_read(self, ids: Sequence[int], address: int, size: int) -> bytes:
        """Return the request to read registers of several servos, answered in this order."""
        body = self._span(address, size) + bytes(ids)
        return self.encode(BusPacket(BROADCAST_ID, self.SYNC_READ, body))

    def sync_write(self, address: int, data: Mapping[int, bytes]) -> bytes:
        """Return the request, unanswered, to write the same registers of several servos at once."""
        size = len(next(iter(data.values())))
        body = self._span(address, size) + b"".join(bytes([i]) + d for i, d in data.items())
        return self.encode(BusPacket(BROADCAST_ID, self.SYNC_WRITE, body))


class PacketReader:
    """Extracts packets from a stream of bytes; noise between them is skipped and counted."""

    def __init__(self, protocol: Protocol) -> None:
        self.noise_bytes = 0
        self.foreign_bytes = 0
        self.broken_packets = 0
        self._protocol = protocol
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[BusPacket]:
        """Append received bytes to the stream.

        Returns:
            The packets that are complete now.
        """
        buffer = self._buffer
        buffer += data
        packets = []
        while buffer:
            found = self._protocol.find(buffer)
            if found.packet is not None:
                packets.append(found.packet)
            else:
                self.noise_bytes += found.used
                # Lone zeros come from adapters that switch their driver late; a damaged packet
                # leaves more than those.
                self.foreign_bytes += found.used - buffer.count(0, 0, found.used)
                self.broken_packets += found.is_broken
            if not found.used:
                break
            del buffer[: found.used]
        return packets

    @property
    def is_within_packet(self) -> bool:
        """Whether the start of a packet has been received and its end has not."""
        return bool(self._buffer)

    def clear(self) -> None:
        """Discard an incomplete packet."""
        self._buffer.clear()
