"""A driver's end of the network: calls boards, knows where they are, drops the rest."""

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
    unpack,
    unpack_announce,
)

Address = tuple[str, int]
CALL_S = 1.0  # boards that are silent are called so often
LOST_S = 1.0  # after so long a board may announce itself from another address
# Datagrams handled in a row: a flood must not keep the driver from its period.
MOST_AT_ONCE = 512


@dataclass
class Board:
    """A board that has announced itself."""

    id: int
    address: Address
    name: str
    firmware: int
    heard_s: float


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
        self._called_s = -CALL_S

    def open(self) -> None:
        """Bind to the interface and begin a session.

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
        self.boards, self.duplicates = {}, set()
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
            self._send(Packet(PacketKind.CALL, 0, self._session, self._next()), self._call_address)

    def send(self, kind: PacketKind, board: int, payload: bytes = b"") -> int:
        """Send to a board that is known; returns the packet's sequence."""
        sequence = self._next()
        known = self.boards.get(board)
        if known is not None:
            self._send(Packet(kind, board, self._session, sequence, payload), known.address)
        return sequence

    def receive(self, deadline_s: float) -> list[Packet]:
        """What has come; waits for the first until ``deadline_s`` (monotonic), else empty.

        Announcements are noted here; the rest is of this session and from where a board is.
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
                packets += self._admitted(unpack(data, self._key), address)
            except PacketError as error:
                self.dropped[str(error)] += 1
        return packets

    def _admitted(self, packet: Packet, address: Address) -> list[Packet]:
        if packet.session != self._session:
            raise PacketError("session")
        if packet.kind is PacketKind.ANNOUNCE:
            self._note(packet, address)
            return []
        board = self.boards.get(packet.board)
        if board is None or board.address != address:
            raise PacketError("address")
        board.heard_s = time.monotonic()
        return [packet]

    def _note(self, packet: Packet, address: Address) -> None:
        firmware, name = unpack_announce(packet.payload)
        known, now = self.boards.get(packet.board), time.monotonic()
        if known is not None and known.address != address and now - known.heard_s < LOST_S:
            self.duplicates.add(packet.board)
            raise PacketError("address")
        self.boards[packet.board] = Board(packet.board, address, name, firmware, now)

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    def _send(self, packet: Packet, address: Address) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(pack(packet, self._key), address)
        except OSError:
            self.dropped["unsent"] += 1  # network down: the servo's silence tells the rest


def _broadcast(interface: str) -> str:
    """Broadcast address of a /24 network; of the loopback's /8."""
    if interface.startswith("127."):
        return "127.255.255.255"
    return f"{interface.rpartition('.')[0]}.255"
