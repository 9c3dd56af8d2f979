"""Boards on the loopback network: one servo and one camera each, by real datagrams."""

from __future__ import annotations

import math
import selectors
import socket
import threading
import time
from collections.abc import Sequence

from hardware.buses.udp_packets import (
    MOST_BYTES,
    PART_BYTES,
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
    unpack,
    unpack_command,
)
from hardware.emulated.motor import FailingMotor
from hardware.emulated.pictures import FailingPictures, PictureSource
from hardware.faults.injection import Fault
from hardware.limbs.driver import Clock

Address = tuple[str, int]
WATCH_S = 0.005


class EmulatedBoard:
    """One board: obeys one session, watches its silence, sends pictures to whoever looks.

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
        self._session, self._sequence = -1, 0
        self._command: BoardCommand | None = None
        self._heard_s = clock()
        self._viewers: dict[Address, tuple[Packet, float]] = {}
        self._seen_picture = -1

    def announce(self, call: Packet, address: Address) -> None:
        """Answer a call."""
        payload = pack_announce(7, f"board {self.id}")
        self._send(
            Packet(PacketKind.ANNOUNCE, self.id, call.session, call.sequence, payload), address
        )

    def receive(self) -> None:
        """Handle what has come."""
        while True:
            try:
                data, address = self.socket.recvfrom(MOST_BYTES + 1)
            except (BlockingIOError, OSError):
                return
            try:
                self._obey(unpack(data, self._key), address)
            except PacketError:
                self.dropped += 1

    def watch(self) -> None:
        """Stop when the driver has been silent for too long; send pictures that are due."""
        if self._command is not None and self.has_torque and not self.is_stopped:
            self.is_stopped = self._clock() - self._heard_s > self._command.watchdog_s
            if self.is_stopped:
                self.motor.drive(self.motor.motion().position_rad, math.inf)
        self._send_pictures()

    def _obey(self, packet: Packet, address: Address) -> None:
        if packet.board != self.id or self.motor.fault.word is Fault.OFF or self.motor.is_silent():
            return
        if packet.kind is PacketKind.LOOK and packet.payload:
            self._viewers[address] = (packet, self._clock() + packet.payload[0])
            return
        self._check_session(packet)
        if packet.kind is PacketKind.COMMAND:
            self._drive(unpack_command(packet.payload))
        elif packet.kind is PacketKind.QUERY:
            self._tell(packet, address)

    def _check_session(self, packet: Packet) -> None:
        """One driver at a time, and none of its packets twice."""
        self.watch()
        now = self._clock()
        if packet.session != self._session:
            if self.has_torque and not self.is_stopped:
                raise PacketError("session")
            self._session, self._sequence = packet.session, 0
        if packet.sequence <= self._sequence:
            raise PacketError("sequence")
        self._sequence, self._heard_s = packet.sequence, now

    def _drive(self, command: BoardCommand) -> None:
        self._command = command
        if command.clear:
            self.is_stopped = False
        if self.is_stopped and command.torque:
            return
        self.has_torque = command.torque
        self.motor.drive(command.goal_rad if command.torque else None, command.speed_limit_rad_s)

    def _tell(self, packet: Packet, address: Address) -> None:
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
        self._send(answer, address)

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
        for address, (look, _) in self._viewers.items():
            for i, piece in enumerate(pieces):
                part = PicturePart(number, time_s, i, len(pieces), piece)
                payload = pack_picture(part)
                self._send(
                    Packet(PacketKind.PICTURE, self.id, look.session, look.sequence, payload),
                    address,
                )

    def _send(self, packet: Packet, address: Address) -> None:
        try:
            self.socket.sendto(pack(packet, self._key), address)
        except OSError:
            self.dropped += 1


class EmulatedNetwork:
    """Boards that hear one call port of the loopback network; ``port`` is for the description."""

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
                if board.motor.fault.word is not Fault.OFF:
                    board.announce(call, address)
