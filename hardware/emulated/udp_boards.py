"""Boards on the loopback network: one servo and one camera each, by real datagrams."""

from __future__ import annotations

import math
import secrets
import selectors
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from hardware.buses.udp_link import Address
from hardware.buses.udp_packets import (
    CHALLENGE_BYTES,
    MOST_BYTES,
    PART_BYTES,
    Announcement,
    BoardCommand,
    BoardState,
    Packet,
    PacketError,
    PacketKind,
    PicturePart,
    pack,
    pack_announce,
    pack_picture,
    pack_state,
    peek,
    session_key,
    unpack,
    unpack_command,
)
from hardware.emulated.motor import FailingMotor
from hardware.emulated.pictures import FailingPictures, PictureSource
from hardware.limbs.driver import Clock

WATCH_S = 0.005
# Sessions that a board remembers: of a driver, of a camera, and of some before them.
MOST_SESSIONS = 8


@dataclass
class BoardSession:
    """State of a session on a board.

    Attributes:
        key: of its packets.
        challenge: that the board drew for it.
        called, sequence: of the last CALL, and the greatest of all other packets.
        pictures: PICTURE packets sent so far.
    """

    key: bytes
    challenge: bytes
    called: int = -1
    sequence: int = -1
    pictures: int = 0


class EmulatedBoard:
    """One board: serves one session, runs a watchdog, sends pictures to all who ask.

    Args:
        id: number of the board.
        motor: its servo's.
        pictures: its camera's; None: it has none.
        clock: seconds, for the watchdog.
        key: shared secret.
    """

    def __init__(
        self,
        id: int,
        motor: FailingMotor,
        pictures: PictureSource | None = None,
        clock: Clock = time.monotonic,
        key: str = "",
    ) -> None:
        self.id = id
        self.motor = motor
        self.temperature_c, self.voltage_v, self.error_bits = 31.0, 7.4, 0
        self.has_torque = False
        self.is_stopped = False
        self.dropped = 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.pictures = None if pictures is None else FailingPictures(pictures, seed=id)
        self._clock = clock
        self._key = key.encode()
        self._session = -1
        self._sessions: dict[int, BoardSession] = {}
        self._command: BoardCommand | None = None
        self._heard_s = clock()
        self._viewers: dict[Address, tuple[int, float]] = {}
        self._seen_picture = -1

    def announce(self, call: Packet, address: Address) -> None:
        """Answer a call, unless it was answered before."""
        session = self._sessions.get(call.session)
        if session is None:
            session = self._open_session(call.session)
        if call.sequence <= session.called:
            self.dropped += 1
            return
        session.called = call.sequence
        own: Address = self.socket.getsockname()
        about = Announcement(7, session.challenge, own, f"board {self.id}")
        answer = Packet(
            PacketKind.ANNOUNCE, self.id, call.session, call.sequence, pack_announce(about)
        )
        self._send(answer, address, self._key)

    def _open_session(self, number: int) -> BoardSession:
        challenge = secrets.token_bytes(CHALLENGE_BYTES)
        session = BoardSession(session_key(self._key, number, self.id, challenge), challenge)
        in_use = {self._session, *(viewed for viewed, _ in self._viewers.values())}
        spare = [one for one in self._sessions if one not in in_use]
        for old in spare[: max(len(self._sessions) + 1 - MOST_SESSIONS, 0)]:
            del self._sessions[old]
        self._sessions[number] = session
        return session

    def receive(self) -> None:
        """Handle a received datagram."""
        while True:
            try:
                data, address = self.socket.recvfrom(MOST_BYTES + 1)
            except (BlockingIOError, OSError):
                return
            try:
                self._obey(data, address)
            except PacketError:
                self.dropped += 1

    def watch(self) -> None:
        """Stop when no command came for the watchdog time; send pictures that are due."""
        if self._command is not None and self.has_torque and not self.is_stopped:
            self.is_stopped = self._clock() - self._heard_s > self._command.watchdog_s
            if self.is_stopped:
                self.motor.drive(self.motor.motion().position_rad, math.inf)
        self._send_pictures()

    def _obey(self, data: bytes, address: Address) -> None:
        """Carry out the request of a datagram.

        Raises:
            PacketError: it is for another board, of no open session, or has been before.
        """
        number = peek(data)[2]
        session = self._sessions.get(number)
        if session is None:
            raise PacketError("session")
        packet = unpack(data, session.key)
        if packet.board != self.id or self.motor.is_silent():
            return
        if packet.sequence <= session.sequence:
            raise PacketError("sequence")
        session.sequence = packet.sequence
        if packet.kind is PacketKind.LOOK and packet.payload:
            if self.pictures is not None and not self._viewers:
                # As from a real camera: the first picture is one taken after it was asked for.
                self._seen_picture = self.pictures.source.latest().number
            self._viewers[address] = (number, self._clock() + packet.payload[0])
            return
        self._take_over(number)
        if packet.kind is PacketKind.COMMAND:
            self._drive(unpack_command(packet.payload))
        elif packet.kind is PacketKind.QUERY:
            self._report(packet, address)

    def _take_over(self, session: int) -> None:
        """Assign the board to the session of a packet, if no other one commands it.

        Raises:
            PacketError: another one does.
        """
        self.watch()
        if session != self._session:
            if self.has_torque and not self.is_stopped:
                raise PacketError("session")
            self._session = session
        self._heard_s = self._clock()

    def _drive(self, command: BoardCommand) -> None:
        self._command = command
        if command.clear:
            self.is_stopped = False
        if self.is_stopped and command.torque:
            return
        self.has_torque = command.torque
        self.motor.drive(command.goal_rad if command.torque else None, command.speed_limit_rad_s)

    def _report(self, packet: Packet, address: Address) -> None:
        motion = self.motor.motion()
        state = BoardState(
            self.has_torque,
            self.is_stopped,
            self.error_bits,
            *motion,
            voltage_v=self.voltage_v,
            temperature_c=self.temperature_c,
        )
        answer = Packet(
            PacketKind.STATE, self.id, packet.session, packet.sequence, pack_state(state)
        )
        self._send(answer, address, self._sessions[packet.session].key)

    def _send_pictures(self) -> None:
        if self.pictures is None or not self._viewers:
            return
        self._seen_picture, shot = self.pictures.take(self._seen_picture, 0.0)
        if shot is None:
            return
        number, time_s, jpeg = shot
        pieces = [jpeg[i : i + PART_BYTES] for i in range(0, len(jpeg), PART_BYTES)]
        now = self._clock()
        self._viewers = {a: v for a, v in self._viewers.items() if v[1] > now}
        for address, (number_of_session, _) in self._viewers.items():
            session = self._sessions[number_of_session]
            for i, piece in enumerate(pieces):
                session.pictures += 1
                payload = pack_picture(PicturePart(number, time_s, i, len(pieces), piece))
                packet = Packet(
                    PacketKind.PICTURE, self.id, number_of_session, session.pictures, payload
                )
                self._send(packet, address, session.key)

    def _send(self, packet: Packet, address: Address, key: bytes) -> None:
        try:
            self.socket.sendto(pack(packet, key), address)
        except OSError:
            self.dropped += 1


class EmulatedNetwork:
    """Boards on one call port of the loopback network; ``port`` is for the description."""

    def __init__(self, boards: Sequence[EmulatedBoard], key: str = "") -> None:
        self.boards = list(boards)
        self._key = key.encode()
        self._calls = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._calls.bind(("127.255.255.255", 0))
        self._calls.setblocking(False)
        self.port: int = self._calls.getsockname()[1]
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="udp boards", daemon=True)

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def close(self) -> None:
        """Switch all boards off."""
        self._is_closing.set()
        if self._thread.is_alive():
            self._thread.join()
        for one in (self._calls, *(board.socket for board in self.boards)):
            one.close()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._calls, selectors.EVENT_READ, self._hear_call)
            for board in self.boards:
                selector.register(board.socket, selectors.EVENT_READ, board.receive)
            while not self._is_closing.is_set():
                for key, _ in selector.select(WATCH_S):
                    key.data()
                for board in self.boards:
                    board.watch()

    def _hear_call(self) -> None:
        try:
            data, address = self._calls.recvfrom(MOST_BYTES + 1)
            call = unpack(data, self._key)
        except (OSError, PacketError):
            return
        if call.kind is PacketKind.CALL:
            for board in self.boards:
                if not board.motor.fault.model.is_off:
                    board.announce(call, address)
