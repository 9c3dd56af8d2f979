"""A driver's end of the network: calls boards, records their addresses, drops other packets."""

from __future__ import annotations

import secrets
import select
import socket
import time
from collections import Counter
from dataclasses import dataclass

from asterias.errors import DeviceError
from hardware.buses.udp_packets import (
    MOST_BYTES,
    Packet,
    PacketError,
    PacketKind,
    pack,
    peek,
    session_key,
    unpack,
    unpack_announce,
)

Address = tuple[str, int]
CALL_S = 1.0  # boards that are silent are called so often
LOST_S = 1.0  # after so long a board may announce itself from another address
# Datagrams handled in a row: a flood must not keep the driver from its period.
MOST_AT_ONCE = 512
CALL_LIFE_S = 2.0  # a call counts as answered within this time, or not at all


@dataclass
class Board:
    """A board that has announced itself.

    Attributes:
        id, address, name, firmware: as it reports them.
        seen_s: when its last packet came.
        key: of its packets in this session.
        announced: sequence of the call that it answered last.
        pictures: sequence of its last PICTURE packet.
    """

    id: int
    address: Address
    name: str
    firmware: int
    seen_s: float
    key: bytes = b""
    announced: int = 0
    pictures: int = 0


class UdpLink:
    """One socket on one interface, one session.

    Args:
        interface: own address on the boards' network.
        broadcast: where calls go; empty: the interface's network, ``x.y.z.255``.
        port: on which boards listen for calls.
        key: shared secret; empty: packets carry no key.
    """

    def __init__(self, interface: str, broadcast: str, port: int, key: str) -> None:
        self.interface = interface
        self.boards: dict[int, Board] = {}
        self.duplicates: set[int] = set()
        self.dropped: Counter[str] = Counter()
        self._call_address = (broadcast or _broadcast(interface), port)
        self._key = key.encode()
        self._socket: socket.socket | None = None
        self._session = 0
        self._sequence = 0
        self._calls: dict[int, float] = {}
        self._called_s = -CALL_S

    def open(self) -> None:
        """Bind to the interface and start a session.

        Raises:
            DeviceError: this machine has no such address.
        """
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            opened.bind((self.interface, 0))
        except OSError as error:
            opened.close()
            raise DeviceError(
                f"Interface {self.interface} cannot be used ({error.strerror}); "
                "name this machine's address on the boards' network."
            ) from error
        opened.setblocking(False)
        self._socket = opened
        self._session, self._sequence = secrets.randbits(32), 0
        self.boards, self.duplicates, self._calls = {}, set(), {}
        self._called_s = -CALL_S

    def close(self) -> None:
        """End the session; harmless when closed."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def find(self, ids: set[int], timeout_s: float) -> None:
        """Call until these boards have announced themselves, or the time is over."""
        deadline_s = time.monotonic() + timeout_s
        while not ids <= set(self.boards) and time.monotonic() < deadline_s:
            self.call(every_s=0.1)
            self.receive(min(time.monotonic() + 0.1, deadline_s))

    def call(self, every_s: float = CALL_S) -> None:
        """Ask all boards to announce themselves, unless that was asked lately."""
        now = time.monotonic()
        if now - self._called_s >= every_s:
            self._called_s = now
            packet = Packet(PacketKind.CALL, 0, self._session, self._next())
            self._calls = {n: s for n, s in self._calls.items() if now - s < CALL_LIFE_S}
            self._calls[packet.sequence] = now
            self._send(packet, self._call_address, self._key)

    def send(self, kind: PacketKind, board: int, payload: bytes = b"") -> int:
        """Send a packet to a board; nothing goes out to an unknown one.

        Returns:
            The sequence number of the packet.
        """
        sequence = self._next()
        known = self.boards.get(board)
        if known is not None:
            packet = Packet(kind, board, self._session, sequence, payload)
            self._send(packet, known.address, known.key)
        return sequence

    def receive(self, deadline_s: float) -> list[Packet]:
        """Return received packets; wait for the first until ``deadline_s`` (monotonic), else none.

        Announcements are recorded here; other packets are returned if they belong to this session
        and come from the address of their board.
        """
        if self._socket is None:
            return []
        wait_s = max(deadline_s - time.monotonic(), 0.0)
        if not select.select([self._socket], [], [], wait_s)[0]:
            return []
        packets = []
        for _ in range(MOST_AT_ONCE):
            try:
                data, address = self._socket.recvfrom(MOST_BYTES + 1)
            except BlockingIOError:
                break
            except OSError:
                continue  # an earlier packet of ours met a closed port
            try:
                packets += self._admitted(data, address)
            except PacketError as error:
                self.dropped[str(error)] += 1
        return packets

    def _admitted(self, data: bytes, address: Address) -> list[Packet]:
        """Return the packet of a datagram, if it is one of this session and of a known board.

        Raises:
            PacketError: it is not.
        """
        kind, number, session = peek(data)
        if session != self._session:
            raise PacketError("session")
        if kind is PacketKind.ANNOUNCE:
            self._note(unpack(data, self._key), address)
            return []
        board = self.boards.get(number)
        if board is None or board.address != address:
            raise PacketError("address")
        packet = unpack(data, board.key)
        if kind is PacketKind.PICTURE:
            if packet.sequence <= board.pictures:
                raise PacketError("sequence")
            board.pictures = packet.sequence
        board.seen_s = time.monotonic()
        return [packet]

    def _note(self, packet: Packet, address: Address) -> None:
        """Take an announcement.

        Raises:
            PacketError: it answers no call of late, was taken before, or comes from elsewhere.
        """
        about, now = unpack_announce(packet.payload), time.monotonic()
        if about.address != address:
            raise PacketError("address")  # someone passes on what a board has sent
        if now - self._calls.get(packet.sequence, -CALL_LIFE_S) >= CALL_LIFE_S:
            raise PacketError("sequence")
        known = self.boards.get(packet.board)
        if known is not None and known.address != address and now - known.seen_s < LOST_S:
            self.duplicates.add(packet.board)
            raise PacketError("address")
        if known is not None and packet.sequence <= known.announced:
            raise PacketError("sequence")
        key = session_key(self._key, self._session, packet.board, about.challenge)
        board = Board(packet.board, address, about.name, about.firmware, now, key, packet.sequence)
        if known is not None and known.key == key and known.address == address:
            board.pictures = known.pictures
        self.boards[packet.board] = board

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    def _send(self, packet: Packet, address: Address, key: bytes) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(pack(packet, key), address)
        except OSError:
            self.dropped["unsent"] += 1  # network down: the servo's silence shows the rest


def _broadcast(interface: str) -> str:
    """Return the broadcast address of a /24 network, or of the /8 of the loopback."""
    if interface.startswith("127."):
        return "127.255.255.255"
    return f"{interface.rpartition('.')[0]}.255"
